"""The file of entries that are in no full bundle yet: appended to and made durable in groups.

A header with the index of its first entry, then each entry after its length and a checksum over
its index and text. A cut at the very end is what a power cut leaves of a group that nobody was told
of; anything else that does not fit is damage.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from casemate.journal.errors import JournalDamagedError
from casemate.journal.files import PENDING, sync, write_whole

_MAGIC = b"casemate journal 1\n"
_FIRST = struct.Struct(">Q")
_RECORD = struct.Struct(">HI")
_HEADER_BYTES = len(_MAGIC) + _FIRST.size
MAX_PENDING_BYTES = 256 << 20
"""More than a writer ever lets wait."""


def _checksum(index: int, entry: bytes) -> int:
    return zlib.crc32(entry, zlib.crc32(_FIRST.pack(index)))


def encoded(first: int, entries: Iterable[bytes]) -> bytes:
    """Return what the file holds that begins with the entry of this index."""
    return _MAGIC + _FIRST.pack(first) + _records(first, entries)


def _records(first: int, entries: Iterable[bytes]) -> bytes:
    parts: list[bytes] = []
    for index, entry in enumerate(entries, first):
        parts += (_RECORD.pack(len(entry), _checksum(index, entry)), entry)
    return b"".join(parts)


def read_pending(file: Path) -> tuple[int, list[bytes], int]:
    """Return the index of the first entry, the entries, and the bytes that hold them.

    What follows those is a cut group. Raises JournalDamagedError where it is not, or where there is
    no such file.
    """
    try:
        if file.stat().st_size > MAX_PENDING_BYTES:
            raise JournalDamagedError(f"{PENDING} has over {MAX_PENDING_BYTES} bytes.")
        data = file.read_bytes()
    except OSError as error:
        raise JournalDamagedError(f"{PENDING} cannot be read: {error.strerror}.") from error
    if len(data) < _HEADER_BYTES or not data.startswith(_MAGIC):
        raise JournalDamagedError(f"{PENDING} does not begin as a journal's does.")
    first = _FIRST.unpack_from(data, len(_MAGIC))[0]
    entries: list[bytes] = []
    at = _HEADER_BYTES
    while at + _RECORD.size <= len(data):
        length, checksum = _RECORD.unpack_from(data, at)
        end = at + _RECORD.size + length
        entry = data[at + _RECORD.size : end]
        if end > len(data) or _checksum(first + len(entries), entry) != checksum:
            break
        entries.append(entry)
        at = end
    if _goes_on(data, at, first + len(entries)):
        raise JournalDamagedError(
            f"{PENDING} was changed at entry {first + len(entries)}: others follow it."
        )
    return first, entries, at


def _goes_on(data: bytes, at: int, index: int) -> bool:
    """Tell whether a whole entry follows one that does not fit: no power cut leaves that."""
    if at + _RECORD.size > len(data):
        return False
    length, _ = _RECORD.unpack_from(data, at)
    end = at + _RECORD.size + length
    if end + _RECORD.size > len(data):
        return False
    length, checksum = _RECORD.unpack_from(data, end)
    entry = data[end + _RECORD.size : end + _RECORD.size + length]
    return len(entry) == int(length) and _checksum(index + 1, entry) == int(checksum)


class PendingFile:
    """The file while it is written. Used by one thread. OSError where the disk refuses."""

    def __init__(self, folder: Path) -> None:
        """Begin with what the folder has, or with an empty file."""
        self._file = folder / PENDING
        if not self._file.exists():
            write_whole(self._file, encoded(0, ()), durable=True)
        self.first, self.entries, self._end = read_pending(self._file)
        self._open()
        try:
            # What a killed process wrote and had no time to make durable is known when it is sent
            # again, and acknowledged without being written anew.
            sync(os.fdatasync, self._descriptor)
        except OSError:
            self.close()
            raise

    def _open(self) -> None:
        self._descriptor = os.open(self._file, os.O_WRONLY)
        os.ftruncate(self._descriptor, self._end)

    def append(self, entries: Sequence[bytes]) -> None:
        """Keep these entries durably, all or none of them."""
        data = _records(self.first + len(self.entries), entries)
        written = 0
        try:
            while written < len(data):
                chunk = memoryview(data)[written:]
                written += os.pwrite(self._descriptor, chunk, self._end + written)
        except OSError:
            # A full disk: what is half-written must not stand before what comes next.
            os.ftruncate(self._descriptor, self._end)
            raise
        sync(os.fdatasync, self._descriptor)
        self._end += len(data)
        self.entries.extend(entries)

    def drop(self, count: int) -> None:
        """Forget the first `count` entries, which stand in full bundles, durably."""
        first, entries = self.first + count, self.entries[count:]
        data = encoded(first, entries)
        write_whole(self._file, data, durable=True)
        old = self._descriptor
        self.first, self.entries, self._end = first, entries, len(data)
        self._open()
        os.close(old)

    def close(self) -> None:
        """Release the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
