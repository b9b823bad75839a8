"""How often a stranger may fail to prove itself at one hook, in memory and bounded."""

from __future__ import annotations

from collections.abc import Callable

BURST = 20.0
PER_SECOND = 0.5
MAX_ENTRIES = 8192


class Failures:
    """A bucket of tokens for each sender and path; a failure takes one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        """Tokens that were left, and when."""

    def _tokens(self, key: str) -> float:
        left, at = self._left.get(key, (BURST, 0.0))
        return min(BURST, left + (self._clock() - at) * PER_SECOND)

    def wait(self, key: str) -> float:
        """Return the seconds until the next attempt is looked at, 0 for now."""
        if key not in self._left:
            return 0.0
        return max(0.0, (1.0 - self._tokens(key)) / PER_SECOND)

    def count(self, key: str) -> None:
        """Count a failure."""
        tokens = self._tokens(key)
        if key not in self._left and len(self._left) >= MAX_ENTRIES:
            self._make_room()
        self._left[key] = (tokens - 1.0, self._clock())

    def _make_room(self) -> None:
        """Forget what has failed least: made-up paths displace themselves."""
        ranked = sorted(self._left, key=self._tokens, reverse=True)
        for key in ranked[: MAX_ENTRIES // 8]:
            del self._left[key]
