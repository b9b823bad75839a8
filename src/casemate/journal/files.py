"""The files of a journal: names, reading with a bound, and writing that a power cut cannot halve.

checkpoint          the newest head, signed
checkpoints         earlier ones, one every few minutes: they narrow a search for changes
pending             entries that are not in a full bundle yet; what makes an entry durable
tile/...            tiles and bundles as tlog-tiles has them
lock                held by the writer
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from casemate.journal.errors import JournalDamagedError
from casemate.journal.tiles import MAX_ENTRY_BYTES, WIDTH, path
from casemate.kernel.durability import sync_folder, write_all

CHECKPOINT = "checkpoint"
HISTORY = "checkpoints"
PENDING = "pending"
LOCK = "lock"
MAX_TILE_FILE_BYTES = WIDTH * (MAX_ENTRY_BYTES + 2)
_FOLDER_MODE = 0o700
_FILE_MODE = 0o600
_TEMPORARY = ".new"
_Synced = TypeVar("_Synced", int, Path)
_TAIL_BYTES = 4096
"""At the end of a file in which what was cut is looked for; more than a note has."""


def read_bounded(file: Path, limit: int) -> bytes | None:
    """Return what a file holds, None where there is none. Raises JournalDamagedError."""
    try:
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalDamagedError(f"{file.name} cannot be read: {error.strerror}.") from error
    if len(data) > limit:
        raise JournalDamagedError(f"{file.name} has over {limit} bytes.")
    return data


def read_tile(folder: Path, level: int | str, index: int, width: int = WIDTH) -> bytes | None:
    """Return a tile or bundle; a full one stands for each part of it. None where there is none."""
    data = None
    if width < WIDTH:
        data = read_bounded(folder / path(level, index, width), MAX_TILE_FILE_BYTES)
    if data is None:
        data = read_bounded(folder / path(level, index), MAX_TILE_FILE_BYTES)
    return data


def write_whole(file: Path, data: bytes, *, durable: bool) -> None:
    """Put a file in place at once, or not at all; `durable`: on disk when it returns."""
    made = make_folders(file.parent)
    temporary = file.with_name(file.name + _TEMPORARY)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE)
    try:
        write_all(descriptor, data)
        if durable:
            sync(os.fsync, descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(file)
    if durable:
        sync(sync_folder, file.parent)
        for folder in made:
            sync(sync_folder, folder.parent)


def sync(make_durable: Callable[[_Synced], None], what: _Synced) -> None:
    """Make a file or folder durable. Raises OSError with EIO, whatever the disk says.

    File systems that find room late say of a sync that there is none, and quotas likewise. What is
    on disk is as open then as after any other failure: it is not one of a full disk, after which
    the same writer goes on.
    """
    try:
        make_durable(what)
    except OSError as error:
        text = f"{error.strerror} when it was made durable"
        raise OSError(errno.EIO, text, error.filename) from error


def append_line(file: Path, data: bytes, *, begin: bytes, fresh: bool) -> None:
    """Append what ends with a line that begins so, all or nothing.

    `fresh`: what a kill has left of one after the last such line is cut off before.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    try:
        end = os.fstat(descriptor).st_size
        if fresh:
            start = max(0, end - _TAIL_BYTES)
            end = start + _whole(os.pread(descriptor, end - start, start), begin, end)
            os.ftruncate(descriptor, end)
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(descriptor, memoryview(data)[written:], end + written)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)


def _whole(tail: bytes, begin: bytes, size: int) -> int:
    """Return how much of a file's end is whole; all of it where no such line is seen."""
    at = len(tail)
    for line in reversed(tail.splitlines(keepends=True)):
        if line.startswith(begin) and line.endswith(b"\n"):
            return at
        at -= len(line)
    return len(tail) if size > _TAIL_BYTES else 0


def make_folders(folder: Path) -> list[Path]:
    """Make a folder and those above it; return the new ones."""
    missing: list[Path] = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(_FOLDER_MODE, exist_ok=True)
    return missing


def drop_partial(folder: Path, level: int | str, index: int, keep: int = 0) -> None:
    """Remove the parts of a tile, all but that of the width `keep`."""
    parts = folder / (path(level, index) + ".p")
    try:
        found = list(parts.iterdir())
    except FileNotFoundError:
        return
    for part in found:
        if part.name != str(keep):
            part.unlink(missing_ok=True)
    if not keep:
        with contextlib.suppress(OSError):
            parts.rmdir()
