"""How often invocations arrive, and how many spare instances that is worth."""

from __future__ import annotations

import math

_MEMORY_SECONDS = 5.0
_NO_TIME_SECONDS = 0.005
_MAX_SPARES = 8
_LEAD_SECONDS = 0.02
"""A spare is ready this long after it is asked for, with room to spare."""
_IDLE_SECONDS = 10.0


class ArrivalRate:
    """An exponentially decaying average of arrivals a second."""

    __slots__ = ("_at", "_rate", "last")

    def __init__(self) -> None:
        """Start at no arrivals."""
        self._rate = 0.0
        self._at = 0.0
        self.last = float("-inf")

    def arrived(self, now: float) -> None:
        """Count one arrival at monotonic time `now`."""
        # Within so short a time nothing fades that counts.
        if now - self._at > _NO_TIME_SECONDS:
            self._rate = self.rate(now)
            self._at = now
        self._rate += 1.0 / _MEMORY_SECONDS
        self.last = now

    def rate(self, now: float) -> float:
        """Return arrivals a second."""
        return self._rate * math.exp(-(now - self._at) / _MEMORY_SECONDS)

    def spares(self, now: float) -> int:
        """Return how many instances should wait: none once nothing came for a while."""
        if now - self.last > _IDLE_SECONDS:
            return 0
        return min(_MAX_SPARES, 1 + math.ceil(self.rate(now) * _LEAD_SECONDS))
