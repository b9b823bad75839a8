"""Takes apart what `re.sub` made: which of it is of the text, and which was put in its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .notes import Made

MAX_MATCHES = 500
MAX_CANDIDATES = 2000
"""With both as many as may be, telling them apart takes some 20 ms."""
_MAX_MARKED = 64 * 1024
"""Characters of a text in which the code has marked some by `re.sub`."""
_MAX_WRITTEN = 32
_GROUP = re.compile(r"\\(?:(?P<number>\d{1,2})|g<(?P<name>\w+)>)")


class Substitution(NamedTuple):
    """A call of `re.sub`, held with the text that it made."""

    pattern: Any
    by: Any
    """What was put in: a template, or a function."""
    text: str
    limit: int
    flags: int


class Part(NamedTuple):
    """A part of what was made: of the text, from `start` to `end`, or `made` in its place."""

    start: int
    end: int
    made: str | None = None


def substitution(
    function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> Substitution | None:
    """Return a call of `sub` as it can be done again; None if it is of another kind."""
    pattern = getattr(function, "__self__", None)
    if type(pattern) is re.Pattern:
        given = (pattern, *arguments)
    elif function is re.sub:
        given = arguments
    else:
        return None
    counted = given[3] if len(given) > 3 else named.get("count", 0)
    flags = given[4] if len(given) > 4 else named.get("flags", 0)
    if len(given) < 3 or type(given[2]) is not str or not named.keys() <= {"count", "flags"}:
        return None
    pattern, by, text = given[:3]
    return Substitution(pattern, by, text, counted, int(flags))


def parts_of(made: Substitution, result: str, noted: Iterable[Any]) -> list[Part] | None:
    """Return what a result consists of; None if that cannot be told for sure.

    `noted` are texts that the code was seen making: what a function returned is among them.
    """
    matches = []
    for match in re.compile(made.pattern, made.flags).finditer(made.text):
        matches.append(match)
        if len(matches) > MAX_MATCHES:
            return None
        if made.limit and len(matches) == made.limit:
            break
    if isinstance(made.by, str):
        parts = _of_template(made, matches)
    else:
        found = _of_function(made, matches, result, _held_in(result, noted))
        if found is None:
            return None
        parts = found
    whole = "".join(made.text[p.start : p.end] if p.made is None else p.made for p in parts)
    return parts if whole == result else None


def _of_template(made: Substitution, matches: list[re.Match[str]]) -> list[Part]:
    parts: list[Part] = []
    place = 0
    for match in matches:
        parts.append(Part(place, match.start()))
        at = 0
        for group in _GROUP.finditer(made.by):
            parts.append(Part(0, 0, match.expand(made.by[at : group.start()])))
            start, end = match.span(group["name"] or int(group["number"]))
            parts.append(Part(max(start, 0), max(end, 0)))
            at = group.end()
        parts.append(Part(0, 0, match.expand(made.by[at:])))
        place = match.end()
    return [*parts, Part(place, len(made.text))]


def _held_in(result: str, noted: Iterable[Any]) -> list[str]:
    """Return the noted texts that are in a result, the longest first."""
    held: dict[str, str] = {}
    for number, text in enumerate(noted):
        if number >= MAX_CANDIDATES:
            break
        if type(text) is str and text and text not in held and text in result:
            held[text] = text
    return sorted(held.values(), key=len, reverse=True)


def _of_function(
    made: Substitution, matches: list[re.Match[str]], result: str, held: list[str]
) -> list[Part] | None:
    """Find what a function returned for each match: a text that was seen being made.

    Or the match itself, as it was, or a text of the function's code.
    """
    constants = getattr(getattr(made.by, "__code__", None), "co_consts", ())
    own = [text for text in constants if type(text) is str]
    parts: list[Part] = []
    place = at = 0
    for number, match in enumerate(matches):
        between = made.text[place : match.start()]
        if not result.startswith(between, at):
            return None
        parts.append(Part(place, match.start()))
        at += len(between)
        place = match.end()
        last = number + 1 == len(matches)
        following = made.text[place : len(made.text) if last else matches[number + 1].start()]
        part = next(
            (
                text
                for text in (*held, *own, match[0])
                if result.startswith(text, at)
                and result.startswith(following, at + len(text))
                and (not last or at + len(text) + len(following) == len(result))
            ),
            None,
        )
        if part is None:
            return None
        is_text = part == match[0] and part not in held
        parts.append(Part(match.start(), match.end()) if is_text else Part(0, 0, part))
        at += len(part)
    return [*parts, Part(place, len(made.text))]


def unwritten(text: str, source: str, made: Made) -> list[tuple[int, int]]:
    """Return what is between the texts that the code wrote by `re.sub`, where all else is not.

    A text of the code that the source has as well could be either's.
    """
    written = made.parts[-1] if type(made.parts[-1]) is tuple else ()
    own = sorted({w for w in written if w not in source}, key=len, reverse=True)[:_MAX_WRITTEN]
    if not own or len(text) > _MAX_MARKED:
        return []
    found: list[tuple[int, int]] = []
    place = 0
    for match in re.finditer("|".join(map(re.escape, own)), text):
        found.append((place, match.start()))
        place = match.end()
    return [(a, b) for a, b in (*found, (place, len(text))) if a < b]
