"""Patterns that can take exponential time, by their look: they are not run to find out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from . import overlapping

_MAX_PATTERN = 4096
_REPEATS_NOTHING = re.compile(r"(?:[^*+{\\]|\\.)*+", re.DOTALL)
"""A pattern whose signs of repetition are escaped, all of them: a long search word, say."""
_MANY = 16


@lru_cache(maxsize=512)
def is_exponential(pattern: str, *, outside: bool = False) -> bool:
    """Tell whether a pattern can take exponential time, by its look. False if it is none.

    One from outside is looked at more closely: nobody has tried it.
    """
    if len(pattern) > _MAX_PATTERN:
        return _REPEATS_NOTHING.fullmatch(pattern) is None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _parser.parse(pattern)
            # What takes less to see comes first: turns of many groups in each other take long.
            return _repeats(found, inside=False) or (outside and overlapping.turns(found))
    except (re.error, OverflowError, RecursionError, ValueError):
        return False


def _repeats(items: Any, *, inside: bool) -> bool:
    """Tell whether a sequence holds a repetition that multiplies with one around it."""
    for operation, argument in items:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            _low, high, body = argument
            many = high is _parser.MAXREPEAT or int(high) >= _MANY
            if many and (_ambiguous(body) or inside):
                return True
            if _repeats(body, inside=False):
                return True
        else:
            for body in _bodies(name, argument):
                if _repeats(body, inside=False):
                    return True
    return False


def _ambiguous(body: Any) -> bool:
    """Tell whether turns of a repetition can be cut in more than one way."""
    flat = _flat(body)
    required = [
        n for n, (operation, argument) in enumerate(flat) if not _optional(operation, argument)
    ]
    repeating = [
        n for n, (operation, argument) in enumerate(flat) if _repeating(operation, argument)
    ]
    if repeating and not [n for n in required if n not in repeating]:
        return True
    for operation, argument in flat:
        if str(operation) == "BRANCH":
            firsts = [str(branch[0]) if len(branch) else "" for branch in argument[1]]
            if len(set(firsts)) < len(firsts) or any(_ambiguous(b) for b in argument[1]):
                return True
    return False


def _flat(body: Any) -> list[tuple[Any, Any]]:
    """Return a sequence with groups taken apart."""
    found: list[tuple[Any, Any]] = []
    for operation, argument in body:
        if str(operation) == "SUBPATTERN":
            found += _flat(argument[3])
        else:
            found.append((operation, argument))
    return found


def _optional(operation: Any, argument: Any) -> bool:
    name = str(operation)
    return name == "AT" or (name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] == 0)


def _repeating(operation: Any, argument: Any) -> bool:
    return str(operation) in ("MAX_REPEAT", "MIN_REPEAT") and (
        argument[1] is _parser.MAXREPEAT or int(argument[1]) >= _MANY
    )


def _bodies(name: str, argument: Any) -> Sequence[Any]:
    if name == "SUBPATTERN":
        return (argument[3],)
    if name == "BRANCH":
        return tuple(argument[1])
    if name in ("ASSERT", "ASSERT_NOT"):
        return (argument[1],)
    return (argument,) if name == "ATOMIC_GROUP" else ()
