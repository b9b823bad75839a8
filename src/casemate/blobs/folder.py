"""Blobs as files of one folder: mode 0600, never a link."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from casemate.blobs.errors import BlobDamagedError, BlobSizeError
from casemate.blobs.interface import Listed, new_name, require_name
from casemate.kernel.durability import write_all
from casemate.unwritten import Place

PASSING = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
"""What may be over the next time."""
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW
_COPY_BYTES = 1 << 20


class FolderBlobs:
    """The blobs of one folder, which one process alone has open. Thread-safe."""

    grace = 0.0
    read_bytes = 1 << 18

    def __init__(self, path: Path) -> None:
        """Open the folder, made where it is missing. It must not be a link. Raises OSError."""
        self.path = path
        path.mkdir(mode=0o700, exist_ok=True)
        self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
        self._written = Place(f"objects of {path.name}", self._folder)

    def close(self) -> None:
        """Close the folder."""
        self._written.worked()
        os.close(self._folder)

    def create(self) -> FolderWriter:
        """Create a file. Raises OSError."""
        return FolderWriter(self._folder, self._written)

    def open(self, name: str) -> int:
        """Return a descriptor to read by. FileNotFoundError if there is none of that name."""
        require_name(name)
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _FLAGS, dir_fd=self._folder)
        except OSError as error:
            if isinstance(error, FileNotFoundError) or error.errno in PASSING:
                raise
            raise BlobDamagedError(
                f"An object's file cannot be opened: {error.strerror}.",
                next_step="Check that it is a regular file of the node's user, or restore it.",
            ) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise BlobDamagedError("An object's file is not a regular file.")
        return descriptor

    def read(self, name: str, size: int, offset: int, length: int) -> bytes:
        """Return a piece of a file that has to be `size` bytes long."""
        descriptor = self.open(name)
        try:
            found = os.fstat(descriptor).st_size
            if found != size:
                raise BlobSizeError(found, size)
            parts = []
            while length > 0 and (part := os.pread(descriptor, length, offset)):
                parts.append(part)
                offset, length = offset + len(part), length - len(part)
            return parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            os.close(descriptor)

    def exists(self, name: str) -> bool:
        """Tell whether there is a file of that name."""
        try:
            os.stat(require_name(name), dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def delete(self, names: Iterable[str]) -> None:
        """Delete files now."""
        for name in names:
            with suppress(OSError):  # what stays is swept at the next start
                os.unlink(name, dir_fd=self._folder)

    def listed(self) -> Iterator[Listed]:
        """Give everything in the folder, also what is no blob."""
        now = time.time()
        for name in os.listdir(self._folder):  # noqa: PTH208 - of the descriptor
            try:
                found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield Listed(name, max(0.0, now - found.st_mtime))

    def copy(self, name: str, size: int, target: Path) -> None:
        """Make `target` another name of a file, or a copy where links cannot be made."""
        del size  # a link is of all that is there; who reads it looks
        descriptor = self.open(name)
        try:
            try:
                os.link(name, target, src_dir_fd=self._folder, follow_symlinks=False)
            except OSError:
                _copy(descriptor, target)
        finally:
            os.close(descriptor)


class FolderWriter:
    """Writes one file."""

    def __init__(self, folder: int, written: Place) -> None:
        """Create it, and tell `written` of what fails. Raises OSError."""
        self.name = new_name()
        self._folder = folder
        self._written = written
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS
        with written.noting():
            self._descriptor = os.open(self.name, flags, 0o600, dir_fd=folder)

    def write(self, data: bytes) -> None:
        """Append. Raises OSError."""
        with self._written.noting():
            write_all(self._descriptor, data)

    def finish(self) -> None:
        """Make content and name durable. Raises OSError."""
        try:
            with self._written.writing():
                os.fsync(self._descriptor)
                os.fsync(self._folder)
        finally:
            self._close()

    def discard(self) -> None:
        """Delete it, if it is not finished."""
        if self._descriptor >= 0:
            self._close()
            with suppress(OSError):  # what stays is swept at the next start
                os.unlink(self.name, dir_fd=self._folder)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _copy(descriptor: int, target: Path) -> None:
    out = create_file(target)
    try:
        while data := os.read(descriptor, _COPY_BYTES):
            write_all(out, data)
        os.fsync(out)
    finally:
        os.close(out)


def create_file(target: Path) -> int:
    """Return the descriptor of a new file, private. Raises OSError."""
    return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
