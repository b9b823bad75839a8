"""Moving one project from one database of a cluster to another: the steps, each of them blocking.

(1) The control store says that it moves: nobody begins to use it any more.
(2) `close_origin`: its schema gets another name, under its lock. Whoever still has it open, on
    whatever node, is answered an error from then on; what was acknowledged before is in it.
(3) `copy`: rows as they are sealed, in one transaction of the target, compared by a digest.
(4) The control store says that it lives there.
(5) `drop_origin`.

Whatever dies in between, the control store names one database, and the schema there is whole or not
to be used; the same again goes on where it ended. `reopen_origin` goes back before (4). Each move
has a number that only goes up, which both databases know: who wakes up late finds a higher one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from typing import Final

from casemate.data.errors import DataCorruptError, DataForeignError
from casemate.data.postgresql.databases import PROJECT, PostgresqlDatabases, lock_of, schema_of
from casemate.data.postgresql.faults import SHARED
from casemate.postgresql.connection import Connection
from casemate.postgresql.connections import Connections
from casemate.postgresql.copying import SEQUENCES, Digest, digest_of, pieces_of, tables_of, take
from casemate.postgresql.migrating import UNFINISHED
from casemate.sqlite.transaction import transaction

_NOT_COPIED: Final = frozenset({"casemate_schema", "casemate_life"})
"""What is of a schema, and not of the project in it."""
_ROW: Final = "SELECT schema, moves FROM casemate_projects.project WHERE name = ?"
_LONG: Final = (
    "SET LOCAL statement_timeout = '1h'; SET LOCAL idle_in_transaction_session_timeout = '120s'"
)


def away_of(project: str, moves: int) -> str:
    """Return what a project's schema is called from when it is closed until it is dropped."""
    return f"away{moves}_{sha256(project.encode()).hexdigest()[:40]}"


