"""A database server and a store of blobs as a place to move from and to.

While something is moved there, and once it was moved away, each schema says that it is of another
kind: no node opens it. Whoever moves holds the locks that nodes take for each change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from typing import Final

from casemate.blobs import Blobs
from casemate.data.files import ObjectFiles
from casemate.data.postgresql import catalogue
from casemate.data.postgresql.clock import ServerClock
from casemate.data.postgresql.databases import PROJECT, PROJECTS, place_of, schema_of
from casemate.data.postgresql.faults import SHARED
from casemate.data.postgresql.project import ProjectConnections
from casemate.data.postgresql.schema import MIGRATIONS
from casemate.data.postgresql.sealing import Sealer
from casemate.data.postgresql.terms import Shared
from casemate.data.terms import Holder, terms_of
from casemate.migration.contents import Contents
from casemate.migration.errors import InUseError, MigrationError, TakenError
from casemate.migration.forms import PlainForm, PostgresqlForm
from casemate.migration.one_database import require_one_database
from casemate.migration.parts import Part, PostgresqlPart
from casemate.migration.place import Bundle, Keys, ProjectParts, Told
from casemate.migration.tables import CONTROL
from casemate.model.errors import NotFoundError
from casemate.operations.deployments import ForgetFunction
from casemate.postgresql import session
from casemate.postgresql.connection import Connection
from casemate.postgresql.connections import Connections, Place
from casemate.postgresql.fence import Fence
from casemate.postgresql.migrating import (
    MOVED,
    UNFINISHED,
    Found,
    Identity,
    found_in,
    migrate,
)
from casemate.postgresql.settings import Settings
from casemate.sqlite import engine
from casemate.sqlite.transaction import transaction
from casemate.store.bundle_rows import BundleRow
from casemate.store.postgresql import exclusive
from casemate.store.postgresql import store as control_store
from casemate.store.postgresql.faults import STORE_SERVER
from casemate.store.postgresql.proofs import MissingProofKeyError, Proofs, SeenFile
from casemate.vault.interface import DataKey, Purpose

_MOVER: Final = Holder("migration", "0")
_ALIVE_SECONDS: Final = 20.0
"""A node that was seen so long ago may serve yet."""
_PIECE: Final = 4 << 20
_SEEN: Final = """
    SELECT name FROM node
    WHERE seen_at > CAST(extract(epoch FROM clock_timestamp()) AS REAL) - ? ORDER BY name LIMIT 3
"""
_PROJECT_SEEN: Final = """
    SELECT node FROM holder
    WHERE seen_at > CAST(extract(epoch FROM clock_timestamp()) AS REAL) - ? LIMIT 1
