"""What rewritten code calls most of `re`, in few steps, where there is nothing to judge.

Of a pattern that the sink has found to be the code's own, and to take no exponential time, nothing
is asked again: what is searched with it is noted as by `Calls`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, MutableMapping
from re import Match
from types import BuiltinMethodType, FunctionType
from typing import Any

from .identity import identity
from .notes import Question
from .quick import Noted

MAX_KNOWN = 512
"""Patterns that are known; most code has fewer."""
MIN_SUBJECT = 64
"""Characters of a text of the event from which on it is kept from an exponential pattern."""
ANY_LENGTH = sys.maxsize
BY_PATTERN = ("pattern", None)
"""How a text is checked that a pattern was found in."""
_PATTERN_METHOD = type(re.compile("").match)
"""Of methods that are given their class, as a pattern's are; those of a text are of another."""
_UNKNOWN: tuple[object, int] = (None, 0)
_FUNCTIONS = frozenset((re.match, re.search, re.fullmatch, re.sub, re.findall, re.split))


class Harmless:
    """Patterns that need no judgement, by the object that the code has."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        """Begin with none."""
        self.known: dict[int, tuple[object, int]] = {}
        """Pattern and limit, by identity."""

    def add(self, pattern: object, limit: int) -> None:
        """Take a pattern, or the text of one, and how long a text it may be given unseen.

        It is held, so that its identity stays its own.
        """
        if len(self.known) >= MAX_KNOWN:
            self.known.clear()
        self.known[identity(pattern)] = (pattern, limit)


def searcher(
    harmless: Harmless,
    checked: MutableMapping[str, tuple[str, object]],
    asked: Callable[[str, Question], None],
    noted: Noted,
    slow: Callable[..., Any],
) -> Callable[..., Any]:
    """Return what announces a call, then does it; `slow` does whatever is no such search."""
    known = harmless.known

    def watched(name: str, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        place = 0
        pattern: Any = None
        kind = type(function)
        if kind is _PATTERN_METHOD:
            pattern = getattr(function, "__self__", None)
        elif kind is BuiltinMethodType:
            if name == "find" and type(getattr(function, "__self__", None)) is str:
                return function(*arguments, **named)  # a place in a text: nothing is noted of it
        elif kind is FunctionType and function in _FUNCTIONS and arguments:
            place = 1
            pattern = arguments[0]
        held, limit = known.get(identity(pattern), _UNKNOWN)
        if held is not pattern or pattern is None or named:
            return slow(name, function, *arguments, **named)
        for argument in arguments[place:]:
            if type(argument) is not str or len(argument) >= limit:
                return slow(name, function, *arguments, **named)
        result = function(*arguments)
        if type(result) is Match:
            text = arguments[place]
            if text not in checked:
                checked[text] = BY_PATTERN
            asked(text, Question(function, arguments, place))
        elif result is not None:
            noted(function, arguments, named, result)
        return result

    return watched
