"""One open project whose database is a schema that other nodes write as well."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from casemate.data.errors import DataBusyError
from casemate.data.files import ObjectFiles
from casemate.data.limits import DataOptions
from casemate.data.postgresql.connection import ProjectConnection
from casemate.data.postgresql.faults import SHARED
from casemate.data.postgresql.terms import PostgresqlTerms, Shared
from casemate.data.project import OpenProject
from casemate.data.reading import ReadThreads
from casemate.data.recent import FoundObject, RecentObjects
from casemate.data.registry import Registry, Resource
from casemate.data.terms import terms_of
from casemate.data.work import ProjectDuties, Work
from casemate.model.errors import CasemateError
from casemate.postgresql.connection import Connection as ServerConnection
from casemate.postgresql.connections import Connections, Place
from casemate.sqlite.engine import Connection
from casemate.sqlite.transaction import one_state, transaction
from casemate.vault.interface import DataKey

T = TypeVar("T")
Later = Callable[[], Sequence[Any]]
_SECRETS = ("marks", "tokens")
"""What a project makes up once: the keys of page marks, and of what is only compared."""
_SECRET_BYTES = 32
_REVISION = "SELECT number FROM revision"
_TRIES = 10
"""How often a question is asked anew because what the project has was changed meanwhile."""
_BY_INDEXES = "".join(
    f"SET {way} = off; "
    for way in (
        *("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_material"),
        *("enable_hashjoin", "enable_mergejoin", "jit"),
    )
)
"""Plans go by what a table was when it was analysed last, and stay: a queue that was empty then and
has a million messages now would be read as a whole and sorted for each lease. Each statement here
has an index that it is written for. Without `jit`: what has no other way would be compiled, since
ways that are off count as dear."""


class ProjectConnections(Connections):
    """The connections of one project, each with its terms."""

    kind = ProjectConnection
    PLANNING = _BY_INDEXES
    TELLS_OF_SERVER = False
    """The catalogue of the database does, once for all its projects."""

    def __init__(self, place: Place, shared: Shared) -> None:
        """Nothing is connected yet."""
        super().__init__(place, SHARED)
        self._shared = shared

    def _connected(self) -> ServerConnection:
        connection = super()._connected()
        if not isinstance(connection, ProjectConnection):
            raise TypeError("The connection is not one of a project's.")
        connection.terms = PostgresqlTerms(connection, self._shared)
        return connection


class NoRecentObjects(RecentObjects):
    """Nothing is kept in memory: another node may have changed it."""

    def keep(self, before: int, bucket: int, found: FoundObject) -> None:
        """Do not."""


class PostgresqlDuties(ProjectDuties):
    """What the writer does beside changes: it learns at the start what others have changed."""

    def __init__(
        self,
        project: PostgresqlProject,
        announce: Callable[[set[tuple[str, str]]], None],
    ) -> None:
        """Serve a project; `announce` gets the hints of each transaction that has any."""
        super().__init__(project.recent, project.sweep, announce)
        self._project = project
        self._started = False

    def begin(self, connection: Connection) -> Work:
        """A transaction begins now."""
        _own(connection).forget()
        self._started = False
        return super().begin(connection)

    def end(self) -> None:
        """Forget what held within it."""
        self._project.forget()
        super().end()

    def mark(self, work: Work) -> int:
        """Before its first change, learn the time and what others have changed."""
        if not self._started:
            self._project.renew(work.connection)
            self._started = True
        return super().mark(work)

    def end_job(self) -> None:
        """Forget what held within it."""
        self._project.forget()
        super().end_job()

    def upkeep(self, work: Work) -> bool:
        """Be seen by the other nodes, and delete what expired."""
        self._project.renew(work.connection)
        self._project.be_seen(work.connection)
        return super().upkeep(work)


class PostgresqlProject(OpenProject):
    """A project's schema, and the files of its objects."""

    connections: ProjectConnections

    def __init__(
        self,
        name: str,
        place: Place,
        shared: Shared,
        object_key: DataKey,
        *,
        files: ObjectFiles,
        reads: ReadThreads,
        options: DataOptions,
        ready: Callable[[str, set[tuple[str, str]]], None],
    ) -> None:
        """Connect, and take the place of this node's former life. Blocks. Raises DataError."""
        super().__init__(
            name, object_key, files=files, reads=reads, options=options, recent=NoRecentObjects()
        )
        self.shared = shared
        self.revision = -1
        """Of what it has: the one that is known here."""
        self._taking = threading.Lock()
        self._writer_terms: PostgresqlTerms | None = None
        connections = ProjectConnections(place, shared)
        connection = connections.open_writer()
        try:
            with transaction(connection, SHARED):
                self._prepare(connection)
        except BaseException:
            connections.end(connection)
            connections.close()
            raise
        _own(connection).forget()
        self.begin(
            connection, PostgresqlDuties(self, lambda hints: ready(name, hints)), connections
        )

    def _prepare(self, connection: Connection) -> None:
        """Take over what this node's former life holds; make what is made once."""
        holder = self.shared.holder
        connection.execute(
            "INSERT INTO holder (node, life, seen_at) VALUES (?, ?, ?) "
            "ON CONFLICT (node) DO UPDATE SET life = excluded.life, seen_at = excluded.seen_at",
            (*holder, terms_of(connection).now()),
        )
        self.marks_key, self.shared.tokens = (_secret(connection, name) for name in _SECRETS)
        self.renew(connection)

    def renew(self, connection: Connection) -> None:
        """Learn in a transaction what time it is, and what others have changed."""
        self._writer_terms = _own(connection)
        revision = self._writer_terms.start()
        while (known := self.revision) != revision:
            self._take(connection, revision, known)

    def reload(self, connection: Connection) -> None:
        """Learn what this node has changed, too, with its revision."""
        self.learn(connection)

    def _take(self, connection: Connection, revision: int, known: int) -> None:
        """Hold what the project has by a revision in place of what is known, if it still is.

        Readers learn at the same time, and the slower of two may have read what is older.
        """
        registry, fanout = self.read_present(connection)
        with self._taking:
            if self.revision == known:
                self.registry, self.fanout, self.revision = registry, fanout, revision

    def forget(self) -> None:
        """A transaction is over."""
        if self._writer_terms is not None:
            self._writer_terms.forget()

    def altered(self, connection: Connection) -> None:
        """Step the revision."""
        connection.execute("UPDATE revision SET number = number + 1")

    def be_seen(self, connection: Connection) -> None:
        """Tell the other nodes that this one lives."""
        connection.execute(
            "UPDATE holder SET seen_at = ? WHERE node = ? AND life = ?",
            (terms_of(connection).now(), *self.shared.holder),
        )

    def read_of(
        self, kind: str, name: str, question: Callable[[Connection, Resource], T]
    ) -> asyncio.Future[T]:
        """Ask about a resource as it is now: another node may have dropped it, and made it anew.

        What the project's revision is is asked along with the question.
        """

        def ask(connection: Connection) -> T:
            for _ in range(_TRIES):
                known = self.revision
                along = terms_of(connection).later(connection, _REVISION, ())

                def is_known(known: int = known, along: Later = along) -> bool:
                    # What a question asks in a transaction of its own drops what was to go along.
                    told = along() or connection.execute(_REVISION).fetchall()
                    return bool(told[0][0] == known)

                try:
                    answer = question(connection, self.resource(kind, name))
                except CasemateError:
                    if is_known():
                        raise
                else:
                    if is_known():
                        return answer
                self.learn(connection)
            raise DataBusyError(
                f"What the project {self.name} has is being changed again and again.",
                next_step="Send the request again.",
            )

        return self.read(ask)

    async def present(self) -> Registry:
        """Learn what others have changed first."""
        await self.read(self.learn)
        return self.registry

    def learn(self, connection: Connection) -> bool:
        """Learn by a reader what others have changed; return whether it was anything."""
        known = self.revision
        with one_state(connection):
            (revision,) = connection.execute(_REVISION).fetchone()
            if revision == known:
                return False
            self._take(connection, revision, known)
        return True


def _own(connection: Connection) -> PostgresqlTerms:
    found = terms_of(connection)
    if not isinstance(found, PostgresqlTerms):
        raise TypeError("The connection is not one of a project's.")
    return found


def _secret(connection: Connection, name: str) -> bytes:
    terms, bound = terms_of(connection), ("meta", name)
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    if row is not None:
        return terms.open(bound, row[0])
    made = os.urandom(_SECRET_BYTES)
    connection.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?)", (name, terms.seal(bound, made))
    )
    return made
