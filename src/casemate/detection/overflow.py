"""What is left of entities for which correlations' windows have no room: 32 bytes of an entry.

One table for all correlations, a cache of buckets: an entry is in that of its entity, where the one
that was seen the longest ago gives way. So a flood between two steps of an attack has to be of well
over 100,000 entries to make it forgotten, of which an event makes one in each correlation that it
counts for. Nobody can choose whom it pushes out: hashes of texts are of the process alone, which is
why nothing of this outlives it.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

BUCKETS = 1 << 14
WAYS = 16
"""Entries of a bucket."""
MASK = (1 << 64) - 1
_MAX_TIMES = (1 << 32) - 1


class Left(NamedTuple):
    """One entry: by which key a window had it, when, and how many events it stands for."""

    key: int
    at: float
    times: int


class Overflow:
    """Remembers entries by the mark of their entity. Memory is taken with the first one."""

    __slots__ = ("_at", "_keys", "_marks", "_seconds", "_times", "forgotten", "used")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._marks = array("Q")
        self._keys = array("Q")
        self._at = array("d")
        self._seconds = array("f")
        self._times = array("I")
        self.used = False
        self.forgotten = 0
        """Entries that gave way before their time was over."""

    def put(self, mark: int, left: Left, seconds: float) -> None:
        """Remember an entry, which means something for so many seconds."""
        if not self.used:
            self._begin()
        marks, begun = self._marks, self._at
        mark = mark & MASK or 1
        first = mark % BUCKETS * WAYS
        place = first
        for each in range(first, first + WAYS):
            if not marks[each]:
                place = each
                break
            if begun[each] < begun[place]:
                place = each
        if marks[place] and abs(left.at - begun[place]) <= self._seconds[place]:
            self.forgotten += 1
        marks[place] = mark
        self._keys[place] = left.key & MASK
        begun[place] = left.at
        self._seconds[place] = seconds
        self._times[place] = min(left.times, _MAX_TIMES)

    def take(self, mark: int) -> list[Left]:
        """Return all that is remembered of an entity, the oldest first, and remember it no more."""
        if not self.used:
            return []
        mark = mark & MASK or 1
        first = mark % BUCKETS * WAYS
        if mark not in (marks := self._marks)[first : first + WAYS]:
            return []
        found = []
        for each in range(first, first + WAYS):
            if marks[each] == mark:
                found.append(Left(self._keys[each], self._at[each], self._times[each]))
                marks[each] = 0
        return sorted(found, key=lambda left: left.at)

    def _begin(self) -> None:
        size = BUCKETS * WAYS
        for column in (self._marks, self._keys, self._at, self._seconds, self._times):
            column.frombytes(bytes(size * column.itemsize))
        self.used = True


def mark_of(*texts: object) -> int:
    """Return the mark of an entity, or of a key of it."""
    return hash(texts)
