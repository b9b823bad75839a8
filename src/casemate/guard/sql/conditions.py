"""Conditions of an event that tell rows apart and no more: `kg > 100 and (port = 'Cork' or new)`.

`columns.py` lets one column of the event be compared with a value. A field that is there for
conditions brings more than one comparison. In a statement that only reads, a condition has no more
power than that if it has columns, literals and comparisons alone, no column is one that is likely
to be hidden, and what the code has put beside it holds whatever it says: it is all that is within
brackets, or has no OR of its own beside the code's AND.
"""

from __future__ import annotations

import bisect
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..origin import Span
from ..plain_names import is_plain
from .columns import (
    CONDITIONS,
    MAX_CHOSEN,
    MAX_LOOKED,
    PLAIN_CALLS,
    QUALIFYING,
    READS,
    WRITES,
    clause_of,
    tables_of,
)
from .tokens import Dialect, Kind, Token

MAX_CONDITION = 256
"""Tokens of a condition."""
_MAX_DEPTH = 16
"""Brackets within one another."""
_COMPARING = frozenset(("=", "==", "<>", "!=", "<", "<=", ">", ">="))
_CALCULATING = frozenset(("+", "-", "*", "/"))
_WORDED = frozenset(("LIKE", "ILIKE"))
_LITERALS = frozenset(("TRUE", "FALSE"))
_BEFORE = frozenset(("WHERE", "HAVING", "AND", "OR", "NOT", "("))
_ENDS = frozenset(("GROUP", "ORDER", "LIMIT", "HAVING", "OFFSET", "FETCH", "WINDOW", ";"))
_AFTER = _ENDS | {"", ")", "AND", "OR"}
_BESIDE_CHOICES = frozenset(("AND", "NOT"))
_start = operator.attrgetter("start")


def without_conditions(
    text: str,
    spans: Sequence[Span],
    tokens: Sequence[Token],
    dialect: Dialect,
    known: Sequence[Span],
) -> list[Span]:
    """Return the spans without those that are, or are parts of, such conditions.

    `known` are all that are of the event, also those that the code vouches for.
    """
    if not 1 < len(tokens) <= MAX_LOOKED or len(spans) > MAX_CHOSEN:
        return list(spans)
    words = [text[t.start : t.end].upper() for t in tokens]
    if words[0] not in READS or not WRITES.isdisjoint(words):
        return list(spans)
    whole = _Whole(text, tokens, words, tables_of(words), dialect)
    given = [_tokens_of(span, tokens) for span in spans]
    outside = {at for one in given for at in one or ()}
    owned = outside | {at for span in known for at in _tokens_of(span, tokens) or ()}
    balanced = words.count("(") == words.count(")")
    done: set[int] = set()
    for one in given:
        if one is None or not one or one[0] in done:
            continue
        for first, last in _regions(whole, one, outside, owned) if balanced else ():
            if _is_condition(whole, first, last, outside):
                done.update(range(first, last + 1))
                break
        if one[0] not in done and balanced and _is_comparison(whole, one, outside):
            done.update(one)
    return [s for s, one in zip(spans, given, strict=True) if not one or not done.issuperset(one)]


class _Whole(NamedTuple):
    text: str
    tokens: Sequence[Token]
    words: Sequence[str]
    """In upper case."""
    tables: set[str]
    dialect: Dialect


def _tokens_of(span: Span, tokens: Sequence[Token]) -> range | None:
    """Return which tokens a span is all of; None if it has a part of one."""
    first = bisect.bisect_left(tokens, span.start, key=_start)
    last = bisect.bisect_left(tokens, span.end, key=_start) - 1
    before = tokens[first - 1].end if first else 0
    if before > span.start or (last >= first and tokens[last].end > span.end):
        return None
    return range(first, last + 1)


def _regions(
    whole: _Whole, one: range, outside: set[int], owned: set[int]
) -> list[tuple[int, int]]:
    """Return where the condition may begin and end that a span is of, the smaller one first.

    A program that puts one together from tokens has the event's among its own: brackets that belong
    together, and words between parameters.
    """
    words, first, last, depth = whole.words, one[0], one[0], 0
    if words[first] == ")" and len(one) == 1:
        first = _opening(words, first)
    while last < min(len(words) - 1, first + MAX_CONDITION):
        depth += (words[last] == "(") - (words[last] == ")")
        if depth <= 0 and last + 1 not in outside:
            break
        last += 1
    wide = _widened(whole, first, last, owned)
    return [(first, last)] if wide == (first, last) else [(first, last), wide]


