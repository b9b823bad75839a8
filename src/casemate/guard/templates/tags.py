"""Whole tags of a template, found in linear time.

One expression for whole tags looks through all that follows for each one that nothing ends.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple


class Kind(NamedTuple):
    """Tags that begin alike."""

    begins: str
    """An expression for their beginning, without groups; for the whole tag if nothing ends it."""
    ends: str = ""
    """The text that ends them."""


class Tags:
    """Those of an engine."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        """Where two kinds begin at one place, the first counts that is ended."""
        self._kinds = tuple(kinds)

    def find(self, text: str) -> list[tuple[int, int]]:
        """Return where tags begin and end, in their order; none is within another."""
        found: list[tuple[int, int]] = []
        left, place = self._kinds, 0
        while left and (begun := _any_of(left).search(text, place)) is not None:
            kind = left[(begun.lastindex or 1) - 1]
            end = text.find(kind.ends, begun.end())
            if end < 0:  # nor does anything end one that begins behind it
                left = tuple(each for each in left if each is not kind)
                place = begun.start()
                continue
            place = end + len(kind.ends)
            found.append((begun.start(), place))
        return found


@functools.lru_cache(maxsize=64)
def _any_of(kinds: tuple[Kind, ...]) -> re.Pattern[str]:
    one = "|".join(f"({kind.begins})" for kind in kinds)
    return re.compile(one, re.DOTALL | re.MULTILINE)
