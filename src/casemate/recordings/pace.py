"""How many recordings are made of one function in a time: a flood of failures is one of them."""

from __future__ import annotations

from collections.abc import Callable

BURST = 10
PER_SECOND = 1.0
MAX_FUNCTIONS = 4096


class Pace:
    """A bucket of tokens for each function."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with full ones."""
        self._clock = clock
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def allows(self, project: str, function: str) -> bool:
        """Take one, if there is one."""
        now, key = self._clock(), (project, function)
        left, at = self._left.pop(key, (float(BURST), now))
        left = min(float(BURST), left + max(0.0, now - at) * PER_SECOND)
        allowed = left >= 1.0
        if len(self._left) >= MAX_FUNCTIONS:
            del self._left[next(iter(self._left))]
        self._left[key] = left - 1.0 if allowed else left, now
        return allowed
