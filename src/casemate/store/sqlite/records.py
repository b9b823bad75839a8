"""Invocations, errors and log lines, in SQL: rows in, rows out.

All text here may come from hostile code or callers: it is cut to a bound, and what is not Unicode
is written as escapes. What functions write is masked on its way into the rows: nothing that is
stored holds a token, or data of a person, that is known by its shape (`casemate.masking`). Runs on
the thread that owns the connection it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from casemate.masking import InvocationMasker, Masker
from casemate.model.function import Logs
from casemate.model.invocation import (
    ErrorRecord,
    ErrorSummary,
    InvocationRecord,
    LogLine,
    Outcome,
)
from casemate.model.log_filter import EVERY_LINE, MAX_LINES_SEARCHED, LineFilter
from casemate.operations.performing import DirectPerformers
from casemate.operations.records import (
    Errors,
    Invocations,
    ListErrors,
    ListInvocations,
    ReadLogs,
    ShowError,
    ShowInvocation,
)
from casemate.operations.traces import FindTrace
from casemate.sqlite import engine
from casemate.sqlite.transaction import savepoint
from casemate.store.sqlite import traces
from casemate.store.sqlite.faults import UNSTORABLE
from casemate.store.sqlite.questions import conditions, require_limit, require_range
from casemate.store.sqlite.shares import Added
from casemate.store.sqlite.text import MAX_TEXT, clean, escaped

MAX_TRACE = 64 * 1024
"""Characters kept of a trace: its end, where the error is."""

MAX_SUMMARY = 500
"""Characters of an error's message in a list."""

_MASKER = Masker()

Row = tuple[str | int | float | None, ...]

_INSERT_INVOCATION = """
    INSERT INTO invocation (
        stored_at, id, project, function, version, trigger, outcome, status, started_at,
        queued_ms, run_ms, cold, request_bytes, response_bytes, error_id, trace
    ) VALUES """
_INSERT_ERROR = """
    INSERT INTO error (
        stored_at, id, invocation, project, function, version, outcome, at, type, message, trace
    ) VALUES """
_INSERT_LINE = """
    INSERT INTO log_line (
        stored_at, invocation, project, function, version, at, level, text
    ) VALUES """
_SELECT_INVOCATIONS = """
    SELECT
        id, project, function, version, trigger, outcome, status, started_at,
        queued_ms, run_ms, cold, request_bytes, response_bytes, error_id, trace
    FROM invocation """
_SELECT_ERROR = """
    SELECT id, invocation, project, function, version, outcome, at, type, message, trace
    FROM error WHERE id = ? ORDER BY sequence DESC LIMIT 1
"""
_SELECT_ERRORS = f"""
    SELECT id, invocation, project, function, version, outcome, at, type,
        substr(message, 1, {MAX_SUMMARY})
    FROM error """  # noqa: S608 - a number of ours
_SELECT_LINES = """
    SELECT invocation, project, function, version, at, level, text, sequence FROM log_line """
_NEWEST = " ORDER BY sequence DESC LIMIT ?"
_OLDEST = " ORDER BY sequence LIMIT ?"
_ROWS_PER_STATEMENT = 64

performs = DirectPerformers()


class Entry(NamedTuple):
    """What one invocation left behind, not masked yet."""

    invocation: InvocationRecord | None
    """None while it runs: then these are lines of it."""
    error: ErrorRecord | None = None
    log: Sequence[LogLine] = ()
    logs: Logs = Logs()
    """What of it is masked."""


def insert_records(connection: engine.Connection, entries: Sequence[Entry], now: float) -> int:
    """Insert what invocations left behind, each wholly or not at all; return how many were not.

    `now` is the Unix time to keep as `stored_at`. Raises engine.Error if the medium fails.
    """
    try:
        with savepoint(connection):
            _insert(connection, entries, now)
    except UNSTORABLE:
        if len(entries) == 1:
            return 1
        return sum(insert_records(connection, (entry,), now) for entry in entries)
    return 0


@performs(ShowInvocation)
def invocation(connection: engine.Connection, operation: ShowInvocation) -> InvocationRecord:
    """Return the newest invocation with this id."""
    where, values = conditions((("id", operation.id),))
    row = connection.execute(_SELECT_INVOCATIONS + where + _NEWEST, (*values, 1)).fetchone()
    if row is None:
        raise operation.missing
    return _to_invocation(row)


@performs(ListInvocations)
def invocations(connection: engine.Connection, operation: ListInvocations) -> Invocations:
    """Return the newest invocations that have ended, newest first."""
    where, values = _where(operation, "started_at", operation.trigger)
    rows = connection.execute(_SELECT_INVOCATIONS + where + _NEWEST, (*values, operation.limit))
    return Invocations(invocations=tuple(map(_to_invocation, rows)))


@performs(FindTrace)
def trace(connection: engine.Connection, operation: FindTrace) -> tuple[InvocationRecord, ...]:
    """Return the invocations of a trace, oldest first, or of that which an invocation is in."""
    found = traces.invocations(connection, _SELECT_INVOCATIONS, operation.id)
    return tuple(map(_to_invocation, found))


@performs(ShowError)
def error(connection: engine.Connection, operation: ShowError) -> ErrorRecord:
    """Return the newest error with this id."""
    row = connection.execute(_SELECT_ERROR, (operation.id,)).fetchone()
    if row is None:
        raise operation.missing
    error_id, of, project, function, version, outcome, at, kind, message, trace = row
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
    )


