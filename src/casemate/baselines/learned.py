"""What was learned of one function, and whether something is usual by it. Pure: no clock, no I/O.

What is met while learning waits until some time has gone by in which nothing of the function was
denied or found: who is at work while it is learned does not become usual.
"""

from __future__ import annotations

from typing import Any

import msgspec

from casemate.model.baseline import Aspect, Baseline, BaselineState, Usual

MAX_VALUES = 128
"""Of one aspect."""
MAX_TEXT = 256
"""Characters of one value; longer ones are cut."""
MAX_TOLD = 128
"""Deviations that are told apart within TOLD_SECONDS."""
TOLD_SECONDS = 3600.0
DAY_SECONDS = 86_400.0
DORMANT_SECONDS = 30 * DAY_SECONDS
"""After so long without a call it is not usual that a function is called."""
OTHERS = "(others)"
NEVER = frozenset({Aspect.SINK})
"""What is a finding whenever it happens."""
_SETS = (
    Aspect.CALLER, Aspect.TRIGGER, Aspect.GRANT, Aspect.HOST, Aspect.SHAPE, Aspect.SYSTEM_CALL,
)  # fmt: skip
_RANGES = (Aspect.DURATION, Aspect.REQUEST, Aspect.RESPONSE)
_MAX_WAITING = 4 * MAX_VALUES
"""Values that were met and are not usual yet."""
_SLACK = 1
"""Powers of two beyond the range that are usual still."""


def power(number: float) -> int:
    """Return how many binary digits a number has: 0 for 0, 11 for 1024 to 2047."""
    return max(0, int(number)).bit_length()


class Learned(msgspec.Struct, kw_only=True):
    """One function's. Kept as it is, but for what waits and what was told."""

    since: float
    calls: int = 0
    withheld: int = 0
    locked_at: float | None = None
    locked_by: str = ""
    version: int = 0
    locked_version: int = 0
    """The newest when it was locked: code that came later may put other things together."""
    called_at: float = 0.0
    """When it was called last, to about a day; 0 before it was."""
    looked: bool = False
    """Whether it was looked at which system calls are made, before the lock or by newer code."""
    granted: tuple[str, ...] = ()
    """What the newest version's manifest grants."""
    opened: frozenset[str] = frozenset()
    """Granted since: approved by somebody, and learned when it is first used, also once locked."""
    differences: tuple[str, ...] = ()
    sets: dict[Aspect, set[str]] = msgspec.field(default_factory=dict)
    ranges: dict[Aspect, tuple[int, int]] = msgspec.field(default_factory=dict)
    left_out: dict[Aspect, int] = msgspec.field(default_factory=dict)

    @property
    def locked(self) -> bool:
        """Whether nothing more is learned."""
        return self.locked_at is not None

    def knows(self, aspect: Aspect, value: str) -> bool:
        """Tell whether a value is usual already."""
        return value[:MAX_TEXT] in self.sets.get(aspect, ())

    def is_open(self, aspect: Aspect, value: str) -> bool:
        """Tell whether a value is new with a version that was approved."""
        if aspect is Aspect.GRANT:
            return value in self.opened
        if aspect is Aspect.SHAPE:
            return self.version > self.locked_version
        return aspect is Aspect.HOST and any(
            _covers(grant, value) for grant in self.opened if grant.startswith("egress ")
        )

    def lock(self, now: float, by: str) -> None:
        """Learn nothing more, but of the newest version what is open."""
        if not self.locked:
            self.locked_at, self.locked_by = now, by
        self.locked_version = self.version

    def add(self, aspect: Aspect, value: str) -> None:
        """Have a value usual, if there is room."""
        known = self.sets.setdefault(aspect, set())
        if len(known) < MAX_VALUES:
            known.add(value[:MAX_TEXT])
        elif value[:MAX_TEXT] not in known:
            self.left_out[aspect] = self.left_out.get(aspect, 0) + 1

    def widen(self, aspect: Aspect, number: int) -> None:
        """Have a power usual."""
        low, high = self.ranges.get(aspect, (number, number))
        self.ranges[aspect] = min(low, number), max(high, number)

    def within(self, aspect: Aspect, number: int) -> bool:
        """Tell whether a power is usual, or next to it."""
        low, high = self.ranges.get(aspect, (number, number))
        return low - _SLACK <= number <= high + _SLACK

    def called(self, now: float) -> int | None:
        """Take note of a call; return for how many days there was none, if for many.

        None where nothing of that is to be kept: most calls are of the day of one before.
        """
        pause = now - self.called_at
        if abs(pause) < DAY_SECONDS:
            return None
        known, self.called_at = self.called_at > 0.0, now
        return int(pause / DAY_SECONDS) if known and pause >= DORMANT_SECONDS else 0

    def meet(self, version: int, granted: tuple[str, ...]) -> None:
        """Take note of a newer version: what it may do in addition, somebody has approved."""
        before, after = set(self.granted), set(granted)
        if self.version:
            added, gone = sorted(after - before), sorted(before - after)
            self.differences = (*(f"+ {text}" for text in added), *(f"- {text}" for text in gone))
            self.opened = (self.opened | frozenset(added)) & after
        self.version, self.granted = version, granted

    def shown(self, project: str, function: str) -> Baseline:
        """Return it as people see it."""
        return Baseline(
            project=project,
            function=function,
            state=BaselineState.LOCKED if self.locked else BaselineState.LEARNING,
            since=self.since,
            calls=self.calls,
            withheld=self.withheld,
            locked_at=self.locked_at,
            locked_by=self.locked_by,
            version=self.version,
            differences=self.differences,
            usual=(
                *(
                    Usual(
                        aspect=aspect,
                        values=tuple(sorted(self.sets.get(aspect, ()))),
                        left_out=self.left_out.get(aspect, 0),
                    )
                    for aspect in _SETS
                ),
                *(
                    Usual(aspect=aspect, low=_least(found[0]), high=_most(found[1]))
                    for aspect in _RANGES
                    if (found := self.ranges.get(aspect)) is not None
                ),
            ),
        )


