"""Copying a database that is in use, and encrypting one with another key."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from casemate.model.errors import ConflictError
from casemate.sqlite import engine
from casemate.store.errors import AFTER_RESTART, StoreClosedError, StoreError
from casemate.store.sqlite.faults import translated
from casemate.store.sqlite.files import create_private

_PAGES_PER_STEP = 256


def copy_database(database: Path, target: Path, key: bytes, cancelled: Callable[[], bool]) -> None:
    """Write one consistent state of an encrypted database to the new file `target`, durably.

    Others may write to the database meanwhile; its log then grows until the copy is done. The
    copy has the same key and a salt of its own. Blocks. Raises ConflictError if `target` exists,
    StoreClosedError once `cancelled` returns True, StoreError if the medium fails; then nothing
    is left behind.
    """
    if target.exists():
        raise ConflictError(
            f"{target} is there already; a copy goes into a new file.",
            next_step="Give a name that is free.",
        )
    draft = target.with_name(f"{target.name}.part")
    try:
        draft.unlink(missing_ok=True)
        descriptor = create_private(draft)
        try:
            with translated():
                _copy(database, draft, key, cancelled)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(
            f"The store cannot be copied to {target}: {error.strerror}.",
            next_step="Make room on that file system and check its rights.",
        ) from error
    finally:
        for leftover in (draft, draft.with_name(f"{draft.name}-journal")):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def _copy(database: Path, draft: Path, key: bytes, cancelled: Callable[[], bool]) -> None:
    def report(_status: int, _remaining: int, _total: int) -> None:
        if cancelled():
            raise StoreClosedError(next_step=AFTER_RESTART)

    with (
        closing(engine.connect(database, key)) as source,
        closing(engine.connect(draft, key)) as copy,
    ):
        # The file is synced when it is whole, and thrown away if it does not become so.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        # An open read transaction holds one state; without it each write would begin the copy anew.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        source.backup(copy, pages=_PAGES_PER_STEP, progress=report, sleep=0.0)
        source.execute("COMMIT")


def change_key(database: Path, key: bytes, new_key: bytes) -> None:
    """Encrypt a database that nobody else has open with another key, in one transaction.

    What counts is what the database opens with afterwards, not what the engine answers. Raises
    StoreError if it failed and the old key still holds.
    """
    failure: engine.Error | None = None
    with translated():
        connection = engine.connect(database, key)
        try:
            engine.rekey(connection, new_key)
        except engine.Error as error:
            failure = error
        finally:
            connection.close()
        if _opens(database, new_key):
            _empty_log(database, new_key)
            return
        if failure is not None:
            raise failure
    raise StoreError(
        "The store's database did not take the new key; the old one still holds.",
        next_step="Try again; nothing was changed.",
    )


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


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (open(2), fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
