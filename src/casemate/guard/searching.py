"""What rewritten code calls most of `re`, in few steps, where there is nothing to judge.

Of a pattern that the sink has found to be the code's own, and to take no exponential time, nothing
is asked again: what is searched with it is noted as by `Calls`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from re import Match
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

from .identity import identity
from .quick import Noted

MAX_KNOWN = 512
"""Patterns that are known; most code has fewer."""
MIN_SUBJECT = 64
"""Characters of a text of the event from which on it is kept from an exponential pattern."""
ANY_LENGTH = sys.maxsize
MAX_ANSWERS = 8192
"""Texts in which patterns were found that wait until somebody wants to know."""
_PATTERN_METHOD = type(re.compile("").match)
"""Of methods that are given their class, as a pattern's are; those of a text are of another."""
_UNKNOWN: tuple[object, int] = (None, 0)
_MATCHING = frozenset((re.match, re.search, re.fullmatch))
_APART = frozenset(("findall", "finditer", "split"))
_FUNCTIONS = frozenset((re.match, re.search, re.fullmatch, re.sub, re.findall, re.split))


_PLAIN = frozenset((bool, bytes, float, int, str, type(None)))
_TEXTS = frozenset((str, bytes))
_TOLD = frozenset((bool, bytes, dict, list, Match, str, tuple))
"""Results of which something is noted."""


def asks_plainly(document: Any) -> bool:
    """Tell whether a query compares fields with plain values, and has no operator."""
    if type(document) is not dict:
        return False
    for key, value in document.items():
        if type(value) not in _PLAIN or type(key) is not str or key[:1] == "$" or "." in key:
            return False
    return True


Answers = list[tuple[Any, Any, Any]]
"""As `Calls` keeps them: function, arguments, and which of these is the text."""
Settle = Callable[[], None]


class Harmless:
    """Patterns that need no judgement, by the object that the code has."""

    __slots__ = ("_times", "known")

    def __init__(self) -> None:
        """Begin with none."""
        self.known: dict[int, tuple[object, int]] = {}
        """Pattern and limit, by identity."""
        self._times: dict[int, int] = {}

    def times(self, pattern: object) -> int:
        """Return how often this was asked of a pattern."""
        if len(self._times) >= MAX_KNOWN:
            self._times.clear()
        self._times[identity(pattern)] = asked = self._times.get(identity(pattern), 0) + 1
        return asked

    def add(self, pattern: object, limit: int) -> None:
        """Take a pattern, or the text of one, and how long a text it may be given unseen.

        It is held, so that its identity stays its own.
        """
        if len(self.known) >= MAX_KNOWN:
            self.known.clear()
        self.known[identity(pattern)] = (pattern, limit)


def _may_be_written(text: str) -> bool:
    """Tell whether a text may be one that the code has written, by its look.

    Lines, a filter of LDAP, a message of syslog, a point of metrics.
    """
    return "\n" in text or text.startswith(("(", "<")) or ("=" in text and "," in text)


def searcher(
    harmless: Harmless,
    answers: Answers,
    settle: Settle,
    noted: Noted,
    slow: Callable[..., Any],
    literals: dict[str, str],
) -> Callable[..., Any]:
    """Return what announces a call, then does it; `slow` does whatever is no such search.

    `literals` are those of the code: a statement of them is nothing that it has put together.
    """
    known = harmless.known

    def watched(  # noqa: PLR0911, PLR0912
        name: str, function: Callable[..., Any], /, *arguments: Any, **named: Any
    ) -> Any:
        if name == "execute":  # here, for another call takes as long as all that it does
            statement = arguments[0] if arguments else None
            if type(statement) is not str or named or literals.get(statement) is not statement:
                return slow(name, function, *arguments, **named)
            result = function(*arguments)
            if type(result) in _TOLD:
                noted(function, arguments, named, result)
            return result
        place = 0
        pattern: Any = None
        kind = type(function)
        if kind is _PATTERN_METHOD:
            pattern = getattr(function, "__self__", None)
        elif kind is BuiltinMethodType:
            pattern = getattr(function, "__self__", None)  # `findall` and its like take no class
            if name == "find" and type(pattern) is str:
                return function(*arguments, **named)  # a place in a text: nothing is noted of it
        elif kind is FunctionType and function in _FUNCTIONS and arguments:
            place = 1
            pattern = arguments[0]
        held, limit = known.get(identity(pattern), _UNKNOWN)
        if held is not pattern or pattern is None or named:
            return slow(name, function, *arguments, **named)
        if name[:3] == "sub" and "\\" in str(arguments[place : place + 1]):
            return slow(name, function, *arguments)  # groups in what is put in
        for argument in arguments[place:]:
            if type(argument) is not str or len(argument) >= limit:
                return slow(name, function, *arguments, **named)
        if name in _APART and _may_be_written(arguments[-1]):
            return slow(name, function, *arguments)
        result = function(*arguments)
        if type(result) is Match:
            answers.append((function, arguments, place))
            if len(answers) > MAX_ANSWERS:
                settle()
        elif result is not None:
            noted(function, arguments, named, result)
        return result

    return watched


def asker(
    noted: Noted, slow: Callable[..., Any]
) -> Callable[[str, Callable[[Any], Any], Any], Any]:
    """Return what does the same of `store.find_one({"id": 4})` and its like.

    Nothing is judged of such a query, and what it finds is made of no text.
    """

    def asked(name: str, function: Callable[[Any], Any], document: Any) -> Any:
        if type(function) is not MethodType or not asks_plainly(document):
            return slow(name, function, document)
        result = function(document)
        if type(result) in _TEXTS:
            noted(function, (document,), {}, result)
        return result

    return asked


def matcher(
    harmless: Harmless,
    answers: Answers,
    settle: Settle,
    slow: Callable[..., Any],
) -> Callable[[str, Callable[[Any], Any], Any], Any]:
    """Return what does the same of `PATTERN.match(text)` and its like; `slow` does all others."""
    known = harmless.known

    def matched_by(name: str, function: Callable[[Any], Any], text: Any) -> Any:
        if type(function) is not _PATTERN_METHOD:
            return slow(name, function, text)
        pattern: Any = getattr(function, "__self__", None)
        held, limit = known.get(identity(pattern), _UNKNOWN)
        if held is not pattern or type(text) is not str or len(text) >= limit:
            return slow(name, function, text)
        result = function(text)
        if result is not None:
            answers.append((function, (text,), 0))
            if len(answers) > MAX_ANSWERS:
                settle()
        return result

    return matched_by


def pattern_matcher(
    harmless: Harmless,
    answers: Answers,
    settle: Settle,
    slow: Callable[..., Any],
) -> Callable[[str, Callable[..., Any], Any, Any], Any]:
    """Return what does the same of `re.match(pattern, text)` and its like."""
    known = harmless.known

    def matched_with(name: str, function: Callable[..., Any], pattern: Any, text: Any) -> Any:
        call = function
        held, limit = known.get(identity(pattern), _UNKNOWN)
        if held is not pattern or type(function) is not FunctionType or function not in _MATCHING:
            return slow(name, function, pattern, text)
        if type(text) is not str or len(text) >= limit:
            return slow(name, function, pattern, text)
        result = call(pattern, text)
        if result is not None:
            answers.append((function, (pattern, text), 1))
            if len(answers) > MAX_ANSWERS:
                settle()
        return result

    return matched_with
