"""Records in the order in which they were kept, from a place on: for who takes them elsewhere.

Numbers are given once and ascend (`AUTOINCREMENT`), by one writer: what was seen up to a number is
all that there is up to it. Those that are missing were deleted, as retention has it, or are of
another node, which lends them itself.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from casemate.model.invocation import InvocationRecord, LogLine
from casemate.recorder.reading_protocol import MAX_LENT, Line, RecordKind
from casemate.recorder.records import rows, traces
from casemate.sqlite import engine

MAX_CHARACTERS = 256 * 1024
"""Of one answer, with one more record in it: who encodes it does nothing else meanwhile."""
_TABLES: dict[RecordKind, str] = {"invocations": "invocation", "lines": "log_line"}
_NEWEST = "SELECT seq FROM sqlite_sequence WHERE name = ?"
_INVOCATIONS = (
    f"{rows.SELECT_INVOCATIONS} WHERE sequence > ? AND node = 0 ORDER BY sequence LIMIT ?"
)
_LINES = """
    SELECT invocation, project, function, version, at, level, text, '', stored_at, sequence
    FROM log_line WHERE sequence > ? AND node = 0 ORDER BY sequence LIMIT ?
"""
_TRACE = "SELECT trace FROM invocation WHERE id = ? ORDER BY sequence DESC LIMIT 1"


class Lent(NamedTuple):
    """Some records."""

    rows: list[Any]
    next: int
    """Where to go on."""
    newest: int


def lent(connection: engine.Connection, what: RecordKind, after: int | None) -> Lent:
    """Return the records after a place; None: none, and where they are."""
    found = connection.execute(_NEWEST, (_TABLES[what],)).fetchone()
    newest = 0 if found is None else int(found[0])
    if after is None or after >= newest:
        return Lent([], newest if after is None else after, newest)
    made: list[InvocationRecord] | list[Line]
    if what == "invocations":
        made, last = _invocations(connection, after)
    else:
        made, last = _lines(connection, after)
    return Lent(made, newest if last is None else last, newest)


def _invocations(
    connection: engine.Connection, after: int
) -> tuple[list[InvocationRecord], int | None]:
    made: list[InvocationRecord] = []
    last, characters = None, 0
    for row in connection.execute(_INVOCATIONS, (after, MAX_LENT)):
        last = row[-1]
        # One that cannot be read, as its file was edited, keeps no other back. It counts as gone.
        with suppress(ValueError):  # msgspec's errors are such
            made.append(rows.to_invocation(row))
        characters += _size(row)
        if characters >= MAX_CHARACTERS:
            break
    return made, last


def _lines(connection: engine.Connection, after: int) -> tuple[list[Line], int | None]:
    made: list[Line] = []
    known: dict[str, tuple[str, str]] = {}
    last, characters = None, 0
    for row in connection.execute(_LINES, (after, MAX_LENT)):
        line: LogLine = rows.to_line(row)
        of = known.get(line.invocation)
        if of is None:
            of = known[line.invocation] = _trace_of(connection, line.invocation)
        made.append(Line(line, row[8], *of))
        last = line.sequence
        characters += _size(row)
        if characters >= MAX_CHARACTERS:
            break
    return made, last


def _trace_of(connection: engine.Connection, invocation: str) -> tuple[str, str]:
    found = connection.execute(_TRACE, (invocation,)).fetchone()
    if found is None:
        return "", ""
    fields = traces.fields(invocation, found[0])
    return fields["trace_id"], fields["span_id"]


def _size(row: tuple[Any, ...]) -> int:
    return sum([len(value) for value in row if type(value) is str])
