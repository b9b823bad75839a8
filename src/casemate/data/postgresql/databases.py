"""Where the projects of a cluster are: a schema for each, and one that says which there are."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final, NamedTuple

from casemate.blobs import Blobs
from casemate.data.errors import DataForeignError, DataMediumError
from casemate.data.files import ObjectFiles
from casemate.data.limits import DataOptions, require_project
from casemate.data.postgresql import catalogue
from casemate.data.postgresql.binding import Binding, bind, require_bound
from casemate.data.postgresql.clock import ServerClock
from casemate.data.postgresql.faults import SHARED
from casemate.data.postgresql.project import PostgresqlProject
from casemate.data.postgresql.schema import MIGRATIONS
from casemate.data.postgresql.sealing import Sealer
from casemate.data.postgresql.terms import Shared
from casemate.data.reading import ReadThreads
from casemate.data.terms import Holder
from casemate.postgresql import session
from casemate.postgresql.connection import Connection as ServerConnection
from casemate.postgresql.connections import Connections, Place
from casemate.postgresql.errors import FencedError
from casemate.postgresql.fence import Fence
from casemate.postgresql.migrating import Identity
from casemate.postgresql.settings import Settings
from casemate.sqlite.engine import Connection
from casemate.sqlite.transaction import transaction
from casemate.vault.interface import DataKey

PROJECTS, PROJECT = "projects", "project"
"""The kinds of both schemas."""
_LONGEST: Final = 61
_HASHED: Final = 40
_MOVED: Final = 32


class Cluster(NamedTuple):
    """Where the data of a cluster is, whose it is, and which of its nodes this is."""

    settings: Settings
    name: str
    holder: Holder
    fence: Fence | None = None
    """What this node remembers of the database, as for `PostgresqlStore.open`."""
    binding: Binding = Binding()
    """Which of the cluster's databases it is."""
    moves: Callable[[str], int | None] = lambda _: 0
    """How often a project has moved that lives there; None: it lives elsewhere. Any thread."""


class FoundSchema(NamedTuple):
    """A project's schema. Which keys it needs is found in what is read."""

    schema: str
    version: int | None = None


