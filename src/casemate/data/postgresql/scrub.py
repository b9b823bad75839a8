"""Looking at all values of a project in a database that others run: each is what was kept there.

The pages are the engine's own to check. What is found here is what it gives back otherwise than it
was told: cut, swapped, emptied or older.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from casemate.data.errors import DataCorruptError
from casemate.data.indexes import NO_SORT
from casemate.data.postgresql.ordering import value_of
from casemate.data.postgresql.project import PostgresqlProject
from casemate.data.postgresql.rotation import TABLES, Table, opened_row, sealed_rows
from casemate.data.postgresql.sealing import MissingValueKeyError
from casemate.data.registry import BUCKET, TABLE
from casemate.data.terms import terms_of
from casemate.model.integrity import Damaged
from casemate.sqlite.engine import Connection
from casemate.sqlite.scrub import MOST_PROBLEMS, Pace

_IN = {"item": "tab", "message": "queue", "letter": "queue", "object": "bucket"}
"""The column that says in which table, queue or bucket a row is."""
_ROW_BYTES = 256
"""What a row is counted as beside its contents."""


async def wrong_values(
    opened: PostgresqlProject, pace: Pace, fetch: Callable[[int], Awaitable[None]]
) -> list[str | Damaged]:
    """Return which rows have a value that is not what was kept, the first few. Raises DataError.

    `fetch` gets an older version of the key where one is met.
    """
    found: list[str | Damaged] = []
    for table in TABLES:
        after: object = table.least
        while after is not None and len(found) < MOST_PROBLEMS:
            question = partial(_wrong_rows, table, after)
            try:
                after, problems, size = await asyncio.to_thread(opened.connections.read, question)
            except MissingValueKeyError as error:
                await fetch(error.version)
                continue
            found += problems
            await asyncio.to_thread(pace, size)
    return found[:MOST_PROBLEMS]


def _wrong_rows(
    table: Table, after: object, connection: Connection
) -> tuple[object | None, list[str | Damaged], int]:
    """Return the last row of a batch, None at the end; what is wrong in it; how much was read."""
    found: list[str | Damaged] = []
    size = 0
    rows = sealed_rows(table, connection, after)
    for row in rows:
        size += _ROW_BYTES
        try:
            for _, content in opened_row(table, terms_of(connection), row):
                size += len(content or b"")
        except DataCorruptError as error:
            found.append(_named(table, connection, row, error.message))
    return (rows[-1][table.number] if rows else None), found, size


def _named(table: Table, connection: Connection, row: dict[str, Any], what: str) -> str | Damaged:
    """Say which row it is. Keys are content, which logs must not have: they are told beside it."""
    number = row[table.number]
    column = _IN.get(table.name)
    if column is None:
        return f"{table.name} {number}: {what}"
    of = connection.execute(
        "SELECT kind, name FROM resource WHERE id = ?", (row[column],)
    ).fetchone()
    if of is None:
        return f"{table.name} {number} of what is no more: {what}"
    kind, name = of
    problem = f"{table.name} {number} of {kind} {name}: {what}"
    if kind == BUCKET:
        return Damaged(problem=problem, kind=kind, name=name, key=row["key"])
    if kind == TABLE:
        return Damaged(problem=problem, kind=kind, name=name, key=_key_of(row))
    return problem


def _key_of(row: dict[str, Any]) -> str:
    try:
        keys = [value_of(bytes(row[column])) for column in ("key", "sort")]
    except DataCorruptError:
        return ""
    return json.dumps(keys if keys[1] != NO_SORT else keys[0], ensure_ascii=False)
