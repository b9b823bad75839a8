"""What it takes of our thread to wake those who wait at the other end of a socket or pipe.

Whoever sends, or makes room by reading, walks over all that wait there, in the kernel. Epoll, poll
and forks make that any number of one descriptor: 230,000, which took a function a second and 45 MB,
had each message take 50 ms of who sent it. The kernel bounds them for a user by a number that is
for the whole machine, so what is bounded here is the time.
"""

from __future__ import annotations

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


class Waking:
    """The time that the messages of one other end have taken. Of one thread only.

    One message that seems to take long has the next ones measured by the thread's own clock, which
    costs more to read: the first may have had to wait for a processor. For a while, and not until a
    short one comes: whoever waits decides how long each takes, and could have them take turns.
    """

    __slots__ = ("_is_measured", "_left", "_on_excess", "_seen", "_since")

    def __init__(self, on_excess: Callable[[], object]) -> None:
        """Call `on_excess` once, when it is more than may be."""
        self._on_excess: Callable[[], object] | None = on_excess
        self._is_measured = False
        self._left = BURST_SECONDS
        self._since = self._seen = time.monotonic()

    @property
    def is_excessive(self) -> bool:
        """Whether it was more than may be."""
        return self._on_excess is None

    def begin(self) -> float:
        """Return what `end` is to be given, before a message is sent or read."""
        return time.thread_time() if self._is_measured else time.perf_counter()

    def end(self, begun: float) -> None:
        """Count the time that has passed since."""
        if not self._is_measured:
            self._is_measured = time.perf_counter() - begun > USUAL_SECONDS
            if self._is_measured:
                self._seen = time.monotonic()
            return
        took, now = time.thread_time() - begun, time.monotonic()
        if took <= USUAL_SECONDS:
            self._is_measured = now - self._seen < MEASURED_SECONDS
            return
        self._seen = now
        grown = min(BURST_SECONDS, self._left + (now - self._since) * SHARE)
        self._left, self._since = grown - (took - USUAL_SECONDS), now
        if self._left < 0 and self._on_excess is not None:
            on_excess, self._on_excess = self._on_excess, None
            on_excess()
