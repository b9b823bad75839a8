"""Opening the records: made whole or not at all, missed where there were some, known to be ours."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from casemate.kernel.durability import sync_folder
from casemate.recorder.records.errors import (
    RecordsCorruptError,
    RecordsError,
    RecordsMissingError,
)
from casemate.recorder.records.faults import GO_ON, RECORDS
from casemate.recorder.records.schema import APPLICATION_ID, CHECKED_TABLES, migrate
from casemate.sqlite import engine, left_log
from casemate.sqlite.commit_count import lost_commits
from casemate.sqlite.commit_guard import CommitGuard
from casemate.sqlite.connecting import Room
from casemate.sqlite.connections import Connections

FOLDER = "records"
"""Below the recorder's own folder."""
DATABASE = "records.db"
COPY = f"{DATABASE}.copy"
_DRAFT = f"{DATABASE}.new"
_ROOM = Room(reader_cache_kib=4096, writer_cache_kib=8192)


def connections(folder: Path, key: bytes, *, expected: bool, accept_loss: bool) -> Connections:
    """Return connections to the records in a folder, made where there are to be none yet.

    Raises RecordsMissingError for records that are gone, RecordsKeyError for those of another key,
    RecordsCorruptError for damaged ones; with `accept_loss` these are kept aside, and others begin.
    """
    engine.require_key_length(key)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        database = folder / DATABASE
        for leftover in _leftovers(folder):
            leftover.unlink(missing_ok=True)
        if accept_loss and database.exists() and not _is_readable(database, key):
            _set_aside(folder)
        if accept_loss:
            left_log.accept_loss(database)
        if not database.exists():
            _require_none(folder, expected=expected and not accept_loss)
            _create(folder, key)
        elif (lost := lost_commits(database)) is not None:
            raise RecordsCorruptError(
                f"The records have lost what was acknowledged: {lost}. Nothing was changed.",
                next_step=GO_ON,
            )
        guard = CommitGuard(database)
        return Connections("the database of the records", guard, key, RECORDS, _ROOM)
    except OSError as error:
        raise RecordsError(
            f"The records cannot be opened: {error.strerror}.",
            next_step="Make room on that file system and check its rights.",
        ) from error


def _leftovers(folder: Path) -> Iterator[Path]:
    for name in (_DRAFT, COPY):
        yield folder / name
        yield folder / f"{name}-journal"
        yield folder / f"{name}-wal"


def _require_none(folder: Path, *, expected: bool) -> None:
    if expected or left_log.left_log(folder / DATABASE) is not None:
        raise RecordsMissingError(
            "The node had records of invocations, and their file is gone: "
            f"journal/{FOLDER}/{DATABASE}.",
            next_step=GO_ON,
        )
    left_log.delete_sides(folder / DATABASE)


def _is_readable(database: Path, key: bytes) -> bool:
    try:
        with closing(engine.connect(database, key)) as connection:
            _check(connection)
    except (engine.Error, MemoryError, RecordsError):
        return False
    return True


def _set_aside(folder: Path) -> None:
    """Keep what cannot be read for examination, and nothing of it in the way."""
    ending = f"damaged-{int(time.time())}"
    for name in ("", "-wal", "-shm", "-count"):
        file = folder / f"{DATABASE}{name}"
        with suppress(FileNotFoundError):
            file.rename(folder / f"{ending}-{file.name}")


def _create(folder: Path, key: bytes) -> None:
    """Write an empty database beside its place and rename it there."""
    draft = folder / _DRAFT
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with RECORDS.translated(), closing(engine.connect(draft, key)) as connection:
            migrate(connection)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(folder / DATABASE)
    sync_folder(folder)
    # The folder's own name, too, before anybody is told that there are records.
    sync_folder(folder.parent)


def open_writer(opened: Connections) -> engine.Connection:
    """Return the connection that writes, the schema brought up to date. Raises RecordsError."""

    def prepare(connection: engine.Connection) -> None:
        migrate(connection)
        _check(connection)

    return opened.open_writer(_require_ours, prepare)


def _require_ours(connection: engine.Connection) -> None:
    (found,) = connection.execute("PRAGMA application_id").fetchone()
    if found != APPLICATION_ID:
        raise RecordsError(
            f"journal/{FOLDER}/{DATABASE} is another database: application id {found:#x}, "
            f"expected {APPLICATION_ID:#x}.",
            next_step=GO_ON,
        )


def _check(connection: engine.Connection) -> None:
    for table in CHECKED_TABLES:
        problems = [row[0] for row in connection.execute(f"PRAGMA quick_check({table})")]
        if problems != ["ok"]:
            raise RECORDS.damaged.of("; ".join(problems[:3]))
