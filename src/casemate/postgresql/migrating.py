"""Whose a schema is, and how one version of its tables becomes the next: under a lock, or not.

The schema's own table `casemate_schema` has one row: the kind of data, the cluster, the version,
and the least version that a program has to know to use it. So nodes of two releases serve together
while one after the other is upgraded: the newer one's first start adds what it needs (`Expanding`),
and what the older one needs is taken away by a release after that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from casemate.postgresql import lives
from casemate.postgresql.connection import Connection
from casemate.postgresql.errors import ForeignSchemaError, SchemaVersionError
from casemate.postgresql.fence import Fence
from casemate.postgresql.functions import FUNCTIONS
from casemate.sqlite import engine

_EXISTS = "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = ?"
_TABLES = """
    SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace(?)
    AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') ORDER BY relname LIMIT 5
"""
_MAKE = """
    CREATE TABLE casemate_schema (
        one INTEGER NOT NULL UNIQUE CHECK (one = 1),
        kind TEXT NOT NULL,
        cluster TEXT NOT NULL,
        version INTEGER NOT NULL,
        least INTEGER NOT NULL
    )
"""
_UNLIKE = tuple(f"SQLSTATE {code}" for code in ("42701", "42710", "42P07"))
"""What a migration makes is there: a column, a constraint, a table."""
_READ = "SELECT kind, cluster, version, least FROM casemate_schema"


UNFINISHED, MOVED = "unfinished", "moved"
"""Before the kind of a schema: something is being moved there, or was moved away. No node opens it
then, whatever its release: it is of another kind than expected."""
_TOLD = {
    UNFINISHED: (
        "is being moved there, and not whole yet",
        "Finish it with the same casemate store migrate as before.",
    ),
    MOVED: (
        "was moved away from there",
        "Start the node where it was moved to.",
    ),
}


class Own(str):
    """A statement in PostgreSQL's own words, which is not translated."""

    __slots__ = ()


class Expanding(tuple[str, ...]):
    """A migration that only adds: a program that does not know it serves on as before."""

    __slots__ = ()


class Versions(NamedTuple):
    """What a schema is, and the least that has to be known to use it."""

    newest: int
    least: int

    def serves(self, known: int) -> bool:
        """Tell whether a program may use it that knows so many migrations."""
        return self.least <= known <= self.newest


class Identity(NamedTuple):
    """What a schema is, and of which cluster: what two clusters must not have in common."""

    schema: str
    kind: str
    cluster: str


