"""A trace shows what the reader may see of it, and of the rest not even that it is there."""

from __future__ import annotations

import json

import pytest

from casemate.api.traces import spans_of
from casemate.model.invocation import InvocationRecord, Outcome
from casemate.model.tracing import Span, span_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def identity(number: int) -> str:
    return f"inv_{number + 1:024x}"


def record(number: int, project: str = "shop", **changes: object) -> InvocationRecord:
    values: dict[str, object] = {
        "id": identity(number),
        "project": project,
        "function": "cart",
        "version": 1,
        "trigger": "queue" if number else "invoke",
        "outcome": Outcome.OK,
        "status": 200,
        "started_at": 100.0 + number,
        "queued_ms": 2.0,
        "run_ms": 5.0,
        "cold": False,
        "request_bytes": 2,
        "response_bytes": 3,
        "trace_id": TRACE,
        "span_id": span_of(identity(number)),
        "parent_id": span_of(identity(number - 1)) if number else "",
    }
    return InvocationRecord(**{**values, **changes})  # type: ignore[arg-type]


def functions(answer) -> list[str]:
    return [f"{s['project']}/{s['function']}" for s in answer.json()["spans"] if s["outcome"]]


@pytest.fixture
def crossing(control):
    """A trace from one project into another and back."""
    control.invocation_records = [record(0), record(1, "other"), record(2)]


def test_a_trace_is_in_order_and_linked(ask, crossing) -> None:
    for wanted in (TRACE, identity(0), identity(2)):
        answer = ask("GET", f"/traces/{wanted}")
        assert answer.status_code == 200
        assert answer.json()["id"] == TRACE
        assert functions(answer) == ["shop/cart", "other/cart", "shop/cart"]
    spans = {s["id"]: s for s in answer.json()["spans"] if s["outcome"]}
    parents = [s["parent"] for s in spans.values()]
    assert parents == ["", span_of(identity(0)), span_of(identity(1))]


def test_what_is_not_there_is_not_found(ask, crossing) -> None:
    assert ask("GET", f"/traces/{'0' * 32}").status_code == 404
    assert ask("GET", f"/traces/{identity(8)}").status_code == 404
    assert ask("GET", "/traces/%2e%2e").status_code == 400


def test_an_invocation_is_its_wait_its_run_and_what_it_used() -> None:
    used = (
        Span(name="delivery", start_ms=-40.0, ms=40.0),
        Span(name="queue.send", on="queue jobs", start_ms=3.0, ms=1.0, ok=False),
    )
    whole, *parts = spans_of(record(0, spans=used, more_spans=4, outcome=Outcome.TIMEOUT))
    assert (whole.ms, whole.ok, whole.outcome, whole.more) == (7.0, False, "timeout", 4)
    assert [(p.name, round((p.started_at - 100) * 1000), p.ms, p.ok) for p in parts] == [
        ("delivery", -40, 40.0, True),
        ("queue", 0, 2.0, True),
        ("run", 2, 5.0, False),
        ("queue.send", 3, 1.0, False),
    ]
    assert {p.parent for p in parts} == {whole.id}
    assert len({p.id for p in (whole, *parts)}) == 5
    assert [p.name for p in spans_of(record(0, cold=True))[1:]] == ["start", "run"]


def test_one_that_never_ran_is_alone() -> None:
    refused = record(0, queued_ms=0.0, run_ms=0.0, outcome=Outcome.DENIED, version=0)
    assert len(spans_of(refused)) == 1


def test_of_a_trace_across_projects_each_sees_its_own(ask, crossing, parts) -> None:
    shop = parts.accounts.add("cm_shop_" + "a" * 43, "auditor@shop")
    answer = ask("GET", f"/traces/{TRACE}", key=shop)
    assert functions(answer) == ["shop/cart", "shop/cart"]
    assert "other" not in answer.text
    assert identity(1) not in answer.text


def test_who_may_see_nothing_of_it_is_told_that_there_is_none(ask, crossing, parts) -> None:
    nowhere = parts.accounts.add("cm_nowhere_" + "a" * 43, "auditor@nowhere")
    invoker = parts.accounts.add("cm_invoker2_" + "a" * 43, "invoker@shop")
    absent = ask("GET", f"/traces/{'0' * 32}", key=nowhere).json()
    for key in (nowhere, invoker):
        for wanted in (TRACE, identity(0), identity(1)):
            answer = ask("GET", f"/traces/{wanted}", key=key)
            assert answer.status_code == 404
            told = json.loads(answer.text.replace(wanted, "0" * 32))
            assert told | {"error_id": ""} == absent | {"error_id": ""}


def test_another_s_invocation_does_not_lead_to_one_s_own_trace(ask, crossing, parts) -> None:
    shop = parts.accounts.add("cm_shop_" + "a" * 43, "auditor@shop")
    assert ask("GET", f"/traces/{identity(1)}", key=shop).status_code == 404
