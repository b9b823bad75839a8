"""How functions do, in numbers that only grow, and in what they are at the moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the classes of durations; what took longer is in one more."""
MAX_NAMES = 32
"""Names of measurements of its own that a function has, all its versions together."""
NAME_PATTERN = r"[a-z][a-z0-9_]{0,62}"
UNIT_PATTERN = r"[A-Za-z0-9%/_.-]{1,16}"
LARGEST = 1e300
"""Of a measurement and of a sum of such: they stay finite."""
_MOST_AT_ONCE = 2**53


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long things took."""

    counts: tuple[int, ...]
    """How many were in each class of `SECONDS`, and in the last one those beyond."""
    seconds: float
    """Of all together."""

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def since(self, before: Durations | None) -> Durations:
        """Return those that came after `before`, which is all where the count began anew."""
        if before is None or before.count > self.count:
            return self
        return Durations(
            counts=tuple(a - b for a, b in zip(self.counts, before.counts, strict=True)),
            seconds=max(0.0, self.seconds - before.seconds),
        )

    def quantile(self, part: float) -> float | None:
        """Return within how many seconds this part of them was done, guessed within its class.

        None if there were none. What is beyond the last class is told as its lower bound.
        """
        total = self.count
        if not total:
            return None
        rank, below = part * total, 0
        for number, count in enumerate(self.counts[: len(SECONDS)]):
            if count and below + count >= rank:
                low = SECONDS[number - 1] if number else 0.0
                return low + (SECONDS[number] - low) * max(0.0, rank - below) / count
            below += count
        return SECONDS[-1]


NO_DURATIONS = Durations(counts=(0,) * (len(SECONDS) + 1), seconds=0.0)


def added(found: Iterable[Durations]) -> Durations:
    """Return all of them together."""
    total = NO_DURATIONS
    for each in found:
        total = Durations(
            counts=tuple(a + b for a, b in zip(total.counts, each.counts, strict=True)),
            seconds=total.seconds + each.seconds,
        )
    return total


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a function has told of one measurement of its own, with `context.metric`."""

    count: int
    sum: float
    least: float
    most: float
    unit: str = ""


class Told(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one invocation tells of one measurement, already added up."""

    name: Annotated[str, msgspec.Meta(pattern=rf"^{NAME_PATTERN}$(?!\n)", max_length=63)]
    unit: Annotated[str, msgspec.Meta(pattern=rf"^(?:{UNIT_PATTERN})?$(?!\n)", max_length=16)]
    count: Annotated[int, msgspec.Meta(ge=1, le=_MOST_AT_ONCE)]
    sum: float
    least: float
    most: float

    @property
    def is_sound(self) -> bool:
        """Whether its numbers can be those of any measurements."""
        numbers = (self.sum, self.least, self.most)
        return self.least <= self.most and all(abs(n) <= LARGEST for n in numbers)


class OwnHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The head of a frame that tells measurements."""

    own: Annotated[tuple[Told, ...], msgspec.Meta(max_length=MAX_NAMES)]
    guard_us: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] | None = None
    """Microseconds of the processor inside the sink guard's hooks, as the process tells it; only of
    a call that is sampled."""


class VersionMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """How one of the versions does that share the calls of a function, since they do."""

    version: int
    calls: int = 0
    """Invocations that its code was to answer: not those refused before."""
    failed: int = 0
    """Those that did not end well, or were answered with a status from 500 on."""
    run: Durations = NO_DURATIONS
    """How long its handler ran."""


class FunctionMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """How one function does. Counts are since the node's start; those of now say so."""

    project: str
    function: str
    calls: int
    """Invocations that ended, refused ones included."""
    outcomes: dict[str, int]
    """The same by how they ended, those that occurred."""
    run: Durations = NO_DURATIONS
    """How long handlers ran."""
    queue: Durations = NO_DURATIONS
    """How long calls waited for an instance."""
    cold_starts: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    log_lines: int = 0
    log_bytes: int = 0
    denials: dict[str, int] = {}
    """What it was denied, or was denied of it, by kind."""
    connections: int = 0
    """Connections to the network that were let through."""
    restored: int = 0
    """Processes that were made ready again."""
    discarded: int = 0
    """Processes that could not be."""
    forks: int = 0
    """Processes that were ended after their call, as all are that are not made ready again."""
    busy: int = 0
    """Now: invocations that run."""
    spares: int = 0
    """Now: instances that wait for a call."""
    waiting: int = 0
    """Now: calls that wait for an instance."""
    concurrency: int = 0
    """Most invocations that may run at once."""
    resting_bytes: int = 0
    """Now: memory of its imported code, which it holds whether somebody calls or not."""
    inbox: int = 0
    """Of late: events that are kept and wait."""
    inbox_age: float = 0.0
    """Of late: seconds for which the oldest of them waits."""
    dead_letters: int = 0
    """Of late: events that were given up."""
    own: dict[str, Measured] = {}
    """By name, what it measures itself."""
    own_refused: int = 0
    """Measurements of its own that broke a bound."""
    versions: tuple[VersionMetrics, ...] = ()
    """While several versions share its calls: each of them."""

    @property
    def errors(self) -> int:
        """How many did not end well."""
        return self.calls - self.outcomes.get("ok", 0)


class Counting(msgspec.Struct, frozen=True, kw_only=True):
    """Which node has counted, when, and since when."""

    node: str
    at: float
    """Unix time."""
    started_at: float


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """How functions do."""

    at: float
    """Unix time."""
    started_at: float
    """Since when is counted; of several nodes since when all of them do."""
    functions: tuple[FunctionMetrics, ...]
    others: FunctionMetrics | None = None
    """Functions beyond those that are told apart, and calls of none, together; only for those who
    may see all of the node."""
    nodes: tuple[Counting, ...] = ()
    """Of nodes that share their state: whose counts these are, together; empty for a node alone."""
    missing: tuple[str, ...] = ()
    """Nodes that take calls and have not told their counts."""
