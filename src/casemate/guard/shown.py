"""Texts as `repr` shows them: in quotes of its own, which are none of the text's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .notes import JOINED
from .pieces import in_quotes

_QUOTED = 0b101
"""The first and the last part are written by `repr`."""


def shower(note: Callable[[Any], None]) -> tuple[Callable[[Any], str], Callable[[Any], Any]]:
    """Return a `repr` that notes what it puts into quotes, and what gives it for the built-in."""

    def shown(value: Any, /) -> str:
        text = repr(value)
        if type(value) is str and (parts := in_quotes(value, text)) is not None:
            note((text, JOINED, parts, _QUOTED))
        return text

    def showing(function: Any) -> Any:
        # The code may have another function of this name.
        return shown if function is repr else function

    return shown, showing
