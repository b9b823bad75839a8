"""Functions that suddenly cost far more than is usual of them: slowed first, and told.

What is usual is what a function runs in the largest hour of a day, in the median of the days of the
last week: who wants to raise it has to go on for most of them. The day that goes on does not count.
What it costs now is looked at every few seconds, in seconds of running: nothing is done for a call.
Functions that run for some seconds in an hour and rest are not slowed for it: as much as in some of
their usual hours has to be spent within one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from casemate.model.budget import Unusual, lifted_since
from casemate.model.facts import CostAnomaly, Fact
from casemate.set_clock import left_of

TIMES = 20
"""What costs so many times as much as usual is slowed."""
SPENT_HOURS = 3
"""Once as much as in so many usual hours is spent within one."""
LOOK_SECONDS = 5.0
LEAST_HOURS = 3
"""A function that ran in fewer hours has no usual yet."""
LEAST_DAYS = 3
"""Of one that ran on fewer days before the present one, single hours are looked at."""
LEAST_RATE = 0.1
"""Seconds of running in a second that are nobody's trouble, whatever is usual."""
LEAST_SPENT = 60.0
"""Seconds of running in an hour, likewise: one slow call of a small function is no attack."""
AT_ONCE = 2
"""Calls of a slowed function that may run."""
SLOWED_SECONDS = 60.0
"""For how long it is slowed, and again if it goes on."""
_HOUR, _MINUTE = 3600.0, 60.0

Key = tuple[str, str]
"""Project and function."""


class _Slowed(NamedTuple):
    until: float
    """By the clock that does not go back."""
    times: int
    why: str


class _Lifted(NamedTuple):
    unusual: Unusual
    ends: float
    """By the clock that does not go back."""


def usual_of(days: Sequence[Sequence[float]]) -> float | None:
    """Return for how many seconds of an hour a function usually runs; None: it is not known.

    `days` tell of the hours of each, the last one first: it goes on, and counts where there are
    no others yet.
    """
    largest = [max(hours) for day in days[1:] if (hours := [each for each in day if each > 0])]
    if len(largest) >= LEAST_DAYS:
        return _median(largest)
    hours = [each for day in days for each in day if each > 0]
    return _median(hours) if len(hours) >= LEAST_HOURS else None


def _median(numbers: list[float]) -> float:
    """Return the lower one of two in the middle. `statistics` brings fractions and more along."""
    return sorted(numbers)[(len(numbers) - 1) // 2]


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
        """Seconds of running in an hour."""
        self.slowed: dict[Key, _Slowed] = {}
        self._lifted: dict[Key, _Lifted] = {}
        self._running: dict[Key, int] = {}
        self._before: dict[Key, float] = {}
        self._spent: dict[Key, deque[tuple[float, float]]] = {}
        """What was run in each minute of the last hour."""
        self._looked_at = 0.0

    def learn(self, days: Mapping[Key, Sequence[Sequence[float]]]) -> None:
        """Take what functions ran in the hours of each day, in seconds: see `usual_of`."""
        found = {key: usual_of(each) for key, each in days.items()}
        self.usual = {key: seconds for key, seconds in found.items() if seconds is not None}

    def look(self, ran: Mapping[Key, float]) -> None:
        """See what functions have run for in all, in seconds since the node's start."""
        now = self._steady()
        passed, before = now - self._looked_at, self._before
        self._looked_at, self._before = now, dict(ran)
        for key in [key for key, each in self.slowed.items() if now >= each.until]:
            self._let_run(key)
        for key in [key for key, each in self._lifted.items() if now >= each.ends]:
            del self._lifted[key]
        for key in [key for key in self._spent if key not in self.usual]:
            del self._spent[key]
        if not before:
            return
        for key, seconds in ran.items():
            usual = self.usual.get(key)
            if usual is None:
                continue
            spent = self._spend(key, seconds - before.get(key, 0.0), now)
            if not 0 < passed < 10 * LOOK_SECONDS or key in self._lifted:
                continue  # a machine that slept, or somebody knows of it
            rate, usually = (seconds - before.get(key, 0.0)) / passed, usual / _HOUR
            if spent >= max(LEAST_SPENT, SPENT_HOURS * usual) and rate >= max(
                LEAST_RATE, TIMES * usually
            ):
                self._slow(key, rate, usually, now)

    def _spend(self, key: Key, seconds: float, now: float) -> float:
        """Count what was run, and return how much that was in the last hour."""
        minutes = self._spent.get(key)
        if minutes is None:
            minutes = self._spent[key] = deque()
        while minutes and minutes[0][0] <= now - _HOUR:
            minutes.popleft()
        if seconds > 0:
            if minutes and now - minutes[-1][0] < _MINUTE:
                at, before = minutes.pop()
                minutes.append((at, before + seconds))
            else:
                minutes.append((now, seconds))
        return sum(each for _, each in minutes)

    def _slow(self, key: Key, rate: float, usually: float, now: float) -> None:
        times = int(rate / max(usually, 1e-9))
        why = f"{times} times as much as usual: {rate:.3g} s a second, usually {usually:.3g}"
        if key not in self.slowed:
            self._happened(
                CostAnomaly(
                    at=self._clock(), project=key[0], function=key[1], times=times, reason=why
                )
            )
        self.slowed[key] = _Slowed(now + SLOWED_SECONDS, times, why)

    def lift(self, unusual: Unusual) -> None:
        """Slow a function by nothing until then; until 0: what is unusual is slowed again."""
        key = unusual.project, unusual.function
        since = lifted_since(unusual.lifted_at, unusual.lifted_until)
        seconds = left_of(since, unusual.lifted_until, self._clock())
        known = self._lifted.pop(key, None)
        if known is not None and known.unusual == unusual:
            self._lifted[key] = known
        elif seconds > 0:
            self._lifted[key] = _Lifted(unusual, self._steady() + seconds)
        if key in self._lifted:
            self._let_run(key)

    def keep_lifted(self, keys: Mapping[Key, Unusual]) -> None:
        """Have those lifted, and no others."""
        for key in [key for key in self._lifted if key not in keys]:
            del self._lifted[key]
        for each in keys.values():
            self.lift(each)

    def lifted(self) -> list[Unusual]:
        """Return what is lifted."""
        now = self._steady()
        return [each.unusual for each in self._lifted.values() if now < each.ends]

    def states(self) -> list[Unusual]:
        """Return what is slowed, and what is lifted."""
        slowed = [
            Unusual(project=project, function=function, times=each.times, reason=each.why)
            for (project, function), each in self.slowed.items()
        ]
        return sorted([*slowed, *self.lifted()], key=lambda each: (each.project, each.function))

    def _let_run(self, key: Key) -> None:
        self.slowed.pop(key, None)
        self._running.pop(key, None)

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
