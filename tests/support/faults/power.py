"""The disk after a power cut, made from the trace of all that changed its files.

Kept is what was fsynced: the content of a file as of its last fsync, names as of the last fsync of
their folder, and, since a disk may have written more than it was told to, any part of the rest that
the test's chance chooses. The model is that of fsync(2) and of ext4 without its ordering.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ENTRY = struct.Struct("=c7xQqII")
ENTRY_BYTES = _ENTRY.size


class Change(NamedTuple):
    """One entry of the trace; see faults.c."""

    kind: str
    file: int
    offset: int
    first: bytes
    second: bytes


class Trace:
    """The file that the preloaded library appends to."""

    def __init__(self, path: Path, root: Path) -> None:
        """`root` is the folder whose files are traced."""
        self.path = path
        self.root = root

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make a process write it."""
        return {"FAULTS_TRACE": str(self.path), "FAULTS_ROOT": str(self.root)}

    def changes(self) -> Iterator[Change]:
        """Give what is in it; an entry that a kill cut off ends it."""
        data = self.path.read_bytes()
        at = 0
        while at + _ENTRY.size <= len(data):
            kind, file, offset, first, second = _ENTRY.unpack_from(data, at)
            begin = at + _ENTRY.size
            at = begin + first + second
            if at > len(data):
                return
            yield Change(
                kind.decode(), file, offset, data[begin : begin + first], data[begin + first : at]
            )


class PowerCut:
    """What a disk holds when the power goes after some of the changes of a trace."""

    def __init__(self, root: Path) -> None:
        """Begin with an empty folder `root`."""
        self._root = os.fsencode(root)
        self._written: dict[int, bytearray] = {}
        self._synced: dict[int, bytes] = {}
        self._names: dict[bytes, int] = {}
        self._kept: dict[bytes, int] = {}

    def apply(self, change: Change) -> None:
        """Take over the next change."""
        if change.kind == "W":
            content = self._written.setdefault(change.file, bytearray())
            end = change.offset + len(change.first)
            if len(content) < change.offset:
                content += bytes(change.offset - len(content))
            content[change.offset : end] = change.first
        elif change.kind == "T":
            content = self._written.setdefault(change.file, bytearray())
            content += bytes(max(0, change.offset - len(content)))
            del content[change.offset :]
        elif change.kind == "S":
            self._synced[change.file] = bytes(self._written.get(change.file, b""))
        elif change.kind == "O":
            if self._names.get(change.first) != change.file:
                # A new file, whose number may be that of one that is gone.
                self._written[change.file] = bytearray()
                self._synced.pop(change.file, None)
                for path in [p for p, file in self._kept.items() if file == change.file]:
                    del self._kept[path]
            self._written.setdefault(change.file, bytearray())
            self._names[change.first] = change.file
        elif change.kind == "R":
            file = self._names.pop(change.first, None)
            if file is not None:
                self._names[change.second] = file
        elif change.kind == "U":
            self._names.pop(change.first, None)
        elif change.kind == "D":
            self._sync_folder(change.first)

    def _sync_folder(self, folder: bytes) -> None:
        for path in [p for p in self._kept if os.path.dirname(p) == folder]:
            if self._names.get(path) != self._kept[path]:
                del self._kept[path]
        for path, file in self._names.items():
            if os.path.dirname(path) == folder:
                self._kept[path] = file

    def write(self, target: Path, chance: random.Random) -> None:
        """Make the folder `target` what `root` is after the cut."""
        target.mkdir(mode=0o700)
        names = dict(self._kept)
        for path, file in self._names.items():
            # A name that nobody made durable: there or not. SQLite makes the names of its logs
            # durable when it first needs them.
            if path not in names and chance.random() < 0.5:
                names[path] = file
        for path, file in names.items():
            relative = os.path.relpath(path, self._root)
            place = target / os.fsdecode(relative)
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.write_bytes(self._content(file, chance))
            place.chmod(0o600)

    def _content(self, file: int, chance: random.Random) -> bytes:
        """Return what was fsynced, with some of the sectors that were written after it."""
        synced, written = self._synced.get(file, b""), bytes(self._written.get(file, b""))
        if synced == written or chance.random() < 0.5:
            return synced
        sector = 512
        size = chance.choice((len(synced), len(written)))
        content = bytearray(synced[:size].ljust(size, b"\0"))
        for at in range(0, min(size, len(written)), sector):
            if chance.random() < 0.5:
                piece = written[at : min(at + sector, size)]
                content[at : at + len(piece)] = piece
        return bytes(content)
