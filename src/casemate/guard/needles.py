"""Many texts, found in another one in time that hardly depends on how many they are.

A few are looked for one by one, which the interpreter does in C. Of many, only those are that begin
like some place of the text: an event of ten thousand rows must not cost each statement a
millisecond.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator

from .budget import MAX_COMPARED, Budget

_FEW = 64
_HEAD = 6
"""Characters by which longer texts are grouped: shorter heads are in every text."""
_UNGROUPED = 2
"""Questions before they are grouped: most events are asked about once or twice."""
_SHORT = 4096
"""Characters of a text in which they are looked for without being grouped."""


class Needles:
    """Texts in lower case, each with what is known of it."""

    def __init__(self) -> None:
        """Begin empty."""
        self._known: dict[str, object] = {}
        self._waiting: list[str] = []
        self._heads: dict[str, list[str]] = {}
        self._short: set[str] = set()
        self._sizes: set[int] = set()
        self._asked = 0

    def __len__(self) -> int:
        """Return how many texts there are."""
        return len(self._known)

    def add(self, text: str, about: object) -> None:
        """Have a text found; of two that are equal the first counts. The empty text is no text."""
        if text and text not in self._known:
            self._known[text] = about
            self._waiting.append(text)

    def add_all(self, texts: dict[str, object]) -> None:
        """Do so for many at once."""
        texts.pop("", None)
        # Most are new: to make a set of what is known takes as long as all the rest.
        if not self._known.keys().isdisjoint(texts):
            for text in texts.keys() & self._known.keys():
                del texts[text]
        self._waiting += texts
        self._known.update(texts)

    def about(self, text: str) -> object:
        """Return what is known of a text that was found."""
        return self._known[text]

    def find(self, inside: str) -> Iterator[str]:
        """Yield each text that is somewhere in `inside`. ExhaustedError beyond MAX_COMPARED."""
        if len(self._known) <= _FEW:
            yield from [needle for needle in self._known if needle in inside]
            return
        heads = {inside[n : n + _HEAD] for n in range(len(inside) - _HEAD + 1)}
        if self._waiting and self._asked < _UNGROUPED and len(inside) <= _SHORT:
            self._asked += 1
            begun = heads | _windows(inside, range(1, _HEAD))
            found = [text for text in self._waiting if text[:_HEAD] in begun]
            yield from [text for text in found if len(text) < _HEAD]
            groups = _grouped([text for text in found if len(text) >= _HEAD])
            yield from _compared(inside, groups.values())
        else:
            self._group()
        yield from _windows(inside, self._sizes) & self._short
        yield from _compared(inside, [self._heads[head] for head in heads & self._heads.keys()])

    def _group(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        short = [text for text in waiting if len(text) < _HEAD]
        self._short.update(short)
        self._sizes.update(map(len, short))
        groups = _grouped([text for text in waiting if len(text) >= _HEAD])
        for head, texts in groups.items():
            self._heads.setdefault(head, []).extend(texts)


def _windows(inside: str, sizes: Iterable[int]) -> set[str]:
    return {inside[n : n + size] for size in sizes for n in range(len(inside) - size + 1)}


def _grouped(texts: list[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = collections.defaultdict(list)
    for text in texts:
        groups[text[:_HEAD]].append(text)
    return groups


def _compared(inside: str, groups: Iterable[list[str]]) -> Iterator[str]:
    budget = Budget(MAX_COMPARED)
    for group in groups:
        # All of a hostile event's texts can begin alike.
        budget.spend(len(group) * (len(inside) if len(group) > 1 else 1))
        yield from [needle for needle in group if needle in inside]
