"""Whether anything from outside can be in a text, by what it was made of alone.

A page of a thousand rows, or a report, is put together of thousands of texts. To look for the
event in each of them, at each step by which it was made, takes longer than all that the handler
does. Most have come of nothing from outside, which their notes tell in a microsecond each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .identity import identity
from .notes import DERIVED, JOINED, NUMBERED, REPLACED, TEXTS, Made
from .origin import Span
from .pieces import as_text, texts_in
from .provenance import Provenance
from .taint import Taint

_MAX_DEPTH = 60
MANY = 64
"""Texts of one question beyond which it is worth to ask here first."""


class Reach:
    """Tells it for the texts of one question of a sink."""

    def __init__(
        self, taint: Taint, provenance: Provenance, leaf: Callable[[str], list[Span]]
    ) -> None:
        """Begin with nothing known; `leaf` finds the event in a text that nobody saw being made."""
        self._taint = taint
        self._provenance = provenance
        self._leaf = leaf
        self._known: dict[int, tuple[object, bool]] = {}
        """By identity, with the texts themselves, so that an identity stays one's own."""
        self._leaves: dict[str, bool] = {}
        """What was found of texts that nobody saw being made."""

    def may_hold(self, value: Any, depth: int = 0) -> bool:
        """Tell whether there can be something from outside in a text: if in doubt, there can."""
        if type(value) not in TEXTS:
            return True
        if not value:
            return False
        key = identity(value)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = (value, self._look(value, depth))
        return known[1]

    def _look(self, value: Any, depth: int) -> bool:
        if self._taint.is_of(value) is not None:
            return True
        made = self._provenance.of(value)
        text = as_text(value)
        if made is None or depth > _MAX_DEPTH:
            found = self._leaves.get(text)
            if found is None:
                found = self._leaves[text] = bool(self._leaf(text))
            return found
        if self._of_parts(made, depth + 1):
            return True
        # What somebody decoded, or took out of something else, can be a text of the event again.
        return self._taint.exact(text) is not None

    def _of_parts(self, made: Made, depth: int) -> bool:
        if made.kind == JOINED:
            return any(
                self.may_hold(part, depth)
                for number, part in enumerate(made.parts)
                if not made.constant >> number & 1
            )
        if made.kind == REPLACED:
            return any(self.may_hold(part, depth) for part in made.parts[:3])
        if made.kind == DERIVED:
            # The last may be a tuple, of what the code itself wrote.
            own = type(made.parts[-1]) is tuple if made.parts else False
            parts = made.parts[:-1] if own else made.parts
            return any(self.may_hold(part, depth) for part in parts)
        if made.kind == NUMBERED:
            return True
        return any(self.may_hold(part, depth) for part in texts_in(made))
