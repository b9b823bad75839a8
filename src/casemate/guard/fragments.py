"""What is left of a text that code changed where nobody was looking: pieces with signs in them.

A dependency that trims, cuts or splits a value and puts the rest into a statement leaves no note,
and the whole value is in no text any more. But what changes a structure has signs (quotes,
brackets, semicolons), and each stands with its neighbours. These few characters are looked for, and
where they are found, both texts are read on in both directions for as long as they are the same.

Found pieces are never exact: a judge asks whether they change the structure, and takes words among
them for chance.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from .budget import MAX_COMPARED, Budget

MAX_TEXT = 4096
"""Characters of a text that is cut into pieces: longer ones share much by chance."""
MAX_PIECES = 30_000
MIN_SAME = 8
"""Characters in a row that are the same by no chance; fewer count if they are most of the text."""
_WINDOW = 5
_MAX_SIGNS = 64
_MAX_PLACES = 4
_SIGN = re.compile(r"""['\"`;|&$<>(){}\\#*!\r\n\[\]]|--|\.\.|//""")
_DOT = re.compile(r"(?<=\w)\.(?=\w)")
_IN_NAME = re.compile(r"[\w.-]")
_MAX_HOST = 300
_ESCAPES = "\\'\""
_PAIRS = ("''", '""')
_MAX_ESCAPES = 4
"""Characters by which escaping can put a sign's neighbours apart, as `shlex.quote` does."""

Piece = tuple[str, int, object]
"""A text in lower case, where in it the piece begins, and what is known of the text."""


class Fragments:
    """Pieces of many texts around their signs."""

    def __init__(self) -> None:
        """Begin empty."""
        self._waiting: list[tuple[str, object]] = []
        self._pieces: dict[str, list[Piece]] = {}

    def add(self, text: str, about: object) -> None:
        """Take a text in lower case that has a sign."""
        if _WINDOW <= len(text) <= MAX_TEXT:
            self._waiting.append((text, about))

    def find(self, inside: str) -> Iterator[tuple[int, int, object]]:
        """Yield where pieces are in a text in lower case: start, end, and what is known of them."""
        self._cut()
        if not self._pieces:
            return
        budget = Budget(MAX_COMPARED // 8)
        done: dict[int, int] = {}
        for start in range(len(inside) - _WINDOW + 1):
            for text, place, about in self._pieces.get(inside[start : start + _WINDOW], ()):
                if done.get(id(text), -1) >= start + _WINDOW:
                    continue
                left, right, same = _aligned(inside, start, text, place, budget)
                if "." in text[place : place + _WINDOW] and not _is_name(inside, left, right):
                    continue
                if same >= MIN_SAME or 2 * same >= len(text):
                    done[id(text)] = right
                    yield left, right, about

    def _cut(self) -> None:
        for text, about in self._waiting:
            if len(self._pieces) > MAX_PIECES:
                break
            signs = _SIGN.finditer(text)
            if len(text) <= _MAX_HOST:  # where a host may be
                signs = itertools.chain(signs, _DOT.finditer(text))
            for match in itertools.islice(signs, _MAX_SIGNS):
                at = match.start()
                for place in {at, at - _WINDOW // 2, match.end() - _WINDOW}:
                    piece = text[place : place + _WINDOW] if place >= 0 else ""
                    if len(piece) == _WINDOW:
                        known = self._pieces.setdefault(piece, [])
                        if len(known) < _MAX_PLACES:
                            known.append((text, place, about))
        self._waiting.clear()


def _is_name(inside: str, start: int, end: int) -> bool:
    """Tell whether a host's name is not just the end of another's: all of `.com` have that."""
    before = inside[start - 1 : start] if start else ""
    return not (_IN_NAME.match(before) or _IN_NAME.match(inside, end))


def _aligned(
    inside: str, start: int, text: str, place: int, budget: Budget
) -> tuple[int, int, int]:
    """Read on from a piece that is the same in both; return start, end and how much is the same."""
    left, more_left = _run(inside, start - 1, text, place - 1, -1)
    right, more_right = _run(inside, start + _WINDOW, text, place + _WINDOW, 1)
    left += 1
    # A quote that was escaped has its like before it: the pair is one sign, and not the code's.
    if left and (inside[left - 1] == "\\" or inside[left - 1 : left + 1] in _PAIRS):
        left -= 1
    same = more_left + more_right + _WINDOW
    budget.spend(same + _MAX_ESCAPES)
    return left, right, same


def _run(inside: str, at: int, text: str, place: int, step: int) -> tuple[int, int]:
    """Return where two texts stop to be the same, but for escapes, and how much is the same."""
    same = skipped = 0
    end = at
    crossed = False
    while 0 <= at < len(inside) and 0 <= place < len(text):
        if inside[at] == text[place]:
            same += 1
            skipped = 0
            # A blank beyond a quote is there by chance: the value was trimmed, and the quote is
            # the code's.
            crossed = crossed and text[place].isspace()
            place += step
            at += step
            if not crossed:
                end = at
        elif inside[at] in _ESCAPES and skipped < _MAX_ESCAPES:
            skipped += 1
            crossed = True
            at += step
        else:
            break
    return end, same
