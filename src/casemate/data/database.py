"""Connections to a project's encrypted database, transactions, and errors as ours.

The engine itself (SQLCipher) is the store's, `casemate.sqlite.engine`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from casemate.data.errors import (
    CommitUnsureError,
    DataBusyError,
    DataCorruptError,
    DataError,
    DataFullError,
    DataGoneError,
    DataKeyError,
    DataMediumError,
)
from casemate.model.errors import CasemateError, InvalidInputError
from casemate.sqlite import engine
from casemate.sqlite.commit_guard import CommitGuard
from casemate.sqlite.errors import FileGoneError

Connection = engine.Connection
Cursor = engine.Cursor
DatabaseFault = engine.Error
VALUE_FAULTS = (engine.IntegrityError, engine.DataError, UnicodeEncodeError, OverflowError)
"""What comes of a value that breaks a column's type, range or encoding."""
READER_CACHE_KIB = 4096
WRITER_CACHE_KIB = 8192
RESERVED_PAGES = 256
RESTORE = (
    "Stop the node, move the project's files away for examination, restore them from a backup."
)


def open_reader(path: Path, key: bytes) -> Connection:
    """Return a connection that cannot change anything; one thread at a time may use it.

    Raises DataKeyError if the key is not the file's (or its first page is damaged: without the
    key the two cannot be told apart), DataError if the system refuses.
    """
    with translated():
        connection = engine.connect(path, key)
        connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB:d}")
        connection.execute("PRAGMA query_only = ON")
    return connection


def open_writer(path: Path, key: bytes, *, max_bytes: int) -> Connection:
    """Return the connection that writes. Raises as `open_reader`."""
    with translated():
        connection = engine.connect(path, key)
        try:
            mode = engine.use_wal(connection)
            if mode != "wal":
                raise DataError(
                    f"The database stays in journal mode {mode!r}; expected 'wal'.",
                    next_step="Put the data on a local file system with shared memory maps.",
                )
            connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB:d}")
            limit_size(connection, max_bytes)
        except BaseException:
            connection.close()
            raise
    return connection


def limit_size(connection: Connection, max_bytes: int) -> None:
    """Let the file grow to `max_bytes` at most; what is larger already stays."""
    connection.execute(f"PRAGMA max_page_count = {max_bytes // engine.PAGE_BYTES:d}")


@contextmanager
def reserve(connection: Connection) -> Iterator[None]:
    """Let the file grow a little beyond its bound for what empties a project, not fills it.

    Handing a message out and taking it away writes too; without this, nothing could be handled
    once nothing more can be sent.
    """
    (bound,) = connection.execute("PRAGMA max_page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {bound + RESERVED_PAGES:d}")
    try:
        yield
    finally:
        # Below its present size the engine does not go; what is there then is the bound.
        connection.execute(f"PRAGMA max_page_count = {bound:d}")


@contextmanager
def transaction(connection: Connection, guard: CommitGuard | None = None) -> Iterator[None]:
    """Commit what the block does, durably, or undo all of it.

    Raises CommitUnsureError if that cannot be told: the engine forgets what it could not make
    durable, but the log may hold it at the next start. DataGoneError if `guard` misses a file.
    """
    with translated():
        if guard is not None:
            guard.begins()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            _commit(connection)
        except BaseException:
            _undo(connection, "ROLLBACK")
            raise
        if guard is not None:
            guard.committed()


def _commit(connection: Connection) -> None:
    try:
        connection.execute("COMMIT")
    except DatabaseFault as error:
        code = getattr(error, "sqlite_errorcode", None)
        if not isinstance(code, int) or code & 0xFF != engine.IOERR:
            raise
        raise CommitUnsureError(
            f"The disk failed while a change was being made durable: {error}.",
            next_step="Look whether it was made before it is sent again.",
        ) from error


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Undo what the block did if it raises, and leave the transaction around it standing."""
    connection.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        _undo(connection, "ROLLBACK TO part")
        _undo(connection, "RELEASE part")
        raise
    connection.execute("RELEASE part")


@contextmanager
def one_state(connection: Connection) -> Iterator[None]:
    """Let all questions inside the block see the same state."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        _undo(connection, "COMMIT")


def _undo(connection: Connection, statement: str) -> None:
    # SQLite itself has rolled back after some failures (sqlite.org/lang_transaction.html, 2.3);
    # the error that led here must not be hidden by that of undoing it.
    if connection.in_transaction:
        with suppress(DatabaseFault):
            connection.execute(statement)


@contextmanager
def translated() -> Iterator[None]:
    """Turn every error of the database inside the block into one of ours."""
    try:
        yield
    except VALUE_FAULTS as error:
        raise unstorable(error) from error
    except (DatabaseFault, MemoryError) as error:
        raise translate(error) from error
    except FileGoneError as error:
        raise gone(error.path) from error


def gone(path: Path) -> DataGoneError:
    """Return the error for a file that is not at its place any more."""
    return DataGoneError(
        f"{path.name} was removed or replaced while it was open: what is written would be lost.",
        next_step="Put the file back, or stop the node and restore the data from a backup.",
    )


def unstorable(error: Exception) -> InvalidInputError:
    """Return the error for a value that no column takes. The value is not in it."""
    return InvalidInputError(
        f"A value cannot be stored ({type(error).__name__}).",
        next_step="Pass text without lone surrogates, finite numbers, integers of at most 64 bits.",
    )


def translate(error: Exception) -> CasemateError:
    """Return our error for one of the database's. Its texts name tables, never values."""
    extended = getattr(error, "sqlite_errorcode", None)
    code = extended & 0xFF if isinstance(extended, int) else None
    text = f"{error} ({getattr(error, 'sqlite_errorname', None) or type(error).__name__})."
    if code == engine.FULL or extended == engine.IOERR_SHMSIZE:
        return DataFullError(
            f"The disk, or the size that a project may take on it, is full: {text}",
            next_step="Delete data of the project, or make room on that file system.",
        )
    if code in (engine.BUSY, engine.LOCKED):
        return DataBusyError(
            f"Another program holds the project's database: {text}",
            next_step="Close the other program (a backup or a shell) and try again.",
        )
    if code == engine.NOTADB:
        return DataKeyError(
            f"The project's database does not open with its key: {text}",
            next_step="Check that the vault is the one this data was written with; if it is, the "
            "file is damaged: restore it from a backup.",
        )
    if code == engine.CORRUPT:
        return DataCorruptError(f"The project's database is damaged: {text}", next_step=RESTORE)
    if isinstance(error, MemoryError):  # what the engine says of a page that its codec refuses
        return DataCorruptError(f"The project's database is damaged: {text}", next_step=RESTORE)
    kind = DataMediumError if code in engine.MEDIUM else DataError
    return kind(
        f"The medium of the project's data failed: {text}",
        next_step="Check the disk, the kernel's log and the rights on the data folder.",
    )
