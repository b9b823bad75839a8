"""Reading a journal that may be written meanwhile: entries, hashes and proofs of a signed head."""

from __future__ import annotations

from pathlib import Path

from casemate.journal.checkpoint import Checkpoint, opened_checkpoint
from casemate.journal.errors import JournalDamagedError, JournalInputError
from casemate.journal.files import CHECKPOINT, read_bounded, read_tile
from casemate.journal.merkle import (
    consistency,
    inclusion,
    leaf_hash,
    proves_inclusion,
    root_of,
)
from casemate.journal.note import MAX_NOTE_BYTES, NoteKey
from casemate.journal.proof import Proof
from casemate.journal.tiles import ENTRIES, WIDTH, WIDTH_BITS, hashes, path, unbundled

_TRIES = 8
"""Times that a head is read anew whose parts were replaced by wider ones meanwhile."""
_KEPT_TILES = 256


def read_bundle(folder: Path, index: int, width: int) -> list[bytes]:
    """Return the first `width` entries of a bundle. Raises JournalDamagedError."""
    data = read_tile(folder, ENTRIES, index, width)
    try:
        found = unbundled(data or b"")[:width]
    except ValueError as error:
        raise JournalDamagedError(f"{path(ENTRIES, index)} holds {error}.") from error
    if len(found) != width:
        raise JournalDamagedError(f"{path(ENTRIES, index)} is missing or cut.")
    return found


def read_row(folder: Path, level: int, index: int, width: int) -> list[bytes]:
    """Return the first `width` hashes of a tile. Raises JournalDamagedError."""
    data = read_tile(folder, level, index, width)
    try:
        found = hashes(data or b"")[:width]
    except ValueError:
        found = []
    if len(found) != width:
        raise JournalDamagedError(f"{path(level, index)} is missing or not whole.")
    return found


def read_head(folder: Path, key: NoteKey) -> tuple[str, Checkpoint] | None:
    """Return the newest head and its note, None where there is none.

    Raises JournalDamagedError for one that this key has not signed.
    """
    data = read_bounded(folder / CHECKPOINT, MAX_NOTE_BYTES)
    if data is None:
        return None
    note = data.decode(errors="replace")
    try:
        return note, opened_checkpoint(note, key)
    except JournalInputError as error:
        raise JournalDamagedError(f"{CHECKPOINT} does not hold: {error.message}") from error


class Reader:
    """What a folder's journal held when its head was read."""

    def __init__(self, folder: Path, key: NoteKey) -> None:
        """Read the newest head. Raises JournalDamagedError where there is none that holds."""
        self._folder = folder
        self._key = key
        self._tiles: dict[tuple[int, int], list[bytes]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the newest head."""
        found = read_head(self._folder, self._key)
        if found is None:
            raise JournalDamagedError(f"{CHECKPOINT} is missing.")
        self.note, self.head = found
        self._tiles.clear()

    def entries(self, index: int) -> list[bytes]:
        """Return the signed entries of a bundle, whole or as far as the head goes.

        Raises JournalDamagedError.
        """
        width = min(WIDTH, self.head.size - index * WIDTH)
        return read_bundle(self._folder, index, width) if width > 0 else []

    def _row(self, level: int, index: int) -> list[bytes]:
        row = self._tiles.get((level, index))
        if row is None:
            width = min(WIDTH, (self.head.size >> WIDTH_BITS * level) - index * WIDTH)
            row = read_row(self._folder, level, index, width)
            if len(self._tiles) >= _KEPT_TILES:
                self._tiles.clear()
            self._tiles[level, index] = row
        return row

    def subtree(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree below the head. Raises JournalDamagedError."""
        tile_level, height = divmod(level, WIDTH_BITS)
        start = index << height
        row = self._row(tile_level, start >> WIDTH_BITS)
        at = start % WIDTH
        return root_of(row[at : at + (1 << height)])

    def proof(self, index: int) -> Proof:
        """Return the proof that the entry at `index` is in the journal.

        Raises JournalInputError where no signed entry has that index, JournalDamagedError where
        the files do not hold what the head says.
        """
        for _ in range(_TRIES):
            if not 0 <= index < self.head.size:
                raise JournalInputError(
                    f"There is no signed entry {index}, the journal has {self.head.size}.",
                    next_step="Wait for the next checkpoint, or look for the entry again.",
                )
            try:
                path_up = inclusion(self.subtree, index, self.head.size)
                leaf = leaf_hash(self.entries(index >> WIDTH_BITS)[index % WIDTH])
            except JournalDamagedError:
                # A writer may have put wider parts in place of those of this head.
                size = self.head.size
                self.refresh()
                if self.head.size == size:
                    raise
                continue
            if not proves_inclusion(leaf, index, self.head.size, path_up, self.head.root):
                raise JournalDamagedError(f"Entry {index} is not what was signed.")
            return Proof(index, tuple(path_up), self.note)
        raise JournalDamagedError("The journal is written faster than it can be read.")

    def consistency(self, old: int) -> list[bytes]:
        """Return the proof that the head goes on from its first `old` entries."""
        return consistency(self.subtree, old, self.head.size)
