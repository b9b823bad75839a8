"""A process that holds more than it should is never used, whatever the calls before answered."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import msgspec
import pytest

from casemate.child.proof import Held, UnconfinedError, require_confined
from casemate.kernel import linux

UID = 64_809 if os.geteuid() == 0 else None
HELD = Held(
    users=(7, 7, 7, 7),
    groups=(7, 7, 7, 7),
    others=(),
    capabilities=0,
    no_new_privileges=True,
    dumpable=False,
    filtered=True,
    sees_files=False,
)

CONFINED = """
import os, socket, sys
import msgspec
from casemate.child import confinement, proof
from casemate.child.confinement import confine
from casemate.egress.confinement import EGRESS
from casemate.kernel import linux
from casemate.sources.confinement import SOURCES
from casemate.vault.confinement import VAULT
declared = {"vault": VAULT, "egress": EGRESS, "sources": SOURCES}[sys.argv[1]]
uid = int(sys.argv[2]) or None
folder = os.open(sys.argv[3], os.O_RDONLY | os.O_DIRECTORY)
nothing = lambda *_, **__: None
exec(sys.argv[4])
try:
    held = confine(declared, uid=uid, folder=folder)
except proof.UnconfinedError as error:
    os.write(1, error.strerror.encode())
    os._exit(3)
except OSError as error:
    os.write(1, str(error).encode())
    os._exit(4)
os.write(1, msgspec.json.encode(held))
os._exit(0)
"""


def confined(name: str, folder: object, broken: str = "", uid: int | None = UID) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, name, str(uid or 0), str(folder), broken],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["vault", "egress", "sources"])
def test_each_process_proves_that_it_has_nothing_left(name: str, tmp_path) -> None:
    code, text = confined(name, tmp_path)
    assert code == 0, text
    held = msgspec.json.decode(text, type=Held)
    require_confined(held, UID, landlock=linux.landlock_abi() > 0)
    assert (held.capabilities, held.others if UID else ()) == (0, ())
    assert held.no_new_privileges and held.filtered and not held.dumpable
    assert held.sees_files is (linux.landlock_abi() == 0)


@pytest.mark.parametrize("name", ["vault", "egress", "sources"])
@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("linux.install_filter = nothing", "not filtered"),
        ("confinement._restrict_files = nothing", "sees files"),
        ("linux.landlock_restrict = nothing", "sees files"),
        *(
            [
                ("os.setgroups = nothing; os.initgroups = nothing", "groups besides"),
                ("os.setresgid = nothing", "not user and group"),
                ("os.setresuid = nothing", "not user and group"),
                # As long as it is root, what drops them is all there is to it.
                (
                    "os.setresuid = nothing; linux.drop_capabilities = nothing",
                    "has the capabilities",
                ),
            ]
            if UID
            else []
        ),
    ],
)
def test_a_step_that_does_nothing_is_found_out(name, broken, problem, tmp_path) -> None:
    """As on a host where something outside answers the call, or by a fault of ours."""
    if "os.setgroups" in broken:
        broken = f"os.setgroups([4, 5]); {broken}"
    if "landlock" in broken + problem and not linux.landlock_abi():
        pytest.skip("no Landlock")
    code, text = confined(name, tmp_path, broken)
    assert (code, problem in text) == (3, True), text


def test_a_process_that_can_be_dumped_is_found_out(tmp_path) -> None:
    # One that changes its user cannot be anyway: the kernel sees to it.
    code, text = confined("vault", tmp_path, "linux.set_not_dumpable = nothing", None)
    assert (code, text) == (3, "the kernel says that its memory can be read by others")


def test_a_kernel_that_refuses_is_told_as_it_says(tmp_path) -> None:
    broken = (
        "def refused(*_): raise OSError(1, 'seccomp(SET_MODE_FILTER): Operation not permitted')\n"
        "linux.install_filter = refused"
    )
    code, text = confined("vault", tmp_path, broken)
    assert (code, text) == (4, "[Errno 1] seccomp(SET_MODE_FILTER): Operation not permitted")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"capabilities": 1 << 21}, "it has the capabilities 0x200000"),
        ({"no_new_privileges": False}, "it may gain privileges"),
        ({"dumpable": True}, "its memory can be read by others"),
        ({"filtered": False}, "its system calls are not filtered"),
        ({"sees_files": True}, "it sees files"),
        ({"users": (7, 7, 0, 7)}, "it is not user and group 7 alone"),
        ({"groups": (7, 7, 7, 0)}, "it is not user and group 7 alone"),
        ({"others": (0,)}, "it has groups besides its own"),
    ],
)
def test_whatever_is_left_is_named(more, problem) -> None:
    with pytest.raises(UnconfinedError) as caught:
        require_confined(msgspec.structs.replace(HELD, **more), 7, landlock=True)
    assert caught.value.strerror == f"the kernel says that {problem}"
    assert caught.value.errno == errno.EPERM


def test_what_is_not_asked_for_is_not_missed() -> None:
    require_confined(HELD, 7, landlock=True)
    # An ordinary user's node, on a kernel without Landlock, which was accepted.
    left = msgspec.structs.replace(
        HELD, users=(1000,) * 4, groups=(1000,) * 4, others=(27,), sees_files=True
    )
    require_confined(left, None, landlock=False)
    with pytest.raises(UnconfinedError):
        require_confined(HELD, 8, landlock=True)
