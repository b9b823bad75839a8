"""The filter of a zygote asks about what it is told, falls back, and never beside a restorer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from casemate.runner.filters import ZygoteFilters

CHILD = """
import ctypes, errno, os, sys
sys.path.insert(0, "src")
from casemate.kernel import filter_code, linux
from casemate.runner.filters import ZygoteFilters
filters = ZygoteFilters()
linux.set_no_new_privileges()
if sys.argv[1] == "taken":
    # As a container's runtime may have one.
    allowing = filter_code._encode([filter_code._allow()])
    linux.PreparedFilter(allowing).install_with_listener()
found = filters.install(restorable=False, asked=["rmdir"], refused=sys.argv[2] == "refused")
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    return "ok" if libc.syscall(*args) >= 0 else errno.errorcode[ctypes.get_errno()]
if found >= 0:
    os.close(found)  # nobody answers then
print(found >= 0, call(84, b"/zebra7"), call(83, b"/zebra7/none", 0), call(101))
"""


def outcome(taken: str, refused: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, taken, refused],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_with_a_listener_it_is_asked_whatever_becomes_of_it() -> None:
    assert outcome("free", "refused") == ["True", "ENOSYS", "ENOENT", "ENOSYS"]


def test_without_a_listener_what_is_refused_is_refused_and_what_is_learned_goes_on() -> None:
    assert outcome("taken", "refused") == ["False", "EPERM", "ENOENT", "EPERM"]
    assert outcome("taken", "learned") == ["False", "ENOENT", "ENOENT", "EPERM"]


def test_what_may_be_restored_makes_no_call_by_the_word_of_a_listener() -> None:
    with pytest.raises(ValueError, match="restored"):
        ZygoteFilters().install(restorable=True, asked=["rmdir"], refused=False)
