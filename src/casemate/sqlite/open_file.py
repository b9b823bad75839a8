"""A database's file while it is open: still at its place, and what is wrong with it if it fails.

The engine tells a read that failed from a page that is damaged by nothing: it says "malformed" of
both (SQLite turns EIO into SQLITE_CORRUPT), and the codec refuses every page of that connection
from then on. So the file is read here, beside the engine, and each page's authentication code is
checked.

The descriptor is kept for as long as any connection is open: closing one would drop the locks that
this process holds on the file (fcntl(2)).
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from casemate.kernel.durability import sync_file
from casemate.sqlite.engine import PAGE_BYTES
from casemate.sqlite.pages import SALT_BYTES, any_authentic, authentic, code_key, pages_told

_BLOCK_PAGES = 256
_LOOK_SECONDS = 0.5
"""How long the search for the reason of one failure may take; it reads some 200 MB then."""
_TRIES = 3
_LOG_HEAD, _FRAME_HEAD, _PAGE_NUMBER = 32, 24, 4
"""Bytes before the first frame of a log, before the page in each, and of its number there."""
_TRY_AGAIN_SECONDS = 0.05
"""A page that a checkpoint is writing is not authentic for a moment."""


class Reason(Enum):
    """Why a database failed."""

    READ = "read"
    """The disk does not give what is there; it may do so again."""
    DAMAGE = "damage"
    """A page is not what was written, or the file ends too soon."""
    KEY = "key"
    """No page looked at is authentic: the key is another one, or the first 16 bytes are."""
    NONE = "none"
    """All was read and is authentic: what failed has passed."""
    UNKNOWN = "unknown"
    """The time was over before anything was found."""


class Diagnosis(NamedTuple):
    """What was found, in words for people."""

    reason: Reason
    text: str


class OpenFile:
    """The file of one open database. Any thread may use it."""

    def __init__(self, path: Path) -> None:
        """Keep the file at `path` open for reading. Raises OSError."""
        self.path = path
        self._log = path.with_name(f"{path.name}-wal")
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        found = os.fstat(self.descriptor)
        self._file = (found.st_dev, found.st_ino)
        self._log_file: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._users = 1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the descriptor from being closed inside the block: its number may be used anew."""
        with self._lock:
            if not self._users:
                raise OSError(errno.EBADF, "the database is closed")
            self._users += 1
        try:
            yield
        finally:
            self.close()

    def learn_log(self) -> None:
        """Remember which file the write-ahead log is, after a connection has opened it."""
        self._log_file = _identity(self._log)

    def sync_log(self) -> None:
        """Make all durable that is in the write-ahead log, if there is any. Raises OSError."""
        with suppress(FileNotFoundError):
            if self._log.stat().st_size:  # one that was closed in order has left none
                sync_file(self._log)

    def forget_log(self) -> None:
        """Know no log any more, before the connection closes that may be the last."""
        self._log_file = None

    def missing(self) -> Path | None:
        """Return the file that was removed or replaced since it was opened, None if none was.

        What is written to such a file is gone when it is closed, whatever fsync says.
        """
        if _identity(self.path) != self._file:
            return self.path
        if self._log_file is not None and _identity(self._log) != self._log_file:
            return self._log
        return None

    def diagnose(self, key: bytes) -> Diagnosis:
        """Read the file for as long as that may take, and tell why a call on it failed. Blocks."""
        try:
            with self.held():
                return self._look(key, time.monotonic() + _LOOK_SECONDS)
        except OSError as error:
            return Diagnosis(Reason.READ, error.strerror or type(error).__name__)

    def _look(self, key: bytes, deadline: float) -> Diagnosis:
        salt = os.pread(self.descriptor, SALT_BYTES, 0)
        codes = code_key(key, salt)
        size = os.fstat(self.descriptor).st_size
        number = 1
        while (number - 1) * PAGE_BYTES < size:
            if time.monotonic() > deadline:
                return Diagnosis(Reason.UNKNOWN, f"pages from {number} on were not looked at")
            block = os.pread(self.descriptor, _BLOCK_PAGES * PAGE_BYTES, (number - 1) * PAGE_BYTES)
            for at in range(0, len(block), PAGE_BYTES):
                page = block[at : at + PAGE_BYTES]
                if not authentic(page, number, codes) and self.is_damaged(number, codes):
                    if number == 1 and not any_authentic(self.descriptor, codes):
                        return Diagnosis(Reason.KEY, self.path.name)
                    return Diagnosis(Reason.DAMAGE, f"page {number} of {self.path.name}")
                number += 1
        _read_whole(self._log, deadline)
        first = self._first_missing(key, deadline)
        if first:
            text = f"the end of {self.path.name}, from page {first} on,"
            return Diagnosis(Reason.DAMAGE, text)
        return Diagnosis(Reason.NONE, "")

    def _first_missing(self, key: bytes, deadline: float) -> int:
        """Return the first page that is neither in the file nor in its log; 0 if none is missing.

        What was cut off has no page that could be looked at. In this order: a page that is written
        back meanwhile is in the file before the log is begun anew.
        """
        count = pages_told(os.pread(self.descriptor, PAGE_BYTES, 0), key)
        logged = _pages_in(self._log, deadline)
        there = os.fstat(self.descriptor).st_size // PAGE_BYTES
        if logged is None:
            return 0
        missing = (number for number in range(there + 1, count + 1) if number not in logged)
        return next(missing, 0)

    def is_damaged(self, number: int, codes: bytes) -> bool:
        """Tell whether a page is not authentic, also when it is read again. Raises OSError.

        `codes` is what `code_key` returned. A page of zeros was never written.
        """
        before = b""
        for turn in range(_TRIES):
            if turn:
                time.sleep(_TRY_AGAIN_SECONDS)
            page = os.pread(self.descriptor, PAGE_BYTES, (number - 1) * PAGE_BYTES)
            if not page.strip(b"\0") or authentic(page, number, codes):
                return False
            if turn and page == before:
                return True
            before = page
        return True

    def close(self) -> None:
        """Let go of the file, after the last connection; once for each time it was taken."""
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            os.close(self.descriptor)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _pages_in(path: Path, deadline: float) -> set[int] | None:
    """Return the numbers of all pages in a write-ahead log (sqlite.org/fileformat2.html#walformat).

    None if there was no time to. Those of frames that do not count any more are among them.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return set()
    found: set[int] = set()
    try:
        place = _LOG_HEAD
        while head := os.pread(descriptor, _PAGE_NUMBER, place):
            if time.monotonic() > deadline:
                return None
            found.add(int.from_bytes(head, "big"))
            place += _FRAME_HEAD + PAGE_BYTES
    finally:
        os.close(descriptor)
    return found


def _read_whole(path: Path, deadline: float) -> None:
    """Read a file to see that it can be. Its locks do not matter: the engine has none on it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        while os.read(descriptor, _BLOCK_PAGES * PAGE_BYTES) and time.monotonic() < deadline:
            pass
    finally:
        os.close(descriptor)
