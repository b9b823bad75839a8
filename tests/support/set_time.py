"""A clock of a test in the place of the module `time`: it goes on, or is set."""

from __future__ import annotations

import time
from typing import Any


class Clock:
    """`time()` goes on by `pass_`, as the time since the start of the host; `step` sets it."""

    def __init__(self) -> None:
        """Begin at a time of its own, as far from the host's start as that is now."""
        self.now = 1_800_000_000.0
        # So that nobody sets the clock by beginning.
        self.steady = self.now - time.time() + time.clock_gettime(time.CLOCK_BOOTTIME)

    def time(self) -> float:
        """Return the time of day, which may have been set."""
        return self.now

    def clock_gettime(self, _which: int) -> float:
        """Return the time since the start of the host."""
        return self.steady

    def pass_(self, seconds: float) -> None:
        """Have so much time pass."""
        self.now += seconds
        self.steady += seconds

    def step(self, seconds: float) -> None:
        """Have somebody set the clock, which takes no time."""
        self.now += seconds

    def __getattr__(self, name: str) -> Any:
        """Return what else the module has."""
        return getattr(time, name)
