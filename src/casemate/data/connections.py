"""The connections to one project's database, each replaced once it has met a page it cannot read.

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

from casemate.data.database import (
    RESTORE,
    Connection,
    DatabaseFault,
    gone,
    open_reader,
    open_writer,
    translate,
)
from casemate.data.errors import (
    DataClosedError,
    DataCorruptError,
    DataGoneError,
    DataMediumError,
)
from casemate.data.files import disk_error
from casemate.model.errors import CasemateError
from casemate.sqlite.commit_guard import (
    CommitGuard,
    fault_of,
    is_about_pages,
    is_condemned,
)
from casemate.sqlite.errors import FileGoneError
from casemate.sqlite.open_file import Diagnosis, Reason
from casemate.vault.interface import DataKey

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_CHECK_SECONDS = 1.0
"""How often reads look whether the file is at its place; commits always do."""
_DIAGNOSIS_SECONDS = 1.0
"""How long what a search for damage found is told again."""


class Connections:
    """A project's connections. Any thread may read; the rest is its writer's."""

    def __init__(self, name: str, path: Path, key: DataKey, *, max_bytes: int) -> None:
        """Look at the database's file; nothing is connected yet. Raises DataError."""
        self.path = path
        self.key = key
        self._name = name
        self._max_bytes = max_bytes
        self._guard = _guard(path)
        # The lock guards the free readers and which file they are of.
        self._lock = threading.Lock()
        self._free: list[tuple[int, Connection]] = []
        self._generation = 0
        self._closed = False
        self._check_due = 0.0
        self._diagnosed: tuple[float, Diagnosis] | None = None
        self._damage = ""

    @property
    def guard(self) -> CommitGuard:
        """What looks at the files around a commit."""
        return self._guard

    def open_writer(self) -> Connection:
        """Return the connection that writes. Raises DataError."""
        connection = open_writer(self.path, self.key.key, max_bytes=self._max_bytes)
        try:
            _attach(self._guard)
        except BaseException:
            connection.close()
            raise
        return connection

    def renew_writer(self, connection: Connection) -> Connection:
        """Return a new connection in the place of one that is of no use. Raises DataError."""
        try:
            self._guard.check()
        except FileGoneError as error:
            raise gone(error.path) from error
        with suppress(OSError):  # a new record follows
            self._guard.closing()
        with suppress(DatabaseFault):
            connection.close()
        return self.open_writer()

    def read(self, question: Callable[[Connection], T]) -> T:
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
            if not isinstance(told, DataMediumError) or not is_about_pages(error):
                raise told from error
        try:
            return self._ask(question, fresh=True)
        except Exception as error:
            if not is_condemned(error):
                raise
            # Each page is what was written, and yet it cannot be: its content is wrong.
            raise self.explain(error, whole=True) from error

    def _ask(self, question: Callable[[Connection], T], *, fresh: bool) -> T:
        generation, connection = self._take(fresh=fresh)
        good = True
        try:
            return question(connection)
        except Exception as error:
            good = not is_condemned(error)
            raise
        finally:
            self._give(generation, connection, good=good)

    def explain(self, error: Exception, *, whole: bool = False) -> Exception:
        """Return an error that says why the engine failed, after a look at the file. Blocks.

        With `whole` the pages are known to be as they were written.
        """
        fault = fault_of(error)
        if fault is None:
            return error
        plain = error if isinstance(error, CasemateError) else translate(fault)
        return self._told(self._diagnose(), plain, whole) if is_about_pages(error) else plain

    def _told(self, found: Diagnosis, plain: CasemateError, whole: bool) -> CasemateError:
        if found.reason is Reason.DAMAGE:
            if found.text not in self._damage:
                self._damage = found.text
                _LOG.error("the data of %s is damaged: %s", self._name, found.text)
            return DataCorruptError(
                f"The project's database is damaged: {found.text} is not what was written.",
                next_step=RESTORE,
            )
        if found.reason is Reason.READ:
            return DataMediumError(
                f"The project's database cannot be read now: {found.text}.",
                next_step="Check the disk and the kernel's log; then the call works again.",
            )
        if found.reason is Reason.NONE and not whole:
            return DataMediumError(
                "The project's database could not be read for a moment.",
                next_step="Send the request again; the kernel's log says what the disk did.",
            )
        if found.reason is Reason.KEY or isinstance(plain, DataCorruptError):
            return plain
        return DataCorruptError(
            f"The project's database is damaged: {plain.message}", next_step=RESTORE
        )

    def _diagnose(self) -> Diagnosis:
        with self._lock:
            known, guard = self._diagnosed, self._guard
        if known is not None and time.monotonic() - known[0] < _DIAGNOSIS_SECONDS:
            return known[1]
        found = guard.file.diagnose(self.key.key)
        with self._lock:
            self._diagnosed = (time.monotonic(), found)
        return found

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words for the operator; nothing if all is well."""
        return self._guard.faults(self._damage)

    def open_copy_source(self) -> Connection:
        """Return a reader of its own for a copy of the database; the caller closes it."""
        return open_reader(self.path, self.key.key)

    def move(self, path: Path, key: DataKey) -> None:
        """Go on with another file, which the writer has open. Readers in use end with the old.

        Raises DataError; then everything is as it was.
        """
        guard = _guard(path)
        try:
            _attach(guard)
        except BaseException:
            guard.close()
            raise
        with self._lock:
            old, self._guard = self._guard, guard
            self.path, self.key = path, key
            self._generation += 1
            free, self._free = self._free, []
        for _, connection in free:
            connection.close()
        old.close()

    def closing(self) -> None:
        """Prepare for the end of the writer's connection."""
        try:
            self._guard.closing()
        except OSError as error:
            _LOG.error("the end of the data of %s cannot be noted: %s", self._name, error.strerror)

    def close(self) -> None:
        """Close the readers, after the writer's connection."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for _, connection in free:
            connection.close()
        self._guard.close()

    def _take(self, *, fresh: bool) -> tuple[int, Connection]:
        now = time.monotonic()
        if now >= self._check_due:
            missing = self._guard.file.missing()
            if missing is not None:
                raise gone(missing)
            self._check_due = now + _CHECK_SECONDS
        with self._lock:
            if self._closed:
                raise DataClosedError(next_step="Send the request again.")
            if self._free and not fresh:
                return self._free.pop()
            generation, path, key = self._generation, self.path, self.key.key
        return generation, open_reader(path, key)

    def _give(self, generation: int, connection: Connection, *, good: bool) -> None:
        with self._lock:
            if good and not self._closed and generation == self._generation:
                self._free.append((generation, connection))
                return
        with suppress(DatabaseFault):
            connection.close()


def _guard(path: Path) -> CommitGuard:
    try:
        return CommitGuard(path)
    except FileNotFoundError as error:
        raise DataGoneError(f"{path.name} is gone.") from error
    except OSError as error:
        raise disk_error(f"{path.name} cannot be looked at", error) from error


def _attach(guard: CommitGuard) -> None:
    try:
        guard.attach()
        guard.committed()
    except FileGoneError as error:
        raise gone(error.path) from error
    except OSError as error:
        raise disk_error("The database's log cannot be looked at", error) from error