@performs(ListErrors)
def errors(connection: engine.Connection, operation: ListErrors) -> Errors:
    """Return the newest errors, newest first."""
    where, values = _where(operation, "at")
    rows = connection.execute(_SELECT_ERRORS + where + _NEWEST, (*values, operation.limit))
    return Errors(
        errors=tuple(
            ErrorSummary(
                id=row[0],
                invocation=row[1],
                project=row[2],
                function=row[3],
                version=row[4],
                outcome=Outcome(row[5]),
                at=row[6],
                type=row[7],
                message=row[8],
            )
            for row in rows
        )
    )


def _where(
    wanted: ListInvocations | ListErrors, time_column: str, trigger: str | None = None
) -> tuple[str, tuple[str | int | float, ...]]:
    require_limit(wanted.limit)
    where, values = conditions(
        (
            ("function", wanted.function),
            ("project", wanted.project),
            ("version", wanted.version or None),
            ("outcome", None if wanted.outcome is None else wanted.outcome.value),
            ("trigger", trigger),
        )
    )
    for bound, sign in ((wanted.since, ">="), (wanted.until, "<")):
        if bound is not None:
            where += f"{' AND' if where else 'WHERE'} {time_column} {sign} ?"
            values = (*values, bound)
    return where, values


@performs(ReadLogs)
def logs(connection: engine.Connection, operation: ReadLogs) -> tuple[LogLine, ...]:
    """Return lines in ascending sequence: those after `after`, or the newest with `after` = 0.

    For what has no index, MAX_LINES_SEARCHED lines are looked at, in the same order.
    """
    after, only = operation.after, operation.only
    require_limit(operation.limit)
    require_range("after", after, 2**63 - 1)
    where, values = conditions(
        (
            ("invocation", operation.invocation),
            ("function", operation.function),
            ("project", operation.project),
        )
    )
    if after:
        where = f"{where} AND sequence > ?" if where else "WHERE sequence > ?"
        values = (*values, after)
    order = _OLDEST if after else _NEWEST
    query = _SELECT_LINES + where + order
    if only != EVERY_LINE:
        wanted, more = _wanted(only)
        query = f"SELECT * FROM ({query}) WHERE {wanted}{order}"  # noqa: S608 - constants alone
        values = (*values, MAX_LINES_SEARCHED, *more)
    rows = connection.execute(query, (*values, operation.limit)).fetchall()
    return tuple(_to_line(row) for row in (rows if after else reversed(rows)))


def _wanted(only: LineFilter) -> tuple[str, tuple[str | int | float, ...]]:
    """Return the condition that `LineFilter.wants` is, and its values."""
    parts: list[tuple[str, tuple[str | int | float, ...]]] = [("TRUE", ())]
    if only.since is not None:
        parts.append(("at >= ?", (only.since,)))
    if only.version is not None:
        parts.append(("version = ?", (only.version,)))
    if unwanted := only.unwanted_levels:
        parts.append((f"level NOT IN ({','.join('?' * len(unwanted))})", unwanted))
    if only.search is not None:
        parts.append(("instr(lower(text), lower(?)) > 0", (only.search,)))
    condition = " AND ".join(condition for condition, _ in parts)
    return condition, tuple(value for _, values in parts for value in values)


def _insert(connection: engine.Connection, entries: Sequence[Entry], now: float) -> None:
    invocation_rows: list[Row] = []
    error_rows: list[Row] = []
    log_rows: list[Row] = []
    added = Added()
    for record, failure, lines, logs in entries:
        if record is None and not lines:
            raise TypeError("neither an invocation nor a line of one")
        if record is not None:
            row = _from_invocation(record, now)
            invocation_rows.append(row)
            added.note(str(row[2]), str(row[3]), "invocation", len(str(row[15] or "")), logs)
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
    _insert_rows(connection, _INSERT_INVOCATION, 16, invocation_rows)
    _insert_rows(connection, _INSERT_ERROR, 11, error_rows)
    _insert_rows(connection, _INSERT_LINE, 8, log_rows)
    added.write(connection)


def _size(text: object) -> int:
    value = str(text)
    return len(value) if value.isascii() else len(value.encode())


def _insert_rows(connection: engine.Connection, insert: str, width: int, rows: list[Row]) -> None:
    """Insert rows, many per statement where there are many.

    Each statement gives up the interpreter lock once. With one row per statement (executemany)
    and a busy event loop, waiting to get the lock back doubled the time and slowed the loop.
    """
    one = f"({','.join('?' * width)})"
    whole = len(rows) - len(rows) % _ROWS_PER_STATEMENT
    if whole:
        statement = insert + ",".join([one] * _ROWS_PER_STATEMENT)
        for start in range(0, whole, _ROWS_PER_STATEMENT):
            chunk = rows[start : start + _ROWS_PER_STATEMENT]
            connection.execute(statement, [value for row in chunk for value in row])
    if whole < len(rows):
        connection.executemany(insert + one, rows[whole:])


def _from_invocation(record: InvocationRecord, now: float) -> Row:
    return (
        now,
        clean(record.id),
        clean(record.project),
        clean(record.function),
        record.version,
        clean(record.trigger),
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


def _to_invocation(row: tuple[Any, ...]) -> InvocationRecord:
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
        **traces.fields(row[0], row[14]),
    )


def _to_line(row: tuple[Any, ...]) -> LogLine:
    return LogLine(
        invocation=row[0],
        project=row[1],
        function=row[2],
        version=row[3],
        at=row[4],
        level=row[5],
        text=row[6],
        sequence=row[7],
    )
