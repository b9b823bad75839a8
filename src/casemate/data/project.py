"""One open project: its writer, its readers, its keys, and what it has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from casemate.data import resources, routes, sweep
from casemate.data.connections import Connections
from casemate.data.content import ObjectKey
from casemate.data.database import Connection
from casemate.data.fanout import Fanout
from casemate.data.files import ObjectFiles
from casemate.data.limits import DataOptions
from casemate.data.reading import ReadThreads
from casemate.data.recent import RecentObjects
from casemate.data.resources import Registry, Resource
from casemate.data.schema import migrate
from casemate.data.writer import Work, Writer
from casemate.model.errors import CasemateError
from casemate.vault.interface import DataKey

T = TypeVar("T")


class MissingKeyError(CasemateError):
    """An older version of a project's key is needed first; the caller fetches it and asks again."""

    def __init__(self, version: int) -> None:
        """Keep which."""
        super().__init__(f"Version {version} of the project's objects key is not loaded.")
        self.version = version


class OpenProject:
    """A project's database and files. `users` and `used_at` are those of the event loop."""

    def __init__(
        self,
        name: str,
        path: Path,
        page_key: DataKey,
        object_key: DataKey,
        *,
        files: ObjectFiles,
        reads: ReadThreads,
        options: DataOptions,
        ready: Callable[[str, set[tuple[str, str]]], None],
    ) -> None:
        """Open the database. Blocks. Raises DataError and its kinds.

        `ready` gets the project's name and the hints of a transaction, on the writer's thread.
        """
        self.name = name
        self.files = files
        self.users = 0
        self.used_at = time.monotonic()
        self.maintenance = asyncio.Lock()
        self.recent = RecentObjects()
        self._options = options
        self._reads = reads
        self._object_keys = {object_key.version: ObjectKey(object_key)}
        self._newest = object_key.version
        self.connections = Connections(name, path, page_key, max_bytes=options.max_project_bytes)
        try:
            connection = self._connect()
        except Exception as error:
            told = self.connections.explain(error)
            self.connections.close()
            if told is error:
                raise
            raise told from error
        self.writer = Writer(
            connection,
            self.connections,
            self._sweep,
            self.recent,
            every=options.sweep_seconds,
            name=name,
            announce=lambda hints: ready(name, hints),
        )

    def _connect(self) -> Connection:
        connection = self.connections.open_writer()
        try:
            migrate(connection)
            self.reload(connection)
            self.marks_key: bytes = connection.execute(
                "SELECT value FROM meta WHERE name = 'marks'"
            ).fetchone()[0]
        except BaseException:
            connection.close()
            raise
        return connection

    def reload(self, connection: Connection) -> None:
        """Learn what the project has and who is subscribed to it, after that has changed."""
        self.registry: Registry = resources.load(connection)
        self.fanout = Fanout(self.name, self.registry, routes.load(connection, self.registry))

    @property
    def page_version(self) -> int:
        """Version of the key that the database is encrypted with."""
        return self.connections.key.version

    @property
    def path(self) -> Path:
        """The database's file."""
        return self.connections.path

    def resource(self, kind: str, name: str) -> Resource:
        """Return a resource as it is now. Raises NotFoundError."""
        return resources.find(self.registry, self.name, kind, name)

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

    def change(self, change: Callable[[Work], T]) -> asyncio.Future[T]:
        """Make a change; the future has its result once it is durable."""
        return self.writer.submit(change)

    @property
    def page_key(self) -> bytes:
        """The key that the database is encrypted with."""
        return self.connections.key.key

    def close(self) -> None:
        """Write what is queued and close everything. Blocks."""
        try:
            self.writer.stop()
        finally:
            self.connections.close()
            self.files.close()

    def abandon(self) -> None:
        """Close what was opened of a project that will not be used; its writer has not begun."""
        self.connections.closing()
        self.writer.connection.close()
        self.connections.close()

    def _sweep(self, work: Work) -> bool:
        return sweep.sweep(work, self.registry, self.fanout, self.files.delete)

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
        freed = alter(connection, project.registry)
        project.reload(connection)
        if freed:
            project.files.delete(freed)
        return connection, None

    return job
