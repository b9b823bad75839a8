"""Data that has a pattern of the code's match more: `.*` or `x|y` in `^{name}-[0-9]+$`.

A pattern that is the event's but for anchors and flags is one that callers are to write, as is what
they name so. In a pattern that has characters of the code's own, data is to be characters as well.
So is what matches one text, and is spelled otherwise: `[a]dmin` goes round a check for `admin`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from functools import lru_cache
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from ..origin import Span
from ..spans import around

_MAX_PATTERN, _MAX_PART = 4096, 1024
STAND_IN = "\ue000"
"""A character in the place of data: of private use."""
_ELLIPSIS = 3
_SIGNS = re.compile(r"[|*+({\[\\]")
"""Without one of these nothing is matched but the very text, or one as long."""
NAMES_PATTERN = re.compile(
    r"(?i)(?:^|[^a-z])(?:re|rx|regexp?|patterns?|expr(?:ession)?|mask|glob)s?$"
)
"""Keys of what is to be a pattern."""
_SECRET = re.compile(r"(?i)(?:^|[^a-z])(?:code|pin|otp|token|secret|password|passwd|pwd)$")
"""Keys of what somebody has to know."""
_DISGUISED = re.compile(r"(?<!\w)\[\w\]\w|\w\[\w\]\w|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}")
"""Letters that are spelled as a class of one, or by their numbers."""
_MAX_TIMES = 8
_MANY_RANGES = 2
"""Sets with ranges, one after the other, that match many texts: `[0-9][0-9]`."""
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_OF_MANY = ("ANY", "IN", "NOT_LITERAL", "CATEGORY")
_GROUPS = ("SUBPATTERN", "ATOMIC_GROUP")
_LOOKS = ("ASSERT", "ASSERT_NOT")


def _never(word: str) -> bool:
    return False


def widening(
    text: str, spans: Sequence[Span], is_word: Callable[[str], bool] = _never
) -> Span | None:
    """Return the part of a pattern that is from outside and matches more than its own text.

    Or another one: `is_word` tells of a text whether it is a word that the code holds.
    """
    if len(text) > _MAX_PATTERN:
        return None
    for span in spans:
        part = text[span.start : span.end]
        plain = _SIGNS.search(part) is None and part.strip(".")
        if span.vouched or span.is_piece or plain:
            continue
        if NAMES_PATTERN.search(span.origin.pointer) is not None:
            continue
        if matches_many(part, text) or is_disguised(part, is_word):
            if _SECRET.search(span.origin.pointer) is not None and span.start > 0:
                return span  # what is compared as a whole, `^{code}$`, is none to be written
            rest = STAND_IN.join(around(text, sorted(spans, key=lambda one: one.start)))
            return span if has_characters(rest) else None
    return None


@lru_cache(maxsize=256)
def matches_many(part: str, whole: str) -> bool:
    """Tell whether a part of a pattern that can be read matches other texts than itself alone."""
    if len(part) > _MAX_PART or _parsed(whole) is None:
        return False
    parsed = _parsed(part)
    if parsed is None:  # it ends a group of the code's, or begins one that the code ends
        return "|" in part or "*" in part
    kinds = [str(operation) for operation, _ in parsed]
    # `....` in the place of a PIN; three are what people write at the end of a word.
    any_signs = len(kinds) not in (1, _ELLIPSIS) and set(kinds) == {"ANY"}
    return any_signs or _is_wide(parsed) or sum(map(_is_range, parsed)) >= _MANY_RANGES


def is_disguised(part: str, is_word: Callable[[str], bool]) -> bool:
    """Tell whether a part of a pattern matches one text that it does not say: `[a]dmin`.

    By its look, or if the text is a word of the code's.
    """
    if len(part) > _MAX_PART:
        return False
    if _DISGUISED.search(part) is not None and _parsed(part) is not None:
        return True
    said = _said(part)
    return said is not None and said != part and said.isalnum() and is_word(said)


@lru_cache(maxsize=256)
def _said(part: str) -> str | None:
    """Return the one text that a part of a pattern matches; None if there are others."""
    parsed = _parsed(part)
    return None if parsed is None else _spelled(parsed)


def _spelled(items: Any) -> str | None:
    found = ""
    for operation, argument in items:
        name = str(operation)
        said: str | None = None
        if name == "LITERAL":
            said = chr(argument)
        elif name == "SUBPATTERN":
            said = _spelled(argument[3])
        elif name in _REPEATS and argument[0] == argument[1] <= _MAX_TIMES:
            inner = _spelled(argument[2])
            said = None if inner is None else inner * int(argument[0])
        if said is None or len(found) > _MAX_PART:
            return None
        found += said
    return found


def _parsed(pattern: str) -> Any | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError, ValueError):
        return None


def _is_wide(items: Any) -> bool:
    for operation, argument in items:
        name = str(operation)
        if name in _LOOKS or name == "BRANCH":
            return True
        if name in _REPEATS:
            _low, high, body = argument
            if (high is _parser.MAXREPEAT or int(high) > 1) and (
                _has(body, _OF_MANY) or _is_wide(body)
            ):
                return True
        elif name in _GROUPS and _is_wide(argument[3] if name == "SUBPATTERN" else argument):
            return True
    return False


def _is_range(item: Any) -> bool:
    """Tell whether one part of a pattern is a set with a range in it: `[0-9]`, not `[INFO]`."""
    operation, argument = item
    return str(operation) == "IN" and any(str(kind) == "RANGE" for kind, _ in argument)


def _has(items: Any, names: Sequence[str]) -> bool:
    """Tell whether one of these operations is in it, at whatever depth."""
    for operation, argument in items:
        name = str(operation)
        if name in names:
            return True
        if name == "SUBPATTERN" and _has(argument[3], names):
            return True
        if name in _REPEATS and _has(argument[2], names):
            return True
        if name == "BRANCH" and any(_has(branch, names) for branch in argument[1]):
            return True
    return False


@lru_cache(maxsize=256)
def has_alternatives(pattern: str) -> bool:
    """Tell whether a pattern has alternatives; also if nobody can read it."""
    parsed = _parsed(pattern) if len(pattern) <= _MAX_PATTERN else None
    return parsed is None or _has(parsed, ("BRANCH",))


def has_characters(rest: str) -> bool:
    """Tell whether what is the code's own of a pattern has characters to match."""
    parsed = _parsed(rest)
    if parsed is None:
        return any(map(str.isalnum, re.sub(r"\\.", "", rest)))
    return _is_of_characters(parsed)


def _is_of_characters(items: Any) -> bool:
    for operation, argument in items:
        name = str(operation)
        if name == "LITERAL" and chr(argument) != STAND_IN:
            return True
        if name == "IN" and str(argument[0][0]) != "NEGATE":
            return True
        if any(map(_is_of_characters, _inside(name, argument))):
            return True
    return False


def _inside(name: str, argument: Any) -> Sequence[Any]:
    """Return what an operation is made of, where it says something of what is matched."""
    if name == "SUBPATTERN":
        return (argument[3],)
    if name == "BRANCH":
        return tuple(argument[1])
    if name in _LOOKS:
        return (argument[1],)
    # What may be left out, as blanks around, says nothing of what is between; but words do.
    if name in _REPEATS and (argument[0] or _has_word(argument[2])):
        return (argument[2],)
    return ()


def _has_word(items: Any) -> bool:
    """Tell whether something has a word of the code's: two letters in a row, as in `(?:the )?`."""
    letters = 0
    for operation, argument in items:
        name = str(operation)
        if name == "LITERAL" and argument != ord(STAND_IN) and chr(argument).isalpha():
            letters += 1
        else:
            letters = 0
        if letters > 1 or any(map(_has_word, _inside(name, argument))):
            return True
    return False
