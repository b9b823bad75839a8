"""The connections to one database, each replaced once it has met a page it cannot read.

The engine gives nothing more on such a connection, whether the disk failed for a moment or the page
is damaged. A new one is given everything that can be read, so what meets the damage fails and the
rest works.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from casemate.model.errors import CasemateError
from casemate.sqlite import connecting, engine
from casemate.sqlite.commit_guard import (
    CommitGuard,
    fault_of,
    is_about_pages,
    is_condemned,
)
from casemate.sqlite.connecting import Room
from casemate.sqlite.errors import DatabaseCorruptError, DatabaseMediumError, FileGoneError
from casemate.sqlite.family import Family
from casemate.sqlite.open_file import Diagnosis, Reason
from casemate.unwritten import Place

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_DIAGNOSIS_SECONDS = 1.0
"""How long what a search for damage found is told again."""


class Connections:
    """The connections of one open database. Any thread may read; the rest is its writer's."""

    def __init__(
        self,
        name: str,
        guard: CommitGuard,
        key: bytes,
        family: Family,
        room: Room,
        *,
        look_seconds: float = 0.0,
    ) -> None:
        """Connect to the file that `guard` looks at; nothing is connected yet.

        `name` says in the log what the database is. Reads look every `look_seconds` whether the
        file is at its place; commits always do.
        """
        self.family = family
        self.written = Place(name)
        self._name = name
        self._room = room
        self._guard = guard
        self._key = key
        self._look_seconds = look_seconds
        # The lock guards the free readers and which file they are of.
        self._lock = threading.Lock()
        self._free: list[tuple[int, engine.Connection]] = []
        self._generation = 0
        self._closed = False
        self._look_due = 0.0
        self._diagnosed: tuple[float, Diagnosis] | None = None
        self._damage = ""

    @property
    def guard(self) -> CommitGuard:
        """What looks at the files around a commit."""
        return self._guard

    @property
    def path(self) -> Path:
        """The database's file."""
        return self._guard.file.path

    @property
    def key(self) -> bytes:
        """What the file is encrypted with."""
        return self._key

    # The writer's connection

    def open_writer(
        self,
        examine: Callable[[engine.Connection], None] | None = None,
        prepare: Callable[[engine.Connection], None] | None = None,
    ) -> engine.Connection:
        """Return the connection that writes.

        `examine` sees it before anything about the file is changed, `prepare` before commits are
        counted; either may refuse it.
        """
        connection, had_log = None, self._has_log()
        try:
            connection = connecting.open_writer(
                self.path, self._key, self.family, self._room, examine
            )
            if prepare is not None:
                with self.family.translated():
                    prepare(connection)
            self._attach(self._guard)
        except BaseException as error:
            if connection is not None:
                connection.close()
            # The last that closes writes the log back and removes it: what was counted in it is in
            # the database, and must not be taken for lost by the next start.
            if had_log and not self._has_log() and not isinstance(error.__cause__, FileGoneError):
                self._note_closing()
            raise
        return connection

    def has_ended(self, connection: engine.Connection) -> bool:
        """Return False: there is no other side."""
        return False

    def renew_writer(self, connection: engine.Connection) -> engine.Connection:
        """Return a new connection in the place of one that is of no use."""
        self._require_there()
        self.end(connection)
        return self.open_writer()

    def try_write(self, connection: engine.Connection) -> None:
        """Write the first page as it is: there is room for it also in a file at its bound."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version:d}")

    def end(self, connection: engine.Connection) -> None:
        """Close the connection that writes. It may be closed already."""
        self._note_closing()
        with suppress(engine.Error):
            connection.close()

    def _note_closing(self) -> None:
        try:
            self._guard.closing()
        except OSError as error:
            _LOG.error("the end of %s cannot be noted: %s", self._name, error.strerror)

    def _has_log(self) -> bool:
        return self.path.with_name(f"{self.path.name}-wal").exists()

    def note(self) -> None:
        """Write down how much is committed, as after a commit."""
        with self.family.translated():
            self._guard.committed()

    def _require_there(self) -> None:
        try:
            self._guard.check()
        except FileGoneError as error:
            raise self.family.missing(error.path) from error

    def _attach(self, guard: CommitGuard) -> None:
        try:
            guard.attach()
            guard.committed()
        except FileGoneError as error:
            raise self.family.missing(error.path) from error
        except OSError as error:
            raise self.family.log(error) from error

    # Readers

    def read(self, question: Callable[[engine.Connection], T]) -> T:
        """Answer a question by a free reader, or by a new one if that cannot read any more."""
        try:
            return self._ask(question, fresh=False)
        except Exception as error:
            if not is_condemned(error):
                raise
        try:
            return self._ask(question, fresh=True)
        except Exception as error:
            if not is_condemned(error):
                raise
            told = self.explain(error)
            if told is error:  # an error that is its own cause has no end
                raise
            if not isinstance(told, DatabaseMediumError) or not is_about_pages(error):
                raise told from error
        try:
            return self._ask(question, fresh=True)
        except Exception as error:
            if not is_condemned(error):
                raise
            # Each page is what was written, and yet it cannot be: its content is wrong.
            told = self.explain(error, whole=True)
            if told is error:
                raise
            raise told from error

    def open_copy_source(self) -> engine.Connection:
        """Return a reader of its own for a copy of the database; the caller closes it."""
        return connecting.open_reader(self.path, self._key, self.family, self._room)

    def _ask(self, question: Callable[[engine.Connection], T], *, fresh: bool) -> T:
        generation, connection = self._take(fresh=fresh)
        good = True
        try:
            return question(connection)
        except Exception as error:
            good = not is_condemned(error)
            told = self.family.told(error)
            if told is error:
                raise
            raise told from error
        finally:
            self._give(generation, connection, good=good)

    def _take(self, *, fresh: bool) -> tuple[int, engine.Connection]:
        now = time.monotonic()
        if now >= self._look_due:
            self._require_there()
            self._look_due = now + self._look_seconds
        with self._lock:
            if self._closed:
                raise self.family.closed.of()
            if self._free and not fresh:
                return self._free.pop()
            generation, path, key = self._generation, self.path, self._key
        return generation, connecting.open_reader(path, key, self.family, self._room)

    def _give(self, generation: int, connection: engine.Connection, *, good: bool) -> None:
        with self._lock:
            if good and not self._closed and generation == self._generation:
                self._free.append((generation, connection))
                return
        with suppress(engine.Error):
            connection.close()

    # What went wrong

    def explain(self, error: Exception, *, whole: bool = False) -> Exception:
        """Return an error that says why the engine failed, after a look at the file. Blocks.

        With `whole` the pages are known to be as they were written.
        """
        fault = fault_of(error)
        if fault is None:
            return error
        plain = error if isinstance(error, CasemateError) else self.family.translate(fault)
        return self._told(self._diagnose(), plain, whole) if is_about_pages(error) else plain

    def _told(self, found: Diagnosis, plain: CasemateError, whole: bool) -> CasemateError:
        if found.reason is Reason.DAMAGE:
            if found.text not in self._damage:
                self._damage = found.text
                _LOG.error("%s is damaged: %s", self._name, found.text)
            return self.family.damaged.of(f"{found.text} is not what was written.")
        if found.reason is Reason.READ:
            return self.family.unread.of(found.text)
        if found.reason is Reason.NONE and not whole:
            return self.family.passed.of()
        if found.reason is Reason.KEY or isinstance(plain, DatabaseCorruptError):
            return plain
        return self.family.damaged.of(plain.message)

    def _diagnose(self) -> Diagnosis:
        with self._lock:
            known, guard = self._diagnosed, self._guard
        if known is not None and time.monotonic() - known[0] < _DIAGNOSIS_SECONDS:
            return known[1]
        found = guard.file.diagnose(self._key)
        with self._lock:
            self._diagnosed = (time.monotonic(), found)
        return found

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words for the operator; nothing if all is well."""
        return self._guard.faults(self._damage)

    # Another key, another file, the end

    def move(self, guard: CommitGuard, key: bytes) -> None:
        """Go on with another file, which the writer has open. Readers in use end with the old.

        `guard` looks at the new file. If this raises, everything is as it was, and `guard` closed.
        """
        try:
            self._attach(guard)
        except BaseException:
            guard.close()
            raise
        with self._lock:
            old, self._guard = self._guard, guard
            self._key = key
            self._generation += 1
            free, self._free = self._free, []
        for _, connection in free:
            connection.close()
        old.close()

    def change_key(self, key: bytes) -> None:
        """Go on with another key of the same file, which nobody has open now."""
        with self._lock:
            self._key = key

    def close_readers(self) -> None:
        """Close the readers that nobody uses at the moment; the next read opens another."""
        with self._lock:
            free, self._free = self._free, []
        for _, connection in free:
            with suppress(engine.Error):
                connection.close()

    def close(self) -> None:
        """Close the readers, after the writer's connection."""
        with self._lock:
            self._closed = True
        self.close_readers()
        self._guard.close()
