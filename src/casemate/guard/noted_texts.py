"""Which of many noted texts may stand in another one, without a look at each of them.

A loop over rows notes some texts for each row and asks about one for each: to compare each with all
is quadratic. Here a text is asked only for those that begin like a place of it, and that have there
a length with which all of it is the same.
"""

from __future__ import annotations

from typing import Any

from .batches import lowered
from .known import MIN_SEARCHED

_HEAD = 6
"""Characters by which texts are grouped."""


class NotedTexts:
    """The texts of notes in lower case, without white space at their ends."""

    def __init__(self) -> None:
        """Begin empty."""
        self._count = 0
        self._short: dict[str, list[tuple[int, str]]] = {}
        self._sizes: set[int] = set()
        self._heads: dict[str, _Alike] = {}

    def add(self, notes: list[tuple[Any, ...]]) -> None:
        """Take the texts of notes as in `Made`; words alone are in every text by chance."""
        for value, *_ in notes:
            self._count += 1
            if type(value) is not str or len(value) < MIN_SEARCHED or value.isalnum():
                continue
            bare = value.strip()
            # What is trimmed to less is only looked for as it is.
            key = lowered(bare if len(bare) >= MIN_SEARCHED else value)
            if len(key) < _HEAD:
                self._short.setdefault(key, []).append((self._count, value))
                self._sizes.add(len(key))
                continue
            alike = self._heads.get(key[:_HEAD])
            if alike is None:
                alike = self._heads[key[:_HEAD]] = _Alike()
            alike.add(key, (self._count, value))

    def find(self, inside: str) -> list[str]:
        """Return those that may stand in a text in lower case, in the order of their notes."""
        found: list[tuple[int, str]] = []
        for size in self._sizes:
            for key in {inside[n : n + size] for n in range(len(inside) - size + 1)}:
                found += self._short.get(key, ())
        places: dict[str, list[int]] = {}
        for place in range(len(inside) - _HEAD + 1):
            head = inside[place : place + _HEAD]
            if head in self._heads:
                places.setdefault(head, []).append(place)
        for head, starts in places.items():
            found += self._heads[head].find(inside, starts)
        found.sort()
        return [value for _, value in found]


class _Alike:
    """Texts that begin alike."""

    def __init__(self) -> None:
        self._texts: dict[str, list[tuple[int, str]]] = {}
        self._sizes: set[int] = set()

    def add(self, key: str, value: tuple[int, str]) -> None:
        self._texts.setdefault(key, []).append(value)
        self._sizes.add(len(key))

    def find(self, inside: str, starts: list[int]) -> list[tuple[int, str]]:
        # Hostile ones begin alike at every place, in every length: then one by one takes less.
        if len(starts) * len(self._sizes) < len(self._texts):
            keys = {inside[start : start + size] for start in starts for size in self._sizes}
            return [value for key in keys for value in self._texts.get(key, ())]
        return [v for key, values in self._texts.items() if key in inside for v in values]
