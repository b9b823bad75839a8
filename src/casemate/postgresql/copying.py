"""Copying rows of a table as they are kept, piece by piece, with a digest of all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import psycopg

from casemate.postgresql import faults
from casemate.postgresql.connection import Connection

TABLES: Final = """
    SELECT c.relname, (
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname)
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ), (
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname)
        FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = c.oid
        AND i.indisprimary
    )
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ? AND c.relkind = 'r' ORDER BY c.relname
"""
SEQUENCES: Final = """
    SELECT c.relname FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ? AND c.relkind = 'S' ORDER BY c.relname
"""


class Table(NamedTuple):
    """A table, its columns and those that order its rows, as they stand in statements."""

    name: str
    columns: str
    order: str


def tables_of(connection: Connection, schema: str) -> list[Table]:
    """Return the tables of a schema; all columns order the rows of one without a primary key."""
    rows = connection.execute(TABLES, (schema,)).fetchall()
    return [Table(str(n), str(columns), str(key or columns)) for n, columns, key in rows]


def pieces_of(connection: Connection, schema: str, table: Table) -> Iterator[bytes]:
    """Give the rows of a table in their order, in the server's binary form."""
    statement = (
        f"COPY (SELECT {table.columns} FROM {schema}.{table.name} ORDER BY {table.order}) "  # noqa: S608
        "TO STDOUT (FORMAT binary)"
    )
    try:
        with connection.raw.cursor().copy(statement.encode()) as copy:
            for piece in copy:
                yield bytes(piece)
    except psycopg.Error as error:
        raise faults.told(error, lost=connection.has_ended()) from error


def take(connection: Connection, schema: str, table: Table, pieces: Iterator[bytes]) -> None:
    """Add rows to a table."""
    statement = f"COPY {schema}.{table.name} ({table.columns}) FROM STDIN (FORMAT binary)"
    try:
        with connection.raw.cursor().copy(statement.encode()) as copy:
            for piece in pieces:
                copy.write(piece)
    except psycopg.Error as error:
        raise faults.told(error, lost=connection.has_ended()) from error


class Digest:
    """Of the rows of some tables, in their order."""

    def __init__(self) -> None:
        """Of none yet."""
        self._hash = hashlib.sha256()

    def passing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Give on what comes, and count it in."""
        for piece in pieces:
            self._hash.update(piece)
            yield piece

    def hex(self) -> str:
        """Return it."""
        return self._hash.hexdigest()


def digest_of(connection: Connection, schema: str, tables: Sequence[Table]) -> str:
    """Return the digest of what is in tables."""
    digest = Digest()
    for table in tables:
        for _ in digest.passing(pieces_of(connection, schema, table)):
            pass
    return digest.hex()
