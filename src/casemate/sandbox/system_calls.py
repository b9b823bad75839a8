"""Hears of the system calls that a function's filter denies, refuses them, and tells.

A filter with a listener (seccomp_unotify(2)) leaves the calls that nothing honest makes waiting
for an answer. The answer is always a refusal: nothing here reads what a call points to. So a record
is evidence, and the filter alone is the protection. What is let through, where it is learned which
calls are usual, are calls that every function may make whatever their arguments (ADR 0096).
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from casemate.kernel import notifications
from casemate.kernel.notifications import Notification, describe
from casemate.kernel.seccomp import refusal
from casemate.kernel.system_calls import name_of

BURST: Final = 100
"""How many denied calls of one sandbox are answered at once."""
PER_SECOND: Final = 25.0
"""How many a second are answered after that. The callers wait meanwhile, and only they do."""
PASSED_COST: Final = 0.02
"""What a call that is let through takes of these: it is answered without a look at its caller."""
MET_SECONDS: Final = 10.0
"""How long it is not told again that a call was let through: the time of a look at baselines."""
WINDOW_SECONDS: Final = 1.0
"""Calls alike within this time are told as one, with their count."""
_RESUME_SECONDS = 0.2
_MOST_ANCESTORS = 64
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeniedCall:
    """A system call that a function made and did not get, or several alike."""

    name: str
    """As in the kernel's table, `ptrace`; with what was asked for where a number says it:
    `socket(AF_NETLINK)`, `unshare(CLONE_NEWUSER|CLONE_NEWNET)`."""
    number: int
    pid: int
    """Thread that made the (first) call, in the pid namespace of this process."""
    process: tuple[int, ...]
    """Ids of the first process of the caller's innermost pid namespace, from the reader's
    namespace inward, as NStgid of proc_pid_status(5). For an instance that is the instance
    itself: the last but one is its pid in its zygote's namespace. Empty if /proc did not tell."""
    at: float
    """Unix time of the first in seconds."""
    count: int = 1


def _status(pid: int) -> tuple[int, tuple[int, ...]]:
    """Return the parent's pid and the ids of the process that a thread is of.

    Raises OSError and ValueError.
    """
    parent = 0
    ids: tuple[int, ...] = ()
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == "PPid":
            parent = int(value)
        elif key == "NStgid":
            ids = tuple(map(int, value.split()))
    return parent, ids


def namespace_leader(pid: int) -> tuple[int, ...]:
    """Return the ids of the first process of the innermost pid namespace that `pid` is in.

    Empty if it cannot be told. Walks up the parents: what lost its parent has the leader as one.
    """
    try:
        parent, ids = _status(pid)
        levels = len(ids)
        for _ in range(_MOST_ANCESTORS):
            if not ids or len(ids) != levels:
                return ()
            if ids[-1] == 1:
                return ids
            parent, ids = _status(parent)
    except (OSError, ValueError):
        return ()
    return ()


def _log_failure(reason: str) -> None:
    _logger.error("denied system calls of a function are not recorded any more: %s", reason)


