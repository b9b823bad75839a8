"""Records under hold: kept whatever age and number say, until somebody ends it, or its time does.

What is there when a hold is said is under it, and nothing that comes afterwards: it does not grow.
All holds together are a part of what records may take, so that they fill no disk. Runs on the
thread that writes.
"""

from __future__ import annotations

from collections.abc import Sequence

from casemate.recorder.errors import RecorderInputError
from casemate.recorder.records.shares import BYTES, TABLES, Place, Share
from casemate.sqlite import engine

MOST = 512
"""Functions under hold, each counted for each incident that it is of."""
PART = 4
"""Holds are at most one in so many of the bytes that records may take."""
LONGEST_SECONDS = 90 * 86_400.0
_DENIAL = "denial"
FREE = """
    NOT EXISTS (
        SELECT 1 FROM hold WHERE hold.kind = '{table}' AND hold.project = {table}.project
            AND hold.function = {table}.function AND hold.since <= {table}.stored_at
            AND hold.until >= {table}.stored_at
    )
"""
"""That a row of a table is under no hold."""
_COUNT = """
    SELECT count(*), coalesce(sum({size}), 0) FROM {table}
    WHERE project = ? AND function = ? AND stored_at BETWEEN ? AND ?
"""
_INSERT = """
    INSERT INTO hold (id, project, function, kind, since, until, expires_at, number, bytes)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def free(connection: engine.Connection, table: str) -> str:
    """Return the condition that a row is under no hold."""
    if connection.execute("SELECT 1 FROM hold LIMIT 1").fetchone() is None:
        return "TRUE"
    return FREE.format(table=table)


def hold(
    connection: engine.Connection,
    id: str,
    functions: Sequence[tuple[str, str]],
    *,
    since: float,
    until: float,
    expires_at: float,
    now: float,
    deleting: float,
    max_bytes: int,
) -> tuple[int, int]:
    """Have the records of functions between two times under hold, in place of those of `id`.

    `now` is by the clock that stamps records, `deleting` by the one from which on they hold.
    Returns how many they are, and their bytes. Raises RecorderInputError for what is too much.
    """
    if not deleting < expires_at <= deleting + LONGEST_SECONDS + 60:
        raise RecorderInputError("A hold ends within 90 days, and can be renewed.")
    release(connection, id)
    until = min(until, now)
    number = size = 0
    for project, function in functions:
        for table in (*TABLES, _DENIAL):
            statement = _COUNT.format(table=table, size=BYTES.get(table, "500"))
            rows, its = connection.execute(statement, (project, function, since, until)).fetchone()
            place = (id, project, function, table, since, until, expires_at, rows, its)
            connection.execute(_INSERT, place)
            number, size = number + rows, size + its
    places, whole = connection.execute(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM hold"
    ).fetchone()
    if whole > max_bytes // PART or places > MOST * (len(TABLES) + 1):
        raise RecorderInputError(
            f"Records under hold would have {whole} bytes, of {max_bytes // PART} that they may."
        )
    return number, size


def release(connection: engine.Connection, id: str) -> None:
    """End a hold."""
    connection.execute("DELETE FROM hold WHERE id = ?", (id,))


def expire(connection: engine.Connection, now: float) -> None:
    """End those whose time is over."""
    connection.execute("DELETE FROM hold WHERE expires_at <= ?", (now,))


def without_held(connection: engine.Connection, found: list[Share]) -> list[Share]:
    """Return what owners have beside what is under hold: that is nobody's to give up."""
    held: dict[Place, tuple[int, int]] = {}
    for project, function, kind, number, size in connection.execute(
        "SELECT project, function, kind, sum(number), sum(bytes) FROM hold GROUP BY 1, 2, 3"
    ).fetchall():
        held[project, function, kind] = (number, size)
    if not held:
        return found
    left = []
    for share in found:
        number, size = held.get(share.place, (0, 0))
        number, size = share.number - number, share.bytes - size
        if number > 0 and size > 0:
            left.append(share._replace(number=number, bytes=size))
    return left
