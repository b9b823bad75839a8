"""One open project: its writer, its readers, its keys, and what it has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar

from casemate.data import routes, sweep
from casemate.data.content import ObjectKey
from casemate.data.fanout import Fanout
from casemate.data.files import ObjectFiles
from casemate.data.limits import DataOptions
from casemate.data.reading import ReadThreads
from casemate.data.recent import RecentObjects
from casemate.data.registry import Registry, Resource, find, load
from casemate.data.terms import now as now_of
from casemate.data.work import ProjectDuties, Work, in_trace
from casemate.model.errors import CasemateError
from casemate.sqlite.duties import WriterConnections
from casemate.sqlite.engine import Connection
from casemate.sqlite.joint import Joint
from casemate.sqlite.transaction import transaction
from casemate.sqlite.writer import Writer
from casemate.vault.interface import DataKey

T = TypeVar("T")
_CHANGES_PER_COMMIT = 256


class MissingKeyError(CasemateError):
    """An older version of a project's key is needed first; the caller fetches it and asks again."""

    def __init__(self, version: int) -> None:
        """Keep which."""
        super().__init__(f"Version {version} of the project's objects key is not loaded.")
        self.version = version


class ProjectConnections(WriterConnections, Protocol):
    """The connections to a project's database."""

    def read(self, question: Callable[[Connection], T]) -> T:
        """Answer a question by one that cannot change anything. Blocks."""
        ...

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words for the operator; nothing if all is well."""
        ...

    def close(self) -> None:
        """Close those that read, after the one that writes."""
        ...


class OpenProject:
    """A project's database and files. `users` and `used_at` are those of the event loop."""

    connections: ProjectConnections

    def __init__(
        self,
        name: str,
        object_key: DataKey,
        *,
        files: ObjectFiles,
        reads: ReadThreads,
        options: DataOptions,
        recent: RecentObjects | None = None,
    ) -> None:
        """Connect to nothing yet: `begin` does."""
        self.name = name
        self.files = files
        self.users = 0
        self.used_at = time.monotonic()
        self.maintenance = asyncio.Lock()
        self.recent = recent or RecentObjects()
        self._options = options
        self._reads = reads
        self._object_keys = {object_key.version: ObjectKey(object_key)}
        self._newest = object_key.version
        self.marks_key = b""
        """Makes page marks (`casemate.data.marks`)."""

    def begin(
        self, connection: Connection, duties: ProjectDuties, connections: ProjectConnections
    ) -> None:
        """Have changes written by a connection, one of `connections`; the writer's thread waits."""
        self.connections = connections
        self.writer = Writer(
            connection,
            connections,
            duties,
            name=f"data-{self.name}",
            upkeep_seconds=self._options.sweep_seconds,
            changes_per_commit=_CHANGES_PER_COMMIT,
        )

    def reload(self, connection: Connection) -> None:
        """Learn what the project has and who is subscribed to it, after that has changed."""
        self.registry: Registry
        self.registry, self.fanout = self.read_present(connection)

    def read_present(self, connection: Connection) -> tuple[Registry, Fanout]:
        """Read what the project has, and who is subscribed to it."""
        registry = load(connection)
        return registry, Fanout(self.name, registry, routes.load(connection, registry))

    def renew(self, connection: Connection) -> None:
        """Learn what others have changed of it, where there are others. In a transaction."""

    def altered(self, connection: Connection) -> None:
        """Tell others that what it has is changed by this transaction."""

    def resource(self, kind: str, name: str) -> Resource:
        """Return a resource as it is now. Raises NotFoundError."""
        return find(self.registry, self.name, kind, name)

    def object_key(self, version: int) -> ObjectKey:
        """Return a version of the objects' key. Raises MissingKeyError."""
        found = self._object_keys.get(version)
        if found is None:
            raise MissingKeyError(version)
        return found

    @property
    def newest_key(self) -> ObjectKey:
        """The key that new content is encrypted with."""
        return self._object_keys[self._newest]

    def add_key(self, key: DataKey, *, newest: bool) -> None:
        """Keep a version of the objects' key."""
        self._object_keys[key.version] = ObjectKey(key)
        if newest:
            self._newest = key.version

    def read(self, question: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Ask a question on a thread of its own and return the future of the answer."""
        return self._reads.submit(lambda: self.connections.read(question))

    def read_of(
        self, kind: str, name: str, question: Callable[[Connection, Resource], T]
    ) -> asyncio.Future[T]:
        """Ask a question about a resource as `read` does. Raises NotFoundError."""
        found = self.resource(kind, name)
        return self.read(lambda connection: question(connection, found))

    async def present(self) -> Registry:
        """Return what the project has now."""
        return self.registry

    def change(self, change: Callable[[Work], T]) -> asyncio.Future[T]:
        """Make a change; the future has its result once it is durable."""
        return self.writer.submit(in_trace(change))

    def join(self, change: Joint[Work]) -> asyncio.Future[Any]:
        """Make a change together with others like it; it knows itself of which trace it comes."""
        return self.writer.submit(change)

    def emptying(self, connection: Connection) -> AbstractContextManager[None]:
        """Let what empties a database be done in one that is full."""
        return nullcontext()

    def close(self) -> None:
        """Write what is queued and close everything. Blocks."""
        try:
            self.writer.stop()
        finally:
            self.connections.close()
            self.files.close()

    def abandon(self) -> None:
        """Close what was opened of a project that will not be used; its writer has not begun."""
        self.connections.end(self.writer.connection)
        self.connections.close()

    def sweep(self, work: Work) -> bool:
        """Delete what has expired; return True if there is more."""
        now = self.over_at(work.connection)
        return sweep.sweep(work, self.registry, self.fanout, self.files.delete, now)

    def over_at(self, connection: Connection) -> float:
        """Return the time by which is deleted what is over."""
        return now_of(connection)

    def __repr__(self) -> str:
        """Leave out the keys."""
        return f"OpenProject({self.name!r})"


def change_resources(
    project: OpenProject, alter: Callable[[Connection, Registry], Any]
) -> Callable[[Connection], tuple[Connection, None]]:
    """Return a job of the writer that alters what a project has.

    A job, because changes behind it in the queue must find the new registry.
    """

    def job(connection: Connection) -> tuple[Connection, None]:
        family, guard = project.connections.family, project.connections.guard
        with transaction(connection, family, guard):
            project.renew(connection)
            freed = alter(connection, project.registry)
            project.altered(connection)
        project.reload(connection)
        if freed:
            project.files.delete(freed)
        return connection, None

    return job
