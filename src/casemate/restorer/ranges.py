"""Ranges of memory: pairs of start and end, in order, none of which overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from casemate.kernel.pagemap import PAGE

Range = tuple[int, int]


def without(ranges: Iterable[Range], others: Sequence[Range]) -> list[Range]:
    """Return what is in `ranges` and not in `others`, adjoining ranges as one."""
    found: list[Range] = []
    place = 0
    for begin, end in ranges:
        start = begin
        while start < end:
            while place < len(others) and others[place][1] <= start:
                place += 1
            first, last = others[place] if place < len(others) else (end, end)
            if first <= start:
                start = last
                continue
            until = min(first, end)
            if found and found[-1][1] == start:
                found[-1] = (found[-1][0], until)
            else:
                found.append((start, until))
            start = until
    return found


def pages(ranges: Iterable[Range]) -> int:
    """Return how many pages they are."""
    return sum(end - start for start, end in ranges) // PAGE


def addresses(ranges: Iterable[Range]) -> list[int]:
    """Return where each of their pages begins."""
    return [place for start, end in ranges for place in range(start, end, PAGE)]
