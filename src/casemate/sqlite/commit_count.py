"""How far a database's log was committed, kept beside it: tells a torn end from lost commits.

After a crash the engine takes over the log up to the first frame that is not as it was written,
and drops what follows without a word (sqlite.org/walformat.html, 4.4). A torn end is what a crash
leaves, and nobody was told that it is kept; a changed byte in the middle takes acknowledged commits
along. So after each commit, and before anybody is told of it, it is written here which log it is,
how many frames of it are committed, and their running checksum.

The file is not fsynced for each commit, only once a second: a killed process loses nothing of it,
and after a power cut it is older than the log, never newer. What it says of a log that has begun
anew since tells nothing. Two records are written in turn, so that one damaged sector hides one
commit at most.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import mmap
import os
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from casemate.sqlite.engine import PAGE_BYTES

SUFFIX = "-count"
_MAGIC = b"CMCOUNT1"
_RECORD = struct.Struct("<8sQ?3xI8s8s")
_HASH_BYTES = 16
_SLOT_BYTES = 512
_SLOTS = 2
_SYNC_SECONDS = 1.0

_INDEX_HEADER = 48
_FRAMES = struct.Struct("=I")
_FRAMES_AT, _CHECKSUM_AT, _SALTS_AT = 16, 24, 32
"""The index of the log, in shared memory (sqlite.org/walformat.html, 2.1), native byte order."""

_LOG_HEADER = 32
_FRAME_HEADER = 24
_LOG_MAGIC = 0x377F0682
"""Its lowest bit tells the byte order of the checksums (sqlite.org/fileformat.html, 4.1)."""
_MOST_FRAMES = 1 << 22
"""16 GiB of log; no record of ours names more."""


class Place(NamedTuple):
    """How far a log is committed."""

    number: int
    """Counts the records, so that the newer one is known."""
    open: bool
    """False: the log is being written back, or was; it may be gone."""
    frames: int
    salts: bytes
    """Which log it is: new ones are chosen whenever it begins anew."""
    checksum: bytes
    """Over all frames so far, as the log has it."""


class CountDamagedError(Exception):
    """Neither record of the file is what was written."""


class CommitCount:
    """The file beside one database, while this process alone writes to that. One thread uses it."""

    def __init__(self, database: Path) -> None:
        """Open the file, made where it is missing. Raises OSError."""
        self._index_path = database.with_name(f"{database.name}-shm")
        self._path = database.with_name(f"{database.name}{SUFFIX}")
        self._file = -1
        self._open()
        self._index = -1
        self._map: mmap.mmap | None = None
        self._synced = time.monotonic()
        try:
            last = _newest(os.pread(self._file, _SLOT_BYTES * _SLOTS, 0))
        except CountDamagedError:
            last = None
        except OSError:
            os.close(self._file)
            raise
        self._number = last.number if last is not None else 0

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)

    def attach(self) -> None:
        """Read the index of the log that the engine has open now. Raises OSError."""
        if self._index >= 0:
            # Closing a descriptor drops this process's locks on the file: only one that the
            # engine has left may be closed.
            if _same(self._index, self._index_path):
                return
            if self._map is not None:
                self._map.close()
            os.close(self._index)
            self._index, self._map = -1, None
        self._index = os.open(self._index_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # As the engine reads it: without a system call, which would let go of the interpreter.
            self._map = mmap.mmap(self._index, _INDEX_HEADER, mmap.MAP_SHARED, mmap.PROT_READ)
        except ValueError as error:
            raise OSError(errno.EIO, f"the index of the log is empty: {error}") from error

    def note(self) -> None:
        """Write how far the log is committed; after each commit, before it is told. OSError."""
        if self._map is None:
            raise OSError(errno.EBADF, "no log is open")
        header = self._map[:]
        (frames,) = _FRAMES.unpack_from(header, _FRAMES_AT)
        self._write(
            Place(
                self._number + 1,
                True,
                frames,
                header[_SALTS_AT : _SALTS_AT + 8],
                header[_CHECKSUM_AT : _CHECKSUM_AT + 8],
            )
        )
        now = time.monotonic()
        if now - self._synced > _SYNC_SECONDS:
            os.fdatasync(self._file)
            self._synced = now

    def closing(self) -> None:
        """Say that the log may be written back and go; before the connection closes.

        If that cannot be written the file is removed: nothing is known then, but nothing is
        suspected either. Raises OSError if not even that can be done.
        """
        try:
            self._write(Place(self._number + 1, False, 0, bytes(8), bytes(8)))
            os.fdatasync(self._file)
        except OSError:
            self._path.unlink(missing_ok=True)
            file, self._file = self._file, -1
            if file >= 0:
                os.close(file)

    def _write(self, place: Place) -> None:
        if self._file < 0:
            self._open()
        text = _RECORD.pack(
            _MAGIC, place.number, place.open, place.frames, place.salts, place.checksum
        )
        record = text + hashlib.sha256(text).digest()[:_HASH_BYTES]
        at, written = place.number % _SLOTS * _SLOT_BYTES, 0
        while written < len(record):  # a disk that is about full may take a part
            written += os.pwrite(self._file, record[written:], at + written)
        self._number = place.number

    def close(self) -> None:
        """Let go of both files, after the connection."""
        if self._file >= 0:
            os.close(self._file)
        if self._map is not None:
            self._map.close()
        if self._index >= 0:
            os.close(self._index)


def lost_commits(database: Path) -> str | None:
    """Tell what is missing of a database's log, None if nothing is. Nobody may have it open.

    Reads only. Without a record (a database of an earlier release, or from a backup) nothing is
    known to be missing. Raises OSError.
    """
    try:
        place = _newest(_read(database.with_name(f"{database.name}{SUFFIX}")))
    except CountDamagedError:
        return f"{database.name}{SUFFIX}, which tells how much was committed, is damaged"
    if place is None or not place.open or not place.frames:
        return None
    log = database.with_name(f"{database.name}-wal")
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return f"its log {log.name} is gone, with {place.frames} pages that were committed"
    try:
        return _missing(descriptor, log.name, place)
    finally:
        os.close(descriptor)


def forget(database: Path) -> None:
    """Accept what is there as all there is."""
    with suppress(FileNotFoundError):
        database.with_name(f"{database.name}{SUFFIX}").unlink()


def _missing(descriptor: int, name: str, place: Place) -> str | None:
    header = os.pread(descriptor, _LOG_HEADER, 0)
    if len(header) < _LOG_HEADER:
        return f"its log {name} was cut off, with {place.frames} pages that were committed"
    order = ">" if int.from_bytes(header[:4], "big") & 1 else "<"
    sums = _checksum(order, header[:24], (0, 0))
    if int.from_bytes(header[:4], "big") & ~1 != _LOG_MAGIC or _written(sums) != header[24:32]:
        return f"the head of its log {name} is damaged, before {place.frames} committed pages"
    if header[16:24] != place.salts:
        return None  # it has begun anew since: all before that was written back
    for number in range(1, min(place.frames, _MOST_FRAMES) + 1):
        at = _LOG_HEADER + (number - 1) * (_FRAME_HEADER + PAGE_BYTES)
        frame = os.pread(descriptor, _FRAME_HEADER + PAGE_BYTES, at)
        if len(frame) == _FRAME_HEADER + PAGE_BYTES:
            sums = _checksum(order, frame[:8], sums)
            sums = _checksum(order, frame[_FRAME_HEADER:], sums)
            if frame[8:16] == place.salts and _written(sums) == frame[16:24]:
                continue
        return (
            f"its log {name} is damaged at page {number} of {place.frames} that were committed; "
            "the engine would drop them from there on"
        )
    return None


def _written(sums: tuple[int, int]) -> bytes:
    return sums[0].to_bytes(4, "big") + sums[1].to_bytes(4, "big")


def _checksum(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    """Return the running checksum of a log after `data` (sqlite.org/fileformat.html, 4.2)."""
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    # Cut to 32 bits every eight words only: this loop is all of the time that a check takes.
    for a, b, c, d, e, f, g, h in zip(*[iter(words)] * 8, strict=False):
        first += a + second
        second += b + first
        first += c + second
        second += d + first
        first += e + second
        second += f + first
        first = (first + g + second) & 0xFFFFFFFF
        second = (second + h + first) & 0xFFFFFFFF
    for at in range(len(words) // 8 * 8, len(words), 2):
        first = (first + words[at] + second) & 0xFFFFFFFF
        second = (second + words[at + 1] + first) & 0xFFFFFFFF
    return first, second


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(descriptor, _SLOT_BYTES * _SLOTS, 0)
    finally:
        os.close(descriptor)


def _newest(data: bytes) -> Place | None:
    """Return the newest record in a file, None in an empty one. Raises CountDamagedError."""
    found = []
    for slot in range(_SLOTS):
        record = data[slot * _SLOT_BYTES : slot * _SLOT_BYTES + _RECORD.size + _HASH_BYTES]
        text, told = record[: _RECORD.size], record[_RECORD.size :]
        if len(text) == _RECORD.size and text.startswith(_MAGIC):
            expected = hashlib.sha256(text).digest()[:_HASH_BYTES]
            if hmac.compare_digest(expected, told):
                found.append(Place(*_RECORD.unpack(text)[1:]))
    if found:
        return max(found)
    if data.strip(b"\0"):
        raise CountDamagedError
    return None


def _same(descriptor: int, path: Path) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    ours = os.fstat(descriptor)
    return (ours.st_dev, ours.st_ino) == (found.st_dev, found.st_ino)
