"""Telling another key from damage, by the authentication codes of single pages.

The engine says the same of both. A page holds its content, an IV of 16 bytes and an HMAC-SHA512 of
content, IV and page number; the first 16 bytes of page 1 are the database's salt
(zetetic.net/sqlcipher/design). Read-only: the files are examined before the engine may touch them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator
from pathlib import Path

from casemate.store.errors import StoreCorruptError, StoreError, StoreKeyError
from casemate.store.sqlite.engine import PAGE_BYTES
from casemate.store.sqlite.faults import OTHER_KEY, RESTORE

_SALT_BYTES = 16
_CODE_BYTES = 64
_SALT_MASK = bytes([0x3A]) * _SALT_BYTES
_CODE_KEY_ITERATIONS = 2
_LOG_HEADER = 32
_FRAME_HEADER = 24
_SAMPLE = 64
"""Pages looked at beside the first before a database counts as another key's."""


def require_key(database: Path, key: bytes) -> None:
    """Refuse a database unless its first page, in the file or its log, is authentic under `key`.

    Raises StoreCorruptError if other pages are authentic, StoreKeyError if none is, StoreError if
    the file cannot be read. A database whose salt is damaged counts as another key's.
    """
    try:
        with database.open("rb", buffering=0) as file:
            descriptor = file.fileno()
            first = os.pread(descriptor, PAGE_BYTES, 0)
            codes = code_key(key, first[:_SALT_BYTES])
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


def code_key(key: bytes, salt: bytes) -> bytes:
    """Return the key of the authentication codes of a database with that salt."""
    masked = bytes(a ^ b for a, b in zip(salt, _SALT_MASK, strict=False))
    return hashlib.pbkdf2_hmac("sha512", key, masked, _CODE_KEY_ITERATIONS, len(key))


def authentic(page: bytes, number: int, codes: bytes) -> bool:
    """Tell whether a page, counted from 1, is what was written; `codes` is from `code_key`."""
    if len(page) != PAGE_BYTES:
        return False
    begin = _SALT_BYTES if number == 1 else 0
    covered, code = page[begin:-_CODE_BYTES], page[-_CODE_BYTES:]
    expected = hmac.digest(codes, covered + number.to_bytes(4, "little"), "sha512")
    return hmac.compare_digest(expected, code)


def any_authentic(descriptor: int, codes: bytes) -> bool:
    """Tell whether any of some pages behind the first is what was written. Raises OSError."""
    pages = os.fstat(descriptor).st_size // PAGE_BYTES
    step = max(1, pages // _SAMPLE)
    return any(
        authentic(os.pread(descriptor, PAGE_BYTES, (n - 1) * PAGE_BYTES), n, codes)
        for n in range(2, pages + 1, step)
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
