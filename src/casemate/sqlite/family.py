"""Errors of the engine, turned into those of whoever has the database, each with what to do next.

The kinds are the same everywhere; what they are called, and what people read, says what the
database is: the node's store, or a project's data. That is a `Family`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from casemate.model.errors import CasemateError, InvalidInputError
from casemate.sqlite import engine
from casemate.sqlite.errors import (
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseFullError,
    DatabaseGoneError,
    DatabaseKeyError,
    DatabaseMediumError,
    DatabaseUnsureError,
    DatabaseVersionError,
    FileGoneError,
)

E_co = TypeVar("E_co", bound=CasemateError, covariant=True)

VALUE_ERRORS = (engine.IntegrityError, engine.DataError, UnicodeEncodeError, OverflowError)
"""What SQLite or its binding says of a value that breaks a column's type, range or encoding."""


@dataclass(frozen=True, slots=True)
class Telling(Generic[E_co]):
    """How a kind of failure is told: its class, a text with `{}` for what was found, what to do."""

    kind: type[E_co]
    text: str
    next_step: str

    def of(self, found: object = "") -> E_co:
        """Return the error."""
        return self.kind(self.text.format(found), next_step=self.next_step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the errors of one database are called, and what they say."""

    failed: Telling[DatabaseError]
    """Everything that no other kind is for."""
    medium: Telling[DatabaseMediumError]
    """The system refused what may work again later."""
    full: Telling[DatabaseFullError]
    busy: Telling[DatabaseBusyError]
    key: Telling[DatabaseKeyError]
    damaged: Telling[DatabaseCorruptError]
    unsure: Telling[DatabaseUnsureError]
    gone: Telling[DatabaseGoneError]
    """Of the name of a file."""
    unread: Telling[DatabaseMediumError]
    """The file cannot be read; of what the system says."""
    passed: Telling[DatabaseMediumError]
    """The file could not be read for a moment, and can be now."""
    closed: Telling[DatabaseClosedError]
    newer: Telling[DatabaseVersionError]
    """Of a database's version and the highest known, as one text."""
    not_wal: Telling[DatabaseError]
    """Of the journal mode that the database stays in."""
    unforeseen: Telling[DatabaseError]
    log: Callable[[OSError], DatabaseError]
    """The error for a log that cannot be examined."""
    shows_values: bool
    """Whether what the engine says of a value may be shown and logged: not if it is content."""

    def translate(self, error: engine.Error | MemoryError) -> DatabaseError:
        """Return our error for one of the engine (result codes: sqlite.org/rescode.html)."""
        code = primary_code(error)
        name = getattr(error, "sqlite_errorname", None) or type(error).__name__
        text = f"{error} ({name})."
        if code == engine.FULL or _extended_code(error) == engine.IOERR_SHMSIZE:
            return self.full.of(text)
        if code in (engine.BUSY, engine.LOCKED):
            return self.busy.of(text)
        if code == engine.NOTADB:
            return self.key.of(text)
        # MemoryError is what the engine says of a page that its codec refuses.
        if code == engine.CORRUPT or isinstance(error, MemoryError):
            return self.damaged.of(text)
        return (self.medium if code in engine.MEDIUM else self.failed).of(text)

    def unstorable(self, error: Exception) -> InvalidInputError:
        """Return the error for a value that no column takes."""
        what = f": {error}." if self.shows_values else f" ({type(error).__name__})."
        return InvalidInputError(
            f"A value cannot be stored{what}",
            next_step="Pass text without lone surrogates, finite numbers, integers of at most 64 "
            "bits.",
        )

    def told(self, error: Exception) -> Exception:
        """Return our error for one that a block raised; one that is not the engine's as it is."""
        if isinstance(error, VALUE_ERRORS):
            return self.unstorable(error)
        if isinstance(error, engine.Error | MemoryError):
            return self.translate(error)
        if isinstance(error, FileGoneError):
            return self.missing(error.path)
        return error

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn every error of the engine inside the block into one of ours."""
        try:
            yield
        except Exception as error:
            told = self.told(error)
            if told is error:
                raise
            raise told from error

    def missing(self, path: Path) -> DatabaseGoneError:
        """Return the error for a file that is not at its place any more."""
        return self.gone.of(path.name)

    def surprised(self, error: Exception) -> DatabaseError:
        """Return the error for one not foreseen; without its text if that may show values."""
        name = type(error).__name__
        failure = self.unforeseen.of(f"{name}: {error}" if self.shows_values else name)
        failure.__cause__ = error
        return failure


_CODES = {
    "database or disk is full": engine.FULL,
    "disk I/O error": engine.IOERR,
    "database disk image is malformed": engine.CORRUPT,
}
"""What sqlite3_errstr says of codes."""


def primary_code(error: BaseException) -> int | None:
    """Return SQLite's primary result code (the low byte of the extended one), None if unknown."""
    code = _extended_code(error)
    return None if code is None else code & 0xFF


def _extended_code(error: BaseException) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code
    # The copying of pages raises the engine's own words for a code, and no code.
    return _CODES.get(str(error)) if isinstance(error, engine.Error) else None
