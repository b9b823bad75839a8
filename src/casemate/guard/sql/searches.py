"""Expressions of SQLite's full-text search that the code has put together: FTS5, 3.1.

`owner:ann AND {words}` is a language of its own within one parameter. A whole expression of the
event is one that callers are to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..core import Guard
from ..origin import Span
from ..plain_names import is_hidden, is_whose
from ..quoted import STRING, judge, language, tokenize
from ..spans import around, neutral
from ..standing import is_put_together
from ..verdict import Verdict
from .tokens import Dialect, Kind
from .tokens import tokenize as tokenize_sql

NAME = "sql"
_MATCH = "MATCH"
_MAX_VALUES = 64
"""Parameters of a statement that are looked at."""
_MAX_EXPRESSION = 64 * 1024
_FIX = (
    "put what is looked for between double quotes, each of its own doubled: "
    "'\"' + text.replace('\"', '\"\"') + '\"'; what is not to be widened as a condition beside it: "
    "... MATCH ? AND owner = ?"
)
_QUOTED = r'"(?:[^"]|"")*"'
_EXPRESSION = language(
    "full-text search",
    _FIX,
    strings=_QUOTED,
    opened='"',
    words=r"(?:\w|[^\x00-\x7f])+",
    names=False,
)
_QUOTES = re.compile(_QUOTED)
_NARROWS = re.compile(r"\b(?:AND|NOT)\b|[\w\"}]\s{0,9}:")
"""What the code has in an expression that is to hold whatever is looked for."""
_OR = re.compile(r"\bOR\b")
_COLUMN = re.compile(r"([^\W\d]\w{0,63})[\"}]?\s{0,9}[:=]\s{0,9}\Z")


def searches(statement: str) -> bool:
    """Tell whether a statement may have a full-text search."""
    return _MATCH in statement.upper()


def check_searches(guard: Guard, query: Any, given: Any) -> None:
    """Block a statement (BlockedError) in whose expression the event is more than words."""
    if not guard.active or not isinstance(query, str) or not searches(query):
        return
    values = given.values() if isinstance(given, dict) else given
    if isinstance(values, (list, tuple, type({}.values()))):
        for value in list(values)[:_MAX_VALUES]:
            fits = type(value) is str and len(value) <= _MAX_EXPRESSION and not value.isalnum()
            if fits and is_put_together(guard, value):
                guard.check(NAME, value, judge_expression)
    if not guard.is_own(query):
        guard.check(NAME, query, _judge_written)


def _judge_written(statement: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge the literals after MATCH in a statement."""
    for start, end in _literals(statement):
        inside = [s.moved(-start) for s in spans if start <= s.start and s.end <= end]
        verdict = judge_expression(statement[start:end], inside) if inside else None
        if verdict is not None:
            return verdict
    return None


def _literals(statement: str) -> Iterator[tuple[int, int]]:
    before = ""
    for token in tokenize_sql(statement, Dialect.SQLITE):
        if token.kind is Kind.STRING and before == _MATCH:
            yield token.start + 1, token.end - 1
        before = statement[token.start : token.end].upper()


def judge_expression(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in an expression is more than words, or ends what it stands in."""
    given = [s for s in spans if not s.vouched and not s.is_piece]
    own = neutral(text, given)
    literals = [(start, end) for kind, start, end in tokenize(own, _EXPRESSION) if kind == STRING]
    quoted = [s for s in given if any(a < s.start and s.end < b for a, b in literals)]
    if quoted and (verdict := judge(text, quoted, _EXPRESSION)) is not None:
        return verdict
    if _NARROWS.search("\0".join(around(text, given))) is None:
        return None
    for span in given:
        if span not in quoted and _is_more(text, own, span):
            return Verdict(span.origin, "is an operator of a full-text search", _FIX)
    return None


def _is_more(text: str, own: str, span: Span) -> bool:
    """Tell whether data outside of quotes brings more rows than the code's part lets through."""
    part = text[span.start : span.end]
    plain = _QUOTES.sub("q", part)
    if '"' in plain:
        return True
    depth = 0
    for sign in plain:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return True
    bracketed = own[: span.start].rstrip()[-1:] == "(" and own[span.end :].lstrip()[:1] == ")"
    if not bracketed and (depth or _OR.search(plain) is not None):
        return True
    column = _COLUMN.search(own[: span.start])
    return "*" in plain and column is not None and (is_whose(column[1]) or is_hidden(column[1]))
