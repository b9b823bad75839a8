"""What several nodes have counted of the same functions, as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from casemate.model.metrics import (
    MAX_NAMES,
    Counting,
    FunctionMetrics,
    Measured,
    Metrics,
    VersionMetrics,
    added,
)

_SUMS = (
    *("calls", "cold_starts", "request_bytes", "response_bytes", "log_lines", "log_bytes"),
    *("connections", "restored", "discarded", "forks", "busy", "spares", "waiting"),
    *("concurrency", "resting_bytes", "own_refused"),
)
_SAME = ("inbox", "inbox_age", "dead_letters")
"""Of what is kept for all nodes, each of which has looked at it at another moment."""


def summed(found: Sequence[Metrics], missing: Sequence[str] = ()) -> Metrics:
    """Return the numbers of nodes together; of one node at the least.

    What waits for all of them is counted once; a node in `missing` has told nothing.
    """
    by_name: dict[tuple[str, str], list[FunctionMetrics]] = {}
    for each in found:
        for one in each.functions:
            by_name.setdefault((one.project, one.function), []).append(one)
    others = [each.others for each in found if each.others is not None]
    return Metrics(
        at=max(each.at for each in found),
        started_at=max(each.started_at for each in found),
        functions=tuple(_function(by_name[name]) for name in sorted(by_name)),
        others=_function(others) if others else None,
        nodes=tuple(sorted((one for each in found for one in each.nodes), key=_node)),
        missing=tuple(sorted(missing)),
    )


def _node(counting: Counting) -> str:
    return counting.node


def _function(found: Sequence[FunctionMetrics]) -> FunctionMetrics:
    first = found[0]
    if len(found) == 1:
        return first
    return FunctionMetrics(
        project=first.project,
        function=first.function,
        outcomes=_counts(each.outcomes for each in found),
        denials=_counts(each.denials for each in found),
        run=added(each.run for each in found),
        queue=added(each.queue for each in found),
        own=_own(found),
        versions=_versions(found),
        **{name: sum(getattr(each, name) for each in found) for name in _SUMS},
        **{name: max(getattr(each, name) for each in found) for name in _SAME},
    )


def _counts(found: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in found:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total


def _own(found: Sequence[FunctionMetrics]) -> dict[str, Measured]:
    total: dict[str, Measured] = {}
    for each in found:
        for name, one in each.own.items():
            before = total.get(name)
            if before is None:
                if len(total) < MAX_NAMES:
                    total[name] = one
                continue
            total[name] = Measured(
                count=before.count + one.count,
                sum=before.sum + one.sum,
                least=min(before.least, one.least),
                most=max(before.most, one.most),
                unit=before.unit,
            )
    return total


def _versions(found: Sequence[FunctionMetrics]) -> tuple[VersionMetrics, ...]:
    by_number: dict[int, list[VersionMetrics]] = {}
    for each in found:
        for one in each.versions:
            by_number.setdefault(one.version, []).append(one)
    return tuple(
        VersionMetrics(
            version=number,
            calls=sum(one.calls for one in those),
            failed=sum(one.failed for one in those),
            run=added(one.run for one in those),
        )
        for number, those in sorted(by_number.items())
    )
