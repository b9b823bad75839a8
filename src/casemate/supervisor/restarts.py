"""How soon a gateway that ended by itself is started again."""

from __future__ import annotations

import time
from collections import deque

_FAILED_START_SECONDS = (0.0, 0.2, 1.0, 5.0, 15.0)
_SERVED_SECONDS = (0.0, 0.0, 0.1, 0.2, 0.5)
_COUNTED_SECONDS = 60.0


class Restarts:
    """What a node remembers of the ends of its gateways.

    One that served and ended is started again soon however often that happens: in between it
    answers, and a long pause would be an outage of our own making. Only those that never come to
    serve are started less and less often.
    """

    def __init__(self) -> None:
        """Begin with a node whose gateway has never ended."""
        self._failed_starts = 0
        self._ends: deque[float] = deque(maxlen=len(_SERVED_SECONDS))

    def pause(self, *, served: bool, now: float | None = None) -> float:
        """Note an end; return the seconds to wait before the next start."""
        now = time.monotonic() if now is None else now
        if not served:
            self._failed_starts += 1
            return _FAILED_START_SECONDS[min(self._failed_starts, len(_FAILED_START_SECONDS)) - 1]
        self._failed_starts = 0
        self._ends.append(now)
        lately = sum(now - end < _COUNTED_SECONDS for end in self._ends)
        return _SERVED_SECONDS[lately - 1]
