"""Rows: dictionaries of one list that hold texts and numbers alone, as a parser returns them.

What they hold is kept as it was, and gone through once a sink asks: most calls ask about none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from .notes import TEXTS

_PLAIN = frozenset((*TEXTS, int, float, bool, type(None)))
MIN_ROWS = 4
"""From how many on it takes less to keep them than to go through them."""


class Rows:
    """What rows held when a call returned them."""

    __slots__ = ("_counted", "_held", "_size", "room", "rows")

    def __init__(self, rows: Sequence[dict[Any, Any]]) -> None:
        """Keep what is in them: code may change them later."""
        self.rows = rows
        self._held = list(map(dict.copy, rows))
        self.room = sum(map(len, rows)) * 2 + len(rows)
        self._size, self._counted = self.room, False

    def __len__(self) -> int:
        """Return how many texts there are, at most."""
        return self._size

    def __iter__(self) -> Iterator[Any]:
        """Yield what each row held, the last of it first."""
        for row in self._held:
            yield from reversed(row.values())
            yield from reversed(row)

    def count(self) -> None:
        """Know how many texts there are; a row without one counts as one."""
        if not self._counted:
            found = sum(type(each) in TEXTS for each in self)
            self._size, self._counted = max(found, len(self._held)), True


def rows_in(items: Sequence[Any], room: int) -> list[dict[Any, Any]]:
    """Return the last dictionaries of a list, the very last first, that fit into the room.

    None of them if one holds anything but texts and numbers. A row takes one place, and one for
    each key and value.
    """
    if len(items) < MIN_ROWS or type(items[-1]) is not dict or type(items[0]) is not dict:
        return []
    found = []
    for row in reversed(items):
        if type(row) is not dict:
            return []
        room -= 1 + 2 * len(row)
        if room < 0:
            break
        found.append(row)
    plain = _PLAIN.issuperset
    if plain(map(type, chain.from_iterable(map(dict.values, found)))) and plain(
        map(type, chain.from_iterable(found))
    ):
        return found
    return []
