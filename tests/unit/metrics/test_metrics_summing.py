"""What several nodes have counted, as one."""

from __future__ import annotations

import pytest

from casemate.metrics.summing import summed
from casemate.model.metrics import (
    NO_DURATIONS,
    Counting,
    Durations,
    FunctionMetrics,
    Measured,
    Metrics,
    VersionMetrics,
)

RUN = Durations(counts=(1, 2, *NO_DURATIONS.counts[2:]), seconds=0.5)


def of(node: str, *functions: FunctionMetrics, at: float = 10.0) -> Metrics:
    counting = Counting(node=node, at=at, started_at=at - 5)
    return Metrics(at=at, started_at=at - 5, functions=functions, nodes=(counting,))


def counted(calls: int, **more: object) -> FunctionMetrics:
    values: dict[str, object] = {
        "project": "shop",
        "function": "cart",
        "calls": calls,
        "outcomes": {"ok": calls - 1, "error": 1},
        "run": RUN,
        "busy": 2,
        "inbox": 7,
        "inbox_age": 3.0,
        "denials": {"egress": 1},
        "own": {"size": Measured(count=1, sum=4.0, least=4.0, most=4.0, unit="B")},
        "versions": (VersionMetrics(version=calls, calls=1, run=RUN), VersionMetrics(version=9)),
    }
    return FunctionMetrics(**{**values, **more})  # type: ignore[arg-type]


def test_counts_are_added_and_what_waits_for_all_is_counted_once() -> None:
    mail = counted(1, function="mail")
    found = summed([of("b", counted(3, inbox=9, inbox_age=1.0)), of("a", counted(5), mail)], ["c"])
    cart, alone = found.functions
    assert alone == mail
    assert (cart.calls, cart.busy, cart.outcomes) == (8, 4, {"ok": 6, "error": 2})
    assert (cart.inbox, cart.inbox_age, cart.denials) == (9, 3.0, {"egress": 2})
    assert cart.run.counts[:2] == (2, 4) and cart.run.seconds == 1.0
    assert cart.own["size"] == Measured(count=2, sum=8.0, least=4.0, most=4.0, unit="B")
    assert [(one.version, one.calls) for one in cart.versions] == [(3, 1), (5, 1), (9, 0)]
    assert [one.node for one in found.nodes] == ["a", "b"]
    assert found.missing == ("c",)


def test_since_when_all_count_is_told() -> None:
    found = summed([of("a", at=100.0), of("b", at=50.0)])
    assert (found.at, found.started_at) == (100.0, 95.0)


@pytest.mark.parametrize("field", FunctionMetrics.__struct_fields__)
def test_every_count_has_its_way_to_be_told_of_several(field: str) -> None:
    """A field that is forgotten would be told as nothing."""
    kinds: dict[str, object] = {
        "project": "shop", "function": "cart", "calls": 4, "outcomes": {"ok": 4}
    }  # fmt: skip
    kinds.setdefault(field, _some(field))
    one = FunctionMetrics(**kinds)  # type: ignore[arg-type]
    (both,) = summed([of("a", one), of("b", one)]).functions
    assert getattr(both, field), field


def _some(field: str) -> object:
    if field in ("run", "queue"):
        return RUN
    if field == "denials":
        return {"egress": 1}
    if field == "own":
        return {"size": Measured(count=1, sum=1.0, least=1.0, most=1.0)}
    if field == "versions":
        return (VersionMetrics(version=1, calls=1),)
    return 3
