"""Of which calls `casemate tune` reads the records: of all, or it knows no peak."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.cli.commands import tune
from casemate.metering.tuning import Peaks
from casemate.model.invocation import InvocationRecord, Outcome
from casemate.model.nodes import RecordsBehind
from casemate.model.usage import Usage
from casemate.operations.records import Invocations, ListInvocations

SINCE = 1_000_000.0


def ran(at: float) -> InvocationRecord:
    return InvocationRecord(
        id="inv_1",
        project="t",
        function="f",
        version=1,
        trigger="invoke",
        outcome=Outcome.OK,
        status=200,
        started_at=at,
        queued_ms=0.0,
        run_ms=10.0,
        cpu_us=5,
        cold=False,
        request_bytes=2,
        response_bytes=2,
    )


class Node:
    """Answers with the newest records of a time, as a node does."""

    def __init__(self, records: list[InvocationRecord], behind: tuple[Any, ...] = ()) -> None:
        self.records = records
        self.behind = behind
        self.asked = 0

    def call(self, asked: ListInvocations) -> Invocations:
        self.asked += 1
        assert asked.since is not None and asked.until is not None
        found = [r for r in self.records if asked.since <= r.started_at < asked.until]
        return Invocations(invocations=tuple(found[: asked.limit]), behind=self.behind)


def peaks(node: Any, requests: int) -> Peaks | None:
    return tune._peaks(node, [Usage(project="t", function="f", requests=requests)], SINCE)


def test_more_calls_than_one_answer_has_are_asked_for_by_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.time", lambda: SINCE + 7 * 86_400)
    burst = [ran(SINCE + 500_100 + n / 1e5) for n in range(30)]
    node = Node([*(ran(SINCE + n * 200) for n in range(2970)), *burst])
    assert peaks(node, 3000) == Peaks(30, 5, throttled=False)
    assert 3 < node.asked < 20
    assert peaks(node, 3001) is None  # one that is no longer kept may be the busiest


def test_what_cannot_be_read_is_asked_for_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.time", lambda: SINCE + 7 * 86_400)
    at_once = Node([ran(SINCE + 5.0)] * 2000)
    assert peaks(at_once, 2000) is None
    assert at_once.asked <= 40
    many = Node([])
    assert peaks(many, tune.MOST_CALLS + 1) is None
    assert many.asked == 0


def test_no_peak_is_known_where_another_node_is_behind() -> None:
    behind = RecordsBehind(node="b", until=SINCE)
    assert peaks(Node([ran(SINCE)], (behind,)), 1) is None
