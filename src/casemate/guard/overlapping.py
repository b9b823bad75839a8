"""Repetitions whose turns can be cut in more than one place: `(a|aa)+`, `(aa?)+`, `(.*a){12}`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from re import _parser  # type: ignore[attr-defined]
from typing import Any

_MANY = 8
_MAX_ITEMS = 100
"""Of a body that are compared with one another. What is longer counts as if they overlapped."""
_CHARACTERS = frozenset(map(chr, range(128))) | {"\u00df", "\u2028"}
"""Those that are told apart, and two that stand for all others."""
_CATEGORIES = {
    name: frozenset(c for c in _CHARACTERS if re.match(pattern, c))
    for name, pattern in {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}.items()
}
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
Item = tuple[Any, Any]


def turns(items: Any) -> bool:
    """Tell whether a pattern repeats something whose turns can be cut in more than one place."""
    for operation, argument in items:
        if str(operation) in _REPEATS:
            _low, high, body = argument
            if (high is _parser.MAXREPEAT or int(high) >= _MANY) and _overlaps(body):
                return True
        if any(turns(body) for body in _bodies((operation, argument))):
            return True
    return False


def _overlaps(body: Any) -> bool:
    """Tell whether what can be longer or left out begins like what comes after it."""
    flat = list(_flat(body))
    if len(flat) > _MAX_ITEMS:
        return any(map(_is_elastic, flat))
    first = [_first(item) for item in flat]
    return any(
        first[number] & first[after]
        for number, item in enumerate(flat)
        if _is_elastic(item)
        for after in _after(flat, number)
    )


def _after(items: Sequence[Item], number: int) -> Iterator[int]:
    """Yield the places of what can come after an item: of the next turn, too."""
    for following in range(number + 1, number + len(items)):
        place = following % len(items)
        yield place
        if not _can_be_empty(items[place]):
            return


def _flat(body: Any) -> Iterator[Item]:
    """Yield the items of a sequence, with groups taken apart."""
    for operation, argument in body:
        if str(operation) == "SUBPATTERN":
            yield from _flat(argument[3])
        elif str(operation) != "AT":
            yield operation, argument


def _is_elastic(item: Item) -> bool:
    operation, argument = item
    if str(operation) in _REPEATS:
        return bool(argument[0] != argument[1])
    return str(operation) == "BRANCH" and _can_be_empty(item)


def _can_be_empty(item: Item) -> bool:
    operation, argument = item
    if str(operation) in _REPEATS:
        return argument[0] == 0 or all(map(_can_be_empty, _flat(argument[2])))
    if str(operation) == "BRANCH":
        return any(all(map(_can_be_empty, _flat(branch))) for branch in argument[1])
    return str(operation) in ("ASSERT", "ASSERT_NOT", "GROUPREF")


def _first(item: Item) -> frozenset[str]:
    """Return the characters that an item can begin with."""
    operation, argument = item
    match str(operation):
        case "LITERAL":
            return _of(argument)
        case "NOT_LITERAL":
            return _CHARACTERS - _of(argument)
        case "ANY":
            return _CHARACTERS - {"\n"}
        case "IN":
            return _in(argument)
    found: frozenset[str] = frozenset()
    for body in _bodies(item):
        for part in _flat(body):
            found |= _first(part)
            if not _can_be_empty(part):
                break
    return found


def _of(code: int) -> frozenset[str]:
    return frozenset((chr(code),)) if code < 128 else _CHARACTERS - frozenset(map(chr, range(128)))


def _in(parts: Sequence[Item]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    negated = False
    for operation, argument in parts:
        match str(operation):
            case "NEGATE":
                negated = True
            case "LITERAL":
                found |= _of(argument)
            case "RANGE":
                low, high = argument
                found |= {c for c in _CHARACTERS if low <= ord(c) <= high}
            case "CATEGORY":
                name = str(argument).removeprefix("CATEGORY_")
                chosen = _CATEGORIES.get(name.removeprefix("NOT_"), frozenset())
                found |= _CHARACTERS - chosen if name.startswith("NOT_") else chosen
    return _CHARACTERS - found if negated else found


def _bodies(item: Item) -> Sequence[Any]:
    operation, argument = item
    match str(operation):
        case "SUBPATTERN":
            return (argument[3],)
        case "BRANCH":
            return tuple(argument[1])
        case "MAX_REPEAT" | "MIN_REPEAT":
            return (argument[2],)
        case "ASSERT" | "ASSERT_NOT":
            return (argument[1],)
    return ()
