"""How one kind is looked for: where a text may begin that has its shape, and how far it goes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

Reader = Callable[[str, int], tuple[int, int] | None]
"""From the place of a sign in a text to the stretch to mask around it, if there is one. What it
looks at before the sign is bounded, and what it passes after the sign has no other sign of its."""


class Found(NamedTuple):
    """A stretch of a text that is to be masked."""

    start: int
    end: int
    kind: str


class Shape(NamedTuple):
    """One kind and the literal signs that every text of it has."""

    kind: str
    signs: tuple[str, ...]
    read: Reader

    def find(self, text: str, sign: str) -> Iterator[Found]:
        """Yield every stretch around one of the signs, in one pass over `text`."""
        at = text.find(sign)
        while at >= 0:
            stretch = self.read(text, at)
            after = at + len(sign)
            if stretch is not None:
                yield Found(*stretch, self.kind)
                after = max(after, stretch[1])
            at = text.find(sign, after)


def begins(pattern: re.Pattern[str], before: int = 0) -> Reader:
    """Return a reader of what matches `pattern` from `before` characters ahead of a sign on.

    The stretch is the group `value` where the pattern has one.
    """
    named = "value" in pattern.groupindex

    def read(text: str, at: int) -> tuple[int, int] | None:
        if at < before:
            return None
        match = pattern.match(text, at - before)
        if match is None:
            return None
        return match.span("value") if named else match.span()

    return read
