"""Threads that an instance has started during a call, all of which end with it.

Memory is set back to what it was when there were none, so that nothing in it knows of them; what
the kernel has of a thread alone (its mask, its name, its list of locks) ends with it. So it is
enough to have each of them make exit(2), from outside, before anything else is compared: what it
shares with the others is compared afterwards, and that one thread is left is what `status` says.

They are followed from their first instruction on: whoever starts one stops before (the filter
flags it), and a thread stops before it runs. So none can be missed, also while others are ended.
"""

from __future__ import annotations

import contextlib

from casemate.kernel import machines, tracing

MOST = 64
"""At a time. Who starts more is not used again."""
_FLAGS = 0x3D0F00
"""CLONE_VM, _FS, _FILES, _SIGHAND, _THREAD, _SYSVSEM, _SETTLS, _PARENT_SETTID and _CHILD_CLEARTID:
what the C library starts one with. With less of them it would have a directory, a table of
descriptors or the like of its own, or be a process."""
_SET_NAME = 15
"""PR_SET_NAME."""
_CALLS = machines.X86_64.calls
_CLONE = _CALLS["clone"]
_OWN = frozenset((_CALLS["set_robust_list"], _CALLS["rseq"]))
"""Calls that a thread makes when it begins, about itself."""


def starts_one(registers: tracing.General) -> bool:
    """Tell whether the call that is about to be made starts a thread, and nothing else."""
    return registers.orig_rax == _CLONE and registers.rdi == _FLAGS


def sets_own(registers: tracing.General) -> bool:
    """Tell whether the call that is about to be made sets what ends with the thread it is of."""
    if registers.orig_rax == _CALLS["prctl"]:
        return registers.rdi & tracing.INT == _SET_NAME
    return registers.orig_rax in _OWN


class Threads:
    """Those of one process but for its first, by their ids."""

    def __init__(self) -> None:
        """There are none yet."""
        self._ids: set[int] = set()
        self._starting: set[int] = set()
        """Who was let start one with the next event."""
        self._leaving: bytes | None = None
        """The registers with which each is to go on, while they are ended."""

    def __len__(self) -> int:
        """Return how many have not ended yet."""
        return len(self._ids)

    def __contains__(self, pid: int) -> bool:
        """Tell whether it is one of them."""
        return pid in self._ids

    def ids(self) -> tuple[int, ...]:
        """Return those that have not ended yet."""
        return tuple(self._ids)

    def add(self, pid: int) -> None:
        """Take note of one."""
        self._ids.add(pid)

    def discard(self, pid: int) -> None:
        """Take note of the end of one."""
        self._ids.discard(pid)
        self._starting.discard(pid)

    def may_start(self, pid: int) -> bool:
        """Tell whether one of them, or the first thread, may start another; note that it does."""
        if len(self._ids) + len(self._starting) >= MOST:
            return False
        self._starting.add(pid)
        return True

    def has_started(self, pid: int) -> bool:
        """Tell whether the event that has stopped one may be that it started a thread.

        To be asked once at each of its stops: a call to start one that fails has no event.
        """
        started = pid in self._starting
        self._starting.discard(pid)
        return started

    @property
    def ending(self) -> bool:
        """Whether they are to end at their next stop."""
        return self._leaving is not None

    def begin_end(self, home: tracing.General) -> None:
        """Have each end from now on. `home` are the registers of the first thread.

        All of them are taken: what a thread has in its own may be of another mode of the processor.
        """
        place = home.rip - len(tracing.SYSCALL_INSTRUCTION)
        self._leaving = home._replace(
            rip=place, rax=_CALLS["exit"], orig_rax=tracing.NO_CALL, rdi=0
        ).packed()
        for pid in self._ids:
            with contextlib.suppress(OSError):  # it has ended, which is waited for as well
                tracing.interrupt(pid)

    def end(self, pid: int) -> None:
        """Have one that has stopped make exit(2). Raises OSError."""
        if self._leaving is not None:
            tracing.set_general_state(pid, self._leaving)
            tracing.resume(pid)

    def begin(self) -> None:
        """Let those live that are started from now on: another call begins."""
        self._leaving = None
