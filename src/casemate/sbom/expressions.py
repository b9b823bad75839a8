"""Reads licence expressions of SPDX, and holds them against licences that are allowed.

    any  = all, { "OR", all }          all = one, { "AND", one }
    one  = "(", any, ")"  |  id, [ "+" ], [ "WITH", exception ]

`packaging` knows the ids and spells them; what an expression means is told here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import msgspec
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

MAX_CHARS = 200
"""A longer expression is not read."""
MAX_DEPTH = 20
"""Parentheses within parentheses."""
_VERSION = re.compile(r"(?P<family>.+)-(?P<version>[0-9]{1,8}(?:\.[0-9]{1,8}){0,3})\Z", re.ASCII)
_REFERENCE = "licenseref-"


class Licence(msgspec.Struct, frozen=True, kw_only=True):
    """One licence in an expression."""

    family: str
    """Its id in small letters, without a version if it has one."""
    version: tuple[int, ...] = ()
    later: bool = False
    """Whether it may be any later version as well."""
    exception: str = ""

    def is_allowed_by(self, allowed: Licence) -> bool:
        """Tell whether one of the versions offered is among those allowed.

        An exception only adds permissions, so that a licence that is allowed is with any.
        """
        if self.family != allowed.family or allowed.exception not in ("", self.exception):
            return False
        if self.version == allowed.version:
            return True
        if not (self.version and allowed.version):  # MIT-0 is no version of MIT
            return False
        if self.later and allowed.later:
            return True
        newer = allowed.version > self.version
        return self.later if newer else allowed.later


class _Unreadable(ValueError):  # noqa: N818 - never leaves this module
    """It is no expression, or one beyond the bounds."""


def canonical(text: str) -> str | None:
    """Return an expression as SPDX spells it; None if it cannot be read."""
    if not text or len(text) > MAX_CHARS or not text.isascii():
        return None
    try:
        spelt = str(canonicalize_license_expression(text))
        _holds(spelt, lambda _: True)
    except (InvalidLicenseExpression, ValueError, RecursionError, MemoryError):
        return None
    return spelt


def is_one(text: str) -> bool:
    """Tell whether an expression names one licence, without AND and OR."""
    return not {"AND", "OR", "("} & set(_tokens(text))


@lru_cache(maxsize=8192)
def is_allowed(expression: str, allowed: tuple[str, ...]) -> bool:
    """Tell whether who may use what is under `allowed` may use what is under an expression.

    Both are canonical. What cannot be read is not allowed.
    """
    known = _read(allowed)
    try:
        return _holds(
            expression,
            lambda one: any(one.is_allowed_by(each) for each in known.get(one.family, ())),
        )
    except _Unreadable:
        return False


@lru_cache(maxsize=16)
def _read(allowed: tuple[str, ...]) -> dict[str, list[Licence]]:
    """Return licences by their families."""
    found: dict[str, list[Licence]] = {}

    def note(one: Licence) -> bool:
        found.setdefault(one.family, []).append(one)
        return True

    for each in allowed:
        _holds(each, note)
    return found


def _holds(expression: str, holds: Callable[[Licence], bool]) -> bool:
    """Return what an expression comes to, with what `holds` says of each licence in it."""
    reader = _Reader(_tokens(expression), holds)
    found = reader.any_of(0)
    if reader.tokens:
        raise _Unreadable
    return found


def _tokens(expression: str) -> list[str]:
    return expression.replace("(", " ( ").replace(")", " ) ").split()


class _Reader:
    """Reads from the left, each token once; all of it is read, whatever it comes to."""

    def __init__(self, tokens: list[str], holds: Callable[[Licence], bool]) -> None:
        self.tokens = tokens[::-1]
        self._holds = holds

    def any_of(self, depth: int) -> bool:
        found = self._all_of(depth)
        while self._takes("OR"):
            found = self._all_of(depth) or found
        return found

    def _all_of(self, depth: int) -> bool:
        found = self._one(depth)
        while self._takes("AND"):
            found = self._one(depth) and found
        return found

    def _one(self, depth: int) -> bool:
        if depth > MAX_DEPTH:
            raise _Unreadable
        if self._takes("("):
            found = self.any_of(depth + 1)
            if not self._takes(")"):
                raise _Unreadable
            return found
        name = self._next()
        return self._holds(_licence(name, self._next() if self._takes("WITH") else ""))

    def _takes(self, token: str) -> bool:
        if self.tokens and self.tokens[-1] == token:
            self.tokens.pop()
            return True
        return False

    def _next(self) -> str:
        if not self.tokens or self.tokens[-1] in ("(", ")", "AND", "OR", "WITH"):
            raise _Unreadable
        return self.tokens.pop()


def _licence(name: str, exception: str) -> Licence:
    name = name.lower()
    exception = exception.lower()
    if name.startswith(_REFERENCE):
        return Licence(family=name, exception=exception)
    later = name.endswith("+")
    plain = name.removesuffix("+")
    if plain.endswith(("-only", "-or-later")):
        if later:  # such as GPL-3.0-only+
            raise _Unreadable
        later = plain.endswith("-or-later")
        plain = plain.removesuffix("-or-later").removesuffix("-only")
    versioned = _VERSION.match(plain)
    if versioned is None:
        return Licence(family=plain, later=later, exception=exception)
    numbers = tuple(int(part) for part in versioned["version"].split("."))
    return Licence(family=versioned["family"], version=numbers, later=later, exception=exception)
