"""How many bytes a zygote's connections have carried: counted as they pass, told in sums.

What is told is told once: it leaves the count as the gateway's socket takes it. A proxy that is
killed takes along what it has not told: of what goes on, less than `MOST_UNTOLD` and a second's;
of what has ended, that of its last `LEAST_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_UNTOLD = 256 * 1024
"""Bytes of one zygote, in both directions, after which it is told at once."""

LEAST_SECONDS = 0.1
"""Between one telling and the next because a connection has ended."""

Tell = Callable[[int, int, int], bool]
"""Takes a zygote, bytes in and bytes out without blocking, and tells whether it took them."""


class Traffic:
    """Of one zygote, on what leads to hosts outside."""

    __slots__ = ("_tell", "_told_at", "_zygote", "came_in", "went_out")

    def __init__(self, zygote: int, tell: Tell) -> None:
        """Nothing has passed yet."""
        self._zygote = zygote
        self._tell = tell
        self._told_at = 0.0
        self.came_in = 0
        """Not told yet."""
        self.went_out = 0

    def read(self, size: int) -> None:
        """Count what a host sent."""
        self.came_in += size
        self._more()

    def sent(self, size: int) -> None:
        """Count what was sent to a host."""
        self.went_out += size
        self._more()

    def _more(self) -> None:
        if self.came_in + self.went_out >= MOST_UNTOLD:
            self.flush()

    def ended(self) -> None:
        """Tell, now that a connection has ended, unless many do."""
        if time.monotonic() - self._told_at >= LEAST_SECONDS:
            self.flush()

    def flush(self) -> bool:
        """Tell what was counted; return whether nothing is left. It is kept if it is not taken."""
        if not self.came_in and not self.went_out:
            return True
        if not self._tell(self._zygote, self.came_in, self.went_out):
            return False
        self.came_in = self.went_out = 0
        self._told_at = time.monotonic()
        return True
