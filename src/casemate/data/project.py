"""One open project: its writer, its readers, its keys, and what it has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from casemate.data import routes, sweep
from casemate.data.content import ObjectKey
from casemate.data.errors import DataGoneError
from casemate.data.fanout import Fanout
from casemate.data.faults import DATA, disk_error
from casemate.data.files import ObjectFiles
from casemate.data.limits import DataOptions
from casemate.data.reading import ReadThreads
from casemate.data.recent import RecentObjects
from casemate.data.registry import Registry, Resource, find, load
from casemate.data.schema import migrate
from casemate.data.work import ProjectDuties, Work, in_trace
from casemate.model.errors import CasemateError
from casemate.sqlite.commit_guard import CommitGuard
from casemate.sqlite.connecting import Room
from casemate.sqlite.connections import Connections
from casemate.sqlite.engine import Connection
from casemate.sqlite.writer import Writer
from casemate.vault.interface import DataKey

T = TypeVar("T")
_CHANGES_PER_COMMIT = 256
_LOOK_SECONDS = 1.0
"""How often reads look whether the file is at its place; commits always do."""
_READER_CACHE_KIB = 4096
_WRITER_CACHE_KIB = 8192


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
        self.page_version = page_key.version
        """Version of the key that the database is encrypted with."""
        self.connections = Connections(
            f"the data of {name}",
            guard_of(path),
            page_key.key,
            DATA,
            room(options),
            look_seconds=_LOOK_SECONDS,
        )
        try:
            connection = self.connections.open_writer(prepare=self._prepare)
        except Exception as error:
            told = self.connections.explain(error)
            self.connections.close()
            if told is error:
                raise
            raise told from error
        self.writer = Writer(
            connection,
            self.connections,
            ProjectDuties(self.recent, self._sweep, lambda hints: ready(name, hints)),
            name=f"data-{name}",
            upkeep_seconds=options.sweep_seconds,
            changes_per_commit=_CHANGES_PER_COMMIT,
        )

    def _prepare(self, connection: Connection) -> None:
        migrate(connection)
        self.reload(connection)
        self.marks_key: bytes = connection.execute(
            "SELECT value FROM meta WHERE name = 'marks'"
        ).fetchone()[0]

    def reload(self, connection: Connection) -> None:
        """Learn what the project has and who is subscribed to it, after that has changed."""
        self.registry: Registry = load(connection)
        self.fanout = Fanout(self.name, self.registry, routes.load(connection, self.registry))

    @property
    def path(self) -> Path:
        """The database's file."""
        return self.connections.path

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

    def change(self, change: Callable[[Work], T]) -> asyncio.Future[T]:
        """Make a change; the future has its result once it is durable."""
        return self.writer.submit(in_trace(change))

    @property
    def page_key(self) -> bytes:
        """The key that the database is encrypted with."""
        return self.connections.key

    def move(self, guard: CommitGuard, key: DataKey) -> None:
        """Go on with another file under another key, which the writer has open."""
        self.connections.move(guard, key.key)
        self.page_version = key.version

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

    def _sweep(self, work: Work) -> bool:
        return sweep.sweep(work, self.registry, self.fanout, self.files.delete)

    def __repr__(self) -> str:
        """Leave out the keys."""
        return f"OpenProject({self.name!r})"


def room(options: DataOptions) -> Room:
    """Return what a project's database and its connections may take."""
    return Room(
        reader_cache_kib=_READER_CACHE_KIB,
        writer_cache_kib=_WRITER_CACHE_KIB,
        max_bytes=options.max_project_bytes,
    )


def guard_of(path: Path) -> CommitGuard:
    """Return what looks at the files of a database. Raises DataError."""
    try:
        return CommitGuard(path)
    except FileNotFoundError as error:
        raise DataGoneError(f"{path.name} is gone.") from error
    except OSError as error:
        raise disk_error(f"{path.name} cannot be looked at", error) from error


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
