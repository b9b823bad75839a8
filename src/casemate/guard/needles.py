"""Many texts, found in another one in time that hardly depends on how many they are.

A few are looked for one by one, which the interpreter does in C. Of many, only those are that begin
like some place of the text: an event of ten thousand rows must not cost each statement a
millisecond.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .budget import MAX_COMPARED, Budget

_FEW = 64
_HEAD = 6
"""Characters by which longer texts are grouped: shorter heads are in every text."""


class Needles:
    """Texts in lower case, each with what is known of it."""

    def __init__(self) -> None:
        """Begin empty."""
        self._known: dict[str, object] = {}
        self._waiting: list[str] = []
        self._heads: dict[str, list[str]] = {}
        self._short: dict[int, set[str]] = {}

    def __len__(self) -> int:
        """Return how many texts there are."""
        return len(self._known)

    def add(self, text: str, about: object) -> None:
        """Have a text found; of two that are equal the first counts. The empty text is no text."""
        if text and text not in self._known:
            self._known[text] = about
            self._waiting.append(text)

    def add_all(self, texts: Mapping[str, object]) -> None:
        """Do so for many at once."""
        known = self._known
        self._waiting += [text for text in texts if text not in known and text]
        self._known = {**texts, **known}

    def about(self, text: str) -> object:
        """Return what is known of a text that was found."""
        return self._known[text]

    def find(self, inside: str) -> Iterator[str]:
        """Yield each text that is somewhere in `inside`. ExhaustedError beyond MAX_COMPARED."""
        if len(self._known) <= _FEW:
            yield from [needle for needle in self._known if needle in inside]
            return
        self._group()
        for size, texts in self._short.items():
            yield from {inside[n : n + size] for n in range(len(inside) - size + 1)} & texts
        budget = Budget(MAX_COMPARED)
        heads = {inside[n : n + _HEAD] for n in range(len(inside) - _HEAD + 1)}
        for head in heads & self._heads.keys():
            group = self._heads[head]
            # All of a hostile event's texts can begin alike.
            budget.spend(len(group) * (len(inside) if len(group) > 1 else 1))
            yield from [needle for needle in group if needle in inside]

    def _group(self) -> None:
        for text in self._waiting:
            if len(text) >= _HEAD:
                self._heads.setdefault(text[:_HEAD], []).append(text)
            else:
                self._short.setdefault(len(text), set()).add(text)
        self._waiting.clear()
