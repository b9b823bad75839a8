"""One write transaction, ended in every case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from casemate.sqlite import engine
from casemate.sqlite.commit_guard import CommitGuard
from casemate.store.errors import StoreCommitUnsureError
from casemate.store.sqlite.faults import primary_code, translated


@contextmanager
def transaction(connection: engine.Connection, guard: CommitGuard | None = None) -> Iterator[None]:
    """Commit what the block does, durably, or undo all of it.

    Raises StoreError for a failure of the database and whatever the block raises;
    StoreCommitUnsureError if it cannot be told whether the log holds the change, StoreGoneError if
    `guard` misses a file.
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


def _commit(connection: engine.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except engine.Error as error:
        if primary_code(error) != engine.IOERR:
            raise
        raise StoreCommitUnsureError(
            f"The store's disk failed while a change was being made durable: {error}.",
            next_step="Look whether it was made before it is made again.",
        ) from error


@contextmanager
def savepoint(connection: engine.Connection) -> Iterator[None]:
    """Undo what the block did if it raises, and leave the transaction around it standing."""
    connection.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            _undo(connection, "ROLLBACK TO part")
            _undo(connection, "RELEASE part")
        raise
    connection.execute("RELEASE part")


def _undo(connection: engine.Connection, statement: str) -> None:
    # SQLite itself has rolled back after some failures (sqlite.org/lang_transaction.html, 2.3);
    # the error that led here must not be hidden by that of undoing it.
    if connection.in_transaction:
        with suppress(engine.Error):
            connection.execute(statement)
