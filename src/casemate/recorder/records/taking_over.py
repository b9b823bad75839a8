"""Taking over the records that an older release kept in the store, once, in batches.

Rows keep the sequences that they had, so that lists keep their order and whoever follows a log goes
on where it was. What is new gets higher ones, from the moment on at which it is known how far the
older ones go. Each batch says in its own transaction how far it is: after a crash at any place the
next one goes on there. Once the end is told nothing is taken over any more, by whomever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from casemate.model.denial import DenialKind
from casemate.model.function import Logs
from casemate.model.invocation import Outcome
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.records import search
from casemate.recorder.records.progress import place_of, remember
from casemate.recorder.records.shares import BYTES, Added
from casemate.sqlite import engine
from casemate.sqlite.rows import insert_rows

Row = tuple[str | int | float | None, ...]
MAX_SEQUENCE = 1 << 48
_ENDED = "taken over"


class Table(NamedTuple):
    """One table of the records, as an older store has it."""

    columns: tuple[str, ...]
    """After the sequence."""
    owner: tuple[int, int] | None
    """Places of project and function in a row, None where they have no share."""
    checked: tuple[int, type[Outcome] | type[DenialKind]] | None = None
    """Place of a value that has to be one of these."""


TABLES: Mapping[str, Table] = {
    "invocation": Table(
        (
            *("stored_at", "id", "project", "function", "version", "trigger", "outcome"),
            *("status", "started_at", "queued_ms", "run_ms", "cold", "request_bytes"),
            *("response_bytes", "error_id"),
        ),
        (3, 4),
        (7, Outcome),
    ),
    "error": Table(
        (
            *("stored_at", "id", "invocation", "project", "function", "version", "outcome"),
            *("at", "type", "message", "trace"),
        ),
        (4, 5),
        (7, Outcome),
    ),
    "log_line": Table(
        ("stored_at", "invocation", "project", "function", "version", "at", "level", "text"),
        (3, 4),
    ),
    "denial": Table(
        (
            *("stored_at", "at", "kind", "principal", "action", "resource", "reason", "project"),
            *("function", "version", "invocation", "remote_address", "count"),
        ),
        None,
        (3, DenialKind),
    ),
}


def begin(connection: engine.Connection, highest: Mapping[str, int]) -> bool:
    """Have new rows get higher sequences than these; False: all was taken over before."""
    if place_of(connection, _ENDED):
        return False
    for table, sequence in highest.items():
        _table(table)
        if not 0 <= sequence < MAX_SEQUENCE:
            raise RecorderInputError(f"{sequence} is no sequence of an older store.")
        changed = connection.execute(
            "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (sequence, table)
        ).rowcount
        if not changed:
            connection.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, sequence)
            )
    return True


def take(connection: engine.Connection, table: str, rows: Sequence[Row]) -> None:
    """Insert rows, which begin with their sequence and ascend, but for those that are there.

    Raises RecorderInputError for what is none of an older store.
    """
    known = _table(table)
    if place_of(connection, _ENDED):
        raise RecorderInputError("All records of an older store were taken over before.")
    done = place_of(connection, table)
    wanted = [row for row in rows if isinstance(row[0], int) and row[0] > done]
    if not wanted:
        return
    _require_rows(known, wanted, done)
    names = ", ".join(("sequence", *known.columns))
    insert_rows(connection, f"INSERT INTO {table} ({names})", wanted)
    if table == "log_line":
        search.index(
            connection,
            [
                search.Written(int(row[0] or 0), float(row[6] or 0), str(row[7]), str(row[8]))
                for row in wanted
            ],
        )
    remember(connection, table, int(wanted[-1][0] or 0))
    if known.owner is not None:
        _count(connection, table, known.owner, wanted)


def _table(name: str) -> Table:
    try:
        return TABLES[name]
    except KeyError as error:
        raise RecorderInputError(f"{name!r} is no table of an older store.") from error


def _require_rows(table: Table, rows: Sequence[Row], done: int) -> None:
    for row in rows:
        sequence = row[0]
        if not isinstance(sequence, int) or not done < sequence < MAX_SEQUENCE:
            raise RecorderInputError("The rows of an older store do not ascend.")
        if len(row) != len(table.columns) + 1:
            raise RecorderInputError("A row of an older store has other columns.")
        if table.checked is not None:
            place, kinds = table.checked
            try:
                kinds(str(row[place]))
            except ValueError as error:
                raise RecorderInputError(f"A row of an older store is none: {error}.") from error
        done = sequence


def _count(
    connection: engine.Connection, table: str, owner: tuple[int, int], rows: Sequence[Row]
) -> None:
    """Have the rows count as their owners'; what they want kept is told with what is new."""
    sizes = connection.execute(
        f"SELECT {BYTES[table]} FROM {table} WHERE sequence BETWEEN ? AND ? ORDER BY sequence",  # noqa: S608
        (rows[0][0], rows[-1][0]),
    ).fetchall()
    project, function = owner
    added = Added()
    for row, (size,) in zip(rows, sizes, strict=True):
        added.note_whole(str(row[project]), str(row[function]), table, size, Logs())
    added.write(connection, 0.0)


def end(connection: engine.Connection) -> None:
    """Take nothing over any more."""
    remember(connection, _ENDED, 1)
