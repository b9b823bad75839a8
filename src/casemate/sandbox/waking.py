"""What it takes of our thread to wake those who wait at the other end of a socket or pipe.

Whoever sends, or makes room by reading, walks over all that wait there, in the kernel. Epoll, poll
and forks make that any number of one descriptor: 230,000, which took a function a second and 45 MB,
had each message take 50 ms of who sent it. The kernel bounds them for a user by a number that is
for the whole machine, so what is bounded here is the time.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Final

USUAL_SECONDS: Final = 0.0005
"""Of a thread, for one message. 200 KiB, which is what a socket takes, are copied in 0.1 ms."""
BURST_SECONDS: Final = 0.025
"""Beyond that, for all messages of one instance."""
SHARE: Final = 0.005
"""Of the time that passes, by which that grows again."""
MEASURED_SECONDS: Final = 10.0
"""So long after a message that took long the next ones are measured, however short they are."""
FRESH_SECONDS: Final = USUAL_SECONDS / 5
"""For so long what a thread has used is not read again: each reading is a system call."""


class _ThreadClock:
    """What one thread had used when that was read last, and when that was."""

    __slots__ = ("at", "used")

    def __init__(self) -> None:
        self.at = -math.inf
        self.used = 0.0


_of_thread = threading.local()


def _clock() -> _ThreadClock:
    """Return that of this thread: all of its messages share it."""
    clock: _ThreadClock | None = getattr(_of_thread, "clock", None)
    if clock is None:
        clock = _of_thread.clock = _ThreadClock()
    return clock


class Waking:
    """The time that the messages of one other end have taken. Of one thread only, that makes it.

    One message that seems to take long has the next ones measured by the thread's own clock, which
    costs more to read: the first may have had to wait for a processor. For a while, and not until a
    short one comes: whoever waits decides how long each takes, and could have them take turns.

    What a thread has used is at most the time that has passed. So its clock is not read after a
    message that was short by any clock, and not before one that comes right after another: what
    the thread has used in between, FRESH_SECONDS at most, then counts as the message's.
    """

    __slots__ = ("_clock", "_is_measured", "_left", "_on_excess", "_seen", "_since")

    def __init__(self, on_excess: Callable[[], object]) -> None:
        """Call `on_excess` once, when it is more than may be."""
        self._on_excess: Callable[[], object] | None = on_excess
        self._clock = _clock()
        self._is_measured = False
        self._left = BURST_SECONDS
        self._since = self._seen = time.perf_counter()

    @property
    def is_excessive(self) -> bool:
        """Whether it was more than may be."""
        return self._on_excess is None

    def begin(self) -> float:
        """Return what `end` is to be given, before a message is sent or read."""
        now = time.perf_counter()
        if self._is_measured and not 0 <= now - self._clock.at <= FRESH_SECONDS:
            self._clock.at, self._clock.used = now, time.thread_time()
        return now

    def end(self, begun: float) -> None:
        """Count the time that has passed since."""
        now = time.perf_counter()
        if now - begun <= USUAL_SECONDS:
            self._is_measured = self._is_measured and now - self._seen < MEASURED_SECONDS
            return
        if not self._is_measured:
            self._is_measured, self._seen = True, now
            return
        took = time.thread_time() - self._clock.used
        if took <= USUAL_SECONDS:
            self._is_measured = now - self._seen < MEASURED_SECONDS
            return
        self._seen = now
        grown = min(BURST_SECONDS, self._left + (now - self._since) * SHARE)
        self._left, self._since = grown - (took - USUAL_SECONDS), now
        if self._left < 0 and self._on_excess is not None:
            on_excess, self._on_excess = self._on_excess, None
            on_excess()
