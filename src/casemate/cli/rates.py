"""What functions do at the moment, from two looks at numbers that only grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from casemate.model.metrics import FunctionMetrics, Metrics

_MOST_LOOKS = 10
"""Rates are over so many looks, so that a call every few seconds is seen."""


class Rate(NamedTuple):
    """One function's."""

    project: str
    function: str
    calls: float
    """A second, as the next two."""
    errors: float
    cold_starts: float
    p50: float | None
    """Seconds; None where none ran."""
    p99: float | None
    busy: int
    spares: int
    waiting: int
    inbox: int
    inbox_age: float
    memory: int


class Looks:
    """The last few looks at a node."""

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: deque[Metrics] = deque(maxlen=_MOST_LOOKS + 1)

    def add(self, metrics: Metrics) -> None:
        """Take another look; those before a node's start, or of other nodes, count no more."""
        if self._seen and _who(self._seen[-1]) != _who(metrics):
            self._seen.clear()
        self._seen.append(metrics)

    def rates(self) -> tuple[Rate, ...]:
        """Return what each function does, the busiest first."""
        newest, oldest = self._seen[-1], self._seen[0]
        seconds = newest.at - oldest.at
        before = {(one.project, one.function): one for one in _all(oldest)}
        found = [
            _rate(one, before.get((one.project, one.function)), seconds) for one in _all(newest)
        ]
        found.sort(key=lambda one: (-one.calls, -one.busy, one.project, one.function))
        return tuple(found)


def _who(metrics: Metrics) -> tuple[object, ...]:
    """Return whose counts they are, from when on."""
    return metrics.started_at, *((one.node, one.started_at) for one in metrics.nodes)


def _all(metrics: Metrics) -> Sequence[FunctionMetrics]:
    others = metrics.others
    return metrics.functions if others is None else (*metrics.functions, others)


def _rate(now: FunctionMetrics, before: FunctionMetrics | None, seconds: float) -> Rate:
    if before is None:  # it was not called before the first look
        before = FunctionMetrics(project="", function="", calls=0, outcomes={})

    def each(new: int, old: int) -> float:
        return max(0, new - old) / seconds if seconds > 0 else 0.0

    run = now.run.since(before.run)
    return Rate(
        project=now.project,
        function=now.function,
        calls=each(now.calls, before.calls),
        errors=each(now.errors, before.errors),
        cold_starts=each(now.cold_starts, before.cold_starts),
        p50=run.quantile(0.5),
        p99=run.quantile(0.99),
        busy=now.busy,
        spares=now.spares,
        waiting=now.waiting,
        inbox=now.inbox,
        inbox_age=now.inbox_age,
        memory=now.resting_bytes,
    )
