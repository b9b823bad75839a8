"""The counts of one function. To add to them is all that an invocation costs here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence

from casemate.metrics.own import OwnMeasures
from casemate.model.invocation import LogLine, Outcome
from casemate.model.metrics import SECONDS, Durations, FunctionMetrics, VersionMetrics

_CLASSES = len(SECONDS) + 1
MAX_SHARING = 4
"""Versions of a function that are told apart, the newest ones."""
_REFUSED = frozenset(
    (
        *(Outcome.INVALID, Outcome.DENIED, Outcome.NOT_FOUND),
        *(Outcome.THROTTLED, Outcome.UNAVAILABLE),
    )
)
"""No code of the function ran, and it was not for its sake."""
_FAULT = 500
"""The lowest status that says that the server is at fault."""


class Timed:
    """How many of a thing took how long."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        """Start with none."""
        self.counts = [0] * _CLASSES
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.seconds += seconds

    def told(self) -> Durations:
        """Return them as they are now."""
        return Durations(counts=tuple(self.counts), seconds=self.seconds)


class VersionFigures:
    """What is counted of one of the versions that share a function's calls."""

    __slots__ = ("calls", "failed", "run")

    def __init__(self) -> None:
        """Start at nothing."""
        self.calls = 0
        self.failed = 0
        self.run = Timed()

    def ended(self, outcome: Outcome, status: int, seconds: float) -> None:
        """Count a call that ended, unless it was refused before it came to the function."""
        if outcome in _REFUSED:
            return
        self.calls += 1
        if outcome is not Outcome.OK or status >= _FAULT:
            self.failed += 1
        if seconds:
            self.run.add(seconds)

    def told(self, version: int) -> VersionMetrics:
        """Return them as they are now."""
        return VersionMetrics(
            version=version, calls=self.calls, failed=self.failed, run=self.run.told()
        )


class Figures:
    """One function's, of bounded size."""

    __slots__ = (
        "cold_starts",
        "connections",
        "denials",
        "function",
        "log_bytes",
        "log_lines",
        "outcomes",
        "own",
        "project",
        "queue",
        "request_bytes",
        "response_bytes",
        "run",
        "versions",
    )

    def __init__(self, project: str, function: str) -> None:
        """Start at nothing."""
        self.project = project
        self.function = function
        self.outcomes = dict.fromkeys(Outcome, 0)
        self.run = Timed()
        self.queue = Timed()
        self.cold_starts = 0
        self.request_bytes = 0
        self.response_bytes = 0
        self.log_lines = 0
        self.log_bytes = 0
        self.denials: dict[str, int] = {}
        """By kind, of which there are few."""
        self.connections = 0
        self.own = OwnMeasures()
        self.versions: dict[int, VersionFigures] = {}
        """Those that share its calls; empty while one has all of them."""

    def share(self, versions: Collection[int]) -> None:
        """Count by version from now on, anew, where there are several."""
        several = sorted(versions)[-MAX_SHARING:] if len(versions) > 1 else ()
        self.versions = {number: VersionFigures() for number in several}

    def ended(self, version: int, outcome: Outcome, status: int, seconds: float) -> None:
        """Count a call for one of the versions that share them."""
        if (one := self.versions.get(version)) is not None:
            one.ended(outcome, status, seconds)

    def ran(self, queued: float, seconds: float, *, cold: bool) -> None:
        """Count a call that had an instance; times in seconds."""
        run, queue = self.run, self.queue
        run.counts[bisect_left(SECONDS, seconds)] += 1
        run.seconds += seconds
        if queued:
            queue.counts[bisect_left(SECONDS, queued)] += 1
            queue.seconds += queued
        else:
            queue.counts[0] += 1
        if cold:
            self.cold_starts += 1

    def wrote(self, lines: Sequence[LogLine]) -> None:
        """Count lines that it wrote."""
        self.log_lines += len(lines)
        self.log_bytes += sum([len(line.text) for line in lines])

    def denied(self, kind: str, count: int) -> None:
        """Count what it was denied, or what was denied of it."""
        self.denials[kind] = self.denials.get(kind, 0) + count

    def told(self, more: Mapping[str, int | float] | None = None) -> FunctionMetrics:
        """Return them as they are now, with `more` of what others know."""
        return FunctionMetrics(
            project=self.project,
            function=self.function,
            calls=sum(self.outcomes.values()),
            outcomes={outcome.value: n for outcome, n in self.outcomes.items() if n},
            run=self.run.told(),
            queue=self.queue.told(),
            cold_starts=self.cold_starts,
            request_bytes=self.request_bytes,
            response_bytes=self.response_bytes,
            log_lines=self.log_lines,
            log_bytes=self.log_bytes,
            denials=dict(self.denials),
            connections=self.connections,
            own=self.own.told(),
            own_refused=self.own.refused,
            versions=tuple(one.told(number) for number, one in self.versions.items()),
            **(more or {}),  # type: ignore[arg-type]
        )
