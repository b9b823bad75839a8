"""Takes binary structures apart that others have made: every length is held against what is there.

Only what the formats have in common. May be used by whoever parses bytes of the network.
"""

from __future__ import annotations


class BinaryReader:
    """Reads one structure from its start."""

    def __init__(self, data: bytes) -> None:
        """Read `data`."""
        self._data = data
        self._at = 0

    def too_short(self) -> Exception:
        """Return what is raised where the structure ends before one of its parts."""
        return EOFError("The structure is shorter than its own lengths say.")

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes. Raises what `too_short` returns."""
        end = self._at + size
        if end > len(self._data):
            raise self.too_short()
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, size: int) -> int:
        """Return a number of `size` bytes, the highest first."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, length_size: int) -> bytes:
        """Return bytes whose number stands before them, in `length_size` bytes."""
        return self.take(self.number(length_size))

    def rest(self) -> bytes:
        """Return what is left."""
        return self.take(self.left)

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at
