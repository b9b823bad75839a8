"""Texts that are made of others: joined, formatted, by known keys."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import product

from casemate.audit.privileges.reader import Reader
from casemate.audit.privileges.values import (
    DATA,
    FULL,
    HOLE,
    MAX_TEXTS,
    NONE,
    Box,
    Text,
    Values,
    texts,
)

_MAX_TEXT = 4_096


def key_of(values: Values) -> Hashable:
    """Return the one text that a key is, or None."""
    if len(values) == 1:
        [found] = values
        if isinstance(found, Text) and HOLE not in found.text:
            return found.text
    return None


def joined(parts: list[list[str]]) -> Values:
    """Return the texts that parts make, one after the other."""
    count = 1
    for part in parts:
        count *= max(len(part), 1)
    if count > MAX_TEXTS:
        return DATA | {FULL}
    found = {"".join(each)[:_MAX_TEXT] for each in product(*parts)}
    return frozenset(Text(each) for each in found)


def formatted_by_percent(reader: Reader, left: Values, right: Values) -> Values:
    """Return `left % right`."""
    given: list[list[str]] = []
    for each in right:
        if isinstance(each, Box):
            for at in range(8):
                held = reader.state.keyed.find((each.number, at))
                if held is not None:
                    given.append(texts(held))
    if not given:
        given = [texts(right) or [HOLE]]
    found = NONE
    for form in texts(left):
        pieces = form.split("%s")
        if len(pieces) != len(given) + 1 or HOLE in form or "%" in "".join(pieces):
            return DATA
        parts: list[list[str]] = [[pieces[0]]]
        for piece, part in zip(pieces[1:], given, strict=True):
            parts += [part, [piece]]
        found |= joined(parts)
    return found or DATA
