"""What a zygote at rest forks ahead: whose it becomes, what it is before, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from casemate.kernel import linux
from casemate.runner import control, forked_ahead, zygote
from support.descriptors import descriptors_held, require_none_left

FORKED, RESTORED = 3, 4


class _Cloner(linux.Cloner):
    """Forks without namespaces, and has the child lead to none of the tests' own."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[int] = []
        self.fails = False

    def clone(self, flags: int, first: Callable[[], object] | None = None) -> int:
        assert flags == linux.INSTANCE_NAMESPACES
        if self.fails:
            raise OSError(11, "clone")
        pid = super().clone(0, first)
        if pid:
            self.made.append(pid)
        return pid


@pytest.fixture
def at_rest(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[zygote.Zygote, _Cloner]]:
    """Give a zygote that has settled, whose instances write their process id to their output."""

    def serve(_of: zygote.Zygote, _channel: int, output: int, *_rest: int) -> None:
        os.write(output, b"%d" % os.getpid())

    monkeypatch.setattr(zygote.Zygote, "_lock_down_and_serve", serve)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        made = zygote.Zygote(ours, cast("zygote.Prepared", SimpleNamespace(guard=None)))
        cloner = _Cloner()
        made._cloner = cast("Any", cloner)
        made._settled = True
        made._is_ahead_due = True
        yield made, cloner
        if made._ahead is not None:
            made._ahead.close()
        for pid in cloner.made:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                continue
        os.close(made._wake_read)
        os.close(made._wake_write)


def _ask(of: zygote.Zygote, kind: int = FORKED) -> int:
    """Ask for an instance; return the process that serves as it."""
    reading, writing = os.pipe()
    of._fork(1, [os.dup(0), writing, *[os.dup(0) for _ in range(kind - 2)]])
    with open(reading, "rb") as file:
        return int(file.read())


def _ended(pid: int) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return True
        time.sleep(0.01)
    return False


def test_the_next_instance_is_what_was_forked_ahead(
    at_rest: tuple[zygote.Zygote, _Cloner],
) -> None:
    of, cloner = at_rest
    of._fork_ahead()
    (ahead,) = cloner.made
    assert _ask(of) == ahead
    assert of._ahead is None and of._instances == {ahead: 1}
    # It was of one: the next is forked, and another only at rest.
    assert _ask(of) != ahead
    assert len(cloner.made) == 2


def test_one_is_forked_only_when_that_is_asked_for(
    at_rest: tuple[zygote.Zygote, _Cloner],
) -> None:
    """Between a fork and the next request the zygote may be in the slot of what it forked last."""
    of, cloner = at_rest
    assert of._patience() == zygote._REST_MS
    of._fork_ahead()
    of._fork_ahead()
    (ahead,) = cloner.made
    assert of._patience() is None
    os.kill(ahead, signal.SIGKILL)
    assert _ended(ahead)
    of._reap()
    assert of._ahead is None
    of._fork_ahead()  # or one that is killed at once, for want of memory, is made without end
    of._is_ahead_due = True
    assert _ask(of) == cloner.made[1]
    of._instances.clear()
    of._fork_ahead()
    assert len(cloner.made) == 2 and of._patience() is None


def test_the_supervisor_asks_by_a_message(at_rest: tuple[zygote.Zygote, _Cloner]) -> None:
    of, cloner = at_rest
    of._is_ahead_due = False
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        before, of._sock = of._sock, theirs
        control.send(ours, {"ahead": True})
        assert of._obey()
        of._sock = before
    assert of._patience() == zygote._REST_MS
    of._fork_ahead()
    assert len(cloner.made) == 1


def test_one_that_was_killed_a_moment_ago_costs_no_call(
    at_rest: tuple[zygote.Zygote, _Cloner],
) -> None:
    of, cloner = at_rest
    of._fork_ahead()
    os.kill(cloner.made[0], signal.SIGKILL)
    assert _ended(cloner.made[0])
    assert _ask(of) == cloner.made[1]
    of._reap()
    assert cloner.made[0] not in of._instances


def test_one_that_is_to_be_restored_takes_it_as_well(
    at_rest: tuple[zygote.Zygote, _Cloner],
) -> None:
    """Else what was forked ahead would be in its slot, and later be another's from there."""
    of, cloner = at_rest
    of._fork_ahead()
    assert [_ask(of, RESTORED)] == cloner.made
    assert of._ahead is None


def test_nothing_is_wrong_where_none_can_be_forked(
    at_rest: tuple[zygote.Zygote, _Cloner],
) -> None:
    of, cloner = at_rest
    cloner.fails = True
    before = descriptors_held()
    of._fork_ahead()
    assert of._ahead is None
    require_none_left(before)
    cloner.fails = False
    assert _ask(of) == cloner.made[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read what others hold")
def test_it_has_run_and_written_next_to_nothing(at_rest: tuple[zygote.Zygote, _Cloner]) -> None:
    of, cloner = at_rest
    of._fork_ahead()
    stack = Path(f"/proc/{cloner.made[0]}/syscall")
    end = time.monotonic() + 10
    while not stack.read_text().startswith("45 "):  # recvfrom(2)
        assert time.monotonic() < end
        time.sleep(0.01)
    faults = Path(f"/proc/{cloner.made[0]}/stat").read_text().rsplit(")", 1)[1].split()[7]
    assert int(faults) < 70  # one that had run would have hundreds


def test_what_is_no_message_of_the_zygote_makes_no_instance() -> None:
    for message in (b"", b"x"):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            if message:
                ours.send(message)
            ours.close()
            assert forked_ahead.told(theirs) is None
