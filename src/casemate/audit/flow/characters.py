"""Which characters cannot be in a text: what checks and expressions tell."""

from __future__ import annotations

import re
import warnings
from typing import Any, cast

from casemate.audit.flow.limits import MAX_TEXT

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from re import _parser as parser  # type: ignore[attr-defined]

TELLING = frozenset("\"'<>&/\\.:;\n\r\t\0()*$`|{}[]@ -=+?#%,!~^")
"""Characters that mean something to an interpreter."""
PLAIN = frozenset((*TELLING, "..", "../"))
"""What letters and digits are not."""
_WORDS = frozenset(("isalnum", "isalpha", "isdigit", "isdecimal", "isnumeric", "isidentifier"))
_SPACES = frozenset(" \n\r\t\0")
_MAX_BRANCHES = 64


def by_method(name: str) -> frozenset[str]:
    """Return what a text cannot have of which `text.name()` is true."""
    if name in _WORDS:
        return PLAIN
    return _SPACES if name in ("isspace",) else frozenset()


def all_but(allowed: str) -> frozenset[str]:
    """Return what a text of some characters cannot have."""
    missing = set(TELLING - set(allowed))
    if "." not in allowed:
        missing.add("..")
    if "." not in allowed or "/" not in allowed:
        missing.add("../")
    return frozenset(missing)


def by_expression(pattern: str, *, whole: bool) -> frozenset[str]:
    """Return what a text cannot have that an expression matches."""
    if len(pattern) > MAX_TEXT:
        return frozenset()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError, ValueError):
        return frozenset()
    items = list(cast(Any, parsed))
    if not whole:
        if not items or str(items[-1][0]) != "AT" or str(items[-1][1]) not in _ENDS:
            return frozenset()
        if parsed.state.flags & re.MULTILINE:
            return frozenset()
    allowed: set[str] = set()
    if not _collect(items, allowed, [_MAX_BRANCHES]):
        return frozenset()
    return all_but("".join(allowed))


_ENDS = ("AT_END", "AT_END_STRING")
_CLASSES = {
    "CATEGORY_DIGIT": "0",
    "CATEGORY_WORD": "a_",
    "CATEGORY_SPACE": " \n\r\t",
}


def _collect(items: Any, allowed: set[str], left: list[int]) -> bool:
    """Add the characters that an expression can match; False if they are not known."""
    for kind, value in items:
        left[0] -= 1
        if left[0] < 0:
            return False
        name = str(kind)
        if name == "LITERAL":
            allowed.add(chr(value))
        elif name == "IN":
            if not _collect_set(value, allowed):
                return False
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            if not _collect(value[2], allowed, left):
                return False
        elif name == "SUBPATTERN":
            if not _collect(value[3], allowed, left):
                return False
        elif name == "ATOMIC_GROUP":
            if not _collect(value, allowed, left):
                return False
        elif name == "BRANCH":
            if not all(_collect(branch, allowed, left) for branch in value[1]):
                return False
        elif name not in ("AT", "ASSERT", "ASSERT_NOT"):
            return False
    return True


def _collect_set(members: Any, allowed: set[str]) -> bool:
    negated = False
    chosen: set[str] = set()
    for kind, value in members:
        name = str(kind)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            chosen.add(chr(value))
        elif name == "RANGE":
            chosen |= {sign for sign in TELLING if value[0] <= ord(sign) <= value[1]}
        elif name == "CATEGORY":
            if str(value) not in _CLASSES:
                return False
            chosen |= set(_CLASSES[str(value)])
        else:
            return False
    allowed |= TELLING - chosen if negated else chosen
    return True
