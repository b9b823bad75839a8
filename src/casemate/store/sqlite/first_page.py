"""Telling another key from damage before the engine may touch the files, by the first page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from casemate.sqlite.engine import PAGE_BYTES
from casemate.sqlite.pages import SALT_BYTES, any_authentic, authentic, code_key
from casemate.store.errors import StoreCorruptError, StoreError, StoreKeyError
from casemate.store.sqlite.faults import OTHER_KEY, RESTORE

_LOG_HEADER = 32
_FRAME_HEADER = 24


def require_key(database: Path, key: bytes) -> None:
    """Refuse a database unless its first page, in the file or its log, is authentic under `key`.

    Raises StoreCorruptError if other pages are authentic, StoreKeyError if none is, StoreError if
    the file cannot be read. A database whose salt is damaged counts as another key's.
    """
    try:
        with database.open("rb", buffering=0) as file:
            descriptor = file.fileno()
            first = os.pread(descriptor, PAGE_BYTES, 0)
            codes = code_key(key, first[:SALT_BYTES])
            if authentic(first, 1, codes):
                return
            logged = False
            for page in _logged_first_pages(database.with_name(f"{database.name}-wal")):
                logged = True
                if authentic(page, 1, codes):
                    return
            found = not logged and any_authentic(descriptor, codes)
    except OSError as error:
        raise StoreError(
            f"{database} cannot be read: {error.strerror}.",
            next_step="Check the disk and that this user owns the file.",
        ) from error
    if found:
        raise StoreCorruptError(
            f"The first page of {database} is damaged; others are intact.", next_step=RESTORE
        )
    raise StoreKeyError(
        f"{database} was written with another key than the one given.", next_step=OTHER_KEY
    )


def _logged_first_pages(log: Path) -> Iterator[bytes]:
    """Return the copies of page 1 in a write-ahead log (sqlite.org/fileformat.html, 4.1)."""
    if not log.exists():
        return
    with log.open("rb", buffering=0) as file:
        descriptor = file.fileno()
        salts = os.pread(descriptor, _LOG_HEADER, 0)[16:24]
        size = os.fstat(descriptor).st_size
        for at in range(_LOG_HEADER, size, _FRAME_HEADER + PAGE_BYTES):
            header = os.pread(descriptor, _FRAME_HEADER, at)
            if header[8:16] != salts:
                return
            if header[:4] == b"\0\0\0\1":
                yield os.pread(descriptor, PAGE_BYTES, at + _FRAME_HEADER)
