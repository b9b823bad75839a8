"""Traces are found by their id and by any invocation in them, and most of them store nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from records_samples import invocation, memory

from casemate.model.invocation import InvocationRecord
from casemate.model.tracing import MAX_SPANS, Span, span_of, trace_of
from casemate.operations.records import ShowInvocation
from casemate.operations.traces import MAX_INVOCATIONS, FindTrace
from casemate.recorder.records import rows
from casemate.recorder.records.faults import RECORDS
from casemate.recorder.records.rows import Left, insert_records
from casemate.recorder.records.schema import APPLICATION_ID, MIGRATIONS, migrate
from casemate.sqlite import engine
from casemate.sqlite.migrating import migrate as bring_forward

OUTSIDE = "4bf92f3577b34da6a3ce929d0e0e4736"
OUTER = "00f067aa0ba902b7"


def identity(number: int) -> str:
    return f"inv_{number + 1:024x}"


@pytest.fixture
def connection() -> engine.Connection:
    made = memory()
    migrate(made)
    return made


def insert(connection: engine.Connection, kept: Sequence[InvocationRecord]) -> None:
    connection.execute("BEGIN")
    assert insert_records(connection, [Left(record) for record in kept], 5.0) == 0
    connection.execute("COMMIT")


def found(connection: engine.Connection, wanted: str) -> list[str]:
    return [one.id for one in rows.trace(connection, FindTrace(id=wanted)).rows]


def test_what_follows_from_the_id_is_not_stored(connection: engine.Connection) -> None:
    record = invocation(identity(0))
    insert(connection, [record])
    assert connection.execute("SELECT trace FROM invocation").fetchone() == (None,)
    assert rows.invocation(connection, ShowInvocation(id=record.id)) == record
    assert found(connection, record.trace_id) == found(connection, record.id) == [record.id]


def test_all_of_it_comes_back(connection: engine.Connection) -> None:
    spans = tuple(
        Span(name="queue.send", on="queue jobs", start_ms=n - 0.5, ms=0.25, ok=n % 2 == 0)
        for n in range(MAX_SPANS)
    )
    record = invocation(
        identity(0),
        trace_id=OUTSIDE,
        parent_id="00f067aa0ba902b7",
        attempt=3,
        span_id=span_of(identity(0), 3),
        spans=spans,
        more_spans=9,
    )
    insert(connection, [record])
    assert rows.invocation(connection, ShowInvocation(id=record.id)) == record


def test_a_trace_is_found_with_all_that_came_of_it(connection: engine.Connection) -> None:
    first = invocation(identity(0))
    others = [
        invocation(identity(n), trace_id=first.trace_id, parent_id=span_of(identity(n - 1)))
        for n in range(1, 4)
    ]
    strange = invocation(identity(9), trace_id=OUTSIDE, parent_id=OUTER)
    insert(connection, [first, strange, *others])
    everybody = [first.id, *(one.id for one in others)]
    assert found(connection, first.trace_id) == everybody
    assert found(connection, others[-1].id) == everybody
    assert found(connection, OUTSIDE) == [strange.id]


def test_whoever_claims_another_s_trace_does_not_take_its_place(
    connection: engine.Connection,
) -> None:
    """An id of ours can be said from outside: both are shown, neither hides the other."""
    first = invocation(identity(0))
    claims = invocation(identity(1), trace_id=first.trace_id, parent_id=OUTER)
    insert(connection, [first, claims])
    assert found(connection, first.trace_id) == [first.id, identity(1)]
    # One that has the id and says that it is part of another trace is not part of this one.
    insert(connection, [invocation(identity(5), trace_id=OUTSIDE, parent_id=OUTER)])
    assert found(connection, trace_of(identity(5))) == []


@pytest.mark.parametrize("wanted", ["inv_none", "", "x", "ca5e3a7e", "' OR 1=1 --", "0" * 32])
def test_what_is_not_there_is_nothing(connection: engine.Connection, wanted: str) -> None:
    insert(connection, [invocation(identity(0))])
    assert found(connection, wanted) == []


def test_a_trace_is_shown_up_to_a_bound(connection: engine.Connection) -> None:
    many = [
        invocation(identity(n), trace_id=OUTSIDE, parent_id=OUTER)
        for n in range(MAX_INVOCATIONS + 10)
    ]
    insert(connection, many)
    assert len(found(connection, OUTSIDE)) == MAX_INVOCATIONS


def test_both_ways_use_an_index(connection: engine.Connection) -> None:
    for condition in (
        "id = ? AND trace IS NULL",
        "substr(trace, 1, 32) = ? AND trace IS NOT NULL",
    ):
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT id FROM invocation WHERE {condition}", ("x",)
        ).fetchall()
        assert all("USING INDEX" in row[-1] for row in plan), plan


def test_records_of_an_older_release_are_part_of_traces_of_their_own() -> None:
    connection = memory()
    bring_forward(connection, RECORDS, APPLICATION_ID, MIGRATIONS[:1])
    connection.execute(
        "INSERT INTO invocation (stored_at, id, project, function, version, trigger, outcome, "
        "status, started_at, queued_ms, run_ms, cold, request_bytes, response_bytes) "
        "VALUES (1, ?, 'p', 'f', 1, 'invoke', 'ok', 200, 1, 0, 1, 0, 2, 2)",
        (identity(0),),
    )
    migrate(connection)
    (record,) = rows.trace(connection, FindTrace(id=trace_of(identity(0)))).rows
    assert (record.attempt, record.parent_id, record.spans) == (1, "", ())
