"""Functions that suddenly cost far more than is usual of them: slowed first, and told.

What is usual is the mean of the hours of the last week in which a function ran at all. What it
costs now is looked at every few seconds, in seconds of running: nothing is done for a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from casemate.model.facts import CostAnomaly, Fact

TIMES = 20
"""What costs so many times as much as usual is slowed."""
LOOK_SECONDS = 5.0
LEAST_HOURS = 3
"""A function that ran in fewer hours has no usual yet."""
LEAST_RATE = 0.1
"""Seconds of running in a second that are nobody's trouble, whatever is usual."""
AT_ONCE = 2
"""Calls of a slowed function that may run."""
SLOWED_SECONDS = 60.0
"""For how long it is slowed, and again if it goes on."""

Key = tuple[str, str]
"""Project and function."""


class _Slowed(NamedTuple):
    until: float
    """By the clock that does not go back."""
    why: str


class Anomalies:
    """Of all functions. On the event loop only."""

    def __init__(
        self,
        happened: Callable[[Fact], None],
        clock: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        """Know nothing of any. `steady` does not go back: it says for how long one is slowed."""
        self._happened = happened
        self._clock = clock
        self._steady = steady
        self.usual: dict[Key, float] = {}
        """Seconds of running in a second."""
        self.slowed: dict[Key, _Slowed] = {}
        self._running: dict[Key, int] = {}
        self._before: dict[Key, float] = {}
        self._looked_at = 0.0

    def learn(self, hours: Mapping[Key, Iterable[float]]) -> None:
        """Take what functions ran in each hour, in seconds, for what is usual of them."""
        self.usual = {}
        for key, found in hours.items():
            seconds = [each for each in found if each > 0]
            if len(seconds) >= LEAST_HOURS:
                self.usual[key] = sum(seconds) / len(seconds) / 3600

    def look(self, ran: Mapping[Key, float]) -> None:
        """See what functions have run for in all, in seconds since the node's start."""
        now = self._steady()
        passed, before = now - self._looked_at, self._before
        self._looked_at, self._before = now, dict(ran)
        for key in [key for key, each in self.slowed.items() if now >= each.until]:
            del self.slowed[key]
            self._running.pop(key, None)
        if not before or not 0 < passed < 10 * LOOK_SECONDS:
            return  # the first look, or one after a machine that slept
        for key, seconds in ran.items():
            usual = self.usual.get(key)
            rate = (seconds - before.get(key, 0.0)) / passed
            if usual is None or rate < max(LEAST_RATE, TIMES * usual):
                continue
            times = int(rate / max(usual, 1e-9))
            why = f"{times} times as much as usual: {rate:.3g} s a second, usually {usual:.3g}"
            if key not in self.slowed:
                self._happened(
                    CostAnomaly(
                        at=self._clock(), project=key[0], function=key[1], times=times, reason=why
                    )
                )
            self.slowed[key] = _Slowed(now + SLOWED_SECONDS, why)

    def has_room(self, key: Key) -> bool:
        """Tell whether one more call of a slowed function may run."""
        return self._running.get(key, 0) < AT_ONCE

    def enter(self, key: Key) -> None:
        """Count one that runs."""
        self._running[key] = self._running.get(key, 0) + 1

    def leave(self, key: Key) -> None:
        """Count one that has ended."""
        if self._running.get(key, 0) > 0:
            self._running[key] -= 1

    def why(self, key: Key) -> str:
        """Return why a function is slowed."""
        found = self.slowed.get(key)
        return found.why if found is not None else ""

    def wait(self, key: Key) -> int:
        """Return after how many seconds it may be of use to come again."""
        return 1 + int(self.slowed[key].until - self._steady()) % 5 if key in self.slowed else 1
