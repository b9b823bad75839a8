"""Errors of the engine, turned into the store's own, each with what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from casemate.model.errors import InvalidInputError
from casemate.sqlite import engine
from casemate.sqlite.errors import FileGoneError
from casemate.store.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreGoneError,
    StoreKeyError,
    StoreMediumError,
)

RESTORE = (
    "Stop the node, move the store's folder away for examination, and restore it from a backup."
)
OTHER_KEY = (
    "Start the node with the vault that this store belongs to, or restore both from one backup; "
    "nothing was changed."
)
VALUE_ERRORS = (engine.IntegrityError, engine.DataError, UnicodeEncodeError, OverflowError)
"""What SQLite or its binding says of a value that breaks a column's type, range or encoding."""
UNSTORABLE = (
    *VALUE_ERRORS,
    engine.InterfaceError,
    engine.ProgrammingError,
    AttributeError,
    TypeError,
    ValueError,
)
"""All that can come of a record that is not what its type says; the medium is not at fault."""


def primary_code(error: engine.Error | MemoryError) -> int | None:
    """Return SQLite's primary result code (the low byte of the extended one), None if unknown."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def translate(error: engine.Error | MemoryError) -> StoreError:
    """Return the store's error for one of the engine (result codes: sqlite.org/rescode.html)."""
    code = primary_code(error)
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    text = f"{error} ({name})."
    extended = getattr(error, "sqlite_errorcode", None)
    if code == engine.FULL or extended == engine.IOERR_SHMSIZE:
        return StoreFullError(
            f"The store's disk is full: {text}",
            next_step="Make room on the file system of the store's folder; then the call works.",
        )
    if code in (engine.BUSY, engine.LOCKED):
        return StoreBusyError(
            f"Another program holds the store's database: {text}",
            next_step="Close the other program and try again.",
        )
    if code == engine.CORRUPT:
        return StoreCorruptError(f"The store's database is damaged: {text}", next_step=RESTORE)
    if code == engine.NOTADB:
        return StoreKeyError(
            "The store's database was written with another key, or its first page is damaged.",
            next_step=OTHER_KEY,
        )
    if isinstance(error, MemoryError):  # what the engine says of a page that its codec refuses
        return StoreCorruptError(f"The store's database is damaged: {text}", next_step=RESTORE)
    kind = StoreMediumError if code in engine.MEDIUM else StoreError
    return kind(
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
    """Turn every error of the engine inside the block into a StoreError, or InvalidInputError."""
    try:
        yield
    except VALUE_ERRORS as error:
        raise unstorable(error) from error
    except (engine.Error, MemoryError) as error:
        raise translate(error) from error
    except FileGoneError as error:
        raise gone(error.path.name) from error


def gone(name: str) -> StoreGoneError:
    """Return the error for a file that is not at its place any more."""
    return StoreGoneError(
        f"{name} of the store was removed or replaced while it was open: what is written would be "
        "lost.",
        next_step="Put the file back, or stop the node and restore the store from a backup.",
    )
