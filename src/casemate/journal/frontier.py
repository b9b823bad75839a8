"""The right edge of a tree: what is needed to add entries and to know the root."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from casemate.journal.merkle import EMPTY_ROOT, root_of
from casemate.journal.tiles import WIDTH, WIDTH_BITS

Full = Callable[[int, int, Sequence[bytes]], None]
"""Called with the level, index and hashes of each tile that has become full."""


class Frontier:
    """The rows of tiles that are not full, from level 0 up."""

    def __init__(self, full: Full) -> None:
        """Begin with no entry."""
        self.size = 0
        self.rows: list[list[bytes]] = [[]]
        self._full = full

    def add(self, leaf: bytes) -> None:
        """Take the hash of the next entry."""
        self.size += 1
        self._push(0, leaf)

    def add_full_tiles(self, level: int, tiles: Sequence[Sequence[bytes]]) -> None:
        """Begin with these full tiles of a level, which have no full tile above them."""
        self.size += len(tiles) << WIDTH_BITS * (level + 1)
        for tile in tiles:
            self._push(level + 1, root_of(tile))

    def _push(self, level: int, hashed: bytes) -> None:
        # At most one step for each level of the tree.
        while True:
            while level >= len(self.rows):  # the highest full tiles are given first
                self.rows.append([])
            row = self.rows[level]
            row.append(hashed)
            if len(row) < WIDTH:
                return
            self._full(level, (self.size >> WIDTH_BITS * (level + 1)) - 1, row)
            hashed = root_of(row)
            self.rows[level] = []
            level += 1

    def root(self, leaves: Sequence[bytes] | None = None) -> bytes:
        """Return the root; with `leaves`, that of the tree with these as its lowest row."""
        tail: bytes | None = None
        for level, row in enumerate(self.rows):
            shown = row if level or leaves is None else leaves
            # What is to the right of whole subtrees is one smaller one: a last, odd node.
            parts = [*shown, tail] if tail is not None else shown
            if parts:
                tail = root_of(parts)
        return EMPTY_ROOT if tail is None else tail
