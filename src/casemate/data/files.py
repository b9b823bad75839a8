"""The content of large objects: sealed in chunks, written to blobs, read by ranges."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from casemate.blobs import (
    GRACE_SECONDS,
    BlobDamagedError,
    Blobs,
    BlobsError,
    BlobsForeignError,
    BlobsRefusedError,
    BlobsUnreachableError,
    BlobWriter,
    FolderBlobs,
    sweep,
)
from casemate.blobs.errors import BlobSizeError
from casemate.data.content import (
    CHUNK_BYTES,
    FILE_KEY_BYTES,
    TAG_BYTES,
    ChunkCipher,
    chunk_count,
    file_size,
    wrong_size,
)
from casemate.data.errors import DataCorruptError, DataError, DataMediumError
from casemate.data.faults import disk_error

_SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES
_WRITE = "An object's file cannot be written"
_READ = "An object's file cannot be read"


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Raise the errors of data for those of blobs. FileNotFoundError stays."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise disk_error(what, error) from error
    except BlobSizeError as error:
        raise wrong_size(error.found, error.expected) from error
    except BlobDamagedError as error:
        raise DataCorruptError(error.message, next_step=error.next_step) from error
    except (BlobsUnreachableError, BlobsRefusedError, BlobsForeignError) as error:
        # Keys that ran out are renewed, and then it works again.
        raise DataMediumError(f"{what}: {error.message}", next_step=error.next_step) from error
    except BlobsError as error:
        raise DataError(f"{what}: {error.message}", next_step=error.next_step) from error


class ObjectFiles:
    """The blobs that hold one project's objects. Thread-safe.

    While it is held (`hold`), deleted files stay until it is released: a snapshot copies them.
    """

    def __init__(self, blobs: Blobs) -> None:
        """Use `blobs`, which is closed with this."""
        self._blobs = blobs
        self.shared = blobs.grace > 0
        """Others may write there, too: only what is old is swept, and not while it is opened."""
        self.chunks_at_once = max(1, blobs.read_bytes // _SEALED_CHUNK)
        """Chunks that are read by one call."""
        self._lock = threading.Lock()
        self._holds = 0
        self._postponed: list[str] = []

    def close(self) -> None:
        """Close the blobs."""
        self._blobs.close()

    def create(self) -> BlobWriter:
        """Begin a file. Raises DataError."""
        with _translated(_WRITE):
            return self._blobs.create()

    def read(self, name: str, size: int, offset: int, length: int) -> bytes:
        """Return a piece of a file of `size` bytes. Raises DataError, FileNotFoundError."""
        with _translated(_READ):
            return self._blobs.read(name, size, offset, length)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files now, or when nothing holds them any more. None is missed."""
        with self._lock:
            if self._holds:
                self._postponed += names
                return
        self._blobs.delete(names)

    def hold(self) -> None:
        """Let no file go until `release`."""
        with self._lock:
            self._holds += 1

    def release(self) -> None:
        """Undo one `hold`."""
        with self._lock:
            self._holds -= 1
            if self._holds:
                return
            names, self._postponed = self._postponed, []
        self.delete(names)

    def count(self) -> int:
        """Return how many files there are. Raises DataError."""
        with _translated(_READ):
            return sum(1 for _ in self._blobs.listed())

    def sweep(self, named: Callable[[str, str], Iterable[str]]) -> int:
        """Delete what no row names, once it is too old to wait for one. Raises DataError.

        `named` asks for the names of rows, from one to another, after files were listed.
        """
        with _translated(_READ):
            return sweep(self._blobs, named, self.delete)

    def copy(self, name: str, size: int, target: Path) -> None:
        """Make a file with the content of one that holds an object of `size` bytes."""
        with _translated("A copy of an object's file cannot be made"):
            self._blobs.copy(name, file_size(size), target)


def open_folder(path: Path) -> FolderBlobs:
    """Open the folder of a project's files, made where it is missing. Raises DataError."""
    with _translated(f"The folder {path} of objects cannot be opened"):
        return FolderBlobs(path)


def folders_below(path: Path) -> Callable[[str], Blobs]:
    """Return what opens a project's folder below one, made where that is missing."""

    def opened(project: str) -> Blobs:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open_folder(path / project)

    return opened


class FileWriter:
    """Writes content of any size, a buffer of one chunk in memory; a file only if it is needed."""

    def __init__(self, files: ObjectFiles) -> None:
        """Begin; nothing is created yet."""
        self._files = files
        self._key = b""
        self._cipher: ChunkCipher | None = None
        self._file: BlobWriter | None = None
        self._finished = False
        self.until = time.clock_gettime(time.CLOCK_BOOTTIME) + GRACE_SECONDS / 2
        """No row may name the file from then on: a sweep may take it."""
        self._number = 0
        self._buffer = bytearray()
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def name(self) -> str | None:
        """The file's name, if one was needed so far."""
        return None if self._file is None else self._file.name

    def write(self, content: bytes) -> None:
        """Append content. Raises DataError; then only `discard` may follow."""
        self._hash.update(content)
        self.size += len(content)
        self._buffer += content
        # One byte stays behind: which chunk is the last is known only at the end.
        while len(self._buffer) > CHUNK_BYTES:
            self._flush(bytes(self._buffer[:CHUNK_BYTES]), last=False)
            del self._buffer[:CHUNK_BYTES]

    def small(self) -> bytes | None:
        """Return the whole content if no file was needed so far."""
        return bytes(self._buffer) if self._file is None else None

    def finish(self) -> tuple[str, bytes]:
        """Make the file durable; return its name and its key."""
        file = self._flush(bytes(self._buffer), last=True)
        self._buffer.clear()
        with _translated(_WRITE):
            file.finish()
        self._finished = True
        return file.name, self._key

    @property
    def sha256(self) -> str:
        """Hash of what was written so far."""
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Forget what was written."""
        if self._file is not None:
            self._file.discard()
            if self._finished:
                self._files.delete([self._file.name])

    def _flush(self, chunk: bytes, *, last: bool) -> BlobWriter:
        if self._file is None or self._cipher is None:
            self._file = self._files.create()
            self._key = os.urandom(FILE_KEY_BYTES)
            self._cipher = ChunkCipher(self._key, self._file.name)
        with _translated(_WRITE):
            self._file.write(self._cipher.seal(self._number, chunk, last=last))
        self._number += 1
        return self._file


def read_range(
    files: ObjectFiles, name: str, key: bytes, size: int, *, offset: int, length: int
) -> bytes:
    """Return a range of an object's content, decrypting only the chunks it touches.

    Raises FileNotFoundError, and DataCorruptError for a file that is not exactly what was written.
    """
    there = file_size(size)
    if length <= 0:
        return files.read(name, there, 0, 0)
    first, last = offset // CHUNK_BYTES, (offset + length - 1) // CHUNK_BYTES
    cipher, final = ChunkCipher(key, name), chunk_count(size) - 1
    content = bytearray()
    for group in range(first, last + 1, files.chunks_at_once):
        after = min(last + 1, group + files.chunks_at_once)
        start, end = group * _SEALED_CHUNK, min(there, after * _SEALED_CHUNK)
        sealed = memoryview(files.read(name, there, start, end - start))
        for number in range(group, after):
            at = (number - group) * _SEALED_CHUNK
            content += cipher.open(number, sealed[at : at + _SEALED_CHUNK], last=number == final)
    begin = offset - first * CHUNK_BYTES
    return bytes(memoryview(content)[begin : begin + length])