def _opening(words: Sequence[str], at: int) -> int:
    """Return where the bracket begins that ends here; the end itself if none does."""
    depth = 0
    for place in range(at, max(at - MAX_CONDITION, -1), -1):
        depth += (words[place] == ")") - (words[place] == "(")
        if depth == 0:
            return place
    return at


def _widened(whole: _Whole, first: int, last: int, given: set[int]) -> tuple[int, int]:
    """Return all that is the event's on both sides, with parameters and signs between its words.

    A word of the code's ends it: that `secret = 0 AND` stands before must not become a part.
    """

    def goes_on(at: int) -> bool:
        kind = whole.tokens[at].kind
        return at in given or kind is Kind.PARAMETER or kind is Kind.OPERATOR

    words = whole.words
    depth, begin = 0, first
    while begin > 0 and last - begin < MAX_CONDITION and goes_on(begin - 1):
        depth += (words[begin - 1] == ")") - (words[begin - 1] == "(")
        if depth < 0:
            break
        begin -= 1
    depth, end = 0, last
    while end + 1 < len(words) and end - begin < MAX_CONDITION and goes_on(end + 1):
        depth += (words[end + 1] == "(") - (words[end + 1] == ")")
        if depth < 0 or words[end + 1] == ";":
            break
        end += 1
    return begin, end


def _is_condition(
    whole: _Whole, first: int, last: int, outside: set[int], *, single: bool = False
) -> bool:
    """Tell whether tokens are a condition in the place of one, and leave the code's as they are.

    `single`: one without AND and OR.
    """
    words = whole.words
    if first < 1 or not 0 <= last - first < MAX_CONDITION:
        return False
    before, after = words[first - 1], words[last + 1] if last + 1 < len(words) else ""
    if before not in _BEFORE or after not in _AFTER or clause_of(words, first) not in CONDITIONS:
        return False
    if before == "(" and words[first - 2] not in _BEFORE:
        return False
    if before == "AND" and _ends_between(words, first - 2):
        return False
    reading = _Reading(whole, first, last + 1, outside)
    weakest = reading.whole()
    if weakest is None or (single and weakest != ""):
        return False
    beside = {before, after}
    return (weakest == "OR" and beside.isdisjoint(_BESIDE_CHOICES)) or (
        weakest != "OR" and (before != "NOT" or weakest == "")
    )


def _is_comparison(whole: _Whole, one: range, outside: set[int]) -> bool:
    """Tell whether a span is a sign and a value for a column that the code names: `euro < 1000`."""
    first = one[0] - 1
    if first < 1 or whole.words[one[0]] not in _COMPARING or first in outside:
        return False
    return whole.words[first] not in _BEFORE and _is_condition(
        whole, first, one[-1], outside, single=True
    )


def _ends_between(words: Sequence[str], at: int) -> bool:
    """Tell whether an AND behind this place is that of `BETWEEN 1 AND 2`."""
    depth = 0
    for place in range(at, max(at - MAX_CONDITION, -1), -1):
        word = words[place]
        depth += (word == ")") - (word == "(")
        if depth < 0 or (depth == 0 and word in ("AND", "OR", *CONDITIONS)):
            return False
        if depth == 0 and word == "BETWEEN":
            return True
    return False


class _RefusedError(Exception):
    """Tokens are no condition, or one that does more."""


class _Part(NamedTuple):
    """What has been read."""

    compared: bool
    """Whether it is true or false, rather than a value."""
    columns: frozenset[str] = frozenset()
    alone: bool = False
    """Whether it is one column and nothing else."""


