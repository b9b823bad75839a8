"""What loops call of texts besides `quick.py`, in few steps: joins, templates, `replace`.

Each does what the code said, and appends one note to the ring. What is not a short text of texts
goes the long way, which knows all that these know.
"""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinMethodType
from typing import Any

from .notes import OF_MARKS, PERCENT, REPLACED, SCALARS, TOGETHER
from .quick import MAX_CUT_FROM, MAX_SHORT, Append, Note, Noted

IN_LINK = "://"
_OF_HEADS = ("HTTP", "Stat", "Cont", "From", "Subj", "To: ", "Date", "MIME", "Retu", "Rece", "Repl")
_SAMPLES = ("# HE", "# TY", "CEF:", "LEEF")
_PRIORITIES = (*(f"<{n}>" for n in range(10, 100)), *(f"<{n}" for n in range(100, 192)))
_LEVELS = ("DEBU", "INFO", "WARN", "ERRO", "CRIT", "FATA", "NOTI", "AUDI")
BEGINS_WITH = frozenset(
    (*_OF_HEADS, *_LEVELS, *_SAMPLES, *_PRIORITIES, *(begin.encode() for begin in _OF_HEADS))
)
"""Four signs that an answer begins with, or a mail, as it is sent or handed over, or a log, or the
samples of metrics."""
MAX_ITEMS = 1000
"""Texts of one list that are noted."""

_SEQUENCES = frozenset((list, tuple))


def together(append: Append, note: Note, slow: Callable[..., Any]) -> Callable[..., Any]:
    """Return what does a call of something named `join`; `slow` does what is no text's method."""

    def joined(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        if type(function) is not BuiltinMethodType or named or len(arguments) != 1:
            return slow(function, *arguments, **named)
        separator = function.__self__
        if type(separator) is not str:
            return slow(function, *arguments)
        parts = arguments[0]
        # A generator gives its texts once.
        if type(parts) not in _SEQUENCES:
            parts = list(parts)
        result = function(parts)
        if 1 < len(parts) <= MAX_ITEMS:
            # Which are put in turns when a sink asks: code can change the list until then.
            if len(result) <= MAX_SHORT:
                append((result, TOGETHER, (separator, tuple(parts)), 0))
            else:
                note(result, TOGETHER, (separator, tuple(parts)), 0)
        return result

    return joined


def together_by(append: Append, note: Note) -> Callable[[str, Any], str]:
    """Return what does the same of a separator that is written there."""

    def joined_by(separator: str, parts: Any) -> str:
        if type(parts) not in _SEQUENCES:
            parts = list(parts)
        result = separator.join(parts)
        if 1 < len(parts) <= MAX_ITEMS:
            if len(result) <= MAX_SHORT:
                append((result, TOGETHER, (separator, tuple(parts)), 0))
            else:
                note(result, TOGETHER, (separator, tuple(parts)), 0)
        return result

    return joined_by


def batcher(
    joined_by: Callable[[str, Any], str], take: Callable[[list[tuple[Any, ...]], int], None]
) -> Callable[[str, list[str], list[tuple[Any, ...]]], str]:
    """Return what does the same of a list that nobody else has, and notes its texts."""

    def batched(separator: str, parts: list[str], notes: list[tuple[Any, ...]]) -> str:
        result = joined_by(separator, parts)
        if notes:
            taken = notes[:]
            notes.clear()
            take(taken, len(result))
        return result

    return batched


def filler(append: Append, filled: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any], Any]:
    """Return what does `template % arguments`."""

    def percent(template: Any, arguments: Any) -> Any:
        result = template % arguments
        if type(template) is not str or result is template:
            return result
        kind = type(arguments)
        plain = SCALARS.issuperset(map(type, arguments)) if kind is tuple else kind in SCALARS
        if plain and type(result) is str and len(result) <= MAX_SHORT >= len(template):
            append((result, PERCENT, (template, arguments), 0))
        else:
            filled(result, template, arguments)
        return result

    return percent


def replacer(
    append: Append, noted: Noted, marked: Callable[..., None]
) -> Callable[[Callable[..., Any], Any, Any], Any]:
    """Return what does a call of something named `replace` with two arguments."""

    def replaced(function: Callable[..., Any], old: Any, new: Any) -> Any:
        if type(old) is str and old[:1] in OF_MARKS and len(old) > 2 and new:
            owner = getattr(function, "__self__", None)
            if type(owner) is str and old in owner:
                marked(owner, old)
        result = function(old, new)
        if type(result) is str and type(function) is BuiltinMethodType:
            owner = function.__self__
            if type(owner) is str and len(result) <= MAX_SHORT and len(owner) <= MAX_CUT_FROM:
                # Of what is not in it nothing is made: a note would say how it was not made.
                if result is not owner and result is not new:
                    append((result, REPLACED, (owner, old, new), 0))
                return result
        noted(function, (old, new), {}, result)
        return result

    return replaced
