"""How many instances a version keeps ready whatever the rate, and when to try that again."""

from __future__ import annotations

_LEAST_PAUSE, _MOST_PAUSE = 1.0, 60.0
"""Seconds after what was made ahead of calls came to nothing: a function that cannot be started
must not take a core."""


class Warm:
    """What `limits.warm` asks for of one version."""

    __slots__ = ("_pause", "_until", "count")

    def __init__(self) -> None:
        """Keep none."""
        self.count = 0
        self._until = float("-inf")
        self._pause = 0.0

    def due(self, now: float) -> bool:
        """Tell whether to make what is missing."""
        return self.count > 0 and not self.paused(now)

    def paused(self, now: float) -> bool:
        """Tell whether it is too early for another try."""
        return now < self._until

    def failed(self, now: float) -> None:
        """Wait before the next try, each time twice as long."""
        if not self.paused(now):
            self._pause = min(max(2 * self._pause, _LEAST_PAUSE), _MOST_PAUSE)
            self._until = now + self._pause

    def worked(self) -> None:
        """Wait no more: what was made has lived."""
        self._pause = 0.0
        self._until = float("-inf")
