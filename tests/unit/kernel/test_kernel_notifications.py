"""Calls that wait are named without a word of the function's, and get refusals alone."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.kernel import linux, notifications
from casemate.kernel.machines import AARCH64, MACHINES, X86_64, Machine
from casemate.kernel.notifications import Notification, describe
from casemate.kernel.system_calls import CONDITIONAL, FORBIDDEN, NOTABLE, numbered

WAITING = Notification(7, 4711, 101, (1, 2, 3, 4, 5, 6))


@given(st.integers(0, 2**31), st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6))
def test_a_name_tells_nothing_of_the_function_s_data(number: int, arguments: list[int]) -> None:
    """And there are few of them, whatever the arguments, so that they count as alike."""
    name = describe(number, tuple(arguments))
    assert name.isascii() and len(name) < 140
    for argument in arguments:
        if argument > 1 << 32:
            assert hex(argument)[2:] not in name and str(argument) not in name


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_what_was_asked_for_is_told_on_each_machine(machine: Machine) -> None:
    def told(name: str, *arguments: int) -> str:
        return describe(machine.calls[name], (*arguments, 0, 0, 0, 0), machine)

    assert told("ptrace", 16) == "ptrace"
    assert told("socket", 16) == "socket(AF_NETLINK)"
    assert told("socket", 2) == "socket(another protocol)"
    assert told("socket", 99) == "socket(another domain)"
    assert told("ioctl", 0, 0x5412) == "ioctl(TIOCSTI)"
    assert told("ioctl", 0, 0x1_0000_541C) == "ioctl(TIOCLINUX)"
    assert told("prctl", 22) == "prctl(PR_SET_SECCOMP)"
    assert told("sendto", 3) == "sendto(MSG_FASTOPEN)"
    assert told("sendmsg", 3) == "sendmsg(MSG_FASTOPEN)"
    asked = linux.CLONE_NEWUSER | linux.CLONE_NEWNET
    assert told("unshare", asked) == "unshare(CLONE_NEWUSER|CLONE_NEWNET)"
    assert told("clone", 0) == "clone(no namespace)"


def test_a_number_is_named_by_its_own_machine() -> None:
    assert describe(101, (0,) * 6, X86_64) == "ptrace"
    assert describe(117, (0,) * 6, AARCH64) == "ptrace"


@pytest.mark.parametrize("number", [0, -1, 4096, 1 << 20])
def test_no_answer_but_an_errno_is_ever_given(number: int) -> None:
    with pytest.raises(ValueError, match="not an errno"):
        notifications.refusal_of(WAITING, number)


@pytest.mark.parametrize("number", [1, 13, 97, 4095])
def test_a_refusal_lets_nothing_through(number: int) -> None:
    answer = notifications.refusal_of(WAITING, number)
    assert struct.unpack("=QqiI", answer) == (7, 0, -number, 0)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_only_notable_calls_can_be_let_through(machine: Machine) -> None:
    notable = set(numbered(NOTABLE, machine).values())
    assert len(notable) > 50
    passed = set()
    for number in {*range(-1, 1024), *machine.calls.values(), 1 << 30, 1 << 31}:
        waiting = WAITING._replace(number=number)
        if number in notable:
            passed.add(number)
            answer = notifications.passing_of(waiting, machine)
            assert struct.unpack("=QqiI", answer) == (7, 0, 0, 1)
        else:
            with pytest.raises(ValueError, match="not to be let through"):
                notifications.passing_of(waiting, machine)
    assert passed == notable
    # Forms of these are refused, or are nothing, and none of those ever waits
    # (`test_nor_does_it_in_a_function`, `test_a_file_has_one_lock`).
    conditional = [name for name in CONDITIONAL if name not in ("sendmmsg", "flock")]
    assert not notable & set(numbered((*FORBIDDEN, *conditional), machine).values())


def fails_with(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def ioctl(_descriptor: int, _request: int, _data: object) -> int:
        raise OSError(number, "no")

    monkeypatch.setattr(notifications.fcntl, "ioctl", ioctl)


def test_a_caller_that_was_killed_is_waited_for_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, errno.ENOENT)
    assert notifications.take(3) is None
    assert not notifications.still_waits(3, WAITING)
    notifications.send(3, notifications.refusal_of(WAITING, 1))


def test_an_interrupted_question_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, errno.EINTR)
    assert notifications.take(3) is None


def test_any_other_failure_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever listens closes the listener then, and what waits is refused by the kernel."""
    fails_with(monkeypatch, errno.EBADF)
    for call in (
        lambda: notifications.take(3),
        lambda: notifications.send(3, b""),
        lambda: notifications.still_waits(3, WAITING),
    ):
        with pytest.raises(OSError, match="no"):
            call()
