"""Many texts, found in another one in time that hardly depends on how many they are.

A few are looked for one by one, which the interpreter does in C. Of many, only those are that begin
like some place of the text: an event of ten thousand rows must not cost each statement a
millisecond. They are kept as the lists in which they come, which the first questions go through;
each later one sorts some of them for lookup.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Container, Iterator, Sequence

from .budget import MAX_COMPARED, MAX_PLACES, Budget
from .windows import of_heads, windows

_FEW = 64
HEAD = 6
"""Characters by which longer texts are grouped: shorter heads are in every text."""
_UNGROUPED = 2
"""Questions before they are grouped: most events are asked about once or twice."""
_GROUPED_AT_ONCE = 16_000
"""Texts that one question groups, so that none pays for all."""
SHORT = 4096
"""Characters of a text in which they are found one by one, once it is known which may be there."""

Found = tuple[str, str, Sequence[int] | None]
"""A text that was found, the one that it is a form of, and its places, some of which may overlap;
None if these are not known."""


class Needles:
    """Texts in lower case, each with the text that it is a form of."""

    def __init__(self) -> None:
        """Begin empty."""
        self._new: list[tuple[Sequence[str], Sequence[str]]] = []
        self._single: tuple[list[str], list[str]] = ([], [])
        self._count = 0
        self._waiting: list[tuple[Sequence[str], Sequence[str], list[int]]] = []
        """With the heads of all that are long enough to have one."""
        self._groups: dict[int, list[tuple[str, str]]] = {}
        self._short: dict[int, dict[str, str]] = {}
        """Those without a head, by their size."""
        self._asked = 0

    def add(self, text: str, about: str) -> None:
        """Have a text found; of two that are equal the first counts. The empty text is no text."""
        if text:
            texts, owners = self._single
            if not texts:
                self._new.append(self._single)
            texts.append(text)
            owners.append(about)
            self._count += 1

    def add_all(self, texts: Sequence[str], about: Sequence[str]) -> None:
        """Do so for many at once, in lists that stay as they are; none is empty."""
        if texts:
            self._new.append((texts, about))
            self._count += len(texts)

    def find(self, inside: str) -> Iterator[Found]:
        """Yield each text that is somewhere in `inside`. ExhaustedError beyond what is compared."""
        if self._count <= _FEW:
            pairs = (pair for texts, of in self._new for pair in zip(texts, of, strict=True))
            for text, about in pairs:
                if text in inside:
                    yield text, about, None
            return
        self._take_in()
        self._asked += 1
        if self._asked > _UNGROUPED:
            self._group()
        yield from self._find_many(inside) if len(inside) > SHORT else self._find_in_short(inside)

    def _take_in(self) -> None:
        """Know the heads of texts that have come since."""
        new, self._new, self._single = self._new, [], ([], [])
        for texts, about in new:
            if len(min(texts, key=len)) < HEAD:
                self._take_short([p for p in zip(texts, about, strict=True) if len(p[0]) < HEAD])
                about = [of for text, of in zip(texts, about, strict=True) if len(text) >= HEAD]
                texts = [text for text in texts if len(text) >= HEAD]
            if texts:
                self._waiting.append((texts, about, of_heads(texts, HEAD)))

    def _take_short(self, pairs: list[tuple[str, str]]) -> None:
        pairs.reverse()  # of equal ones the first counts
        for size in set(map(len, dict(pairs))):
            known = self._short.setdefault(size, {})
            fresh = {text: of for text, of in pairs if len(text) == size}
            for text in fresh.keys() & known.keys():
                del fresh[text]
            known.update(fresh)

    def _group(self) -> None:
        groups, room = self._groups, _GROUPED_AT_ONCE
        while self._waiting and room > 0:
            texts, about, heads = self._waiting.pop(0)
            room -= len(texts)
            for head, pair in zip(heads, zip(texts, about, strict=True), strict=True):
                if head in groups:
                    groups[head].append(pair)
                else:
                    groups[head] = [pair]

    def _beginning(self, heads: set[int]) -> dict[int, dict[str, str]]:
        """Return the texts that have one of these heads, by their head."""
        found: dict[int, dict[str, str]] = {}
        for head in heads & self._groups.keys():
            alike = found[head] = {}
            for text, about in self._groups[head]:
                alike.setdefault(text, about)
        for texts, about, known in self._waiting:
            if heads.isdisjoint(known):
                continue
            for at in [at for at, head in enumerate(known) if head in heads]:
                found.setdefault(known[at], {}).setdefault(texts[at], about[at])
        return found

    def _find_in_short(self, inside: str) -> Iterator[Found]:
        for size, short in self._short.items():
            for text in {inside[n : n + size] for n in range(len(inside) - size + 1)}:
                if text in short:
                    yield text, short[text], None
        budget = Budget(MAX_COMPARED)
        for alike in self._beginning(set(windows(inside, HEAD))).values():
            # All of a hostile event's texts can begin alike.
            budget.spend(len(alike) * (len(inside) if len(alike) > 1 else 1))
            for text, about in alike.items():
                if text in inside:
                    yield text, about, None

    def _find_many(self, inside: str) -> Iterator[Found]:
        budget = Budget(MAX_PLACES)
        for size, short in self._short.items():
            places = windows(inside, size)
            heads = set(of_heads(list(short), size)).intersection(places)
            for at in _by_head(places, heads).values():
                budget.spend(len(at))
                found: dict[str, list[int]] = {}
                for place in at:
                    found.setdefault(inside[place : place + size], []).append(place)
                for text in found.keys() & short.keys():
                    yield text, short[text], found[text]
        places = windows(inside, HEAD)
        known = set(self._groups)
        for _, _, heads in self._waiting:
            known.update(heads)
        found_heads = known.intersection(places)
        if found_heads:
            starts = _by_head(places, found_heads)
            for head, alike in self._beginning(found_heads).items():
                yield from _alike(inside, alike, starts[head], budget)


def _by_head(places: memoryview, heads: Container[int]) -> dict[int, list[int]]:
    """Return where each of some heads is."""
    found: dict[int, list[int]] = collections.defaultdict(list)
    if heads:
        for at in itertools.compress(range(len(places)), map(heads.__contains__, places)):
            found[places[at]].append(at)
    return found


def _alike(
    inside: str, texts: dict[str, str], starts: list[int], budget: Budget
) -> Iterator[Found]:
    """Yield those of texts that begin alike that are at one of the places where this is."""
    sizes = set(map(len, texts))
    budget.spend(len(sizes) * len(starts))
    found: dict[str, list[int]] = {}
    for size in sizes:
        for start in starts:
            part = inside[start : start + size]
            if part in texts:
                found.setdefault(part, []).append(start)
    for text, places in found.items():
        yield text, texts[text], places
