"""Files that hold the content of large objects: random names, mode 0600, never a link."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from casemate.data.content import (
    CHUNK_BYTES,
    FILE_KEY_BYTES,
    TAG_BYTES,
    ChunkCipher,
    chunk_count,
    file_size,
    wrong_size,
)
from casemate.data.errors import DataCorruptError, DataError
from casemate.data.faults import PASSING, disk_error

_FILE_NAME = re.compile(r"[0-9a-f]{32}\Z")
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


class ObjectFiles:
    """The folder of one project's object files. Thread-safe.

    While it is held (`hold`), deleted files stay until it is released: a snapshot links them.
    """

    def __init__(self, path: Path) -> None:
        """Open the folder, made where it is missing. It must not be a link. Raises DataError."""
        self.path = path
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
        except OSError as error:
            raise disk_error(f"The folder {path} of objects cannot be opened", error) from error
        self._lock = threading.Lock()
        self._holds = 0
        self._postponed: list[str] = []

    def close(self) -> None:
        """Close the folder."""
        os.close(self._folder)

    def create(self) -> tuple[str, int]:
        """Create a file; return its name and a descriptor to write by. Raises OSError."""
        name = secrets.token_hex(16)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS
        return name, os.open(name, flags, 0o600, dir_fd=self._folder)

    def sync(self) -> None:
        """Make the names of files durable."""
        os.fsync(self._folder)

    def open(self, name: str) -> int:
        """Return a descriptor to read by. FileNotFoundError if there is none of that name."""
        if _FILE_NAME.match(name) is None:
            raise DataCorruptError("The database names a file that cannot be an object's.")
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _FLAGS, dir_fd=self._folder)
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in PASSING:
                raise disk_error("An object's file cannot be opened", error) from error
            raise DataCorruptError(
                f"An object's file cannot be opened: {error.strerror}.",
                next_step="Check that it is a regular file of the node's user, or restore it.",
            ) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise DataCorruptError("An object's file is not a regular file.")
        return descriptor

    def delete(self, names: Iterable[str]) -> None:
        """Delete files now, or when nothing holds them any more. None is missed."""
        with self._lock:
            if self._holds:
                self._postponed += names
                return
        for name in names:
            with suppress(OSError):  # what stays is swept at the next start
                os.unlink(name, dir_fd=self._folder)

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

    def names(self) -> set[str]:
        """Return the names of everything in the folder."""
        return set(os.listdir(self._folder))  # noqa: PTH208 - of the descriptor

    def link(self, name: str, target: Path) -> None:
        """Make `target` another name of a file, or a copy where links cannot be made."""
        descriptor = self.open(name)
        try:
            try:
                os.link(name, target, src_dir_fd=self._folder, follow_symlinks=False)
            except OSError:
                _copy(descriptor, target)
        finally:
            os.close(descriptor)


def _copy(descriptor: int, target: Path) -> None:
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    try:
        while data := os.read(descriptor, 1 << 20):
            _write_all(out, data)
        os.fsync(out)
    finally:
        os.close(out)


class FileWriter:
    """Writes content of any size, a buffer of one chunk in memory; a file only if it is needed."""

    def __init__(self, files: ObjectFiles) -> None:
        """Begin; nothing is created yet."""
        self._files = files
        self._key = b""
        self._cipher: ChunkCipher | None = None
        self._descriptor = -1
        self._number = 0
        self._buffer = bytearray()
        self._hash = hashlib.sha256()
        self.name: str | None = None
        self.size = 0

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
        return bytes(self._buffer) if self.name is None else None

    def finish(self) -> tuple[str, bytes]:
        """Make the file durable; return its name and its key."""
        self._flush(bytes(self._buffer), last=True)
        self._buffer.clear()
        try:
            os.fsync(self._descriptor)
            self._files.sync()
        except OSError as error:
            raise disk_error("An object's file cannot be written", error) from error
        finally:
            self._close()
        if self.name is None:
            raise DataError("An object's file was not created.")
        return self.name, self._key

    @property
    def sha256(self) -> str:
        """Hash of what was written so far."""
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Forget what was written."""
        self._close()
        if self.name is not None:
            self._files.delete([self.name])

    def _flush(self, chunk: bytes, *, last: bool) -> None:
        try:
            if self._cipher is None:
                self.name, self._descriptor = self._files.create()
                self._key = os.urandom(FILE_KEY_BYTES)
                self._cipher = ChunkCipher(self._key, self.name)
            _write_all(self._descriptor, self._cipher.seal(self._number, chunk, last=last))
        except OSError as error:
            raise disk_error("An object's file cannot be written", error) from error
        self._number += 1

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_range(
    files: ObjectFiles, name: str, key: bytes, size: int, *, offset: int, length: int
) -> bytes:
    """Return a range of an object's content, decrypting only the chunks it touches.

    Raises FileNotFoundError, and DataCorruptError for a file that is not exactly what was written.
    """
    descriptor = files.open(name)
    try:
        found = os.fstat(descriptor).st_size
        if found != file_size(size):
            raise wrong_size(found, file_size(size))
        if length <= 0:
            return b""
        cipher = ChunkCipher(key, name)
        first, last = offset // CHUNK_BYTES, (offset + length - 1) // CHUNK_BYTES
        final = chunk_count(size) - 1
        sealed_chunk = CHUNK_BYTES + TAG_BYTES
        content = bytearray()
        for number in range(first, last + 1):
            sealed = os.pread(descriptor, sealed_chunk, number * sealed_chunk)
            content += cipher.open(number, sealed, last=number == final)
    except OSError as error:
        raise disk_error("An object's file cannot be read", error) from error
    finally:
        os.close(descriptor)
    start = offset - first * CHUNK_BYTES
    return bytes(content[start : start + length])


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
