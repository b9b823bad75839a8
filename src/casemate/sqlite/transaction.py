"""One write transaction, ended in every case; a part of one; and one state to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from casemate.sqlite import engine
from casemate.sqlite.commit_guard import CommitGuard
from casemate.sqlite.family import Family, primary_code


@contextmanager
def transaction(
    connection: engine.Connection, family: Family, guard: CommitGuard | None = None
) -> Iterator[None]:
    """Commit what the block does, durably, or undo all of it.

    Raises `family`'s error for a failure of the database and whatever the block raises; its
    `unsure` if it cannot be told whether the log holds the change (the engine forgets what it could
    not make durable, but the next start may find it there), its `gone` if `guard` misses a file.
    """
    with family.translated():
        if guard is not None:
            guard.begins()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            _commit(connection, family)
        except BaseException:
            _undo(connection, "ROLLBACK")
            raise
        if guard is not None:
            guard.committed()


def _commit(connection: engine.Connection, family: Family) -> None:
    try:
        connection.execute("COMMIT")
    except engine.Error as error:
        if primary_code(error) != engine.IOERR:
            raise
        raise family.unsure.of(error) from error


@contextmanager
def savepoint(connection: engine.Connection) -> Iterator[None]:
    """Undo what the block did if it raises, and leave the transaction around it standing."""
    connection.execute("SAVEPOINT part")
    try:
        yield
        # Within it: what a connection put off until now may fail only here.
        connection.execute("RELEASE part")
    except BaseException:
        _undo(connection, "ROLLBACK TO part")
        _undo(connection, "RELEASE part")
        raise


@contextmanager
def one_state(connection: engine.Connection) -> Iterator[None]:
    """Let all questions inside the block see the same state."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        _undo(connection, "COMMIT")


def _undo(connection: engine.Connection, statement: str) -> None:
    # SQLite itself has rolled back after some failures (sqlite.org/lang_transaction.html, 2.3);
    # the error that led here must not be hidden by that of undoing it.
    if connection.in_transaction:
        with suppress(engine.Error):
            connection.execute(statement)
