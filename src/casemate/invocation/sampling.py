"""Which calls are to tell what the sink guard took of them."""

from __future__ import annotations

import time
from random import SystemRandom

from casemate.model.usage import HOUR

ONE_IN = 64
MAX_FUNCTIONS = 4096
"""Whose next turn is remembered; then all are forgotten, which samples a few more."""


class Sampling:
    """Chooses by chance, and about once an hour of each function, for those seldom called.

    The function has no say in it. When its turn comes is by chance as well: the first call of
    each full hour could be unlike the others.
    """

    def __init__(self) -> None:
        """Nobody had a turn."""
        self._chance = SystemRandom()
        self._left = self._gap()
        """Calls until the next one that is chosen: drawn once for all of them."""
        self._turns: dict[tuple[str, str], float] = {}
        """From when on the next call of a function is chosen, by the monotonic clock."""

    def chooses(self, project: str, function: str) -> bool:
        """Tell whether a call is sampled."""
        self._left -= 1
        chosen = self._left < 0
        if chosen:
            self._left = self._gap()
        now = time.monotonic()
        if now >= self._turns.get((project, function), 0.0):
            if len(self._turns) >= MAX_FUNCTIONS:
                self._turns.clear()
            self._turns[project, function] = now + HOUR * (0.5 + self._chance.random())
            return True
        return chosen

    def _gap(self) -> int:
        return self._chance.randrange(2 * ONE_IN - 1)
