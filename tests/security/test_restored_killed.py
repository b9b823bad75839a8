"""A restorer that is killed at each of its steps, or is sent what nobody would: no call of anybody
finds another's data.

Each step is a system call of the restorer's own, before which it is killed.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from casemate.kernel import linux, tracing
from casemate.kernel.process_files import open_process
from casemate.restorer.probe import restoring_problem
from casemate.restorer.protocol import ASKED, GATEWAY, HELD, HOLD, REQUEST, TOLD
from support.asked_restorer import CPU_BEFORE, NAME, Restorer, ask, hold, make_ready, report, told
from support.node import TestNode
from support.restored import RestoredChild

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(restoring_problem()), reason=restoring_problem()),
]
_TO_NEXT_CALL = 24
"""PTRACE_SYSCALL."""
_PLANTS = "state['x'] = 1; state['y'] = 'z' * 100_000; ctypes.memset(AREA, 67, 9000)"
_LOOKS = "result = [len(state), area.raw[:2].hex()]"
_PREPARES = "area = ctypes.create_string_buffer(9000); AREA = ctypes.addressof(area)"
_PRISTINE = [0, "0000"]


class Stepped:
    """A process of which each system call can be stopped at. From one thread."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        tracing.seize(pid, 0)
        tracing.interrupt(pid)
        self._stop()

    def _stop(self) -> int:
        _, status = os.waitpid(self.pid, tracing.WALL)
        if not os.WIFSTOPPED(status):
            raise ProcessLookupError
        return status

    def kill_before(self, number: int, begin: Callable[[], None], done: Callable[[], bool]) -> int:
        """Kill it before its call of that number after `begin`, or once `done` says so.

        Returns how many calls it has made.
        """
        begun = False
        made = 0
        while True:
            if not begun:
                begin()
                begun = True
            tracing._ptrace(_TO_NEXT_CALL, self.pid)
            status = self._stop()
            if os.WSTOPSIG(status) != signal.SIGTRAP or status >> 16:
                continue
            made += 1  # each is stopped at twice: before it, and behind it
            if made // 2 >= number or done():
                os.kill(self.pid, signal.SIGKILL)
                return made // 2


@pytest.fixture
def restorer() -> Iterator[Restorer]:
    running = Restorer()
    yield running
    running.close()


@pytest.fixture
def child() -> Iterator[RestoredChild]:
    running = RestoredChild(prepare=_PREPARES)
    yield running
    running.close()


def _killed_before(number: int) -> tuple[int, str]:
    """Kill a restorer before its call of that number since a call has begun; what came of it?"""
    restorer, child = Restorer(), RestoredChild(prepare=_PREPARES)
    try:
        assert hold(restorer, child).kind == HELD
        child.go()
        make_ready(restorer)
        stepped = Stepped(restorer.process.pid)

        def begin() -> None:
            child.send(_PLANTS)
            ask(restorer)

        told_of = bytearray()

        def done() -> bool:
            with suppress(BlockingIOError):
                told_of.extend(restorer.gateway.recv(TOLD.size, socket.MSG_DONTWAIT))
            return bool(told_of)

        made = stepped.kill_before(number, begin, done)
        os.waitpid(restorer.process.pid, tracing.WALL)
        done()
        return made, _outcome(child, said_ready=bool(told_of))
    finally:
        restorer.close()
        child.close()


def _outcome(child: RestoredChild, *, said_ready: bool) -> str:
    """Return what the next call finds in one whose restorer has ended."""
    try:
        assert child.answer() is None  # of the call that has planted
        found = child.call(_LOOKS)
    except (EOFError, OSError):
        assert not said_ready or not _alive(child)
        return "ended"
    if said_ready:
        assert found == _PRISTINE
        return "set back"
    # The gateway sends it nothing: it was never said to be ready.
    return "not used"


def _alive(child: RestoredChild) -> bool:
    return child.process.poll() is None
