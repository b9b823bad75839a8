"""Finds what is to be masked in a text; in one without anything, almost for nothing.

Most lines hold nothing. So characters are looked for first that most lines do not have either and
one of which is in nearly every sign; the digits are counted. Both are a single pass over the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from casemate.masking.kinds import ALWAYS
from casemate.masking.national import NUMBERS
from casemate.masking.personal import EMAIL, cards, ibans
from casemate.masking.shapes import Found, Shape
from casemate.masking.tokens import SHAPES
from casemate.model.function import Logs

_RARE = "@_%JKxzZBS"
_ALSO_NEEDS = {"://": "@", "EARER": "B"}
"""Signs without such a character that are of no use without one elsewhere."""
_USUAL = bytes(set(range(256)) - set(_RARE.encode()))
_NO_DIGIT = bytes(set(range(256)) - set(b"0123456789"))
_FEWEST_DIGITS = 8
_DIGITS_OF_CARDS = 13
_UNDERSCORE = re.compile(
    r"_(?<=gh[pousr]_)|_(?<=github_)|_(?<=[sr]k_)|_(?<=whsec_)|_(?<=npm_)|_(?<=hf_)|_(?<=cm_)"
    r"|_(?<=ecret_)|_(?<=ECRET_)"
)
"""Where an underscore is part of a sign: most are not."""
_LAYOUT = bytes(
    0x30
    if 0x30 <= byte <= 0x39
    else 0x41
    if 0x41 <= byte <= 0x5A
    else 0x20
    if byte == 0x2D
    else byte
    for byte in range(256)
)
"""To the shape of numbers: every digit as 0, capital letter as A, hyphen as space."""

_Sign = tuple[str, Shape]


def _numbers(text: str, raw: bytes, card: bool, iban: bool) -> Iterator[Found]:
    layout = raw.translate(_LAYOUT).decode("latin-1")
    if card and ("0" * 14 in layout or "0000 0000 0000" in layout or "0000 000000 0000" in layout):
        yield from cards(text)
    if iban and "AA00" in layout:
        yield from ibans(text)


class Search:
    """What is looked for in the texts of one function."""

    def __init__(self, kinds: Collection[str]) -> None:
        """Look for these kinds."""
        self._gated: dict[int, list[_Sign]] = {ord(char): [] for char in _RARE}
        self._open: list[_Sign] = []
        for shape in (*SHAPES, EMAIL):
            for sign in shape.signs if shape.kind in kinds else ():
                needed = _ALSO_NEEDS.get(sign, sign)
                gate = next((char for char in _RARE if char in needed), None)
                (self._open if gate is None else self._gated[ord(gate)]).append((sign, shape))
        self._card, self._iban = "card" in kinds, "iban" in kinds
        self._national = [number for number in NUMBERS if number.kind in kinds]

    def find(self, text: str) -> list[Found]:
        """Return all stretches in their order; none overlaps another."""
        raw = text.encode("utf-8", "surrogatepass")
        found: list[Found] = []
        for char in set(raw.translate(None, _USUAL)):
            if char != 0x5F or _UNDERSCORE.search(text):
                for sign, shape in self._gated[char]:
                    if sign in text:
                        found += shape.find(text, sign)
        for sign, shape in self._open:
            if sign in text:
                found += shape.find(text, sign)
        digits = len(raw.translate(None, _NO_DIGIT))
        if digits >= _FEWEST_DIGITS:
            found += _numbers(text, raw, self._card and digits > _DIGITS_OF_CARDS, self._iban)
        for number in self._national:
            found += number.find(text)
        return _apart(found) if len(found) > 1 else found


def _apart(found: Sequence[Found]) -> list[Found]:
    """Return stretches that do not overlap: what overlaps is one, of the kind that began it.

    A password before a host looks like an address of a person there; the host stays.
    """
    apart: list[Found] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if apart and one.start < apart[-1].end:
            if (apart[-1].kind, one.kind) == ("url-password", "email"):
                continue
            apart[-1] = apart[-1]._replace(end=max(apart[-1].end, one.end))
        else:
            apart.append(one)
    return apart


@lru_cache(256)
def search_of(logs: Logs) -> Search:
    """Return the search that a function's manifest asks for."""
    shown = {one.kind for one in logs.unmasked}
    return Search(frozenset({*ALWAYS, *logs.mask} - shown))
