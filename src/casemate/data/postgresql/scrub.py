"""Looking at all values of a project in a database that others run: each is what was kept there.

The pages are the engine's own to check. What is found here is what it gives back otherwise than it
was told: cut, swapped, emptied or older.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from casemate.data.errors import DataCorruptError
from casemate.data.postgresql.project import PostgresqlProject
from casemate.data.postgresql.rotation import TABLES, Table, opened_row, sealed_rows
from casemate.data.postgresql.sealing import MissingValueKeyError
from casemate.data.terms import terms_of
from casemate.sqlite.engine import Connection
from casemate.sqlite.scrub import MOST_PROBLEMS, Pace

_ROW_BYTES = 256
"""What a row is counted as beside its contents."""


async def wrong_values(
    opened: PostgresqlProject, pace: Pace, fetch: Callable[[int], Awaitable[None]]
) -> list[str]:
    """Return which rows have a value that is not what was kept, the first few. Raises DataError.

    `fetch` gets an older version of the key where one is met.
    """
    found: list[str] = []
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
) -> tuple[object | None, list[str], int]:
    """Return the last row of a batch, None at the end; what is wrong in it; how much was read."""
    found, size = [], 0
    rows = sealed_rows(table, connection, after)
    for row in rows:
        size += _ROW_BYTES
        try:
            for _, content in opened_row(table, terms_of(connection), row):
                size += len(content or b"")
        except DataCorruptError as error:
            # Keys are content: the number tells the operator which row.
            found.append(f"{table.name} {row[table.number]}: {error.message}")
    return (rows[-1][table.number] if rows else None), found, size
