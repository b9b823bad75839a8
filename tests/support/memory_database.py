"""Databases of SQLite in memory, each with tables that were made once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache


def _connected() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


@cache
def _made(statements: tuple[str, ...]) -> bytes:
    with closing(_connected()) as connection:
        for statement in statements:
            connection.execute(statement)
        return connection.serialize()


def in_memory(statements: tuple[str, ...]) -> sqlite3.Connection:
    """Return a new one after these statements: hundreds of tests ask for the same tables."""
    connection = _connected()
    connection.deserialize(_made(statements))
    return connection
