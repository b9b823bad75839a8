"""Reads a rule's condition, such as `all of attack* and not (known or 1 of filter_*)`.

Bounded in characters and depth; what is not of the subset (`| count()`, `2 of them`) is refused by
name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from casemate.detection.errors import refused

MAX_CHARACTERS = 1024
MAX_DEPTH = 24
MAX_NAME = 64

_TOKEN = re.compile(r"[()|]|[^\s()|]{1,128}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_PATTERN = re.compile(r"[A-Za-z_*][A-Za-z0-9_*-]{0,63}")
_RESERVED = frozenset(("and", "or", "not", "of", "them", "all", "any"))


@dataclass(frozen=True)
class Name:
    """A selection."""

    name: str


@dataclass(frozen=True)
class Not:
    """Not that."""

    inner: Condition


@dataclass(frozen=True)
class Both:
    """All of them, one after the other."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Either:
    """One of them."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = Name | Not | Both | Either


def is_name(text: str) -> bool:
    """Tell whether a selection may be called so."""
    return _NAME.fullmatch(text) is not None and text not in _RESERVED


def parse(text: str, names: Iterable[str], place: str) -> Condition:
    """Return what a condition says of selections of these names. Raises RuleError."""
    if len(text) > MAX_CHARACTERS:
        raise refused(place, f"the condition has more than {MAX_CHARACTERS} characters")
    reading = _Reading(_TOKEN.findall(text), tuple(names), place)
    found = reading.either(1)
    rest = reading.peek()
    if rest == "|":
        raise refused(place, "`|` in a condition is not matched here", "write a correlation")
    if rest is not None:
        raise refused(place, f"expected `and`, `or` or the end, got {rest!r}")
    return found


class _Reading:
    """One condition while it is read: `or` binds least, then `and`, then `not`."""

    def __init__(self, tokens: list[str], names: tuple[str, ...], place: str) -> None:
        self._tokens = tokens
        self._names = names
        self._place = place
        self._at = 0

    def peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> str:
        token = self.peek()
        if token is None:
            raise refused(self._place, "the condition ends too early")
        self._at += 1
        return token

    def either(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise refused(self._place, f"the condition is nested more than {MAX_DEPTH} deep")
        parts = [self._both(depth)]
        while self.peek() == "or":
            self._at += 1
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self.peek() == "and":
            self._at += 1
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _one(self, depth: int) -> Condition:
        odd = False
        token = self._next()
        while token == "not":  # noqa: S105 - a word of the language
            odd = not odd
            token = self._next()
        found = self._atom(token, depth)
        return Not(found) if odd else found

    def _atom(self, token: str, depth: int) -> Condition:
        if token == "(":  # noqa: S105 - a word of the language
            found = self.either(depth + 1)
            if self._next() != ")":
                raise refused(self._place, "a `)` is missing in the condition")
            return found
        if self.peek() == "of":
            self._at += 1
            return self._of(token, self._next())
        if token not in self._names or not is_name(token):
            raise refused(self._place, f"there is no selection called {token[:MAX_NAME]!r}")
        return Name(token)

    def _of(self, how_many: str, which: str) -> Condition:
        if how_many not in ("1", "any", "all"):
            raise refused(
                self._place, f"`{how_many[:16]} of` is not matched here", "write `1 of` or `all of`"
            )
        if which == "them":
            found = [name for name in self._names if not name.startswith("_")]
        elif _PATTERN.fullmatch(which):
            head, star, tail = which.partition("*")
            if "*" in tail:
                raise refused(self._place, f"{which!r} has more than one `*`")
            least = len(head) + len(tail)
            found = [
                name
                for name in self._names
                if (name.startswith(head) and name.endswith(tail) and len(name) >= least)
                and (star or name == which)
            ]
        else:
            raise refused(self._place, f"{which[:MAX_NAME]!r} is no pattern of selections")
        if not found:
            raise refused(self._place, f"no selection is called like {which!r}")
        parts = tuple(map(Name, found))
        if len(parts) == 1:
            return parts[0]
        return Both(parts) if how_many == "all" else Either(parts)
