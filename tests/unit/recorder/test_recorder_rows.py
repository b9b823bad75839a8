"""Invocations, errors and log lines."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_samples import KEY, Filled, database, failure, invocation, line
from records_samples import invocations as kept_invocations

from casemate.model.errors import NotFoundError
from casemate.model.function import Logs, Unmasked
from casemate.model.invocation import ErrorRecord, ErrorSummary, InvocationRecord, LogLine, Outcome
from casemate.operations.records import (
    ListErrors,
    ListInvocations,
    ReadLogs,
    ShowError,
    ShowInvocation,
)
from casemate.recorder.records import rows
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.rows import MAX_TRACE, Left, insert_records
from casemate.recorder.records.text import MAX_NAME, MAX_TEXT
from casemate.sqlite import engine

Entry = tuple[Any, ...]


def insert(connection: engine.Connection, entries: Sequence[Entry]) -> int:
    connection.execute("BEGIN")
    lost = insert_records(connection, [Left(*entry) for entry in entries], 5.0)
    connection.execute("COMMIT")
    return lost


def read(connection: engine.Connection, **asked: object) -> tuple[LogLine, ...]:
    wanted = ReadLogs(**asked)  # type: ignore[arg-type]
    found = rows.logs(connection, wanted).rows
    return tuple(found if wanted.after else reversed(found))


def invocations(connection: engine.Connection, **asked: object) -> tuple[InvocationRecord, ...]:
    wanted = ListInvocations(**asked)  # type: ignore[arg-type]
    return tuple(rows.invocations(connection, wanted).rows)


def errors(connection: engine.Connection, **asked: object) -> tuple[ErrorSummary, ...]:
    return tuple(rows.errors(connection, ListErrors(**asked)).rows)  # type: ignore[arg-type]


def find(connection: engine.Connection, identity: str) -> InvocationRecord:
    return rows.invocation(connection, ShowInvocation(id=identity))


def error(connection: engine.Connection, identity: str) -> ErrorRecord:
    return rows.error(connection, ShowError(id=identity))


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_every_record_is_kept_in_order_however_many_share_a_statement(count: int) -> None:
    connection = database()
    entries: list[Entry] = [
        (invocation(f"i{n}"), failure(f"e{n}"), [line(f"{n}a"), line(f"{n}b")])
        for n in range(count)
    ]
    assert insert(connection, entries) == 0
    found = invocations(connection, limit=1000)
    assert [r.id for r in found] == [f"i{n}" for n in reversed(range(count))]
    assert find(connection, "i0") == invocation("i0")
    assert error(connection, "e0") == failure("e0")
    assert [entry.text for entry in read(connection)] == [
        f"{n}{half}" for n in range(count) for half in "ab"
    ]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_comes_back(outcome: Outcome) -> None:
    connection = database()
    record = invocation(outcome=outcome, cold=False, error_id="e1")
    insert(connection, [(record, failure(outcome=outcome), [])])
    assert find(connection, "i1") == record
    assert error(connection, "e1") == failure(outcome=outcome)


def test_what_is_not_there_is_told() -> None:
    connection = database()
    with pytest.raises(NotFoundError, match="no invocation i1 that you may see; records are kept"):
        find(connection, "i1")
    with pytest.raises(NotFoundError, match="no error e1 that you may see; records are kept"):
        error(connection, "e1")
    assert read(connection) == ()


def test_a_repeated_id_replaces_nothing() -> None:
    connection = database()
    insert(connection, [(invocation(status=1), None, []), (invocation(status=2), None, [])])
    newest = find(connection, "i1")
    assert newest is not None
    assert newest.status == 2
    assert len(invocations(connection, limit=10)) == 2


def test_filters_and_limits() -> None:
    connection = database()
    for number in range(12):
        where = {"project": f"p{number % 2}", "function": f"f{number % 3}"}
        lines = [line(str(number), invocation=f"i{number}", **where)]
        insert(connection, [(invocation(f"i{number}", **where), None, lines)])
    assert [r.id for r in invocations(connection, limit=2)] == ["i11", "i10"]
    assert [r.id for r in invocations(connection, project="p1", limit=9)] == [
        f"i{n}" for n in (11, 9, 7, 5, 3, 1)
    ]
    assert [r.id for r in invocations(connection, project="p0", function="f2", limit=9)] == [
        "i8",
        "i2",
    ]
    assert [r.id for r in invocations(connection, function="f1", limit=1)] == ["i10"]
    assert invocations(connection, project="nobody", limit=9) == ()
    assert [entry.text for entry in read(connection, invocation="i4")] == ["4"]
    assert read(connection, invocation="i4", project="p1") == ()
    assert [entry.text for entry in read(connection, function="f0", project="p0")] == ["0", "6"]


def test_version_outcome_and_time_choose() -> None:
    connection = database()
    for n in range(8):
        outcome = Outcome.TIMEOUT if n % 2 else Outcome.OK
        record = invocation(f"i{n}", version=n % 3 + 1, outcome=outcome, started_at=float(n))
        told = failure(f"e{n}", version=n % 3 + 1, outcome=outcome, at=float(n))
        insert(connection, [(record, told, [])])

    def found(**only: object) -> tuple[list[str], list[str]]:
        return (
            [r.id for r in invocations(connection, **only)],
            [e.id for e in errors(connection, **only)],
        )

    assert found(outcome=Outcome.TIMEOUT) == (["i7", "i5", "i3", "i1"], ["e7", "e5", "e3", "e1"])
    assert found(version=2, since=2.0) == (["i7", "i4"], ["e7", "e4"])
    assert found(since=3.0, until=5.0) == (["i4", "i3"], ["e4", "e3"])
    assert errors(connection, project="nobody", limit=9) == ()
    assert len(errors(connection, limit=3)) == 3


def test_the_caller_chooses() -> None:
    connection = database()
    for n in range(4):
        insert(connection, [(invocation(f"i{n}", caller=f"user:{n % 2}"), None, [])])
    assert [r.id for r in invocations(connection, caller="user:1")] == ["i3", "i1"]
    assert [r.id for r in invocations(connection, caller="user:1", limit=1)] == ["i3"]
    assert invocations(connection, caller="user") == ()


def test_a_list_of_errors_cuts_what_is_long() -> None:
    connection = database()
    insert(connection, [(invocation(), failure("e1", message="m" * 5000, trace="t"), [])])
    [summary] = errors(connection, limit=9)
    assert summary.message == "m" * 500
    assert not hasattr(summary, "trace")


def test_reading_on_from_a_sequence_sees_every_line_once() -> None:
    connection = database()
    for number in range(10):
        insert(connection, [(invocation(), None, [line(str(number), function=f"f{number % 2}")])])
    newest = read(connection, limit=3)
    assert [(entry.text, entry.sequence) for entry in newest] == [("7", 8), ("8", 9), ("9", 10)]
    seen: list[str] = []
    after = 0
    (first,) = read(connection, function="f0", limit=1000)[:1]
    after = first.sequence
    while lines := read(connection, function="f0", after=after, limit=2):
        seen += [entry.text for entry in lines]
        after = lines[-1].sequence
    assert seen == ["2", "4", "6", "8"]
    assert read(connection, after=10) == ()


def test_sequences_go_on_after_all_lines_were_deleted() -> None:
    connection = database()
    insert(connection, [(invocation(), None, [line("a"), line("b")])])
    connection.execute("DELETE FROM log_line")
    insert(connection, [(invocation(), None, [line("c")])])
    assert [entry.sequence for entry in read(connection, after=2)] == [3]


def test_queries_of_filters_use_an_index() -> None:
    connection = database()
    for filters in ("invocation = ? AND +function = ?", "function = ? AND +project = ?"):
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN SELECT * FROM log_line WHERE {filters} "
            "ORDER BY sequence DESC LIMIT 10",
            ("a", "b"),
        ).fetchall()
        assert len(plan) == 1
        assert "USING INDEX" in plan[0][3]


def test_texts_are_cut_and_say_so() -> None:
    connection = database()
    huge = failure(
        type="T" * 300, message="m" * (MAX_TEXT + 5), trace="start" + "t" * MAX_TRACE + "end"
    )
    insert(connection, [(invocation(), huge, [line("x" * (MAX_TEXT + 1), level="l" * 999)])])
    found = error(connection, "e1")
    assert found is not None
    assert found.type == "T" * MAX_NAME + " [44 characters cut]"
    assert found.message == "m" * MAX_TEXT + " [5 characters cut]"
    assert found.trace.startswith("[8 characters cut]\nt")
    assert found.trace.endswith("end")
    (kept,) = read(connection)
    assert kept.text == "x" * MAX_TEXT + " [1 characters cut]"
    assert len(kept.level) < MAX_NAME + 30


def test_lone_surrogates_and_nul_are_kept_readable() -> None:
    connection = database()
    insert(connection, [(invocation(), failure(trace="t\udfff"), [line("a\udc80b\0c é 😀")])])
    assert read(connection)[0].text == "a\\udc80b\0c é 😀"
    found = error(connection, "e1")
    assert found is not None
    assert found.trace == "t\\udfff"


@settings(max_examples=100, deadline=None)
@given(
    st.text(alphabet=st.characters(exclude_categories=())),
    st.text(alphabet=st.characters(exclude_categories=())),
)
def test_no_text_is_lost_or_breaks_the_store(text: str, name: str) -> None:
    connection = database()
    entry: Entry = (
        invocation(name, project=name, function=name, trigger=name),
        failure(name, type=name, message=text, trace=text),
        [line(text, level=name)],
    )
    assert insert(connection, [entry]) == 0
    assert read(connection)[0].text == text.encode("utf-8", "backslashreplace").decode()
    connection.close()


@pytest.mark.parametrize(
    "bad",
    [
        (invocation(status=2**63), None, []),
        (invocation(run_ms=float("nan")), None, []),
        (invocation(project=None), None, []),
        (invocation(version="x"), None, []),
        (invocation(), failure(trace=None), []),
        (invocation(), None, [line(text=7)]),  # type: ignore[arg-type]
        (invocation(), None, [line(at=object())]),
        (invocation(outcome=None), None, []),
        (None, None, []),
    ],
)
def test_a_record_that_cannot_be_stored_is_lost_alone_and_wholly(bad: Entry) -> None:
    connection = database()
    good: list[Entry] = [(invocation(f"i{n}"), None, [line(f"l{n}")]) for n in range(100)]
    assert insert(connection, [*good[:50], bad, *good[50:]]) == 1
    assert len(invocations(connection, limit=1000)) == 100
    assert [entry.text for entry in read(connection)] == [f"l{n}" for n in range(100)]
    assert connection.execute("SELECT count(*) FROM error").fetchone() == (0,)


def test_a_record_that_cannot_be_stored_is_counted(tmp_path: Path) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        filled = Filled(records)
        values = (invocation("a"), invocation("b", status=2**63 - 1), invocation("c"))
        assert await filled.tell(*(Left(value) for value in values)) == 0
        assert await filled.record(invocation("d", status=2**63)) == 1
        assert [r.id for r in await kept_invocations(records)] == ["c", "b", "a"]
        records.close()

    asyncio.run(run())


def test_what_has_the_shape_of_a_secret_or_of_a_person_is_never_written() -> None:
    key = ["-----BEGIN PRIVATE KEY-----", "MIIEowIBAAKCAQEA", "-----END PRIVATE KEY-----"]
    texts = ["ann@example.com", "AKIAIOSFODNN7EXAMPLE", *key, "plain"]
    told = "pay 4111 1111 1111 1111 for ann@example.com"
    connection = database()
    insert(
        connection,
        [(invocation(), failure(message=told, trace=f"{told}\nValueError"), [*map(line, texts)])],
    )
    stored = [text for (text,) in connection.execute("SELECT text FROM log_line")]
    stored += connection.execute("SELECT message, trace FROM error").fetchone()
    for text in (*texts[:2], key[1], "4111"):
        assert not any(text in kept for kept in stored)
    assert stored[5] == "plain"
    mark = stored[0]
    assert re.fullmatch(r"\[redacted:email#[0-9a-f]{8}\]", mark)
    assert stored[6].endswith(mark), "the same address in the same invocation"


def test_what_a_manifest_leaves_out_is_written_and_what_it_adds_is_not() -> None:
    logs = Logs(mask=("us-ssn",), unmasked=(Unmasked(kind="email", reason="they are its users"),))
    connection = database()
    insert(connection, [(invocation(), None, [line("ann@example.com 123-45-6789")], logs)])
    (text,) = connection.execute("SELECT text FROM log_line").fetchone()
    assert text.startswith("ann@example.com [redacted:us-ssn#")