def _least(power_of: int) -> int:
    return 1 << (power_of - 1) if power_of else 0


def _most(power_of: int) -> int:
    return (1 << power_of) - 1


def _covers(grant: str, target: str) -> bool:
    """Tell whether a grant of egress with its action is one for this `host:port`."""
    name = grant.removeprefix("egress ").removesuffix(" connect")
    if not name.startswith("*."):
        return name == target
    host, _, port = name[1:].rpartition(":")
    wanted, _, other = target.rpartition(":")
    return port == other and wanted.endswith(host) and len(wanted) > len(host)


class Waiting:
    """What was met of a function since it was looked at last, and what was told of it."""

    __slots__ = ("calls", "numbers", "poisoned", "told", "values")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.values: set[tuple[Aspect, str]] = set()
        self.numbers: dict[Aspect, tuple[int, int]] = {}
        self.calls = 0
        self.poisoned = False
        """Whether something was denied or found meanwhile."""
        self.told: dict[tuple[Aspect, str, bool], list[Any]] = {}
        """When a deviation was told last, and how many were not since."""

    def number(self, aspect: Aspect, power_of: int) -> None:
        """Keep the range of what was met."""
        low, high = self.numbers.get(aspect, (power_of, power_of))
        self.numbers[aspect] = min(low, power_of), max(high, power_of)

    def value(self, aspect: Aspect, value: str) -> None:
        """Keep a value, if there is room for it at all."""
        if len(self.values) < _MAX_WAITING:
            self.values.add((aspect, value[:MAX_TEXT]))

    def take_over(self, learned: Learned) -> None:
        """Have usual what was met, unless something was wrong meanwhile; begin anew."""
        if self.poisoned:
            learned.withheld += 0 if learned.locked else 1
        else:
            for aspect, value in sorted(self.values):
                learned.add(aspect, value)
            for aspect, found in self.numbers.items():
                for each in found:
                    learned.widen(aspect, each)
            learned.calls += self.calls
        self.values, self.numbers, self.calls, self.poisoned = set(), {}, 0, False

    def tells(self, aspect: Aspect, value: str, now: float, *, refused: bool = False) -> int:
        """Return for how many a deviation is to be told now; 0: it is counted.

        One that was let through says nothing of one that is refused a moment later.
        """
        key = aspect, value, refused
        found = self.told.get(key)
        if found is None:
            if len(self.told) >= MAX_TOLD:
                self.told = {k: f for k, f in self.told.items() if 0 <= now - f[0] < TOLD_SECONDS}
            if len(self.told) >= MAX_TOLD:
                key = aspect, OTHERS, refused
                found = self.told.get(key)
        # By a clock that was ahead nothing was told lately.
        if found is not None and 0 <= now - found[0] < TOLD_SECONDS:
            found[1] += 1
            return 0
        count = 1 if found is None else found[1] + 1
        self.told[key] = [now, 0]
        return count
