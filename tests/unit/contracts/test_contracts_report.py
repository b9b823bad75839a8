"""What a deploy is told of contracts."""

from __future__ import annotations

from casemate.contracts import tighter, uncovered
from casemate.model.function import FunctionSpec, HttpTrigger
from casemate.model.trigger import BucketTrigger, QueueTrigger, ScheduleTrigger, TableTrigger

TIGHT, WIDE = '{"maximum":1}', '{"maximum":2}'


def spec(contract: str = "", route: str = "", queue: str = "", **rest: bool) -> FunctionSpec:
    return FunctionSpec(
        name="f",
        handler="a:b",
        contract=contract,
        http=(HttpTrigger(method="POST", path="/x", contract=route),),
        triggers=(QueueTrigger(name="queue-1", queue="jobs", contract=queue),),
        **rest,
    )


def test_each_place_is_compared_with_its_own() -> None:
    found = tighter(spec(WIDE, WIDE, WIDE), spec(TIGHT, WIDE, TIGHT))
    line = "/: maximum 1, was 2"
    assert found == [("direct calls", line), ("queue-1", line)]
    assert tighter(None, spec(TIGHT)) == []
    assert tighter(spec(TIGHT, TIGHT, TIGHT), spec(WIDE, WIDE, WIDE)) == []


def test_what_is_new_is_no_tightening() -> None:
    bare = FunctionSpec(name="f", handler="a:b", contract=WIDE)
    assert tighter(bare, spec(WIDE, TIGHT, TIGHT)) == []


def test_what_has_none() -> None:
    assert list(uncovered(spec(WIDE))) == ["POST /x", "queue-1"]
    assert list(uncovered(spec(WIDE, WIDE, WIDE))) == []


def test_an_internal_function_with_triggers_need_not_be_called() -> None:
    inner = FunctionSpec(
        name="f",
        handler="a:b",
        internal=True,
        triggers=(QueueTrigger(name="queue-1", queue="jobs"),),
    )
    assert list(uncovered(inner)) == ["queue-1"]


def test_what_nobody_outside_fills_needs_none() -> None:
    reading = FunctionSpec(
        name="f",
        handler="a:b",
        http=tuple(HttpTrigger(method=m, path="/x") for m in ("GET", "HEAD", "PUT", "*")),
        triggers=(
            ScheduleTrigger(name="nightly", cron="15 2 * * *"),
            BucketTrigger(name="bucket-1", bucket="uploads"),
            TableTrigger(name="table-1", table="orders"),
        ),
    )
    assert list(uncovered(reading)) == ["direct calls", "PUT /x", "* /x", "table-1"]
