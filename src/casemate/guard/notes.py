"""What is noted of one text: how it was made, and what the code asked of it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

JOINED, PERCENT, FORMAT, REPLACED, DERIVED = "joined", "percent", "format", "replaced", "derived"
SUBSTITUTED = "substituted"
NUMBERED = "numbered"
"""Made of numbers, as `chr` and `bytes` do: whose text these were, nobody can tell."""
SPREAD = "spread"
"""What a call made, its sources, and those in it that are DERIVED of these; only until a sink asks.
"""
TOGETHER = "together"
"""JOINED of a separator and texts, which are between each other; only until a sink asks."""
BATCH = "batch"
"""Notes of a list's texts that were taken together; only until a sink asks."""
BEGINS_WITH_SIGN = 4
"""Of a sum of two: the left one begins with one literal sign, and is it if the rest is empty."""
TEXTS = (str, bytes)
OF_MARKS = frozenset("{$<[%@#_~")
"""What the marks of templates begin with."""
ESCAPERS = frozenset(("escape_dn_chars", "escape_filter_chars", "escape_rdn"))
"""Functions whose results are checked for the language that they escape for, by their names."""
_PATTERN_PART = re.compile(
    r"\\.|\[(?:\\.|[^\]\\]){0,500}+\]|\(\?P[<=]\w+[>)]|(?P<word>[^\W\d]\w+)", re.DOTALL
)
"""Escapes, sets of characters and names of groups are no words."""
_ANY = re.compile(
    r"(?:\^|\\A|\((?:\?:)?)?(?:\.|\[\\(?:s\\S|S\\s|w\\W|W\\w|d\\D|D\\d)\])(?:[*+]|\{\d{0,9},\d{0,9}\})"
    r"[?+]?\)?(?:\$|\\Z)?"
)
"""Any signs, in any number or so many; alone or as a group."""
_GROUP = re.compile(r"\\(?:\d{1,2}|g<\w+>)")
SCALARS = frozenset((str, int, float, bool, type(None)))


class Made(NamedTuple):
    """How one text was made."""

    value: Any
    """The text itself; held, so that its identity stays its own."""
    kind: str
    parts: tuple[Any, ...]
    """JOINED: the texts in order. PERCENT: template, arguments. FORMAT: template, arguments,
    named arguments. REPLACED: text, old, new, count. SUBSTITUTED: template, its pattern, values.
    DERIVED: all texts that went in; last may be a tuple, of what the code itself wrote into it."""
    constant: int = 0
    """JOINED: bit n is set if part n is a literal of the code. DERIVED: whether nothing but the
    parts went in, as into a method of a text."""


