"""How long the last commits of one schema took: a slow disk, or a slow standby, is told by name."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SLOW_SECONDS: Final = 1.0
"""A commit that takes as long is slow: a disk that is as it should be takes a hundredth of that."""
WAITS_SECONDS: Final = 5.0
"""One that is not answered for as long is told before it ends."""
RECENT_SECONDS: Final = 60.0
_LAST, _ENOUGH = 5, 3
"""How many are looked at, and how many there have to be: one alone says nothing."""


class CommitTimes:
    """Those of one writer. It times, any thread may ask."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Know of none yet."""
        self._clock = clock
        self._begun: float | None = None
        self._ended: deque[tuple[float, float]] = deque(maxlen=_LAST)
        """When each ended, and how many seconds it took."""

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Time a commit, whatever comes of it."""
        begun = self._begun = self._clock()
        try:
            yield
        finally:
            now = self._clock()
            self._begun = None
            self._ended.append((now, now - begun))

    def fault(self) -> str:
        """Return what is wrong, empty if nothing is."""
        now, begun = self._clock(), self._begun
        if begun is not None and now - begun >= WAITS_SECONDS:
            return f"a commit has not been answered by the database server for {now - begun:.0f} s"
        recent = [took for at, took in tuple(self._ended) if now - at <= RECENT_SECONDS]
        if len(recent) < _ENOUGH or (middle := statistics.median(recent)) < SLOW_SECONDS:
            return ""
        return (
            f"commits take {middle:.1f} s on the database server: its disk, or its synchronous "
            "standby, is slow"
        )
