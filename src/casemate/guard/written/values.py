"""What the values are that the code has put into a text, by its notes alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from ..core import Guard
from ..identity import identity
from ..notes import FORMAT, JOINED, PERCENT, TOGETHER
from ..pieces import as_text

_PLAIN = re.compile(r"[\w .:/@+-]*")
_MAX_DEPTH = 8
_MAX_LOOKED_AT = 4096
"""Parts that are looked at, of one text and of those that these were put together of."""


def _is_plain(value: str) -> bool:
    return _PLAIN.fullmatch(value) is not None


class Values:
    """Looks at the texts of one result; what waits is looked through once."""

    def __init__(self, guard: Guard) -> None:
        """Look at nothing yet."""
        self._guard = guard
        self._is_literal = guard.constants.is_literal
        self._notes: dict[int, tuple[Any, ...]] | None = None
        self._left = _MAX_LOOKED_AT

    def have_signs(self, text: str) -> bool:
        """Tell whether a text was put together, and a value in it has any sign at all."""
        note = self._note(text)
        return note is not None and self._has(note, _is_plain, 0)

    def have(self, text: str | bytes, signs: Collection[str]) -> bool:
        """Tell whether a text was put together, and a value in it has one of these signs.

        Or may have: of what was made in other ways all is told by who judges it.
        """
        note = self._note(text)
        return note is not None and self._has(
            note, lambda value: not any(sign in value for sign in signs), 0
        )

    def holds(self, piece: str | bytes, signs: Collection[str]) -> bool:
        """Tell the same of a text that may be a value itself."""
        text = as_text(piece)
        if not any(sign in text for sign in signs) or self._is_literal(text):
            return False
        return self._note(piece) is None or self.have(piece, signs)

    def _note(self, text: str | bytes) -> tuple[Any, ...] | None:
        if self._notes is None:
            provenance = self._guard.provenance
            self._notes = {identity(note[0]): note for note in provenance.noted()}
        note = self._notes.get(identity(text))
        return note if note is not None and note[0] is text else None

    def _has(self, note: tuple[Any, ...], passes: Callable[[str], bool], depth: int) -> bool:
        values = _values(note)
        if values is None or depth > _MAX_DEPTH:
            return True
        # Of characters that are joined, one may be the event's that the code has as well.
        between = note[2][0] if note[1] is TOGETHER else None
        for value in values:
            self._left -= 1
            if self._left < 0:
                return True
            if not isinstance(value, (str, bytes)):
                continue
            text = as_text(value)
            if passes(text):
                continue
            one = between is not None and len(text) == 1 and value is not between
            if self._is_literal(text):
                if one:
                    return True
                continue
            made = self._note(value)
            if made is None or self._has(made, passes, depth + 1):
                return True
        return False


def _values(note: tuple[Any, ...]) -> Iterator[Any] | None:
    """Return what is no literal of what a text was put together of; None if it was not."""
    kind = note[1]
    if type(kind) is tuple:  # an f-string, whose literals are in it
        return iter(note[2:])
    if len(note) < 4:
        return None
    parts, constant = note[2:4]
    if kind is TOGETHER:
        return iter((parts[0], *parts[1]))
    if kind is JOINED:
        return (part for number, part in enumerate(parts) if not constant >> number & 1)
    if kind is PERCENT or kind is FORMAT:
        given = parts[1] if isinstance(parts[1], tuple) else (parts[1],)
        named = parts[2] if len(parts) > 2 else {}
        return iter((parts[0], *given, *named.values()))
    return None
