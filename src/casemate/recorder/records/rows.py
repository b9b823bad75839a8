"""Invocations, errors and log lines, in SQL: rows in, rows out.

All text here may come from hostile code or callers: it is cut to a bound, and what is not Unicode
is written as escapes. What functions write is masked on its way into the rows: nothing that is
stored holds a token, or data of a person, that is known by its shape (`casemate.masking`). Runs on
the thread that owns the connection it is given. Lists come in pages of bounded size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from casemate.masking import InvocationMasker, Masker
from casemate.model.function import Logs
from casemate.model.invocation import (
    ErrorRecord,
    ErrorSummary,
    InvocationRecord,
    LogLine,
    Outcome,
)
from casemate.model.log_filter import EVERY_LINE
from casemate.operations.records import (
    ListErrors,
    ListInvocations,
    ReadLogs,
    ShowError,
    ShowInvocation,
)
from casemate.operations.traces import MAX_INVOCATIONS, FindTrace
from casemate.recorder.records import search, traces
from casemate.recorder.records.errors import UnstorableRecordError
from casemate.recorder.records.faults import UNSTORABLE
from casemate.recorder.records.shares import Added
from casemate.recorder.records.text import MAX_NAME, MAX_TEXT, clean, escaped
from casemate.recorder.records.unshipped import Unshipped
from casemate.sqlite import engine
from casemate.sqlite.questions import conditions, require_limit, require_range
from casemate.sqlite.rows import insert_rows
from casemate.sqlite.transaction import savepoint

MAX_TRACE = 64 * 1024
"""Characters kept of a trace: its end, where the error is."""

MAX_SUMMARY = 500
"""Characters of an error's message in a list."""

PAGE_CHARACTERS = 1 << 20
"""After so many characters a page of a list ends, and the next one goes on."""
_ROW_CHARACTERS = 200

_MASKER = Masker()

Row = tuple[str | int | float | None, ...]

_INSERT_INVOCATION = """
    INSERT INTO invocation (
        stored_at, id, project, function, version, trigger, outcome, status, started_at,
        queued_ms, run_ms, cold, request_bytes, response_bytes, error_id, trace,
        attempt, caller, route, cpu_us, memory, peak, uses
    )"""
_INSERT_ERROR = """
    INSERT INTO error (
        stored_at, id, invocation, project, function, version, outcome, at, type, message, trace
    )"""
_INSERT_LINE = """
    INSERT INTO log_line (
        stored_at, invocation, project, function, version, at, level, text
    )"""
NODE_NAME = "coalesce((SELECT name FROM node WHERE number = {table}.node), '')"
"""Which node a row is of, as people know it; empty where there is one alone."""
SELECT_INVOCATIONS = f"""
    SELECT
        id, project, function, version, trigger, outcome, status, started_at,
        queued_ms, run_ms, cold, request_bytes, response_bytes, error_id, trace,
        caller, route, cpu_us, memory, peak, uses, {NODE_NAME.format(table="invocation")}, sequence
    FROM invocation """  # noqa: S608 - constants alone
_SELECT_ERROR = f"""
    SELECT id, invocation, project, function, version, outcome, at, type, message, trace,
        {NODE_NAME.format(table="error")}
    FROM error WHERE id = ? ORDER BY sequence DESC LIMIT 1
"""  # noqa: S608 - constants alone
_SELECT_ERRORS = f"""
    SELECT id, invocation, project, function, version, outcome, at, type,
        substr(message, 1, {MAX_SUMMARY}), {NODE_NAME.format(table="error")}, sequence
    FROM error """  # noqa: S608 - a number of ours
_NEWEST = " ORDER BY sequence DESC LIMIT ?"


class Page(NamedTuple):
    """Some of what was asked for, in the order of the question."""

    rows: list[Any]
    at: int | None
    """Where the next page goes on; None: this was the last one."""


