"""A server's lives in a schema's table: who comes with a memory finds what it knows, or refuses.

Before anything is written in a life of a server (`fence.Server`), its first writer adds a row with
a random number, and the transaction at which it begins. So of a remembered life and transaction it
can be told exactly whether they are here: a server that was promoted or restored without them, an
old primary that woke, and a timeline that was made twice all lack one or the other. Positions in
the log do not tell that: they go on with whatever anybody writes.
"""

from __future__ import annotations

import secrets
from typing import Final, NamedTuple

from casemate.postgresql.connection import Connection
from casemate.postgresql.fence import Fence, Memory, Server

KEPT_LIVES: Final = 10_000
"""A node that was away for longer than so many of a server's lives is refused."""
_LIFE_BYTES: Final = 16
_MAKE: Final = """
    CREATE TABLE IF NOT EXISTS casemate_life (
        number INTEGER PRIMARY KEY,
        life BLOB NOT NULL UNIQUE,
        system INTEGER NOT NULL,
        timeline INTEGER NOT NULL,
        started TEXT NOT NULL,
        first INTEGER NOT NULL
    )
"""
_NEWEST: Final = """
    SELECT number, life, system, timeline, started FROM casemate_life ORDER BY number DESC LIMIT 1
"""
_REMEMBERED: Final = """
    SELECT (SELECT min(first) FROM casemate_life AS later WHERE later.number > a.number)
    FROM casemate_life AS a WHERE life = ?
"""
_STATUS: Final = """
    SELECT CASE WHEN ? < CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS INTEGER)
    THEN pg_xact_status(CAST(CAST(CAST(? AS INTEGER) AS TEXT) AS xid8)) ELSE 'not begun' END
"""
_ADD: Final = """
    INSERT INTO casemate_life (number, life, system, timeline, started, first)
    VALUES (?, ?, ?, ?, ?, CAST(CAST(pg_current_xact_id() AS TEXT) AS INTEGER))
"""
_OWN: Final = "SELECT CAST(CAST(pg_current_xact_id() AS TEXT) AS INTEGER)"
_FORGET: Final = "DELETE FROM casemate_life WHERE number <= ?"


class Life(NamedTuple):
    """A row of the table."""

    number: int
    life: bytes
    server: Server


def enter(connection: Connection, fence: Fence, schema: str) -> bytes:
    """Return this life of the server, added where it is new, in a transaction that writes.

    Raises FencedError if the server lacks what `fence` remembers of the schema.
    """
    connection.execute(_MAKE)
    newest = _newest(connection)
    is_known = newest is not None and newest.server == connection.server
    _require(connection, fence, schema, is_known=is_known)
    if newest is not None and is_known:
        return newest.life
    number = newest.number + 1 if newest is not None else 1
    life = secrets.token_bytes(_LIFE_BYTES)
    connection.execute(_ADD, (number, life, *connection.server))
    connection.execute(_FORGET, (number - KEPT_LIVES,))
    return life


def known(connection: Connection, fence: Fence, schema: str) -> bytes | None:
    """Return this life of the server, None if it has to be added; reads only. As `enter`."""
    newest = _newest(connection)
    if newest is None or newest.server != connection.server:
        return None
    _require(connection, fence, schema, is_known=True)
    return newest.life


def _newest(connection: Connection) -> Life | None:
    row = connection.execute(_NEWEST).fetchone()
    if row is None:
        return None
    number, life, *server = row
    return Life(number, bytes(life), Server(*server))


def _require(connection: Connection, fence: Fence, schema: str, *, is_known: bool) -> None:
    server = connection.server
    fence.require(server)
    memory = fence.of(schema)
    if memory is None:
        return
    row = connection.execute(_REMEMBERED, (memory.life,)).fetchone()
    if row is None:
        raise fence.refused(
            server,
            f"{schema} knows nothing of timeline {memory.timeline} as this node has seen it",
        )
    if memory.acknowledged:
        _require_transaction(
            connection, fence, schema, memory, _end_of(connection, row[0], is_known=is_known)
        )


def _end_of(connection: Connection, later: int | None, *, is_known: bool) -> int | None:
    """Return the first transaction that is not of the remembered life, None if none is known."""
    if later is not None or is_known:
        return later
    (number,) = connection.execute(_OWN).fetchone() or (0,)
    return int(number)


def _require_transaction(
    connection: Connection, fence: Fence, schema: str, memory: Memory, end: int | None
) -> None:
    number = memory.acknowledged
    (status,) = connection.execute(_STATUS, (number, number)).fetchone() or (None,)
    if end is not None and number >= end:
        status = "of another"
    if status != "committed":
        raise fence.refused(
            connection.server,
            f"transaction {number} of {schema}, acknowledged on timeline {memory.timeline}, is "
            f"{status or 'too old to be known'} here",
        )
