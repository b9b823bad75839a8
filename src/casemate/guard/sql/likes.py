"""Values that are bound to LIKE or GLOB, and compared with what tells one row from another.

`token LIKE ?` with `%` finds anybody's. People search for `50%` and `snake_case` by the same
statement: so only columns are judged that are a secret or a code, only where the program has put no
sign of its own into the value, and only signs that no such value has.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ..core import Guard
from ..lone_signs import origin_of_sign
from ..origin import Origin
from ..pieces import as_text
from ..plain_names import is_of_one
from ..spans import around
from ..verdict import Verdict
from .tokens import Dialect, Kind, Token, tokenize

NAME = "sql"
_SIGNS = {"LIKE": ("%", "_"), "GLOB": ("*", "?")}
_MAX_STATEMENT = 16 * 1024
_MAX_VALUE = 256
_MANY = 3
"""Signs side by side that stand for as many characters of a code: `GIFT-____-__`."""
_FIX = (
    "compare by `=`, with `COLLATE NOCASE` or lower() where case does not count; or escape `%` and "
    "`_` in the value: LIKE ? ESCAPE '\\'"
)


def compares(statement: str) -> bool:
    """Tell whether a statement may compare by a pattern that is not escaped."""
    upper = statement.upper()
    return ("LIKE" in upper or "GLOB" in upper) and "ESCAPE" not in upper


def check_likes(guard: Guard, query: Any, given: Any) -> None:
    """Block a statement (BlockedError) in which data finds any secret or code by its signs."""
    if not guard.active or not isinstance(query, str) or len(query) > _MAX_STATEMENT:
        return
    values = given.values() if isinstance(given, dict) else given
    if not isinstance(values, (list, tuple, type({}.values()))) or not compares(query):
        return
    if any(type(v) is str and not _SIGNS_OF_ALL.isdisjoint(v) for v in values):
        guard.decide(NAME, lambda: _verdict(guard, query, given))


_SIGNS_OF_ALL = frozenset(itertools.chain.from_iterable(_SIGNS.values()))


def _verdict(guard: Guard, query: str, given: Any) -> Verdict | None:
    for word, value in _compared(query, given):
        if type(value) is not str or len(value) > _MAX_VALUE:
            continue
        any_text, any_sign = _SIGNS[word]
        # A sign between letters is found in values as well: `a_b@shop.example`.
        wide = any_text in value or not value.strip(any_sign + " -") or any_sign * _MANY in value
        origin = _origin(guard, value, any_text + any_sign) if wide and value.strip() else None
        if origin is not None:
            return Verdict(origin, f"matches any value by {word}", _FIX)
    return None


def _origin(guard: Guard, value: str, signs: str) -> Origin | None:
    """Return where a value is from whose signs are all the event's."""
    if len(value) == 1:  # the interpreter has one object for each, the code's and the event's
        return origin_of_sign(guard, value, signs)
    spans = [s for s in guard.spans(value) if not s.vouched]
    if any(sign in part for part in around(as_text(value), spans) for sign in signs):
        return None
    return spans[0].origin if spans else None


def _compared(query: str, given: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values that a column of one is compared with, and the word by which."""
    tokens = tokenize(query, Dialect.SQLITE)
    words = [query[t.start : t.end].upper() for t in tokens]
    place = 0
    for at, token in enumerate(tokens):
        if token.kind is not Kind.PARAMETER:
            continue
        before = words[at - 1] if at else ""
        if before in _SIGNS and is_of_one(_column(query, tokens, words, at - 2)):
            value = _value(query[token.start : token.end], given, place)
            yield before, value
        place += 1


def _column(query: str, tokens: Sequence[Token], words: Sequence[str], at: int) -> str:
    """Return the name of the column that stands before a comparison, also within a call."""
    if at >= 0 and words[at] == "NOT":
        at -= 1
    if at >= 0 and words[at] == ")":
        at -= 1
    if at < 0 or tokens[at].kind not in (Kind.WORD, Kind.NAME):
        return ""
    return query[tokens[at].start : tokens[at].end].strip('"`[]')


def _value(mark: str, given: Any, place: int) -> Any:
    """Return the value of a parameter."""
    if isinstance(given, dict):
        return given.get(mark.lstrip(":@$%(").removesuffix(")s"))
    values = list(given)
    if mark[:1] == "?" and mark[1:].isdigit():
        place = int(mark[1:]) - 1
    return values[place] if 0 <= place < len(values) else None