class Left(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one invocation left behind, not masked yet, as it is told by the gateway."""

    invocation: InvocationRecord | None
    """None while it runs: then these are lines of it."""
    error: ErrorRecord | None = None
    log: tuple[LogLine, ...] = ()
    logs: Logs = Logs()
    """What of it is masked, and how long it is kept."""


class InvocationRow(InvocationRecord, frozen=True, kw_only=True, array_like=True):
    """An invocation's record without the names of its fields: half as long, and read sooner.

    What a gateway that was killed has told may be read by a recorder of a later release: fields
    are appended only.
    """

    used: tuple[int, int] | None = None
    """`cpu_us` and `peak` as they were counted, in place of those: last, so that they can be added
    to what was encoded before."""


class Ended(Left, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one invocation left behind, with its record in that form."""

    invocation: InvocationRow
    error: ErrorRecord | None = None
    log: tuple[LogLine, ...] = ()
    logs: Logs = Logs()


def insert_records(
    connection: engine.Connection,
    entries: Sequence[Left],
    now: float,
    unshipped: Unshipped | None = None,
) -> int:
    """Insert what invocations left behind, each wholly or not at all; return how many were not.

    `now` is the Unix time to keep as `stored_at`. Raises engine.Error if the medium fails.
    """
    mark = 0 if unshipped is None else unshipped.mark()
    try:
        with savepoint(connection):
            _insert(connection, entries, now, unshipped)
    except UNSTORABLE:
        if unshipped is not None:
            unshipped.forget(mark)
        if len(entries) == 1:
            return 1
        return sum(insert_records(connection, (entry,), now, unshipped) for entry in entries)
    return 0


def insert_together(
    connection: engine.Connection,
    entries: Sequence[Left],
    now: float,
    unshipped: Unshipped | None = None,
) -> None:
    """Insert all of them, or raise UnstorableRecordError: then the caller undoes what is there.

    Without a part of the transaction of its own, for which the engine copies each page first.
    """
    try:
        _insert(connection, entries, now, unshipped)
    except UNSTORABLE as error:
        raise UnstorableRecordError from error


def invocation(connection: engine.Connection, operation: ShowInvocation) -> InvocationRecord:
    """Return the newest invocation with this id. Raises NotFoundError."""
    where, values = conditions((("id", operation.id),))
    row = connection.execute(SELECT_INVOCATIONS + where + _NEWEST, (*values, 1)).fetchone()
    if row is None:
        raise operation.missing
    return to_invocation(row)


def invocations(
    connection: engine.Connection, operation: ListInvocations, at: int | None = None
) -> Page:
    """Return the newest invocations that have ended, newest first."""
    where, values = _where(operation, at, "started_at", operation.trigger, operation.caller)
    rows = connection.execute(SELECT_INVOCATIONS + where + _NEWEST, (*values, operation.limit))
    return page(rows, to_invocation)


def trace(connection: engine.Connection, operation: FindTrace, at: int | None = None) -> Page:
    """Return the first invocations of a trace, or of that which an invocation is in, in order."""
    where, values = traces.condition(connection, operation.id)
    first = f"SELECT sequence FROM invocation WHERE {where} ORDER BY sequence LIMIT ?"  # noqa: S608
    rows = connection.execute(
        f"{SELECT_INVOCATIONS} WHERE sequence IN ({first}) AND sequence > ? ORDER BY sequence",
        (*values, MAX_INVOCATIONS, at or 0),
    )
    return page(rows, to_invocation)


def error(connection: engine.Connection, operation: ShowError) -> ErrorRecord:
    """Return the newest error with this id. Raises NotFoundError."""
    row = connection.execute(_SELECT_ERROR, (operation.id,)).fetchone()
    if row is None:
        raise operation.missing
    error_id, of, project, function, version, outcome, at, kind, message, trace, node = row
    return ErrorRecord(
        id=error_id,
        invocation=of,
        project=project,
        function=function,
        version=version,
        outcome=Outcome(outcome),
        at=at,
        type=kind,
        message=message,
        trace=trace,
        node=node,
    )


def errors(connection: engine.Connection, operation: ListErrors, at: int | None = None) -> Page:
    """Return the newest errors, newest first."""
    where, values = _where(operation, at, "at")
    rows = connection.execute(_SELECT_ERRORS + where + _NEWEST, (*values, operation.limit))
    return page(rows, _to_summary)


def page(rows: Iterable[tuple[Any, ...]], make: Callable[[tuple[Any, ...]], Any]) -> Page:
    """Return what is made of rows, which end with their sequence, as far as a page goes."""
    found: list[Any] = []
    characters = 0
    for row in rows:
        found.append(make(row))
        characters += _ROW_CHARACTERS + sum([len(value) for value in row if type(value) is str])
        if characters >= PAGE_CHARACTERS:
            return Page(found, row[-1])
    return Page(found, None)


def _where(
    wanted: ListInvocations | ListErrors,
    at: int | None,
    time_column: str,
    trigger: str | None = None,
    caller: str | None = None,
) -> tuple[str, tuple[str | int | float, ...]]:
    require_limit(wanted.limit)
    where, values = conditions(
        (
            ("function", wanted.function),
            ("project", wanted.project),
            ("version", wanted.version or None),
            ("outcome", None if wanted.outcome is None else wanted.outcome.value),
            ("trigger", trigger),
            ("caller", caller),
        )
    )
    bounds = ((time_column, ">=", wanted.since), (time_column, "<", wanted.until))
    for column, sign, bound in (*bounds, ("sequence", "<", at)):
        if bound is not None:
            where += f"{' AND' if where else 'WHERE'} {column} {sign} ?"
            values = (*values, bound)
    return where, values


def logs(connection: engine.Connection, operation: ReadLogs, at: int | None = None) -> Page:
    """Return lines in ascending sequence: those after `after`; with `after` = 0 the newest first.

    `at` is where the page before ended.
    """
    require_limit(operation.limit)
    require_range("after", operation.after, 2**63 - 1)
    span = search.Span(operation.after, at)
    if operation.only == EVERY_LINE or search.are_few(connection, operation):
        return page(search.lines(connection, operation, span), to_line)
    return page(search.found(connection, operation, span), to_line)


def _insert(
    connection: engine.Connection,
    entries: Sequence[Left],
    now: float,
    unshipped: Unshipped | None,
) -> None:
    invocation_rows: list[Row] = []
    error_rows: list[Row] = []
    log_rows: list[Row] = []
    added = Added()
    for entry in entries:
        record, failure, lines, logs = entry.invocation, entry.error, entry.log, entry.logs
        if record is None and not lines:
            raise TypeError("neither an invocation nor a line of one")
        if record is not None:
            row = _from_invocation(record, now)
            invocation_rows.append(row)
            trace = row[15]
            size = len(trace) if type(trace) is str else 0
            added.note(str(row[2]), str(row[3]), "invocation", size, logs)
        if failure is None and not lines:
            continue
        mask = _MASKER.of(record.id if record is not None else lines[0].invocation, logs)
        if failure is not None:
            row = _from_error(failure, now, mask)
            error_rows.append(row)
            size = _size(row[9]) + _size(row[10])
            added.note(str(row[3]), str(row[4]), "error", size, logs)
        if lines:
            texts = mask.lines([line.text for line in lines], MAX_TEXT)
            for line, text in zip(lines, texts, strict=True):
                row = _from_line(line, text, now)
                log_rows.append(row)
                added.note(str(row[2]), str(row[3]), "log_line", _size(row[7]), logs)
    places = insert_rows(connection, _INSERT_INVOCATION, invocation_rows)
    insert_rows(connection, _INSERT_ERROR, error_rows)
    numbers = insert_rows(connection, _INSERT_LINE, log_rows)
    search.index(
        connection,
        [
            search.Written(number, float(row[5] or 0.0), str(row[6]), str(row[7]))
            for number, row in zip(numbers, log_rows, strict=True)
        ],
    )
    added.write(connection, now)
    if unshipped is not None and unshipped.wanted:
        traces_of = [len(str(row[15])) for row in invocation_rows if row[15] is not None]
        unshipped.add("invocation", places, invocation_rows, sum(traces_of))
        unshipped.add("log_line", numbers, log_rows, sum([len(str(row[7])) for row in log_rows]))


def _size(text: object) -> int:
    value = str(text)
    return len(value) if value.isascii() else len(value.encode())


def _from_invocation(record: InvocationRecord, now: float) -> Row:
    id, project, function = record.id, record.project, record.function
    trigger, caller, route = record.trigger, record.caller, record.route
    # One look at all of them: as good as never is one not as it should be.
    cpu_us, peak = record.cpu_us, record.peak
    if type(record) is InvocationRow and record.used is not None:
        cpu_us, peak = record.used
    every = f"{id}{project}{function}{trigger}{caller}{route}"
    if len(every) > MAX_NAME or not every.isascii():
        names = (id, project, function, trigger, caller, route)
        id, project, function, trigger, caller, route = map(clean, names)
    return (
        now,
        id,
        project,
        function,
        record.version,
        trigger,
        record.outcome.value,
        record.status,
        record.started_at,
        record.queued_ms,
        record.run_ms,
        1 if record.cold else 0,
        record.request_bytes,
        record.response_bytes,
        None if record.error_id is None else clean(record.error_id),
        traces.column(record),
        record.attempt,
        caller,
        route,
        cpu_us,
        record.memory,
        peak,
        record.uses,
    )


def _from_error(record: ErrorRecord, now: float, mask: InvocationMasker) -> Row:
    return (
        now,
        clean(record.id),
        clean(record.invocation),
        clean(record.project),
        clean(record.function),
        record.version,
        record.outcome.value,
        record.at,
        clean(mask.text(record.type, MAX_TEXT)),
        escaped(mask.text(record.message, MAX_TEXT)),
        escaped(mask.end_of(record.trace, MAX_TRACE)),
    )


def _from_line(line: LogLine, text: str, now: float) -> Row:
    return (
        now,
        clean(line.invocation),
        clean(line.project),
        clean(line.function),
        line.version,
        line.at,
        clean(line.level),
        escaped(text),
    )


def to_invocation(row: tuple[Any, ...]) -> InvocationRecord:
    """Return the record of a row of `SELECT_INVOCATIONS`."""
    return InvocationRecord(
        id=row[0],
        project=row[1],
        function=row[2],
        version=row[3],
        trigger=row[4],
        outcome=Outcome(row[5]),
        status=row[6],
        started_at=row[7],
        queued_ms=row[8],
        run_ms=row[9],
        cold=bool(row[10]),
        request_bytes=row[11],
        response_bytes=row[12],
        error_id=row[13],
        caller=row[15],
        route=row[16],
        cpu_us=row[17],
        memory=row[18],
        peak=row[19],
        uses=row[20],
        node=row[21],
        **traces.fields(row[0], row[14]),
    )


def _to_summary(row: tuple[Any, ...]) -> ErrorSummary:
    return ErrorSummary(
        id=row[0],
        invocation=row[1],
        project=row[2],
        function=row[3],
        version=row[4],
        outcome=Outcome(row[5]),
        at=row[6],
        type=row[7],
        message=row[8],
        node=row[9],
    )


def to_line(row: tuple[Any, ...]) -> LogLine:
    """Return the line of a row that ends with its text, node and sequence, or has more between."""
    return LogLine(
        invocation=row[0],
        project=row[1],
        function=row[2],
        version=row[3],
        at=row[4],
        level=row[5],
        text=row[6],
        sequence=row[-1],
        node=row[7],
    )
