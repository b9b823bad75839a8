"""A journal as a backup holds it: one stream of its files, up to a signed head, and back again.

    length of name and content, name, content; the key that signs comes first

Full tiles and bundles never change, so that they are read while the journal is written; all else
is taken at one moment.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from casemate.journal.errors import JournalDamagedError, JournalInputError
from casemate.journal.files import (
    CHECKPOINT,
    HISTORY,
    MAX_TILE_FILE_BYTES,
    PENDING,
    make_folders,
    read_bounded,
)
from casemate.journal.note import MAX_NOTE_BYTES, NoteKey, parse_key
from casemate.journal.pending import MAX_PENDING_BYTES
from casemate.journal.tiles import ENTRIES, WIDTH, WIDTH_BITS, path, widths
from casemate.journal.verifying import MAX_HISTORY_BYTES
from casemate.journal.writer import Writer
from casemate.kernel.durability import write_all

KEY = "key"
KEYS = "keys"
"""What the recorder keeps beside a journal: sealed, and no part of it."""
MAX_KEYS_BYTES = 64 << 20
_RECORD = struct.Struct(">HQ")
_TILE = re.compile(r"tile/(?:entries|[0-6])(?:/x[0-9]{3}){0,4}/[0-9]{3}(?:\.p/[0-9]{1,3})?\Z")
_MAX_NAME = 64
_BOUNDS = {
    CHECKPOINT: MAX_NOTE_BYTES,
    HISTORY: MAX_HISTORY_BYTES,
    KEYS: MAX_KEYS_BYTES,
    KEY: MAX_NOTE_BYTES,
    PENDING: MAX_PENDING_BYTES,
}


class JournalCopy:
    """What a journal held when it was begun: written in parts."""

    def __init__(self, folder: Path, key: NoteKey, writer: Writer) -> None:
        """Take what changes, as it is now. Nobody may publish a head meanwhile."""
        size = writer.head.size
        self._folder = folder
        self._names = _full(size)
        self._first = [(KEY, key.text.encode()), (PENDING, writer.pending_of_head())]
        parts = [name for each in widths(size) for name in _names(*each)]
        for name in (CHECKPOINT, HISTORY, KEYS, *parts):
            data = read_bounded(folder / name, _BOUNDS.get(name, MAX_TILE_FILE_BYTES))
            if data is not None:
                self._first.append((name, data))

    def write(self, descriptor: int, most: int) -> bool:
        """Write the next part, durably, of about `most` bytes; return whether there is more.

        Raises JournalDamagedError where a file is gone, OSError.
        """
        written = 0
        while written < most:
            found = self._next()
            if found is None:
                os.fsync(descriptor)
                return False
            name, data = found
            for piece in (_RECORD.pack(len(name), len(data)) + name.encode(), data):
                write_all(descriptor, piece)
            written += _RECORD.size + len(name) + len(data)
        os.fsync(descriptor)
        return True

    def _next(self) -> tuple[str, bytes] | None:
        if self._first:
            return self._first.pop(0)
        name = next(self._names, None)
        if name is None:
            return None
        data = read_bounded(self._folder / name, MAX_TILE_FILE_BYTES)
        if data is None:
            raise JournalDamagedError(f"{name} is missing.")
        return name, data


def _names(level: int, index: int, width: int) -> Iterator[str]:
    yield path(level, index, width)
    if level == 0:
        yield path(ENTRIES, index, width)


def _full(size: int) -> Iterator[str]:
    """Yield the names of the full tiles and bundles of a tree of this size."""
    level = 0
    while size := size >> WIDTH_BITS:
        for index in range(size):
            yield from _names(level, index, WIDTH)
        level += 1


def unpack(file: IO[bytes], folder: Path) -> NoteKey | None:
    """Make files of what a part holds, each new; return the key, if it is the first part.

    Raises JournalInputError for what no copy holds, OSError.
    """
    key: NoteKey | None = None
    while head := file.read(_RECORD.size):
        if len(head) < _RECORD.size:
            raise _refused("it is cut off")
        length, size = _RECORD.unpack(head)
        name = file.read(length).decode("ascii", "replace") if length <= _MAX_NAME else ""
        bound = MAX_TILE_FILE_BYTES if _TILE.match(name) else _BOUNDS.get(name, -1)
        if size > bound:
            raise _refused(f"{name[:_MAX_NAME]!r} of {size} bytes is in it")
        data = file.read(size)
        if len(data) < size:
            raise _refused("it is cut off")
        if name == KEY:
            key = parse_key(data.decode("ascii", "replace"))
        else:
            _write(folder / name, data)
    return key


def _write(target: Path, data: bytes) -> None:
    make_folders(target.parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(target, flags, 0o600)
    except FileExistsError as error:
        raise _refused(f"{target.name} is in it twice") from error
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())


def _refused(what: str) -> JournalInputError:
    return JournalInputError(
        f"The copy of the journal is damaged or was changed: {what}.", next_step="Use another one."
    )
