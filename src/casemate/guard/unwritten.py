"""Texts that code may have written in other ways: with quotes doubled, escaped, or as JSON.

No way of writing changes a run of plain characters. So a text is written in these ways only once a
question has the first run of it: of ten thousand, hardly any question has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .batches import Writer, all_lowered
from .known import MIN_SEARCHED
from .needles import HEADS, LONGEST_HEAD, SHORT, heads_of
from .windows import of_heads, windows

_PLAIN = r"[ !#-&(-\[\]-~]"
"""What is printed in ASCII, but for quotes and backslashes."""
_NO_RUN = rf"(?:[^\0 !#-&(-\[\]-~]|{_PLAIN}{{1,2}}+(?!{_PLAIN}))*+"
_RUNS = re.compile(rf"\0{_NO_RUN}({_PLAIN}{{{MIN_SEARCHED},{LONGEST_HEAD}}})?")
"""The first run of each of many texts, which begin behind a null character."""
_ESCAPES = ("\\u", "\\x")
"""One of these begins what a character beyond ASCII is written as."""
_SIGMAS = frozenset("σς")
"""Which of them it is in lower case depends on what is behind it."""


class Unwritten:
    """Those of an event that have not been written in other ways yet."""

    def __init__(self) -> None:
        """Begin empty."""
        self._waiting: list[tuple[list[str], Writer]] = []
        self._groups: dict[Writer, dict[str, list[str] | str]] = {}
        """By their first runs in lower case, cut to that of a head; no list if it is one alone."""
        self._beyond: list[tuple[dict[str, str], Writer]] = []
        """Those without a run that have characters beyond ASCII, each in lower case as well."""
        self._others: list[tuple[list[str], Writer]] = []

    def add(self, texts: list[str], write: Writer) -> None:
        """Take texts with what writes them."""
        self._waiting.append((texts, write))

    def take(self, text: str, inside: str) -> Iterator[tuple[list[str], Writer]]:
        """Yield those that may be in a text in another way, and what writes them; once each.

        `inside` is the text in lower case.
        """
        while self._waiting:
            self._sort(*self._waiting.pop(0))
        for write, groups in self._groups.items():
            for run in _in_both(groups, inside) if groups else ():
                found = groups.pop(run)
                yield [found] if isinstance(found, str) else found, write
        yield from self._others
        self._others.clear()
        # Each of these is written with its characters, or with an escape for each.
        if any(escape in inside for escape in _ESCAPES):
            yield from [(list(lower_of), write) for lower_of, write in self._beyond]
            self._beyond.clear()
        elif self._beyond and not inside.isascii():
            yield from self._take_beyond({sign for sign in inside if not sign.isascii()})

    def _take_beyond(self, signs: set[str]) -> Iterator[tuple[list[str], Writer]]:
        """Yield those that have one of these signs, which are in lower case."""
        if not signs.isdisjoint(_SIGMAS):
            signs = signs | _SIGMAS
        beyond, self._beyond = self._beyond, []
        for lower_of, write in beyond:
            taken = [text for text, lower in lower_of.items() if not signs.isdisjoint(lower)]
            for text in taken:
                del lower_of[text]
            if lower_of:
                self._beyond.append((lower_of, write))
            if taken:
                yield taken, write

    def _sort(self, texts: Sequence[str], write: Writer) -> None:
        groups = self._groups.setdefault(write, {})
        runs = _first_runs(texts)
        without = [text for text, run in zip(texts, runs, strict=True) if not run]
        fresh = dict(zip(runs, texts, strict=True))
        fresh.pop("", None)
        if len(fresh) + len(without) == len(texts) and groups.keys().isdisjoint(fresh):
            groups.update(fresh)  # most events have one of each
        else:
            _add_to(groups, runs, texts)
        # In lower case, some characters beyond ASCII are such of ASCII. All at once: of one that no
        # alphabet of Europe has, it takes an exception to find that out.
        lower = all_lowered(without)
        beyond = {t: low for t, low in zip(without, lower, strict=True) if not low.isascii()}
        if beyond:
            without = [text for text in without if text not in beyond]
            self._beyond.append((beyond, write))
        if without:
            self._others.append((without, write))


def _add_to(groups: dict[str, list[str] | str], runs: Sequence[str], texts: Sequence[str]) -> None:
    """Put texts that have a run into groups by it."""
    for text, run in zip(texts, runs, strict=True):
        if not run:
            continue
        known = groups.get(run)
        if isinstance(known, list):
            known.append(text)
        else:
            groups[run] = text if known is None else [known, text]


def _first_runs(texts: Sequence[str]) -> list[str]:
    """Return the first run of each text in lower case, or an empty text."""
    # In lower case afterwards: before, what was none could be one.
    runs: list[str] = "\0".join(_RUNS.findall("\0" + "\0".join(texts))).lower().split("\0")
    # One that is written alone can have null characters.
    return runs if len(runs) == len(texts) else [next(filter(None, runs), "")]


def _in_both(runs: Mapping[str, object], inside: str) -> Iterable[str]:
    """Return those of such runs that may be in a text in lower case."""
    if len(inside) <= SHORT:
        return heads_of(inside) & runs.keys()
    known = list(runs)
    numbers = of_heads(known, LONGEST_HEAD)
    there = set[int]()
    for size in HEADS:
        there |= set(numbers).intersection(windows(inside, size))
    return [run for run, number in zip(known, numbers, strict=True) if number in there]
