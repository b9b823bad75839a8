"""Once the holes are filled, what a fork makes lies on new pages and has few shared ones copied."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from casemate.runner.filling import fill_holes

PAGE_KB = 4
OBJECTS = 400
SIZES = (16, 48, 96, 160, 224, 304, 400, 480)


def _copied(filled: bool) -> int:
    """Return the kB that a fork copies to make small objects, where every other one was freed."""
    script = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from casemate.runner.filling import fill_holes
sizes = {SIZES!r}
made = [bytes(size - 33) if size > 33 else object() for size in sizes for _ in range(4000)]
# A hole on each page, and hardly more.
made = [each for number, each in enumerate(made) if number % 40]
if {filled}:
    fill_holes()
def private():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty"))
private()
if not os.fork():
    before = private()
    new = [bytes(size - 33) if size > 33 else object() for size in sizes for _ in range(50)]
    print(private() - before, flush=True)
    os._exit(0)
os.wait()
"""
    command = [sys.executable, "-I", "-c", script]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_objects_of_a_fork_copy_fewer_pages_once_holes_are_filled() -> None:
    scattered, dense = _copied(filled=False), _copied(filled=True)
    needed = sum(SIZES) * 50 // 1024
    assert scattered > 2 * dense, (scattered, dense)
    assert dense < 2 * needed + PAGE_KB * len(SIZES) * 2, (dense, needed)


def test_it_ends_and_takes_a_bounded_amount() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if 0 < fill_holes() < 200_000 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_nothing_is_taken_from_other_interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        name = "pypy"

    monkeypatch.setattr(sys, "implementation", Other)
    assert fill_holes() == 0
