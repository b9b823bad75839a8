"""A file of checkpoints on another mount, opened before the monitor gives up its rights.

The newest is at its end and durable when it counts as sent. Where many are there the older ones are
thinned out (`casemate.journal.kept`): written anew from the start, so that at each moment the
newest are at the end. A file on the mount of the node's own folder is refused: who can rewrite the
one can rewrite the other, and a mount that is missing looks just so.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from casemate.journal.kept import MAX_KEPT, MAX_KEPT_BYTES, notes_in, thinned
from casemate.monitor.errors import UndeliveredError
from casemate.monitor.places.note import Note
from casemate.monitor.places.settings import SAME_MOUNT, FilePlace

_SIGNATURE = "\n\u2014 ".encode()
_AGAIN = "it is tried again when the monitor restarts, within minutes"


class KeptFile:
    """It. Blocks nobody: a mount that hangs holds one thread of its own."""

    def __init__(self, settings: FilePlace, own_folder: int) -> None:
        """Open it; `own_folder` is a descriptor of the monitor's folder. Never raises."""
        self.problem = ""
        """Why it could not be opened."""
        self._file = -1
        self._count = 0
        self._end = 0
        self._thread: ThreadPoolExecutor | None = None
        self._writing: Future[None] | None = None
        try:
            self._open(Path(settings.path), settings, os.fstat(own_folder).st_dev)
        except OSError as error:
            self.problem = f"{settings.path} cannot be opened: {error.strerror}; {_AGAIN}"

    def _open(self, path: Path, settings: FilePlace, own_mount: int) -> None:
        folder = _folder_of(path)
        try:
            if os.fstat(folder).st_dev == own_mount and SAME_MOUNT not in settings.accept:
                self.problem = (
                    f"{path.parent} is on the same mount as the node's folder, or its own is "
                    f'missing; if this is intended: accept = ["{SAME_MOUNT}"]; {_AGAIN}'
                )
                return
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            file = os.open(path.name, flags, 0o600, dir_fd=folder)
        finally:
            os.close(folder)
        self._take(path, file)

    def _take(self, path: Path, file: int) -> None:
        """Go on with a file that was opened, if it is one of checkpoints; else close it."""
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                self.problem = f"{path} is no plain file of its own; name another"
                return
            data = os.pread(file, MAX_KEPT_BYTES + 1, 0)
            with contextlib.suppress(OSError):  # where there are no locks at all
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self.problem = f"{path} is written by somebody else; {_AGAIN}"
                    return
            notes = notes_in(_text(data))
            if len(data) > MAX_KEPT_BYTES or (data and not notes):
                self.problem = f"{path} holds something else than checkpoints; name another"
                return
            self._count = len(notes)
            if notes:
                # What a kill has cut at its end is written over.
                last = notes[-1].encode()
                self._end = data.rfind(last) + len(last)
            self._file, file = file, -1
        finally:
            if file >= 0:
                os.close(file)

    async def send(self, note: Note) -> None:
        """Have it in the file, durably. Raises UndeliveredError, OSError."""
        if self._file < 0:
            raise UndeliveredError(f"{self.problem}.")
        if self._writing is not None and not self._writing.done():
            raise UndeliveredError("The file does not answer: what was written last hangs.")
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._writing = self._thread.submit(self._write, note.text.encode())
        await asyncio.wrap_future(self._writing)

    def _write(self, note: bytes) -> None:
        # Somebody may have taken it away from below us (logrotate, copytruncate).
        self._end = min(self._end, os.fstat(self._file).st_size)
        if self._count >= MAX_KEPT or self._end + len(note) > MAX_KEPT_BYTES:
            self._thin()
        try:
            self._put(note, self._end)
        except OSError:
            # Nothing half: whoever reads it meanwhile is to find what was there.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise
        os.ftruncate(self._file, self._end + len(note))
        os.fsync(self._file)
        self._end += len(note)
        self._count += 1

    def _thin(self) -> None:
        before = os.pread(self._file, self._end, 0)
        kept = thinned(notes_in(_text(before)))
        while len(text := "".join(kept).encode()) > MAX_KEPT_BYTES // 2:
            kept = kept[len(kept) // 2 :]
        # Up to the end of a note that was there: blank, so that none is cut in two meanwhile.
        whole = before.find(_SIGNATURE, len(text))
        whole = before.find(b"\n", whole + 2) + 1 if whole >= 0 else len(before)
        self._put(text + b"\n" * (whole - len(text)), 0)
        os.fsync(self._file)
        os.ftruncate(self._file, len(text))
        self._end, self._count = len(text), len(kept)

    def _put(self, data: bytes, at: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._file, view, at)
            view, at = view[written:], at + written


def _folder_of(path: Path) -> int:
    """Open the folder of a file by a path without links: somebody else may write to one of it."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(path.anchor, flags)
    for part in path.parent.parts[1:]:
        above = folder
        try:
            folder = os.open(part, flags, dir_fd=above)
        finally:
            os.close(above)
    return folder


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
