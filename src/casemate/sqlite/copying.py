"""Copying a database that is in use, and encrypting one with another key."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from casemate.sqlite import engine
from casemate.sqlite.family import Family
from casemate.sqlite.transaction import one_state

_PAGES_PER_STEP = 256


def copy_pages(
    source: engine.Connection, target: Path, key: bytes, step: Callable[[], None] | None = None
) -> None:
    """Write one consistent state of an encrypted database into the empty file `target`.

    Others may write to the database meanwhile; its log then grows until the copy is done. The copy
    has the same key and a salt of its own; it is durable once the file is synced. Blocks; `step` is
    called every now and then, and may raise. Raises the engine's errors.
    """
    with closing(engine.connect(target, key)) as copy:
        # The file is synced when it is whole, and thrown away if it does not become so.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        # An open read transaction holds one state; without it each write would begin the copy anew.
        with one_state(source):
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            source.backup(
                copy,
                pages=_PAGES_PER_STEP,
                progress=None if step is None else lambda *_: step(),
                sleep=0.0,
            )


def change_key(database: Path, key: bytes, new_key: bytes, family: Family) -> bool:
    """Encrypt a database that nobody else has open with another key, in one transaction.

    What counts is what the database opens with afterwards, not what the engine answers: False if
    that is the old key still. Raises `family`'s error if it is because the engine failed.
    """
    failure: engine.Error | None = None
    with family.translated():
        connection = engine.connect(database, key)
        try:
            engine.rekey(connection, new_key)
        except engine.Error as error:
            failure = error
        finally:
            connection.close()
        if _opens(database, new_key):
            _empty_log(database, new_key)
            return True
        if failure is not None:
            raise failure
    return False


def _empty_log(database: Path, key: bytes) -> None:
    """Leave no page under the old key in the file: what changed goes from the log into it."""
    with closing(engine.connect(database, key)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _opens(database: Path, key: bytes) -> bool:
    try:
        engine.connect(database, key).close()
    except engine.Error:
        return False
    return True