def in_turns(note: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the note of texts that were joined as one that has the separator between them."""
    value, _, (separator, parts), _ = note
    pieces = [parts[0]]
    for part in parts[1:]:
        pieces += (separator, part)
    return (value, JOINED, tuple(pieces), 0)


MAX_COLLECTIONS = 4
"""In which one text was found."""


class Several(tuple[Any, ...]):
    """Collections in each of which the code found one text."""

    __slots__ = ()


class Paired(NamedTuple):
    """A pair of which a text is a part, and what the code found it in."""

    pair: tuple[Any, ...]
    among: Any


def joined_of(made: Made) -> list[tuple[Any, bool]]:
    """Return the parts of a text that was joined, each with whether it is a literal of the code."""
    parts = [(part, bool(made.constant >> number & 1)) for number, part in enumerate(made.parts)]
    if len(parts) == 2 and made.constant & BEGINS_WITH_SIGN and len(made.parts[0]) == 1:
        parts[0] = (made.parts[0], True)
    return parts


Asked = tuple[Callable[..., Any], tuple[Any, ...], int]
"""What a `Question` is made of once somebody wants to know: most are never asked again."""


class Question(NamedTuple):
    """What the code asked of a text, to which the answer was yes."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    place: int
    """Which argument the text is; -1 if the function is its method."""

    def find(self, text: str) -> re.Match[str] | None:
        """Return what a pattern finds in a text; None if it was no pattern that was asked."""
        if self.place < 0:
            return None
        before, after = self.arguments[: self.place], self.arguments[self.place + 1 :]
        found = self.function(*before, text, *after)
        return found if isinstance(found, re.Match) else None

    def ask(self, text: str) -> bool:
        """Tell what the answer is for another text."""
        if self.place < 0:
            return bool(getattr(text, self.function.__name__)(*self.arguments))
        before, after = self.arguments[: self.place], self.arguments[self.place + 1 :]
        return bool(self.function(*before, text, *after))


def in_network(text: str, network: str) -> bool:
    """Tell whether a text is an address in a network, which the code asked of an address."""
    import ipaddress  # the code has it

    try:
        return ipaddress.ip_address(text) in ipaddress.ip_network(network)
    except ValueError:
        return False


def scalars(arguments: Any) -> Any:
    """Return arguments of a template if they may be held: a held file would not be closed."""
    kind = type(arguments)
    if kind in SCALARS:
        return arguments
    if isinstance(arguments, tuple):  # also a named one
        return arguments if SCALARS.issuperset(map(type, arguments)) else None
    if isinstance(arguments, dict):
        return {name: value for name, value in dict.items(arguments) if type(value) in SCALARS}
    return None


def sources_of(
    function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Any, ...]:
    """Return the texts that went into a call."""
    owner: Any = getattr(function, "__self__", None)
    # What a match has is of the text that was matched.
    owner = owner.string if type(owner) is re.Match else owner
    given = (owner, *arguments, *named.values()) if named else (owner, *arguments)
    return tuple([value for value in given if type(value) is str or type(value) is bytes])


def written_by(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, ...]:
    """Return what `re.sub` writes of the code: texts around groups, or those of a function."""
    method = type(getattr(function, "__self__", None)) is re.Pattern
    if not method and function is not re.sub:
        return ()
    by = arguments[0 if method else 1] if len(arguments) > (0 if method else 1) else None
    if type(by) is str:
        return _around_groups(by)
    constants = getattr(getattr(by, "__code__", None), "co_consts", ())
    return tuple(text for text in constants if type(text) is str and text)


@functools.lru_cache(maxsize=256)
def _around_groups(text: str) -> tuple[str, ...]:
    return tuple(filter(None, _GROUP.split(text)))


def words_of(function: Callable[..., Any], arguments: tuple[Any, ...]) -> frozenset[str]:
    """Return the words, in lower case, that a pattern spells out, such as `(name|email)`.

    The call is of a match's method, or of `findall`.
    """
    pattern = _pattern_of(function, arguments)
    text = pattern.pattern if type(pattern) is re.Pattern else pattern
    return spelled_by(text) if type(text) is str else frozenset()


def _pattern_of(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Return what a call searches by: whose method it is, else its first argument."""
    owner: Any = getattr(function, "__self__", None)
    pattern = owner.re if type(owner) is re.Match else owner
    return arguments[0] if pattern is None and arguments else pattern


def takes_others_out(
    function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any], result: str
) -> bool:
    """Tell whether `re.sub` replaces what is *not* of some kind, such as `[^a-z]`: a check.

    Whoever replaces blanks, or a word, leaves all else as it was. So does who replaces only the
    first few, or each by itself: then what is left is looked at.
    """
    pattern = _pattern_of(function, arguments)
    text = getattr(pattern, "pattern", pattern)
    if type(text) is not str or not ("[^" in text or "\\W" in text or "\\D" in text):
        return False
    given = arguments if type(pattern) is re.Pattern else arguments[1:]
    by = named.get("repl", given[0] if given else None)
    first = named.get("count", given[2] if len(given) > 2 else 0)
    if not first and type(by) is str and "\\" not in by:
        return True
    if not first and result not in given:
        return True
    own = result.replace(by, "") if type(by) is str and by else result
    return re.search(pattern, own) is None


@functools.lru_cache(maxsize=256)
def takes_anything(pattern: str) -> bool:
    """Tell whether all that a pattern asks of a text is its length, if that, as `.{1,80}` does."""
    return _ANY.fullmatch(pattern) is not None


@functools.lru_cache(maxsize=256)
def spelled_by(pattern: str) -> frozenset[str]:
    """Return the words, in lower case, that the text of a pattern spells out."""
    found = _PATTERN_PART.finditer(pattern)
    return frozenset(match["word"].lower() for match in found if match["word"])