class PostgresqlDatabases:
    """The projects of a cluster."""

    in_network = True

    def __init__(
        self, cluster: Cluster, blobs: Callable[[str], Blobs], options: DataOptions
    ) -> None:
        """Connect. Blocks. Raises as `casemate.postgresql` does for a server that is not fit.

        `blobs` opens the place of a project's large objects, which all nodes see.
        """
        self._cluster = cluster
        self._blobs = blobs
        self._options = options
        self._fence = cluster.fence or Fence()
        self._clock = ServerClock()
        self.tell_others: Callable[[str, set[tuple[str, str]]], None] = lambda _, __: None
        """Has the other nodes told of what may be leased in a project. Any thread."""
        self.older: dict[str, dict[int, DataKey]] = {}
        """Versions of projects' DATA keys that were needed once, beside the newest."""
        self._catalogue = Connections(self.catalogue, SHARED)
        # Made, or found to be another's, before anything is asked of it.
        try:
            connection = self._catalogue.open_writer()
        except DataMediumError as error:
            if isinstance(error.__cause__, FencedError):
                self._require_bound()
            raise
        try:
            with transaction(connection, SHARED):
                bind(connection, cluster.binding)
        finally:
            self._catalogue.end(connection)

    @property
    def catalogue(self) -> Place:
        """Where it is kept which projects and nodes there are."""
        return self._place(catalogue.SCHEMA, PROJECTS, catalogue.MIGRATIONS)

    def _place(self, schema: str, kind: str, migrations: tuple[tuple[str, ...], ...]) -> Place:
        identity = Identity(schema, kind, self._cluster.name)
        return place_of(self._cluster.settings, identity, migrations, self._fence)

    def _require_bound(self) -> None:
        """Say so if what lacks something is another database of the cluster."""
        found = session.connected(self._cluster.settings, catalogue.SCHEMA)
        connection = ServerConnection(found, 0)
        try:
            with SHARED.translated():
                require_bound(connection.as_engine(), self._cluster.binding)
        finally:
            connection.close()

    def files_of(self, name: str) -> ObjectFiles:
        """Return the files of a project's objects."""
        return ObjectFiles(self._blobs(name))

    def find(self, name: str) -> FoundSchema | None:
        """Return a project's schema."""
        require_project(name)

        def ask(connection: Connection) -> tuple[str, int] | None:
            return connection.execute(  # type: ignore[no-any-return]
                "SELECT schema, moves FROM project WHERE name = ?", (name,)
            ).fetchone()

        row, moves = self._catalogue.read(ask), self._cluster.moves(name)
        if moves is None or (row is None and moves):
            raise self._elsewhere(name, "does not live in" if moves is None else "is gone from")
        if row is None:
            return None
        if row[1] != moves:
            raise self._elsewhere(
                name, f"has moved {moves} times, and {row[1]} times by what is said in"
            )
        self.require_own(name, row[0], moves)
        return FoundSchema(row[0])

    def require_own(self, project: str, schema: str, moves: int) -> None:
        """Refuse a schema that was never this project's, whoever says that it is."""
        number, _, rest = schema.partition("_")
        attempt = rest.partition("_")[0]
        moved = number[1:].isdigit() and 0 < int(number[1:6]) <= moves
        if schema != schema_of(project, int(number[1:6]) if moved else 0, attempt):
            raise self._elsewhere(project, f"has no schema {schema[:80]!r}, as is said in")

    def _elsewhere(self, project: str, how: str) -> DataForeignError:
        return DataForeignError(
            f"The project {project} {how} the database {self._cluster.binding.name}.",
            next_step="If the database was restored to an older moment: docs/howto/run-many-nodes."
            "md says what to do. Nothing was changed.",
        )

    def has(self, name: str) -> bool:
        """Tell whether a project is there that has never moved. Blocks."""
        statement = "SELECT count(*) FROM project WHERE name = ? AND moves = 0 AND schema = ?"
        (found,) = self._catalogue.read(
            lambda c: c.execute(statement, (name, schema_of(name))).fetchone()
        )
        return bool(found)

    def catalogue_writer(self) -> ServerConnection:
        """Return a connection of its own to the schema that says which projects there are."""
        return self._catalogue.own(self._catalogue.open_writer())

    def project_place(self, schema: str, kind: str) -> Place:
        """Return where a project's schema is."""
        return self._place(schema, kind, MIGRATIONS)

    def projects(self) -> list[str]:
        """Return the projects that have data, sorted. Blocks."""
        statement = "SELECT name, moves FROM project ORDER BY name"
        found = self._catalogue.read(lambda c: c.execute(statement).fetchall())
        return [name for name, moves in found if moves == self._cluster.moves(name)]

    def sizes(self) -> dict[str, int]:
        """Return how many bytes each project keeps. Blocks."""
        statement = "SELECT name, moves, kept_bytes(schema) FROM project ORDER BY name"
        found = self._catalogue.read(lambda c: c.execute(statement).fetchall())
        return {name: size for name, moves, size in found if moves == self._cluster.moves(name)}

    def load(
        self,
        name: str,
        found: FoundSchema | None,
        page_key: DataKey,
        object_key: DataKey,
        *,
        reads: ReadThreads,
        ready: Callable[[str, set[tuple[str, str]]], None],
    ) -> PostgresqlProject:
        """Open a project, in a new schema if `found` is None."""
        require_project(name)
        if self._cluster.moves(name) is None:
            raise self._elsewhere(name, "does not live in")
        schema = schema_of(name) if found is None else found.schema
        shared = Shared(Sealer(name, page_key), self._cluster.holder, self._clock)
        for key in self.older.get(name, {}).values():
            shared.sealer.add(key)
        files = self.files_of(name)

        def announce(project: str, hints: set[tuple[str, str]]) -> None:
            ready(project, hints)
            self.tell_others(project, hints)

        try:
            project = PostgresqlProject(
                name,
                self._place(schema, PROJECT, MIGRATIONS),
                shared,
                object_key,
                files=files,
                reads=reads,
                options=self._options,
                ready=announce,
            )
        except BaseException:
            files.close()
            raise
        if found is None:
            try:
                self._register(name, schema)
            except BaseException:
                project.abandon()
                files.close()
                raise
        return project

    def _register(self, name: str, schema: str) -> None:
        connection = self._catalogue.open_writer()
        try:
            with transaction(connection, SHARED):
                connection.execute(
                    "INSERT INTO project (name, schema) VALUES (?, ?) "
                    "ON CONFLICT (name) DO NOTHING",
                    (name, schema),
                )
                there = "SELECT schema FROM project WHERE name = ?"
                if connection.execute(there, (name,)).fetchone() != (schema,):
                    # Or what is kept in it from now on would be left behind.
                    raise self._elsewhere(name, "is being moved from")
        finally:
            self._catalogue.end(connection)

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with the server, in words."""
        return self._catalogue.faults()

    def close(self) -> None:
        """Close the connections that all projects share."""
        self._catalogue.close()


def schema_of(project: str, moves: int = 0, attempt: str = "") -> str:
    """Return the name of a project's schema; no two projects have one.

    After a move it is another one: what nodes remember of a schema is of one stay alone, and what
    an interrupted move has left is not taken for whole by another one.
    """
    if moves:
        return f"m{moves}_{attempt}_{sha256(project.encode()).hexdigest()[:_MOVED]}"
    if len(project) <= _LONGEST:
        return f"p_{project.replace('-', '_')}"  # names of projects have no underscore
    return f"q_{sha256(project.encode()).hexdigest()[:_HASHED]}"


def place_of(
    settings: Settings,
    identity: Identity,
    migrations: tuple[tuple[str, ...], ...],
    fence: Fence,
) -> Place:
    """Return where one of the schemas is."""
    return Place(
        settings=settings,
        identity=identity,
        lock=lock_of(identity.schema),
        migrations=migrations,
        foreign=DataForeignError,
        fence=fence,
    )


def lock_of(schema: str) -> int:
    """Return the number of the lock that who writes a schema takes."""
    digest = sha256(b"casemate schema " + schema.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