class SystemCallWatch:
    """Answers the listener of one function's filter, from the event loop.

    Each waiting call, but for those that are to pass, is refused with the errno it has without a
    listener. `on_denied` is told of
    the first of a kind before it is refused, and of those alike within a second in one report
    after it. A flood is slowed down by not answering: what waits costs nothing here and can still
    be killed.

    If the listener fails it is closed, all that waits or comes later gets ENOSYS from the
    kernel, and `on_failed` is told why, since nothing is recorded any more.
    """

    def __init__(
        self,
        descriptor: int,
        loop: asyncio.AbstractEventLoop,
        on_denied: Callable[[DeniedCall], None],
        *,
        on_failed: Callable[[str], None] = _log_failure,
        passing: Collection[str] = (),
        on_met: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take over the descriptor. Calls of `passing` are let through, and `on_met` is told."""
        self._descriptor = descriptor
        self._loop = loop
        self._on_denied = on_denied
        self._on_failed = on_failed
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._passing = frozenset(passing)
        self._on_met = on_met
        self._met: dict[str, float] = {}
        """When it was told last that a call was let through."""
        self._allowance = float(BURST)
        self._refilled = loop.time()
        self._alike: dict[tuple[str, tuple[int, ...]], DeniedCall] = {}
        self._resuming: asyncio.TimerHandle | None = None
        self._telling: asyncio.TimerHandle | None = None
        self.unreported = 0
        """Calls that `on_denied`, or `on_met`, could not take."""
        loop.add_reader(descriptor, self._readable)

    @property
    def closed(self) -> bool:
        """Tell whether the listener is closed: nothing is recorded any more."""
        return self._descriptor < 0

    def close(self) -> None:
        """Stop, and tell what was counted. Closing twice is fine."""
        if self._descriptor < 0:
            return
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        for timer in (self._resuming, self._telling):
            if timer is not None:
                timer.cancel()
        self._tell()

    def _readable(self) -> None:
        """Refuse what waits, as far as the allowance goes."""
        try:
            while True:
                if not self._spend():
                    self._pause()
                    return
                events = self._poll.poll(0)
                if not events or not self._answer_next(events[0][1]):
                    self._allowance += 1.0
                    return
        except Exception as error:  # noqa: BLE001 - whatever it is: nothing may get through
            self._fail(f"{type(error).__name__}: {error}")

    def _spend(self) -> bool:
        now = self._loop.time()
        earned = (now - self._refilled) * PER_SECOND
        self._allowance = min(float(BURST), self._allowance + earned)
        self._refilled = now
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True

    def _pause(self) -> None:
        self._loop.remove_reader(self._descriptor)
        self._resuming = self._loop.call_later(_RESUME_SECONDS, self._resume)

    def _resume(self) -> None:
        self._resuming = None
        self._loop.add_reader(self._descriptor, self._readable)

    def _answer_next(self, events: int) -> bool:
        """Take one call and refuse it. False if there is none, or never will be."""
        if not events & select.POLLIN:
            # Every process under the filter is gone.
            self.close()
            return False
        waiting = notifications.take(self._descriptor)
        if waiting is None:
            return True
        if self._passing and (name := name_of(waiting.number)) in self._passing:
            self._let_through(waiting, name)
            return True
        answer = notifications.refusal_of(waiting, refusal(waiting.number))
        try:
            self._note(waiting)
        except Exception as error:  # noqa: BLE001 - its failure must not keep the caller waiting
            self._unrecorded(1, error)
        notifications.send(self._descriptor, answer)
        return True

    def _unrecorded(self, count: int, error: Exception) -> None:
        """Count calls that could not be told of, and say so once."""
        if not self.unreported:
            _logger.error("a system call is not recorded: %s", type(error).__name__)
        self.unreported += count

    def _let_through(self, waiting: Notification, name: str) -> None:
        """Have an allowed call be made, told of before."""
        answer = notifications.passing_of(waiting)
        now = self._loop.time()
        if now - self._met.get(name, float("-inf")) >= MET_SECONDS:
            self._met[name] = now
            try:
                self._on_met(name)
            except Exception as error:  # noqa: BLE001 - as above
                self._unrecorded(1, error)
        notifications.send(self._descriptor, answer)
        self._allowance += 1.0 - PASSED_COST

    def _note(self, waiting: Notification) -> None:
        name = describe(waiting.number, waiting.arguments)
        process = namespace_leader(waiting.pid)
        # Asked after /proc was read: by then another process may have had its pid.
        if not notifications.still_waits(self._descriptor, waiting):
            process = ()
        key = (name, process)
        if (known := self._alike.get(key)) is not None:
            self._alike[key] = replace(known, at=known.at or time.time(), count=known.count + 1)
            return
        call = DeniedCall(
            name=name,
            number=waiting.number,
            pid=waiting.pid,
            process=process,
            at=time.time(),
        )
        # What is told now counts for nothing in the report of those alike.
        self._alike[key] = replace(call, at=0.0, count=0)
        if self._telling is None:
            self._telling = self._loop.call_later(WINDOW_SECONDS, self._tell)
        self._on_denied(call)

    def separate(self) -> None:
        """Take no call that comes for one that is like those so far: another invocation begins."""
        if self._telling is not None:
            self._telling.cancel()
            self._tell()

    def _tell(self) -> None:
        """Tell of those that were like one already told, and start anew."""
        self._telling = None
        alike, self._alike = self._alike, {}
        for call in alike.values():
            if not call.count:
                continue
            try:
                self._on_denied(call)
            except Exception as error:  # noqa: BLE001 - as above
                self._unrecorded(call.count, error)

    def _fail(self, reason: str) -> None:
        self.close()
        self._on_failed(reason)
