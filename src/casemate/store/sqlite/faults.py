"""Errors of sqlite3, turned into the store's own, each with what to do next."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from casemate.model.errors import InvalidInputError
from casemate.store.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreForeignError,
    StoreFullError,
)

RESTORE = (
    "Stop the node, move the store's folder away for examination, and restore it from a backup."
)
VALUE_ERRORS = (sqlite3.IntegrityError, sqlite3.DataError, UnicodeEncodeError, OverflowError)
"""What SQLite or its binding says of a value that breaks a column's type, range or encoding."""
UNSTORABLE = (
    *VALUE_ERRORS,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    AttributeError,
    TypeError,
    ValueError,
)
"""All that can come of a record that is not what its type says; the medium is not at fault."""


def primary_code(error: sqlite3.Error) -> int | None:
    """Return SQLite's primary result code (the low byte of the extended one), None if unknown."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def translate(error: sqlite3.Error) -> StoreError:
    """Return the store's error for one of sqlite3 (result codes: sqlite.org/rescode.html)."""
    code = primary_code(error)
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    text = f"{error} ({name})."
    extended = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_FULL or extended == sqlite3.SQLITE_IOERR_SHMSIZE:
        return StoreFullError(
            f"The store's disk is full: {text}",
            next_step="Make room on the file system of the store's folder; then the call works.",
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreBusyError(
            f"Another program holds the store's database: {text}",
            next_step="Close the other program (a backup or an sqlite3 shell) and try again.",
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return StoreCorruptError(f"The store's database is damaged: {text}", next_step=RESTORE)
    if code == sqlite3.SQLITE_NOTADB:
        return StoreForeignError(f"The store's file is no database: {text}", next_step=RESTORE)
    return StoreError(
        f"The store's medium failed: {text}",
        next_step="Check the disk, the kernel's log and the rights on the store's folder.",
    )


def unstorable(error: Exception) -> InvalidInputError:
    """Return the error for a value that no column takes."""
    return InvalidInputError(
        f"A value cannot be stored: {error}.",
        next_step="Pass text without lone surrogates, finite numbers, integers of at most 64 bits.",
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turn every error of sqlite3 inside the block into a StoreError, or InvalidInputError."""
    try:
        yield
    except VALUE_ERRORS as error:
        raise unstorable(error) from error
    except sqlite3.Error as error:
        raise translate(error) from error
