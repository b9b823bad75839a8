"""The log of a database that is gone: the engine would play it into a new one of the same name."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from casemate.sqlite.commit_count import SUFFIX, forget

LOGS = ("-wal", "-journal")
SIDES = (*LOGS, "-shm", SUFFIX)
"""Ends of the names of what stands beside a database."""


def left_log(database: Path) -> Path | None:
    """Return the log with changes in it of a database that is not there, None if there is none.

    Raises OSError.
    """
    if database.exists():
        return None
    for end in LOGS:
        log = database.with_name(f"{database.name}{end}")
        with suppress(FileNotFoundError):
            if log.stat().st_size:
                return log
    return None


def accept_loss(database: Path) -> None:
    """Accept what is there as all there is; of a database that is gone nothing is opened any more.

    What it has left is kept for examination, under names that no database has. Raises OSError.
    """
    forget(database)
    if database.exists():
        return
    ending = time.strftime("lost-%Y%m%dT%H%M%SZ", time.gmtime())
    sides = _sides(database)
    for side in sides:
        side.rename(side.with_name(f"{side.name}.{ending}"))
    if sides:
        _sync(database.parent)


def delete_sides(database: Path) -> None:
    """Delete what stands beside a name before a new database gets it, durably. Raises OSError."""
    sides = _sides(database)
    for side in sides:
        side.unlink()
    if sides:
        _sync(database.parent)


def _sides(database: Path) -> list[Path]:
    found = [database.with_name(f"{database.name}{end}") for end in SIDES]
    return [side for side in found if os.path.lexists(side)]


def _sync(folder: Path) -> None:
    """Have the names be gone on the disk before another database gets the one they belong to."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