"""
_HOLD_SECONDS: Final = 1.0
OpenBlobs = Callable[[str], Blobs]
"""Opens the blobs of a kind, such as `objects/shop`."""


class PostgresqlState:
    """What source and target have in common."""

    def __init__(
        self, settings: Settings, cluster: str, blobs: OpenBlobs, keys: Keys, told: Told
    ) -> None:
        """Connect, and be the only one that moves. Raises as `casemate.postgresql` does."""
        hosts = ",".join(str(host) for host in settings.hosts)
        self.place = f"postgresql://{hosts}/{settings.database}"
        self._settings = settings
        self._cluster = cluster
        self._blobs = blobs
        self._keys = keys
        self._told = told
        self._memory = Fence()
        self._opened = ExitStack()
        # Holds locks as long as it is open, and is asked what schemas say of themselves.
        with STORE_SERVER.translated():
            found = session.connected(settings, control_store.SCHEMA, self._memory)
        self._fence = Connection(found, self._control_place(control_store.KIND).lock)
        self._opened.callback(self._fence.close)
        try:
            self._hold(self._control_place(control_store.KIND))
        except BaseException:
            self._opened.close()
            raise

    def close(self) -> None:
        """Let go of locks and connections."""
        self._opened.close()

    def _hold(self, place: Place) -> None:
        # A server lets go of what a connection held a moment after that was closed.
        until = time.monotonic() + _HOLD_SECONDS
        while not self._holds(place):
            if time.monotonic() > until:
                raise InUseError(
                    f"Somebody else writes {place.identity.schema} at the moment.",
                    next_step="Stop all nodes that share it, and other moves.",
                )
            time.sleep(_HOLD_SECONDS / 20)

    def _holds(self, place: Place) -> bool:
        with STORE_SERVER.translated():
            held = self._fence.execute("SELECT pg_try_advisory_lock(?)", (place.lock,)).fetchone()
        return held == (1,)

    def _control_place(self, kind: str) -> Place:
        identity = Identity(control_store.SCHEMA, kind, self._cluster)
        return control_store.place_of(self._settings, identity, self._memory)

    def _proofs(self) -> Proofs:
        return Proofs(self._keys("", Purpose.PROOFS, None), SeenFile())

    def _catalogue_place(self, kind: str) -> Place:
        return place_of(
            self._settings,
            Identity(catalogue.SCHEMA, kind, self._cluster),
            catalogue.MIGRATIONS,
            self._memory,
        )

    def _project_place(self, name: str, kind: str) -> Place:
        identity = Identity(schema_of(name), kind, self._cluster)
        # Nothing is remembered of it: an earlier try's schema is dropped, and made anew.
        return place_of(self._settings, identity, MIGRATIONS, Fence())

    def _found(self, schema: str) -> Found | None:
        with STORE_SERVER.translated():
            return found_in(self._fence, schema)

    def _require_cluster(self, found: Found) -> None:
        if found.cluster != self._cluster:
            raise TakenError(
                f"{self.place} holds the state of the cluster {found.cluster[:64]!r}; this vault "
                f"is that of {self._cluster!r}. Nothing was changed.",
                next_step="Give the data folder whose vault belongs to it, or another database.",
            )

    def _names(self, connection: engine.Connection) -> list[str]:
        return [row[0] for row in connection.execute("SELECT name FROM project ORDER BY name")]

    def _blobs_of(self, project: str) -> Blobs:
        return self._blobs(f"objects/{project}")

    @contextmanager
    def _parts(
        self,
        name: str,
        place: Place,
        tokens: bytes | None,
        connect: Callable[[Connections], engine.Connection],
    ) -> Iterator[ProjectParts]:
        def key_of(version: int) -> DataKey:
            return self._keys(name, Purpose.DATA, version)

        shared = Shared(Sealer(name, self._keys(name, Purpose.DATA, None)), _MOVER, ServerClock())
        connections = ProjectConnections(place, shared)
        with closing(connections), closing(connect(connections)) as connection:
            form = PostgresqlForm(terms_of(connection), shared, key_of, name)
            shared.tokens = tokens if tokens is not None else _tokens(connection, form, name)
            files = ObjectFiles(self._blobs_of(name))
            with closing(files):
                contents = Contents(
                    name,
                    files,
                    lambda version: self._keys(name, Purpose.OBJECTS, version),
                    self._told,
                )
                part = PostgresqlPart(connection, form, SHARED, f"the project {name}")
                yield ProjectParts(part, contents, shared.tokens)

    def _bundles(self, connection: engine.Connection) -> dict[str, BundleRow]:
        rows = connection.execute("SELECT digest, blob, size, at FROM bundle ORDER BY digest")
        return {row[0]: BundleRow(*row) for row in rows}

    def _bundle_pieces(self, row: BundleRow) -> Iterator[bytes]:
        with closing(self._blobs("bundles")) as blobs:
            for offset in range(0, row.size, _PIECE):
                length = min(_PIECE, row.size - offset)
                self._told(length)
                yield blobs.read(row.blob, row.size, offset, length)


class PostgresqlSource(PostgresqlState):
    """What is moved away from a server. Satisfies `casemate.migration.place.Source`."""

    def __init__(
        self,
        settings: Settings,
        cluster: str,
        blobs: OpenBlobs,
        keys: Keys,
        told: Told,
        *,
        resumes: bool,
    ) -> None:
        """See above. With `resumes` also what is marked as moved away already is read."""
        super().__init__(settings, cluster, blobs, keys, told)
        try:
            found = self._found(control_store.SCHEMA)
            if found is None:
                raise MigrationError(
                    f"{self.place} has no state of a cluster: there is nothing to be moved.",
                    next_step="Name the database that `casemate serve --store` was given.",
                )
            self._require_cluster(found)
            self._state = f"{MOVED} " if found.kind.startswith(MOVED) and resumes else ""
            self._control = self._reader(
                Connections(self._control_place(self._state + control_store.KIND), STORE_SERVER)
            )
            self._require_stopped(self._control)
            self._require_proved(self._control)
            self._catalogue = self._reader(
                Connections(self._catalogue_place(self._state + PROJECTS), SHARED)
            )
            require_one_database(self._control, self._catalogue)
        except BaseException:
            self.close()
            raise

    def _reader(self, connections: Connections) -> engine.Connection:
        self._opened.enter_context(closing(connections))
        return self._opened.enter_context(closing(connections.open_reader()))

    def _require_proved(self, control: engine.Connection) -> None:
        proofs = self._proofs()
        try:
            proofs.require(control)
        except MissingProofKeyError as missing:
            try:
                proofs.add_key(self._keys("", Purpose.PROOFS, missing.version))
            except NotFoundError as error:
                raise proofs.has_no_key(missing.version) from error
            proofs.require(control)

    def _require_stopped(self, control: engine.Connection) -> None:
        alive = [row[0] for row in control.execute(_SEEN, (_ALIVE_SECONDS,))]
        if alive:
            raise InUseError(
                f"Nodes that share this state serve yet, or did {_ALIVE_SECONDS:.0f} s ago: "
                f"{', '.join(map(str, alive))}. Nothing was changed.",
                next_step="Stop all of them: casemate nodes ls shows them.",
            )

    @contextmanager
    def control(self) -> Iterator[Part]:
        """Open the control store to read."""
        yield PostgresqlPart(self._control, PlainForm(), STORE_SERVER, "the store")

    def incarnation(self, control: Part) -> int:
        """Return the newest incarnation of any node."""
        return int(control.connection.execute("SELECT newest FROM node_incarnation").fetchone()[0])

    def projects(self) -> list[str]:
        """Return the projects that have data, sorted."""
        return self._names(self._catalogue)

    @contextmanager
    def project(self, name: str) -> Iterator[ProjectParts]:
        """Open a project to read; who may still write it is kept from it until the end."""
        place = self._project_place(name, self._state + PROJECT)
        self._hold(place)
        with self._parts(name, place, None, lambda found: found.open_reader()) as parts:
            seen = parts.rows.connection.execute(_PROJECT_SEEN, (_ALIVE_SECONDS,)).fetchone()
            if seen is not None and not self._state:
                raise InUseError(
                    f"A node has the project {name} open, or had it {_ALIVE_SECONDS:.0f} s ago.",
                    next_step="Stop all nodes that share it, and wait for half a minute.",
                )
            yield parts

    def bundles(self) -> list[Bundle]:
        """Return what sealed bundles there are."""
        rows = self._bundles(self._control).values()
        return [Bundle(row.digest, row.size, row.at) for row in rows]

    def bundle(self, bundle: Bundle) -> Iterator[bytes]:
        """Give the bytes of one."""
        return self._bundle_pieces(self._bundles(self._control)[bundle.digest])

    def mark_moved(self, place: str) -> None:
        """Have no node start here any more, and none that sleeps write on when it wakes up."""
        if self._state:
            return
        schemas = {schema_of(name): f"{MOVED} {PROJECT}" for name in self.projects()}
        with transaction(self._fence.as_engine(), STORE_SERVER):
            for schema in schemas:
                self._fence.execute(f"DELETE FROM {schema}.holder")  # noqa: S608 - a name of ours
            schemas[catalogue.SCHEMA] = f"{MOVED} {PROJECTS}"
            schemas[control_store.SCHEMA] = f"{MOVED} {control_store.KIND}"
            _rename(self._fence, schemas)


class PostgresqlTarget(PostgresqlState):
    """A server that something is moved to. Satisfies `casemate.migration.place.Target`."""

    def __init__(
        self,
        settings: Settings,
        cluster: str,
        blobs: OpenBlobs,
        clear: Callable[[str], None],
        keys: Keys,
        told: Told,
    ) -> None:
        """See above. `clear` deletes all blobs of a kind."""
        super().__init__(settings, cluster, blobs, keys, told)
        self._clear = clear
        self.is_open = False
        """Whether the state is here already, whole."""
        try:
            found = self._found(control_store.SCHEMA)
            if found is not None:
                self._require_cluster(found)
                self.is_open = found.kind == control_store.KIND
        except BaseException:
            self.close()
            raise

    def begin(self, source: str) -> None:
        """Take the place."""
        for schema in (control_store.SCHEMA, catalogue.SCHEMA):
            found = self._found(schema)
            if found is not None and not found.kind.startswith(f"{UNFINISHED} "):
                raise TakenError(
                    f"{self.place} holds the {found.kind} of a cluster already, which is in use or "
                    "was moved away from there. Nothing was changed.",
                    next_step="Give an empty database; or drop that schema and those of projects.",
                )
        control = self._control_place(f"{UNFINISHED} {control_store.KIND}")
        with STORE_SERVER.translated():
            migrate(self._fence, control.identity, control.migrations, self._memory)
        projects = Connections(self._catalogue_place(f"{UNFINISHED} {PROJECTS}"), SHARED)
        self._opened.enter_context(closing(projects))
        self._catalogue = self._opened.enter_context(closing(projects.open_writer()))

    def whole(self) -> list[str]:
        """Return the projects that an earlier try has moved."""
        return self._names(self._catalogue)

    def drop(self, name: str) -> None:
        """Delete what there is of a project: that it is there, its rows, then its blobs."""
        schema = schema_of(name)
        found = self._found(schema)
        if found is not None and not found.kind.startswith(f"{UNFINISHED} "):
            self._require_cluster(found)
            raise TakenError(
                f"{self.place} has a schema {schema} that nothing was moved to. Nothing was "
                "changed there.",
                next_step="Give an empty database.",
            )
        with transaction(self._catalogue, SHARED):
            self._catalogue.execute("DELETE FROM project WHERE name = ?", (name,))
        if found is not None:
            with SHARED.translated():
                self._fence.define(f"DROP SCHEMA {schema} CASCADE")
        self._clear(f"objects/{name}")

    @contextmanager
    def new_project(self, name: str, tokens: bytes) -> Iterator[ProjectParts]:
        """Make its schema; it is known of once it is whole."""
        self.drop(name)
        place = self._project_place(name, f"{UNFINISHED} {PROJECT}")
        with self._parts(name, place, tokens, lambda found: found.open_writer()) as parts:
            yield parts
        with transaction(self._catalogue, SHARED):
            self._catalogue.execute(
                "INSERT INTO project (name, schema) VALUES (?, ?)", (name, schema_of(name))
            )

    def project(self, name: str) -> AbstractContextManager[ProjectParts]:
        """Open a whole one to read."""
        place = self._project_place(name, f"{UNFINISHED} {PROJECT}")
        return self._parts(name, place, None, lambda found: found.open_reader())

    def bundles(self) -> list[Bundle]:
        """Return what sealed bundles are there."""
        rows = self._kept_bundles().values()
        return [Bundle(row.digest, row.size, row.at) for row in rows]

    def bundle(self, bundle: Bundle) -> Iterator[bytes]:
        """Give the bytes of one."""
        return self._bundle_pieces(self._kept_bundles()[bundle.digest])

    def _kept_bundles(self) -> dict[str, BundleRow]:
        with STORE_SERVER.translated():
            return self._bundles(self._fence.as_engine())

    def keep_bundle(self, bundle: Bundle, pieces: Iterator[bytes]) -> None:
        """Write the blob, then its row."""
        with closing(self._blobs("bundles")) as blobs:
            writer = blobs.create()
            try:
                for piece in pieces:
                    writer.write(piece)
                writer.finish()
            except BaseException:
                writer.discard()
                raise
            control = self._fence.as_engine()
            with transaction(control, STORE_SERVER):
                control.execute("DELETE FROM bundle WHERE digest = ?", (bundle.digest,))
                control.execute(
                    "INSERT INTO bundle (digest, blob, size, at) VALUES (?, ?, ?, ?)",
                    (bundle.digest, writer.name, bundle.size, bundle.at),
                )

    def drop_bundle(self, bundle: Bundle) -> None:
        """Delete its row; the blob is swept."""
        control = self._fence.as_engine()
        with transaction(control, STORE_SERVER):
            control.execute("DELETE FROM bundle WHERE digest = ?", (bundle.digest,))

    @contextmanager
    def new_control(self) -> Iterator[Part]:
        """Empty the store's tables, but for bundles, which are there already."""
        connection = self._fence.as_engine()
        with transaction(connection, STORE_SERVER):
            for table in ("exclusive", *reversed([one.name for one in CONTROL])):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names in the code
        yield PostgresqlPart(connection, PlainForm(), STORE_SERVER, "the store")

    def finish_control(self, control: Part, incarnation: int) -> None:
        """Have the next start of a node be newer than all before; find what is exclusive."""
        connection = control.connection
        with transaction(connection, STORE_SERVER):
            connection.execute("UPDATE node_incarnation SET newest = ?", (incarnation,))
            functions = connection.execute(
                "SELECT project, function FROM function_counter ORDER BY project, function"
            ).fetchall()
            for project, function in functions:
                exclusive.follow(connection, ForgetFunction(project=project, function=function))
            self._proofs().prove_all(connection)

    def open(self) -> None:
        """Name every schema what nodes expect, in one transaction."""
        schemas = {schema_of(name): PROJECT for name in self.whole()}
        schemas[catalogue.SCHEMA], schemas[control_store.SCHEMA] = PROJECTS, control_store.KIND
        with transaction(self._fence.as_engine(), STORE_SERVER):
            _rename(self._fence, schemas)


def _tokens(connection: engine.Connection, form: PostgresqlForm, name: str) -> bytes:
    with SHARED.translated():
        row = connection.execute("SELECT value FROM meta WHERE name = 'tokens'").fetchone()
    if row is None:
        raise MigrationError(f"The project {name} has lost what its tokens are made with.")
    return form.opened(("meta", "tokens"), row[0])


def _rename(connection: Connection, schemas: dict[str, str]) -> None:
    for schema, kind in schemas.items():
        connection.execute(f"UPDATE {schema}.casemate_schema SET kind = ?", (kind,))  # noqa: S608
