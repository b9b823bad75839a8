"""The connections to one schema: one that writes, others that read, each replaced once it is lost.

A server that does not answer is not asked again for a moment: who waits would wait for each of the
others as well.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, TypeVar, cast

from casemate.postgresql import session
from casemate.postgresql.commit_times import CommitTimes
from casemate.postgresql.connection import Connection
from casemate.postgresql.errors import (
    FencedError,
    ForeignSchemaError,
    SchemaVersionError,
    UnfitServerError,
    UnreachableError,
)
from casemate.postgresql.fence import Fence, Server
from casemate.postgresql.migrating import Identity, migrate, require_same
from casemate.postgresql.settings import Settings
from casemate.sqlite import engine
from casemate.sqlite.commit_guard import CommitGuard, is_condemned
from casemate.sqlite.errors import DatabaseError, DatabaseForeignError
from casemate.sqlite.family import Family
from casemate.unwritten import Place as Written

T = TypeVar("T")

AWAY_SECONDS: Final = 1.0
"""How long a server that did not answer is not asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one kind of data is kept, what it is, and who may write at the same time: nobody."""

    settings: Settings
    identity: Identity
    lock: int
    migrations: Sequence[Sequence[str]]
    foreign: type[DatabaseForeignError]
    """What whoever keeps it there calls a schema of others; the rest is in its family."""
    fence: Fence = field(default_factory=Fence)
    """What is remembered of the database; by default no longer than this process lives."""


@dataclass(frozen=True, slots=True)
class SchemaWatch:
    """Tells the fence what is committed to one schema in one life of a server."""

    fence: Fence
    schema: str
    server: Server
    life: bytes

    def is_behind(self) -> bool:
        """Tell whether another server has taken the place of this one."""
        return self.fence.is_behind(self.server)

    def acknowledged(self, number: int) -> bool:
        """Remember a transaction before it is told."""
        return self.fence.acknowledged(self.schema, self.life, number)


class Connections:
    """The connections of one node to one schema. Any thread may read; the rest is its writer's."""

    kind: type[Connection] = Connection
    """What they are."""
    PLANNING: ClassVar[str] = ""
    """What each sets for the server's planner, in PostgreSQL's own words."""
    TELLS_OF_SERVER: ClassVar[bool] = True
    """Whether what is to be doubted of the server itself is told here, and not by another schema's
    connections to it."""

    def __init__(self, place: Place, family: Family) -> None:
        """Nothing is connected yet. `family` says what errors are called."""
        self.family = family
        self.written = Written("the database")
        self._place = place
        # The lock guards what follows; it is never held during I/O.
        self._lock = threading.Lock()
        self._free: list[Connection] = []
        self._closed = False
        self._away: tuple[float, DatabaseError] | None = None
        self._doubts: tuple[str, ...] = ()
        self._commits = CommitTimes()

    @property
    def guard(self) -> CommitGuard | None:
        """There are no files here to look at."""
        return None

    # The writer's connection

    def open_writer(self) -> engine.Connection:
        """Return the connection that writes, the schema brought up to date.

        Raises what `family` calls a server that is away, a standby, unfit or of a newer schema,
        and `foreign` for a schema of others.
        """
        return self._opened(migrate_to(self._place), read_only=False).as_engine()

    def own(self, connection: engine.Connection) -> Connection:
        """Return a connection with what this engine alone can do."""
        return cast("Connection", connection)

    def has_ended(self, connection: engine.Connection) -> bool:
        """Tell whether the server has ended a connection: nothing was begun that could be lost."""
        return cast("Connection", connection).has_ended()

    def renew_writer(self, connection: engine.Connection) -> engine.Connection:
        """Return a new connection in the place of one that is of no use."""
        self.end(connection)
        return self._opened(same_as(self._place), read_only=False).as_engine()

    def try_write(self, connection: engine.Connection) -> None:
        """Ask something: what keeps the server from writing is its own to tell."""
        connection.execute("SELECT 1")

    def end(self, connection: engine.Connection) -> None:
        """Close the connection that writes. It may be closed already."""
        connection.close()

    def note(self) -> None:
        """The server knows itself what it has committed."""

    def explain(self, error: Exception) -> Exception:
        """Return the error: there is no file to look at for more."""
        return error

    # Readers

    def open_reader(self) -> engine.Connection:
        """Return a connection of its own that cannot change anything; the caller closes it.

        Raises as `open_writer`, also for a schema that is older.
        """
        return self._opened(same_as(self._place), read_only=True).as_engine()

    def read(self, question: Callable[[engine.Connection], T]) -> T:
        """Answer a question by a free reader, once more by a new one if that was lost."""
        try:
            return self._ask(question, fresh=False)
        except Exception as error:
            if not is_condemned(error):
                raise
        return self._ask(question, fresh=True)

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words for the operator; nothing if all is well."""
        with self._lock:
            away = () if self._away is None else (self._away[1].message,)
            doubts = self._doubts if self.TELLS_OF_SERVER else ()
        slow = self._commits.fault()
        return away + doubts + ((slow,) if slow else ()) + self._place.fence.faults()

    def close(self) -> None:
        """Close the readers, after the writer's connection."""
        with self._lock:
            self._closed = True
        self._close_free()

    def _ask(self, question: Callable[[engine.Connection], T], *, fresh: bool) -> T:
        connection = self._take(fresh=fresh)
        good = True
        try:
            return question(connection.as_engine())
        except Exception as error:
            good = not is_condemned(error)
            told = self.family.told(error)
            if told is error:
                raise
            raise told from error
        finally:
            self._give(connection, good=good)

    def _take(self, *, fresh: bool) -> Connection:
        with self._lock:
            if self._closed:
                raise self.family.closed.of()
            taken = self._free.pop() if self._free and not fresh else None
        if taken is not None and not taken.is_behind():
            return taken
        if taken is not None:
            taken.close()
        if fresh or taken is not None:
            self._close_free()
        return self._opened(same_as(self._place), read_only=True)

    def _give(self, connection: Connection, *, good: bool) -> None:
        # A question that left a transaction open would show the same state for ever.
        good = good and not connection.in_transaction and not connection.has_ended()
        with self._lock:
            if good and not self._closed:
                self._free.append(connection)
                return
        connection.close()

    def _close_free(self) -> None:
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    # Connecting

    def _opened(self, examine: Callable[[Connection], bytes], *, read_only: bool) -> Connection:
        try:
            connection = self._connected()
            try:
                with self.family.translated():
                    life = examine(connection)  # adds the server's life where it is new
                    if self.PLANNING:
                        connection.define(self.PLANNING)
                    if read_only:
                        connection.define("SET default_transaction_read_only = on")
                self._admit(connection, life)
                if not read_only:
                    connection.commits = self._commits
            except BaseException as error:
                connection.close()
                if isinstance(error, FencedError):
                    self._note_away(error)
                raise
        except DatabaseError as error:
            own = self._own(error)
            if own is error:  # an error that is its own cause has no end
                raise
            raise own from error
        return connection

    def _admit(self, connection: Connection, life: bytes) -> None:
        fence, schema = self._place.fence, self._place.identity.schema
        try:
            fence.admitted(schema, connection.server, life)
        except OSError as error:
            raise UnreachableError(
                f"What the database acknowledges cannot be written down: {error.strerror or error}",
                next_step="See to the disk of this node's data folder.",
            ) from error
        connection.watched(SchemaWatch(fence, schema, connection.server, life))

    def _note_away(self, error: DatabaseError) -> None:
        with self._lock:
            self._away = (time.monotonic() + AWAY_SECONDS, error)

    def _connected(self) -> Connection:
        with self._lock:
            if self._away is not None and time.monotonic() < self._away[0]:
                raise self._away[1].with_traceback(None)
        place = self._place
        try:
            found = session.connected(place.settings, place.identity.schema, place.fence)
        except DatabaseError as error:
            self._note_away(error)
            raise
        with self._lock:
            self._away = None
            self._doubts = found.doubts
        return self.kind(found, place.lock)

    def _own(self, error: DatabaseError) -> DatabaseError:
        """Return an error of this package as the one of whose the data is."""
        kinds: tuple[tuple[type[DatabaseError], type[DatabaseError]], ...] = (
            (UnreachableError, self.family.medium.kind),
            (UnfitServerError, self.family.medium.kind),
            (ForeignSchemaError, self._place.foreign),
            (SchemaVersionError, self.family.newer.kind),
        )
        for kind, own in kinds:
            if isinstance(error, kind):
                return own(error.message, next_step=error.next_step)
        return error


def migrate_to(place: Place) -> Callable[[Connection], bytes]:
    """Return what brings a schema to where it belongs."""
    return lambda connection: migrate(connection, place.identity, place.migrations, place.fence)


def same_as(place: Place) -> Callable[[Connection], bytes]:
    """Return what refuses a schema that is not, or not any more, what was opened."""
    return lambda connection: require_same(
        connection, place.identity, len(place.migrations), place.fence
    )
