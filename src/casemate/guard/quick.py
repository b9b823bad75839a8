"""What rewritten code calls most, in as few steps as can be: loops put texts together.

Each does what the code said and appends one note to a ring, as a tuple like `Made`, or of a text
and the one it was derived from; it is sorted in when a sink asks (`Provenance.of`). What is not a
short text made of texts goes the long way.
"""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinMethodType
from typing import Any

from .notes import DERIVED, JOINED

MAX_WAITING = 16_384
"""Notes in the ring; beyond that the oldest are forgotten."""
MAX_SHORT = 256
"""Characters of a text that is noted in the ring: so it holds no more than four million."""
MAX_CUT_FROM = 1024
"""Characters of a text that a note in the ring may hold for a text that was made from it."""

Append = Callable[[tuple[Any, ...]], None]
Note = Callable[[Any, str, tuple[Any, ...], int], None]
Noted = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any], None]


def joiner(append: Append, note: Note) -> Callable[..., str]:
    """Return what does an f-string of at least two parts."""
    together = "".join

    def join(constant: int, *parts: str) -> str:
        text = together(parts)
        if len(text) <= MAX_SHORT:
            append((text, JOINED, parts, constant))
        else:
            note(text, JOINED, parts, constant)
        return text

    return join


def adder(append: Append, added: Callable[[Any, Any, Any, int], None]) -> Callable[..., Any]:
    """Return what does `left + right`."""

    def add(constant: int, left: Any, right: Any) -> Any:
        result = left + right
        if type(result) is str:
            if type(left) is str and type(right) is str and len(result) <= MAX_SHORT:
                if result is not left and result is not right:
                    append((result, JOINED, (left, right), constant))
            else:
                added(result, left, right, constant)
        elif type(result) is bytes:
            added(result, left, right, constant)
        return result

    return add


def caller(append: Append, noted: Noted) -> Callable[[Callable[[], Any]], Any]:
    """Return what does a call without arguments, such as `text.strip()`."""

    def called(function: Callable[[], Any]) -> Any:
        result: Any = function()
        kind = type(result)
        if (kind is str or kind is bytes) and type(function) is BuiltinMethodType:
            owner = function.__self__
            if type(owner) is str and len(result) <= MAX_SHORT and len(owner) <= MAX_CUT_FROM:
                if result is not owner:
                    append((result, owner))
                return result
        if result is not False and result is not None:
            noted(function, (), {}, result)
        return result

    return called


def giver(append: Append, noted: Noted) -> Callable[[Callable[[Any], Any], Any], Any]:
    """Return what does a call with one argument, such as `text.strip("/")`."""

    def given(function: Callable[[Any], Any], argument: Any) -> Any:
        result: Any = function(argument)
        kind = type(result)
        if (kind is str or kind is bytes) and type(function) is BuiltinMethodType:
            owner = function.__self__
            if type(owner) is str and len(result) <= MAX_SHORT and len(owner) <= MAX_CUT_FROM:
                if result is not owner:
                    append((result, DERIVED, (owner, argument), 0))
                return result
        if result is not False and result is not None:
            noted(function, (argument,), {}, result)
        return result

    return given


def cutter(append: Append, note: Note) -> Callable[[Any, Any, Any, Any], Any]:
    """Return what does `whole[start:stop:step]`."""

    def cut(whole: Any, start: Any, stop: Any, step: Any) -> Any:
        result = whole[start:stop] if step is None else whole[start:stop:step]
        kind = type(result)
        if (kind is str or kind is bytes) and result is not whole and type(whole) is kind:
            if len(result) <= MAX_SHORT and len(whole) <= MAX_CUT_FROM:
                append((result, whole))
            else:
                note(result, DERIVED, (whole,), 0)
        return result

    return cut


def again_cutter(append: Append, note: Note) -> Callable[[Any, Any, Any, Any, Any], Any]:
    """Return what does `whole[start:stop][first:last]`, without holding what is between."""

    def cut_again(whole: Any, start: Any, stop: Any, first: Any, last: Any) -> Any:
        between = whole[start:stop]
        result = between[first:last]
        kind = type(result)
        if (kind is str or kind is bytes) and result is not whole and type(whole) is kind:
            if len(result) <= MAX_SHORT and len(whole) <= MAX_CUT_FROM:
                append((result, whole))
            else:
                note(result, DERIVED, (whole,), 0)
        return result

    return cut_again


def finder(members: dict[str, tuple[str, ...]]) -> Callable[[Any, tuple[str, ...]], bool]:
    """Return what notes that a value was found among texts that the code has written."""

    def found(value: Any, texts: tuple[str, ...]) -> bool:
        if type(value) is str:
            members[value] = texts
        return True

    return found