class _Reading:
    """Reads a condition from its tokens, each once."""

    def __init__(self, whole: _Whole, first: int, end: int, outside: set[int]) -> None:
        self._whole = whole
        self._at, self._end = first, end
        self._outside = outside
        self._depth = 0
        self._weakest = ""

    def whole(self) -> str | None:
        """Return `OR` or `AND` if one stands outside all brackets, the former first; else empty.

        None if it is no condition.
        """
        try:
            read = self._either()
        except _RefusedError:
            return None
        if self._at != self._end or not (read.compared or read.alone):
            return None
        return self._weakest

    def _word(self) -> str:
        return self._whole.words[self._at] if self._at < self._end else ""

    def _taken(self, *words: str) -> bool:
        if self._word() not in words or self._at >= self._end:
            return False
        self._at += 1
        return True

    def _need(self, word: str) -> None:
        if not self._taken(word):
            raise _RefusedError

    def _either(self) -> _Part:
        return self._chain("OR", self._all)

    def _all(self) -> _Part:
        return self._chain("AND", self._denied)

    def _chain(self, word: str, part: Callable[[], _Part]) -> _Part:
        read = part()
        while self._taken(word):
            self._joined(word, read)
            read = part()
            self._joined(word, read)
            read = _Part(compared=True)
        return read

    def _joined(self, word: str, read: _Part) -> None:
        if not (read.compared or read.alone):
            raise _RefusedError
        if self._depth == 0 and self._weakest != "OR":
            self._weakest = word

    def _denied(self) -> _Part:
        denied = False
        while self._taken("NOT"):
            denied = True
        read = self._comparison()
        if denied and not (read.compared or read.alone):
            raise _RefusedError
        return _Part(compared=True) if denied else read

    def _comparison(self) -> _Part:
        left = self._sum()
        if self._word() in _COMPARING:
            self._at += 1
            self._told_apart(left, self._sum())
        elif self._taken("IS"):
            self._taken("NOT")
            self._need("NULL")
            self._told_apart(left)
        else:
            start = self._at
            self._taken("NOT")
            if self._taken(*_WORDED):
                self._told_apart(left, self._sum())
                if self._taken("ESCAPE"):
                    self._sum()
            elif self._taken("BETWEEN"):
                lower = self._sum()
                self._need("AND")
                self._told_apart(left, lower, self._sum())
            elif self._taken("IN"):
                self._told_apart(left, *self._listed())
            else:
                self._at = start
                return left
        return _Part(compared=True)

    def _listed(self) -> list[_Part]:
        self._need("(")
        read = [self._sum()]
        while self._taken(","):
            read.append(self._sum())
        self._need(")")
        return read

    def _told_apart(self, left: _Part, *others: _Part) -> None:
        """Refuse what says the same of each row, `1 = 1`, and what tells columns of one another."""
        right = frozenset[str]().union(*(each.columns for each in others))
        if left.compared or any(each.compared for each in others):
            raise _RefusedError
        if bool(left.columns) == bool(right):
            raise _RefusedError

    def _sum(self) -> _Part:
        read = self._value()
        while self._word() in _CALCULATING:
            self._at += 1
            other = self._value()
            if read.compared or other.compared:
                raise _RefusedError
            read = _Part(compared=False, columns=read.columns | other.columns)
        return read

    def _value(self) -> _Part:
        signed = self._taken("-", "+")
        if self._at >= self._end:
            raise _RefusedError
        token, word = self._whole.tokens[self._at], self._word()
        self._at += 1
        if word == "(":
            self._depth += 1
            if self._depth > _MAX_DEPTH or signed:
                raise _RefusedError
            read = self._either()
            self._need(")")
            self._depth -= 1
            return read
        if token.kind in (Kind.STRING, Kind.NUMBER) or word in _LITERALS:
            return _Part(compared=False)
        if token.kind is Kind.PARAMETER and self._at - 1 not in self._outside:
            return _Part(compared=False)
        if word in PLAIN_CALLS and self._taken("("):
            read = self._value()
            self._need(")")
            return _Part(compared=False, columns=read.columns)
        return self._column(token, word)

    def _column(self, token: Token, word: str) -> _Part:
        text, whole = self._whole.text, self._whole
        name = text[token.start : token.end]
        if self._word() == "." and whole.dialect in QUALIFYING and word in whole.tables:
            self._at += 1
            if self._at >= self._end:
                raise _RefusedError
            token, word = whole.tokens[self._at], self._word()
            name = text[token.start : token.end]
            self._at += 1
        elif word in whole.tables:
            raise _RefusedError  # a whole row
        if token.kind is Kind.NAME:
            name = name[1:-1]
        if token.kind not in (Kind.WORD, Kind.NAME) or not is_plain(name):
            raise _RefusedError
        return _Part(compared=False, columns=frozenset((name.upper(),)), alone=True)
