"""What rewritten code calls most, in as few steps as can be: loops put texts together.

Each does what the code said and appends one note to a ring, as a tuple like `Made`, or of a text
and the one it was derived from; it is sorted in when a sink asks (`Provenance.of`). What is not a
short text made of texts goes the long way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from re import Match
from types import BuiltinMethodType, FunctionType
from typing import Any

from .notes import DERIVED, JOINED, NUMBERED

MAX_WAITING = 16_384
"""Notes in the ring; beyond that the oldest are forgotten."""
MAX_SHORT = 256
"""Characters of a text that is noted in the ring: so it holds no more than four million."""
MAX_CUT_FROM = 1024
"""Characters of a text that a note in the ring may hold for a text that was made from it."""

MAX_KNOWN = 8
"""Texts found among literals of which rewritten code knows itself: it looks at one by one."""
MAX_ALL = 16
"""Literals of a collection up to which it is found out whether all of them were found."""

_NO_NUMBERS = frozenset((bytes, bytearray, int, memoryview, str))
"""Of what `bytes` copies, encodes, or makes nulls."""

Append = Callable[[tuple[Any, ...]], None]
Note = Callable[[Any, str, tuple[Any, ...], int], None]
Noted = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any], None]
Parted = Callable[..., None]
Grouped = Callable[[tuple[Callable[..., Any], tuple[Any, ...]], "Match[Any]", Any], None]
Call = Callable[[Callable[[], Any]], Any]


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
            # The exact types: a subclass's `+` is its own, and may be no concatenation.
            if type(left) is str and type(right) is str and len(result) <= MAX_SHORT:
                if result is not left and result is not right:
                    append((result, JOINED, (left, right), constant))
            else:
                added(result, left, right, constant)
        elif type(result) is bytes:
            added(result, left, right, constant)
        return result

    return add


def numbering(append: Append, note: Note) -> Callable[[Any], Any]:
    """Return what gives `chr` and `bytes` that note what they make of numbers."""

    def character(number: Any, /) -> str:
        text = chr(number)
        if not text.isalnum():
            append((text, NUMBERED, (), 0))
        return text

    def data(*arguments: Any, **named: Any) -> bytes:
        result = bytes(*arguments, **named)
        if arguments and type(arguments[0]) not in _NO_NUMBERS:
            note(result, NUMBERED, (), 0)
        return result

    def numbered(function: Any) -> Any:
        # The code may have another function of this name.
        return character if function is chr else data if function is bytes else function

    return numbered


def caller(append: Append, made: Note, noted: Noted, parted: Parted, grouped: Grouped) -> Call:
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
            if kind is bytes and type(owner) is str:  # of a text only `encode` makes some
                made(result, DERIVED, (owner,), 1)
                return result
        elif kind is list and type(function) is BuiltinMethodType:
            owner = function.__self__
            if type(owner) is str:  # all of its methods that give a list split it
                parted(result, (owner,))
                return result
        elif kind is tuple and type(function) is BuiltinMethodType:
            owner = function.__self__
            if type(owner) is Match:
                grouped((function, ()), owner, result)
                return result
        # What a check denied says nothing of the text.
        if result is not False and result is not None:
            noted(function, (), {}, result)
        return result

    return called


def giver(
    append: Append, noted: Noted, parted: Parted, grouped: Grouped
) -> Callable[[Callable[[Any], Any], Any], Any]:
    """Return what does a call with one argument, such as `text.strip("/")`."""

    def given(function: Callable[[Any], Any], argument: Any) -> Any:
        result: Any = function(argument)
        kind = type(result)
        if (kind is str or kind is bytes) and type(function) is BuiltinMethodType:
            owner = function.__self__
            if type(owner) is str and len(result) <= MAX_SHORT and len(owner) <= MAX_CUT_FROM:
                if result is not owner:
                    append((result, DERIVED, (owner, argument), type(argument) is str))
                return result
            if type(owner) is Match:
                grouped((function, (argument,)), owner, result)
                return result
        elif kind is list and type(function) is BuiltinMethodType:
            owner = function.__self__
            if type(owner) is str:  # all of its methods that give a list split it
                if type(argument) is str:
                    parted(result, (owner, argument), argument)
                else:
                    parted(result, (owner,))
                return result
        if result is not False and result is not None:
            noted(function, (argument,), {}, result)
        return result

    return given


def cutter(append: Append, note: Note) -> Callable[[Any, Any, Any, Any], Any]:
    """Return what does `whole[start:stop:step]`."""

    def cut(whole: Any, start: Any, stop: Any, step: Any) -> Any:
        # Without a step the interpreter makes no slice object.
        result = whole[start:stop] if step is None else whole[start:stop:step]
        kind = type(result)
        if (kind is str or kind is bytes) and result is not whole and type(whole) is kind:
            if len(result) <= MAX_SHORT and len(whole) <= MAX_CUT_FROM:
                append((result, whole))
            else:
                note(result, DERIVED, (whole,), 1)
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
                note(result, DERIVED, (whole,), 1)
        return result

    return cut_again


def finder(
    members: dict[str, tuple[str, ...]], known: list[str]
) -> Callable[[Any, tuple[str, ...]], bool]:
    """Return what notes that a value was found among texts that the code has written.

    The first few are in `known` as well, where rewritten code looks before it calls this.
    """

    def found(value: Any, texts: tuple[str, ...]) -> bool:
        if type(value) is str:
            members[value] = texts
            if len(known) < MAX_KNOWN:
                known.append(value)
        return True

    return found


def all_finder(
    members: dict[str, tuple[str, ...]], found: Callable[[Any, tuple[str, ...]], bool]
) -> Callable[[Any, tuple[str, ...]], bool | None]:
    """Return what does the same, and tells whether all of these texts were found by now.

    If not it gives None, as the flag is that keeps the answer.
    """

    def all_found(value: Any, texts: tuple[str, ...]) -> bool | None:
        found(value, texts)
        return True if len(texts) <= MAX_ALL and all(text in members for text in texts) else None

    return all_found


def longer(note: Note) -> Callable[..., str]:
    """Return what notes an f-string that is too long for the ring. The call empties its names."""

    def long(text: str, template: Any, values: tuple[Any, ...], *_: None) -> str:
        for made in written_out((text, template, *values)):
            note(*made)
        return text

    return long


def turner(append: Append, note: Note) -> Callable[..., Any]:
    """Return what notes a chain of methods that was called on a long text, or on no text."""

    def turned(result: Any, whole: Any, between: tuple[str, ...], _: None = None) -> Any:
        kind = type(result)
        if (kind is str or kind is bytes) and type(whole) is kind and result is not whole:
            if len(whole) <= MAX_CUT_FROM:
                append((result, whole, between))
            else:
                for made in written_out((result, whole, between)):
                    note(*made)
        return result

    return turned


def parts_of(
    text: str, template: tuple[str | tuple[str] | None, ...], values: Sequence[Any]
) -> tuple[tuple[str, ...], int] | None:
    """Return the parts of an f-string in order, and the bits of those that are literals.

    None if more than one of them cannot be told.
    """
    given = iter(values)
    constant = 0
    parts: list[str] = []
    unknown: list[int] = []
    for number, part in enumerate(template):
        if type(part) is str:
            constant |= 1 << number
            parts.append(part)
            continue
        made = next(given) if part is None else _formatted(next(given), *part)
        if made is None:
            unknown.append(number)
        parts.append(made or "")
    if len(unknown) > 1:
        return None
    for number in unknown:  # one is what the others leave
        after = sum(map(len, parts[number + 1 :]))
        parts[number] = text[sum(map(len, parts[:number])) : len(text) - after]
    return tuple(parts), constant


def _formatted(value: Any, specification: str) -> str | None:
    """Format a value once more; None if that could have an effect."""
    if type(type(value).__format__) is FunctionType:  # of a class that is written in Python
        return None
    try:
        return format(value, specification)
    except Exception:  # noqa: BLE001 - a value can have changed since, as an array's can
        return None


def written_out(note: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the notes, as in `Made`, that a shorter one stands for."""
    value, source = note[:2]
    if type(source) is tuple:
        known = parts_of(value, source, note[2:])
        if known is not None:
            yield value, JOINED, *known
        else:
            yield value, DERIVED, tuple(part for part in note[2:] if type(part) is str), 0
        return
    for method in note[2] if len(note) > 2 else ():
        made = getattr(source, method)()
        if made is not source:
            yield made, DERIVED, (source,), 1
        source = made
    if value is not source:
        yield value, DERIVED, (source,), 1