def migrate(
    connection: Connection, identity: Identity, migrations: Sequence[Sequence[str]], fence: Fence
) -> bytes:
    """Bring a schema up to `len(migrations)`, in one transaction: wholly or not at all.

    It is made if it is not there. Who starts at the same time waits. Returns the server's life.
    Raises ForeignSchemaError for a schema of others, SchemaVersionError for a newer one,
    FencedError for one that lacks what `fence` remembers; then nothing was changed.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _require_ours(connection, identity)
        life = lives.enter(connection, fence, identity.schema)
        version = found.newest
        if version > len(migrations) and not found.serves(len(migrations)):
            raise SchemaVersionError(
                f"The schema {identity.schema} has version {version}; this Casemate knows up to "
                f"{len(migrations)}, and {found.least} at least is needed.",
                next_step="Start the Casemate that wrote it or a newer one; nothing was changed.",
            )
        if version < len(migrations):
            try:
                _bring_forward(connection, found, migrations)
            except engine.OperationalError as error:
                if error.sqlite_errorname not in _UNLIKE:
                    raise
                raise _unlike(identity.schema, version) from error
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return life


class Found(NamedTuple):
    """What a schema says of itself."""

    kind: str
    cluster: str


def found_in(connection: Connection, schema: str) -> Found | None:
    """Return what a schema says of itself; None for one that is none of ours, or not there."""
    exists = connection.execute(
        "SELECT to_regclass(?) IS NOT NULL", (f"{schema}.casemate_schema",)
    ).fetchone()
    if exists != (1,):
        return None
    rows = connection.execute(_READ).fetchall()
    return Found(str(rows[0][0]), str(rows[0][1])) if rows else None


def require_same(connection: Connection, identity: Identity, version: int, fence: Fence) -> bytes:
    """Raise unless a schema can still be used, such as after a connection was lost.

    It may be newer meanwhile, if what it has got only adds.

    Returns the server's life, which is added to the schema where it is new. Raises FencedError.
    """
    found = _require_ours(connection, identity, make=False)
    if not found.serves(version):
        raise SchemaVersionError(
            f"The schema {identity.schema} has version {found.newest} now, and needs "
            f"{found.least} at least; expected {version}.",
            next_step="Start the newest Casemate that any node of the cluster has.",
        )
    life = lives.known(connection, fence, identity.schema)
    if life is not None:
        return life
    connection.execute("BEGIN IMMEDIATE")
    try:
        life = lives.enter(connection, fence, identity.schema)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return life


def _require_ours(connection: Connection, identity: Identity, *, make: bool = True) -> Versions:
    tables = [row[0] for row in connection.execute(_TABLES, (identity.schema,))]
    exists = connection.execute(
        "SELECT to_regclass(?) IS NOT NULL", (f"{identity.schema}.casemate_schema",)
    ).fetchone()
    if exists == (1,):
        (row,) = connection.execute(_READ).fetchall() or [("nothing", "nobody", 0, 0)]
        kind, cluster, version, least = row
        state, _, moved = str(kind).partition(" ")
        if (moved, cluster) == (identity.kind, identity.cluster) and state in _TOLD:
            raise ForeignSchemaError(
                f"What the schema {identity.schema} is to hold {_TOLD[state][0]}.",
                next_step=_TOLD[state][1],
            )
        if (kind, cluster) != (identity.kind, identity.cluster):
            raise ForeignSchemaError(
                f"The schema {identity.schema} holds the {str(kind)[:40]} of the cluster "
                f"{str(cluster)[:80]!r}; expected the {identity.kind} of {identity.cluster!r}.",
                next_step="Give each cluster a database of its own; nothing was changed.",
            )
        if not 0 <= int(least) <= int(version):
            raise _unlike(identity.schema, int(version))
        return Versions(int(version), int(least))
    if tables or not make:
        raise ForeignSchemaError(
            f"The schema {identity.schema} was not made by Casemate: it has "
            f"{', '.join(map(str, tables)) or 'nothing'}.",
            next_step="Give Casemate a database of its own; nothing was changed.",
        )
    _make(connection, identity)
    return Versions(0, 0)


def _unlike(schema: str, version: int) -> ForeignSchemaError:
    return ForeignSchemaError(
        f"The schema {schema} says that it has version {version}, and is not like that version.",
        next_step="Somebody has changed it: restore it from a backup; nothing was changed.",
    )


def _make(connection: Connection, identity: Identity) -> None:
    (exists,) = connection.execute(_EXISTS, (identity.schema,)).fetchone() or (0,)
    if not exists:
        # The name was looked at when the connection was opened.
        connection.execute(f"CREATE SCHEMA {identity.schema}")
    connection.execute(_MAKE)
    connection.execute(
        "INSERT INTO casemate_schema (one, kind, cluster, version, least) VALUES (1, ?, ?, 0, 0)",
        (identity.kind, identity.cluster),
    )


def _bring_forward(
    connection: Connection, found: Versions, migrations: Sequence[Sequence[str]]
) -> None:
    least = found.least
    for statement in FUNCTIONS:
        connection.define(statement)
    for number, statements in enumerate(migrations[found.newest :], found.newest + 1):
        if not isinstance(statements, Expanding):
            least = number
        for statement in statements:
            if isinstance(statement, Own):
                connection.define(statement)
            else:
                connection.execute(statement)
    connection.execute(
        "UPDATE casemate_schema SET version = ?, least = ?", (len(migrations), least)
    )