class Move:
    """Of one project, the one after so many `moves`, between two databases."""

    def __init__(
        self,
        project: str,
        moves: int,
        attempt: str,
        origin: PostgresqlDatabases,
        target: PostgresqlDatabases,
    ) -> None:
        """Do nothing yet."""
        self._project = project
        self._moves = moves
        self._schema = schema_of(project, moves + 1, attempt)
        self._origin = origin
        self._target = target
        self._away = away_of(project, moves)

    # -- the origin ----------------------------------------------------------------------------

    def close_origin(self) -> None:
        """Have nobody use it any more where it is, nor make it there."""
        with closing(self._origin.catalogue_writer()) as catalogue, SHARED.translated():
            row = catalogue.execute(_ROW, (self._project,)).fetchone()
            schema, moves = (self._away, self._moves) if row is None else row
            if schema != self._away and moves == self._moves:
                self._bring_forward(schema)
            with transaction(catalogue.as_engine(), SHARED):
                self._lock(catalogue, schema)
                if catalogue.execute(_ROW, (self._project,)).fetchone() != row:
                    raise self._overtaken()
                if moves != self._moves:
                    raise self._overtaken()
                if schema != self._away:
                    self._origin.require_own(self._project, schema, self._moves)
                    catalogue.define(f"ALTER SCHEMA {schema} RENAME TO {self._away}")
                self._name(catalogue, self._away, self._moves)

    def reopen_origin(self) -> None:
        """Have it used where it was, by a number of its own: nobody goes on with this move."""
        schema = self._schema
        with closing(self._origin.catalogue_writer()) as catalogue, SHARED.translated():
            row = catalogue.execute(_ROW, (self._project,)).fetchone()
            closed = row is None or (row[0], row[1]) == (self._away, self._moves)
            if closed and not self._has_data(catalogue):
                self._bring_forward(schema)  # an empty one
            with transaction(catalogue.as_engine(), SHARED):
                row = catalogue.execute(_ROW, (self._project,)).fetchone()
                if row is not None and tuple(row) == (schema, self._moves + 1):
                    return
                if row is not None and row[1] != self._moves:
                    raise self._overtaken()
                if row is not None and row[0] != self._away:
                    # It was not closed. By a name that no node remembers anything of.
                    self._lock(catalogue, row[0])
                    self._origin.require_own(self._project, row[0], self._moves)
                    catalogue.define(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
                    catalogue.define(f"ALTER SCHEMA {row[0]} RENAME TO {schema}")
                elif self._has_data(catalogue):
                    catalogue.define(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
                    catalogue.define(f"ALTER SCHEMA {self._away} RENAME TO {schema}")
                self._name(catalogue, schema, self._moves + 1)

    def _has_data(self, connection: Connection) -> bool:
        there = connection.execute(
            "SELECT to_regclass(?) IS NOT NULL", (f"{self._away}.casemate_schema",)
        ).fetchone()
        return there == (1,)

    def drop_origin(self) -> None:
        """Delete what was copied. That it was there once stays on record."""
        with closing(self._origin.catalogue_writer()) as catalogue, SHARED.translated():
            catalogue.define(f"DROP SCHEMA IF EXISTS {self._away} CASCADE")

    def _bring_forward(self, schema: str) -> None:
        """Have both schemas be of this release."""
        place = self._origin.project_place(schema, PROJECT)
        with closing(Connections(place, SHARED)) as connections:
            connections.end(connections.open_writer())

    # -- the target ----------------------------------------------------------------------------

    def copy(self) -> None:
        """Have all of it in the target, whole and compared, or nothing that anybody would use."""
        schema = self._schema
        if self._make_room(schema):
            return
        place = self._target.project_place(schema, f"{UNFINISHED} {PROJECT}")
        with closing(Connections(place, SHARED)) as connections:
            writer = connections.open_writer()
            try:
                with self._read() as origin, transaction(writer, SHARED):
                    self._copy(origin, connections.own(writer), schema)
            finally:
                connections.end(writer)

    def _make_room(self, schema: str) -> bool:
        """Drop what an earlier try has left; tell whether it was done to the end already."""
        with (
            closing(self._target.catalogue_writer()) as catalogue,
            transaction(catalogue.as_engine(), SHARED),
        ):
            self._lock(catalogue, schema)
            row = catalogue.execute(_ROW, (self._project,)).fetchone()
            if row is not None and tuple(row) == (schema, self._moves + 1):
                return True
            if row is not None and row[1] > self._moves:
                raise self._overtaken()
            catalogue.define(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        return False

    def _copy(self, origin: Connection, target: Connection, schema: str) -> None:
        target.define(_LONG)
        row = target.execute(_ROW, (self._project,)).fetchone()
        if row is not None and row[1] > self._moves:
            raise self._overtaken()
        if not self._has_data(origin):
            target.execute("UPDATE casemate_schema SET kind = ?", (PROJECT,))
            self._name(target, schema, self._moves + 1)
            return
        tables = [one for one in tables_of(target, schema) if one.name not in _NOT_COPIED]
        there = [one for one in tables_of(origin, self._away) if one.name not in _NOT_COPIED]
        if tables != there:
            raise DataForeignError(
                f"The project {self._project} has other tables than this Casemate makes.",
                next_step="Have all nodes be of one release before a project is moved.",
            )
        digest = Digest()
        for table in tables:
            target.define(f"ALTER TABLE {schema}.{table.name} DISABLE TRIGGER USER")
            target.define(f"TRUNCATE {schema}.{table.name}")
            pieces = pieces_of(origin, self._away, table)
            take(target, schema, table, digest.passing(pieces))
            target.define(f"ALTER TABLE {schema}.{table.name} ENABLE TRIGGER USER")
        for (name,) in origin.execute(SEQUENCES, (self._away,)).fetchall():
            statement = f"SELECT last_value, is_called FROM {self._away}.{name}"  # noqa: S608
            last, called = origin.execute(statement).fetchone() or (1, 0)
            target.execute(
                "SELECT setval(CAST(CAST(? AS TEXT) AS regclass), CAST(? AS INTEGER), "
                "CAST(? AS INTEGER) = 1)",
                (f"{schema}.{name}", last, called),
            )
        if digest_of(target, schema, tables) != digest.hex():
            raise DataCorruptError(
                f"What was copied of the project {self._project} is not what is there.",
                next_step="Look into the logs of both database servers. Nothing was changed.",
            )
        target.execute("UPDATE casemate_schema SET kind = ?", (PROJECT,))
        self._name(target, schema, self._moves + 1)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """Give one state of the origin, which nobody changes any more."""
        with closing(self._origin.catalogue_writer()) as connection, SHARED.translated():
            connection.execute("BEGIN")
            connection.define(_LONG)
            yield connection
            connection.execute("ROLLBACK")

    # -- both ----------------------------------------------------------------------------------

    def _name(self, connection: Connection, schema: str, moves: int) -> None:
        connection.execute(
            "INSERT INTO casemate_projects.project (name, schema, moves) VALUES (?, ?, ?) "
            "ON CONFLICT (name) DO UPDATE SET schema = excluded.schema, moves = excluded.moves",
            (self._project, schema, moves),
        )

    def _lock(self, connection: Connection, schema: str) -> None:
        connection.execute("SELECT CAST(pg_advisory_xact_lock(?) AS TEXT)", (lock_of(schema),))

    def _overtaken(self) -> DataForeignError:
        return DataForeignError(
            f"The project {self._project} has been moved by somebody else meanwhile, or the "
            "control store was put back to before it was.",
            next_step="Look where it is: casemate nodes ls. Nothing was changed.",
        )
