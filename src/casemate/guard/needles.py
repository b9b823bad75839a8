"""Many texts, found in another one in time that hardly depends on how many they are.

A few are looked for one by one, which the interpreter does in C. Of many, only those are that begin
like some place of the text: an event of ten thousand rows must not cost each statement a
millisecond. They are kept as the lists in which they come, which the first questions go through;
each later one sorts some of them for lookup.
"""

from __future__ import annotations

import collections
import functools
import itertools
from collections.abc import Iterator, Sequence

from .budget import MAX_COMPARED, MAX_PLACES, Budget
from .known import MIN_SEARCHED
from .windows import of_heads, windows

_FEW = 64
LONGEST_HEAD = 6
"""Characters by which texts are grouped: shorter heads are in every text."""
HEADS = range(MIN_SEARCHED, LONGEST_HEAD + 1)
"""Of heads, and of texts that are no longer than one."""
_UNGROUPED = 2
"""Questions before they are grouped: most events are asked about once or twice."""
_GROUPED_AT_ONCE = 16_000
"""Texts that one question groups, so that none pays for all."""
SHORT = 4096
"""Characters of a text in which they are looked for one by one, once it is known which may be
there."""

Texts = Sequence[str]
Found = tuple[str, str, Sequence[int] | None]
"""A text that was found, the one that it is a form of, and its places, some of which may overlap;
None if these are not known."""


@functools.lru_cache(maxsize=1)
def heads_of(inside: str) -> frozenset[str]:
    """Return each head that a text may have that begins somewhere in another one.

    It is asked twice of one text, one question after the other.
    """
    size = len(inside)
    return frozenset([inside[n : n + wide] for wide in HEADS for n in range(size - wide + 1)])


class Needles:
    """Texts in lower case, each with the text that it is a form of."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lists: list[tuple[Texts, Texts]] = []
        self._single: tuple[list[str], list[str]] = ([], [])
        self._count = 0
        self._grouped = 0
        """How many lists are grouped."""
        self._groups: dict[str, list[tuple[str, str]]] = {}
        self._heads: list[list[int]] = []
        """The numbers of the heads in a list, of as many as longer texts were asked about."""
        self._asked = 0

    def add(self, text: str, about: str) -> None:
        """Have a text found that is no shorter than MIN_SEARCHED; of two equal ones the first."""
        texts, owners = self._single
        if not texts:
            self._lists.append(self._single)
        texts.append(text)
        owners.append(about)
        self._count += 1

    def add_all(self, texts: Texts, about: Texts) -> None:
        """Do so for many at once, in lists that stay as they are."""
        if texts:
            self._lists.append((texts, about))
            self._count += len(texts)

    def find(self, inside: str) -> Iterator[Found]:
        """Yield each text that is somewhere in `inside`. ExhaustedError beyond what is compared."""
        if self._count <= _FEW:
            for texts, owners in self._lists:
                for text, about in zip(texts, owners, strict=True):
                    if text in inside:
                        yield text, about, None
            return
        self._single = ([], [])
        self._asked += 1
        if self._asked > _UNGROUPED:
            self._group()
        yield from self._find_long(inside) if len(inside) > SHORT else self._find_short(inside)

    def _group(self) -> None:
        groups, room = self._groups, _GROUPED_AT_ONCE
        while self._grouped < len(self._lists) and room > 0:
            texts, about = self._lists[self._grouped]
            self._grouped += 1
            room -= len(texts)
            for pair in zip(texts, about, strict=True):
                head = pair[0][:LONGEST_HEAD]
                if head in groups:
                    groups[head].append(pair)
                else:
                    groups[head] = [pair]

    def _find_short(self, inside: str) -> Iterator[Found]:
        size = len(inside)
        heads = heads_of(inside)
        found: dict[str, dict[str, str]] = {}
        for head in heads & self._groups.keys():
            alike = found[head] = {}
            for text, about in self._groups[head]:
                alike.setdefault(text, about)
        for texts, owners in self._lists[self._grouped :]:
            for at in [at for at, text in enumerate(texts) if text[:LONGEST_HEAD] in heads]:
                text = texts[at]
                found.setdefault(text[:LONGEST_HEAD], {}).setdefault(text, owners[at])
        budget = Budget(MAX_COMPARED)
        for alike in found.values():
            # All of a hostile event's texts can begin alike.
            budget.spend(len(alike) * (size if len(alike) > 1 else 1))
            for text, about in alike.items():
                if text in inside:
                    yield text, about, None

    def _find_long(self, inside: str) -> Iterator[Found]:
        for texts, _ in self._lists[len(self._heads) :]:
            self._heads.append(of_heads(texts, LONGEST_HEAD))
        known = set().union(*self._heads)
        starts: dict[int, list[int]] = collections.defaultdict(list)
        for size in HEADS:
            places = windows(inside, size)
            heads = known.intersection(places)
            if heads:
                some = map(heads.__contains__, places)
                for at in itertools.compress(range(len(places)), some):
                    starts[places[at]].append(at)
        found: dict[int, dict[str, str]] = {}
        if starts:
            for (texts, owners), numbers in zip(self._lists, self._heads, strict=True):
                for at in [at for at, number in enumerate(numbers) if number in starts]:
                    found.setdefault(numbers[at], {}).setdefault(texts[at], owners[at])
        budget = Budget(MAX_PLACES)
        for number, alike in found.items():
            # Before nulls, a short text has the number of longer parts as well.
            yield from _alike(inside, alike, sorted(set(starts[number])), budget)


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
