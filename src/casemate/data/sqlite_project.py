"""An open project whose database is a file of this node, encrypted page by page."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from casemate.data import invocations, leasing
from casemate.data.errors import DataGoneError
from casemate.data.faults import DATA, disk_error
from casemate.data.files import ObjectFiles
from casemate.data.limits import DataOptions
from casemate.data.project import OpenProject
from casemate.data.reading import ReadThreads
from casemate.data.schema import migrate
from casemate.data.starts import Starts, mark, require_newest, write
from casemate.data.terms import TokenTerms
from casemate.data.work import ProjectDuties, Work
from casemate.set_clock import DeletingClock, SetClock
from casemate.sqlite.commit_guard import CommitGuard
from casemate.sqlite.connecting import Room, reserve
from casemate.sqlite.connections import Connections
from casemate.sqlite.engine import Connection
from casemate.vault.interface import DataKey

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
"""How often reads look whether the file is at its place; commits always do."""
_KEPT_STEP_SECONDS = 3600.0
"""By less than that ends and claims of invocations are kept longer or shorter."""
_READER_CACHE_KIB = 4096
_WRITER_CACHE_KIB = 8192


class SqliteDuties(ProjectDuties):
    """What the writer does beside changes; they are made on the project's terms."""

    def __init__(
        self,
        project: SqliteProject,
        announce: Callable[[set[tuple[str, str]]], None],
        clock: SetClock,
    ) -> None:
        """Serve a project; `announce` gets the hints of each transaction that has any.

        `clock` has taken note of what the project was told of.
        """
        super().__init__(project.recent, project.sweep, announce)
        self._project = project
        self._terms = project.terms
        self._clock = clock
        self._looked = False

    def begin(self, connection: Connection) -> Work:
        """A transaction begins now, by a connection that may be a new one."""
        connection.terms = self._terms
        self._looked = False
        return super().begin(connection)

    def mark(self, work: Work) -> int:
        """Before its first change, see whether the clock was set, and say when that was."""
        if not self._looked:
            self._project.note_moment(work)
        self._follow_clock(work)
        return super().mark(work)

    def upkeep(self, work: Work) -> bool:
        """Delete what expired."""
        self._follow_clock(work)
        return super().upkeep(work)

    def _follow_clock(self, work: Work) -> None:
        """Have what is leased, delayed or tried again be due after as long as before."""
        if self._looked:
            return
        self._looked = True
        seconds, off = self._clock.step()
        if seconds:
            # Each project does; that it was set is told by the recorder.
            _LOG.info("the clock was set by %+.0f s: what waits goes on to wait", seconds)
            leasing.move(work, self._project.registry, seconds)
            # All that is kept is gone through: not for what makes no difference to a day.
            if abs(seconds) >= _KEPT_STEP_SECONDS:
                since, now = self._clock.known()
                invocations.move(work.connection, seconds, since, now)
            work.after_commit(lambda: self._clock.note(off))


class SqliteProject(OpenProject):
    """A project's database and files."""

    connections: Connections
    terms: TokenTerms | None
    """Those of one that was moved here from a server; else there are none to be told."""

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
        clock: SetClock,
        deleting: DeletingClock,
        starts: Starts | None = None,
        may_be_older: bool = False,
    ) -> None:
        """Open the database. Blocks. Raises DataError and its kinds.

        `ready` gets the project's name and the hints of a transaction, on the writer's thread.
        `clock` is the project's also when it is opened again; by `deleting` what is over goes.
        By `starts` an older copy is refused, unless it `may_be_older`.
        """
        super().__init__(name, object_key, files=files, reads=reads, options=options)
        self._deleting = deleting
        self._starts = starts
        self._may_be_older = may_be_older
        self.marked = 0
        """The moment that the database has, 0 for none of this start of the node."""
        self.page_version = page_key.version
        """Version of the key that the database is encrypted with."""
        connections = Connections(
            f"the data of {name}",
            guard_of(path),
            page_key.key,
            DATA,
            room(options),
            look_seconds=_LOOK_SECONDS,
        )
        try:
            connection = connections.open_writer(prepare=self._prepare)
        except Exception as error:
            told = connections.explain(error)
            connections.close()
            if told is error:
                raise
            raise told from error
        duties = SqliteDuties(self, lambda hints: ready(name, hints), clock)
        self.begin(connection, duties, connections)

    def _prepare(self, connection: Connection) -> None:
        migrate(connection)
        if self._starts is not None:
            if not self._may_be_older:
                require_newest(connection, self.name, self._starts.seen(self.name))
            self.marked = mark(connection, self._starts.now())
        self.reload(connection)
        self.marks_key = connection.execute(
            "SELECT value FROM meta WHERE name = 'marks'"
        ).fetchone()[0]
        tokens = connection.execute("SELECT value FROM meta WHERE name = 'tokens'").fetchone()
        self.terms = None if tokens is None else TokenTerms(tokens[0])

    def note_moment(self, work: Work) -> None:
        """Have a transaction tell when it was made, if that is not known to five seconds."""
        starts = self._starts
        if starts is None or not self.marked or (now := starts.now()) <= self.marked:
            return
        write(work.connection, now)

        def written() -> None:
            self.marked = now
            starts.note(self.name, now)

        work.after_commit(written)

    def over_at(self, connection: Connection) -> float:
        """Return the time of this machine, unless it was set forward of late."""
        return self._deleting.now()

    @property
    def path(self) -> Path:
        """The database's file."""
        return self.connections.path

    @property
    def page_key(self) -> bytes:
        """The key that the database is encrypted with."""
        return self.connections.key

    def move(self, guard: CommitGuard, key: DataKey) -> None:
        """Go on with another file under another key, which the writer has open."""
        self.connections.move(guard, key.key)
        self.page_version = key.version

    def emptying(self, connection: Connection) -> AbstractContextManager[None]:
        """Let the file grow a little beyond its bound."""
        return reserve(connection)


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
        raise disk_error(f"{path.name} cannot be examined", error) from error
