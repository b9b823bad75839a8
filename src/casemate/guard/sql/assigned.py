"""Which columns an event may have a statement write: those that hold what people enter.

`{"title": "Milk", "due": "2026-07-01"}` becomes `SET title = ?, due = ?`, or the columns of an
INSERT. A name in quotes was data at all times; without them it is one word in the place of one
name, and can neither reach another table nor other rows. What it could do is to write what the code
keeps to itself: so a name that says who, how much or whether (`plain_names.py`) is none of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..origin import Span
from ..plain_names import is_entered
from .tokens import Kind, Token

BEGINS = frozenset(("INSERT", "UPDATE", "REPLACE"))
_VALUES = frozenset((Kind.PARAMETER, Kind.STRING, Kind.NUMBER))
_WORDED_VALUES = frozenset(("NULL", "TRUE", "FALSE", "DEFAULT", "CURRENT_TIMESTAMP"))
_AFTER = frozenset((",", ";", "WHERE", "RETURNING", "FROM", "ORDER", "LIMIT", "ON", ""))
_NAMES = frozenset((Kind.WORD, Kind.NAME))
_CALCULATING = frozenset(("+", "-", "*", "||"))


def without_assigned(
    text: str, spans: Sequence[Span], tokens: Sequence[Token], words: Sequence[str]
) -> list[Span]:
    """Return the spans of a statement that writes without the columns that may be chosen in it."""
    if words[0] not in BEGINS or ";" in words[:-1]:
        return list(spans)
    written = {
        (tokens[at].start, tokens[at].end)
        for at in (*_listed(tokens, words), *_set(tokens, words))
        if tokens[at].kind is Kind.WORD
    }
    return [
        s
        for s in spans
        if not s.exact or (s.start, s.end) not in written or not is_entered(text[s.start : s.end])
    ]


def _listed(tokens: Sequence[Token], words: Sequence[str]) -> list[int]:
    """Return the columns of `INTO table (a, b) VALUES`; none if it is no such list."""
    if "INTO" not in words:
        return []
    at = words.index("INTO") + 2
    if words[at : at + 1] == ["."]:
        at += 2
    if words[at : at + 1] != ["("]:
        return []
    found: list[int] = []
    while True:
        at += 1
        if at + 2 >= len(words) or tokens[at].kind not in _NAMES:
            return []
        found.append(at)
        at += 1
        if words[at] == ")":
            return found if words[at + 1] == "VALUES" else []
        if words[at] != ",":
            return []


def _set(tokens: Sequence[Token], words: Sequence[str]) -> Iterator[int]:
    """Yield the columns that are given a value, and where they are part of it themselves."""
    at = 0
    while at < len(words):
        begins = words[at] == "SET" or words[at - 1 : at + 1] == ["KEY", "UPDATE"]
        at += 1
        while begins and at < len(words):
            end, own = _given(tokens, words, at)
            if end and _word(words, end) in _AFTER:
                yield from (at, *own)
            at = _next(words, end or at)
            begins = _word(words, at) == ","
            at += begins


def _given(tokens: Sequence[Token], words: Sequence[str], at: int) -> tuple[int, list[int]]:
    """Return where `name = value` ends, 0 if it is none, and where the name is in its value."""
    if tokens[at].kind not in _NAMES or _word(words, at + 1) != "=":
        return 0, []
    name, value = words[at], at + 2
    if end := _valued(tokens, words, value):
        return end, []
    if words[value : value + 3] == ["EXCLUDED", ".", name]:
        return value + 3, [value + 2]
    if words[value : value + 4] == ["VALUES", "(", name, ")"]:
        return value + 4, [value + 2]
    if _word(words, value) == name and _word(words, value + 1) in _CALCULATING:
        return _valued(tokens, words, value + 2), [value]
    return 0, []


def _valued(tokens: Sequence[Token], words: Sequence[str], at: int) -> int:
    """Return where a literal, a parameter or a number with its sign ends; 0 if none is here."""
    if _word(words, at) in _WORDED_VALUES:
        return at + 1
    if _word(words, at) in ("-", "+"):
        return at + 2 if at + 1 < len(tokens) and tokens[at + 1].kind is Kind.NUMBER else 0
    return at + 1 if at < len(tokens) and tokens[at].kind in _VALUES else 0


def _next(words: Sequence[str], at: int) -> int:
    """Return where the next comma outside of brackets is, or the end of the list."""
    depth = 0
    while at < len(words):
        depth += (words[at] == "(") - (words[at] == ")")
        if depth < 0 or (depth == 0 and words[at] in _AFTER):
            return at
        at += 1
    return at


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) else ""
