"""Which bare words of an event tell rows apart and no more: columns, directions, comparisons.

In a statement that only reads, a column may be chosen to order or group by, and to be compared with
a value; so may the sign of a comparison with a value, and the direction of an order; and, of one
table, which columns are answered. Nothing of it reads another table, and none of it names what is
hidden (`plain_names.py`).
"""

from __future__ import annotations

import bisect
import operator
import re
from collections.abc import Sequence
from typing import NamedTuple

from ..origin import Span
from ..plain_names import is_hidden, is_plain, is_shown
from .assigned import BEGINS, without_assigned
from .tokens import Dialect, Kind, Token

_SIGNS = frozenset(("=", "==", "<>", "!=", "<", "<=", ">", ">="))
_WORDED_SIGNS = frozenset(("LIKE", "ILIKE"))
_DIRECTION = re.compile(r"(?:ASC|DESC)?(?:\s*\bNULLS\s+(?:FIRST|LAST))?", re.IGNORECASE)
_DIRECTIONS = frozenset(("ASC", "DESC", "NULLS", "FIRST", "LAST"))
_AFTER_ORDERED = frozenset(
    (",", ")", ";", "LIMIT", "OFFSET", "FETCH", "COLLATE", "HAVING", "ORDER", "WINDOW", "FOR")
)
_BEFORE_COMPARED = frozenset(("WHERE", "AND", "OR", "NOT", "HAVING", "("))
_CLAUSES = frozenset(
    ("SELECT", "FROM", "WHERE", "HAVING", "ON", "SET", "VALUES", "LIMIT", "BY", "JOIN", "WHEN")
)
CONDITIONS = frozenset(("WHERE", "HAVING"))
WRITES = frozenset(
    ("INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "INTO", "CREATE", "ALTER", "DROP", "UPSERT")
)
READS = frozenset(("SELECT", "WITH", "FROM"))
_ENDS_OF_TABLES = frozenset(("WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "WINDOW", "UNION"))
_BEFORE_TABLES = frozenset(("FROM", "JOIN", ","))
_VALUES = frozenset((Kind.PARAMETER, Kind.STRING, Kind.NUMBER))
_AGGREGATES = frozenset(("COUNT", "SUM", "AVG", "MIN", "MAX"))
_UNITS = frozenset(
    ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "DOW", "DOY", "EPOCH")
)
PLAIN_CALLS = frozenset(("LOWER", "UPPER", "TRIM", "ABS", "ROUND", "LENGTH", "DATE"))
_QUALIFIED = re.compile(r"([A-Za-z_]\w{0,63})\.([A-Za-z_]\w{0,63})")
QUALIFYING = frozenset((Dialect.SQLITE, Dialect.MYSQL))
"""Where `t.name` is a column; in PostgreSQL it may be a call with the whole row, such as
`t.to_jsonb`."""
_COLUMN = r"[A-Za-z_]\w{0,63}(?:\.[A-Za-z_]\w{0,63})?"
_CANDIDATE = re.compile(
    rf"{_COLUMN}|[<>=!]{{1,2}}|(?i:[a-z]{{0,4}}\s*nulls\s+[a-z]{{4,5}})"
    rf"|{_COLUMN}(?:\s{{1,8}}(?i:asc|desc))?"
    rf"(?:\s{{0,8}},\s{{0,8}}{_COLUMN}(?:\s{{1,8}}(?i:asc|desc))?){{0,31}}"
)
_MORE_THAN_A_TABLE = frozenset(("JOIN", "UNION", "INTERSECT", "EXCEPT", "MINUS", "LATERAL"))
_BEFORE_SHOWN = frozenset(("SELECT", "DISTINCT", ","))
_AFTER_SHOWN = frozenset((",", "FROM", "AS"))
_CALCULATING = frozenset(("+", "-", "*", "/"))
"""Between what is summed up, such as `COUNT(a) - COUNT(DISTINCT a)`."""
MAX_LOOKED = 4096
"""Tokens of a statement in which names may be chosen."""
MAX_CHOSEN = 64
"""Names that may be chosen in one."""
MAX_BACK = 512
"""Tokens before a name in which its clause has to begin."""
_start = operator.attrgetter("start")


def without_free(
    text: str, spans: Sequence[Span], tokens: Sequence[Token], dialect: Dialect
) -> list[Span]:
    """Return the spans without those that the event may choose."""
    candidates = [s for s in spans if s.exact and _CANDIDATE.fullmatch(text, s.start, s.end)]
    if candidates and _is_fragment(text, tokens):
        return [s for s in spans if s not in candidates]
    if not candidates or not 1 < len(tokens) <= MAX_LOOKED or len(candidates) > MAX_CHOSEN:
        return list(spans)
    words = [text[t.start : t.end].upper() for t in tokens]
    if words[0] in BEGINS:
        return without_assigned(text, spans, tokens, words)
    if words[0] not in READS or not WRITES.isdisjoint(words):
        return list(spans)
    statement = _Statement(text, tokens, words, tables_of(words), dialect)
    free = {s for s in candidates if _is_free(statement, s)}
    return [s for s in spans if s not in free]


def _is_fragment(text: str, tokens: Sequence[Token]) -> bool:
    """Tell whether a text is no statement: names and directions alone, for one that will be.

    SQLAlchemy's `text`, peewee's `SQL` and the like take an order by itself.
    """
    if not tokens or len(tokens) > MAX_CHOSEN or not _CANDIDATE.fullmatch(text.strip()):
        return False
    words = [text[t.start : t.end] for t in tokens]
    return words[0].upper() not in _DIRECTIONS and all(
        word == "," or (word.upper() in _DIRECTIONS and words[n - 1] != ",") or is_shown(word)
        for n, word in enumerate(words)
    )


class _Statement(NamedTuple):
    text: str
    tokens: Sequence[Token]
    words: Sequence[str]
    """Its tokens in upper case."""
    tables: set[str]
    dialect: Dialect


def _is_free(whole: _Statement, span: Span) -> bool:
    text, tokens, words, *_ = whole
    at = bisect.bisect_left(tokens, span.start, key=_start)
    part = text[span.start : span.end]
    if at < 1 or at >= len(tokens) or tokens[at].start != span.start:
        return False
    if words[at - 1] == "COLLATE" and tokens[at].end == span.end:
        return tokens[at].kind is Kind.WORD
    if _DIRECTION.fullmatch(part):
        return _is_ordered(words, at - 1, tokens)
    if tokens[at].end == span.end:
        return _is_sign(whole, at, part) or _is_word(whole, at)
    if (found := _QUALIFIED.fullmatch(part)) is not None:
        return _is_of_table(whole, at, found)
    return _are_words(whole, at, span.end)


def _is_of_table(whole: _Statement, at: int, found: re.Match[str]) -> bool:
    """Tell whether a column with its table is compared, or ordered by, where it is one."""
    table, name = found[1].upper(), found[2]
    if whole.dialect not in QUALIFYING or table not in whole.tables or not is_plain(name):
        return False
    compared = _is_compared(whole, at, at + 2)
    return compared or _is_ordering(whole.words, at, at + 2)


def _are_words(whole: _Statement, at: int, end: int) -> bool:
    """Tell whether all of a list are columns in their place, with directions: `a DESC, t.b`."""
    while at < len(whole.tokens) and whole.tokens[at].start < end:
        word = whole.words[at]
        if whole.words[at + 1 : at + 2] == ["."] and at + 2 < len(whole.tokens):
            part = whole.text[whole.tokens[at].start : whole.tokens[at + 2].end]
            found = _QUALIFIED.fullmatch(part) if whole.tokens[at + 2].end <= end else None
            if found is None or not _is_of_table(whole, at, found):
                return False
            at += 3
            continue
        if word in ("ASC", "DESC"):
            if not _is_ordered(whole.words, at - 1, whole.tokens):
                return False
        elif word != "," and not _is_word(whole, at):
            return False
        at += 1
    return True


def _is_word(whole: _Statement, at: int) -> bool:
    """Tell whether one word is a sum, a part of a date, a label, or a column in its place."""
    words = whole.words
    if words[at] in _AGGREGATES and _is_aggregate(whole, at):
        return True
    if words[at] in _UNITS and _is_unit(words, at):
        return True
    if not _is_name(whole, at):
        return False
    if words[at - 1] == "AS" and words[at + 1 : at + 2] in ([","], ["FROM"]):
        return clause_of(words, at) == "SELECT"  # what a column is called in the answer
    first, last = _around(words, at, PLAIN_CALLS)
    if _is_ordering(words, first, last) or _is_compared(whole, first, last):
        return True
    return _is_answered(whole, at)


def _is_answered(whole: _Statement, at: int) -> bool:
    """Tell whether a column is answered, alone or summed up, of a statement with one table."""
    text, tokens, words, *_ = whole
    first, last = _around(words, at, PLAIN_CALLS | _AGGREGATES)
    beside = _CALCULATING if words[first] in _AGGREGATES else frozenset[str]()
    if words[first - 1] not in _BEFORE_SHOWN | beside or words[last + 1 : last + 2] == []:
        return False
    if words[last + 1] not in _AFTER_SHOWN | beside or words.count("SELECT") != 1:
        return False
    if not is_shown(text[tokens[at].start : tokens[at].end]):
        return False
    return clause_of(words, first, lists=False) == "SELECT" and _has_one_table(words)


def _has_one_table(words: Sequence[str]) -> bool:
    """Tell whether a statement reads one table, or one file: what is after FROM has no comma."""
    if not _MORE_THAN_A_TABLE.isdisjoint(words) or words.count("FROM") != 1:
        return False
    depth = 0
    for word in words[words.index("FROM") + 1 :]:
        if word in _ENDS_OF_TABLES:
            return True
        depth += (word == "(") - (word == ")")
        if word == "," and depth == 0:
            return False
    return True


def _is_name(whole: _Statement, at: int) -> bool:
    """Tell whether a token is a plain name, and of no table."""
    token = whole.tokens[at]
    plain = token.kind is Kind.WORD and is_plain(whole.text[token.start : token.end])
    return plain and whole.words[at] not in whole.tables


def _is_aggregate(whole: _Statement, at: int) -> bool:
    """Tell whether a word sums up one column, which is none that is hidden: `max(price)`."""
    after = whole.words[at + 1 : at + 4]
    if whole.words[at - 1] == "." or len(after) < 3 or (after[0], after[2]) != ("(", ")"):
        return False
    return after[1] == "*" or not is_hidden(after[1].strip('"`[]'))


def _is_unit(words: Sequence[str], at: int) -> bool:
    """Tell whether a word is a part of a date: `EXTRACT(month FROM ...)`, `INTERVAL 3 DAY`."""
    extracted = words[at - 2 : at] == ["EXTRACT", "("] and words[at + 1 : at + 2] == ["FROM"]
    return at > 1 and (extracted or words[at - 2] == "INTERVAL")


def _around(words: Sequence[str], at: int, calls: frozenset[str]) -> tuple[int, int]:
    """Return the first and last token of what a column is used as: `lower(name)`.

    None after a dot: PostgreSQL reads `u.to_jsonb` as a call with the whole row.
    """
    begin = at - 2 if words[at - 1] == "DISTINCT" else at - 1
    inside = begin > 0 and words[begin] == "(" and words[at + 1 : at + 2] == [")"]
    return (begin - 1, at + 1) if inside and words[begin - 1] in calls else (at, at)


def _is_ordering(words: Sequence[str], at: int, last: int) -> bool:
    """Tell whether a column is what is ordered or grouped by, whole."""
    after = words[last + 1] if last + 1 < len(words) else ";"
    if after not in _AFTER_ORDERED and after not in _DIRECTIONS:
        return False
    return words[at - 1] in ("BY", ",") and clause_of(words, at, lists=True) == "BY"


def _is_ordered(words: Sequence[str], at: int, tokens: Sequence[Token]) -> bool:
    """Tell whether what is before a direction is ordered by: a column, a call or a place."""
    ordered = tokens[at].kind in (Kind.WORD, Kind.NAME, Kind.NUMBER) or words[at] == ")"
    return ordered and words[at] != "BY" and clause_of(words, at + 1, lists=True) == "BY"


def _is_compared(whole: _Statement, at: int, last: int) -> bool:
    """Tell whether a column is the left side of a comparison with a value."""
    words = whole.words
    if words[at - 3 : at] == ["(", "CASE", "WHEN"]:
        if words[at - 4] not in _AGGREGATES:  # `SUM(CASE WHEN a IS NULL THEN 1 ELSE 0 END)`
            return False
    elif words[at - 1] not in _BEFORE_COMPARED or clause_of(words, at) not in CONDITIONS:
        return False
    following = last + 1
    if words[following : following + 1] == ["NOT"]:
        following += 1
    sign = words[following] if following < len(words) else ""
    if sign == "IS":
        end = following + 2 if words[following + 1 : following + 2] == ["NOT"] else following + 1
        return words[end : end + 1] == ["NULL"]
    if sign == "IN" and words[following + 1 : following + 2] == ["("]:
        following += 1
    elif sign not in _SIGNS and sign not in _WORDED_SIGNS and sign != "BETWEEN":
        return False
    return _is_value(whole, following + 1)


def _is_sign(whole: _Statement, at: int, part: str) -> bool:
    """Tell whether a sign compares a column, which is none that is hidden, with a value."""
    text, tokens, words, *_ = whole
    if part not in _SIGNS and part.upper() not in _WORDED_SIGNS:
        return False
    before = tokens[at - 1]
    if before.kind not in (Kind.WORD, Kind.NAME):
        return False
    column = text[before.start : before.end].strip('"`[]')
    return (
        not is_hidden(column)
        and words[at - 1] not in _BEFORE_COMPARED
        and clause_of(words, at) in CONDITIONS
        and _is_value(whole, at + 1)
    )


def _is_value(whole: _Statement, at: int) -> bool:
    """Tell whether a value is here: a literal, a parameter, a number with its sign."""
    signed = whole.words[at : at + 1] in (["-"], ["+"])
    kinds = [token.kind for token in whole.tokens[at : at + 2]]
    return kinds[1:] == [Kind.NUMBER] if signed else bool(kinds) and kinds[0] in _VALUES


def clause_of(words: Sequence[str], at: int, *, lists: bool = False) -> str:
    """Return which clause a word is in: the last one that begins before it, or around it.

    `lists`: BY of an order, a group or a partition alone, with whole brackets before the word.
    """
    depth = 0
    for place in range(at - 1, max(at - MAX_BACK, -1), -1):
        word = words[place]
        if word == ")":
            depth += 1
        elif word == "(":
            if lists and depth == 0:
                return ""
            depth = max(depth - 1, 0)
        elif depth == 0 and word in _CLAUSES:
            if lists and words[place - 1] not in ("ORDER", "GROUP", "PARTITION"):
                return ""
            return word
    return ""


def tables_of(words: Sequence[str]) -> set[str]:
    """Return the words that name tables, or stand for one: each is a whole row by itself."""
    found: set[str] = set()
    inside = False
    for place, word in enumerate(words):
        if word == "FROM":
            inside = True
        elif word in _ENDS_OF_TABLES:
            inside = False
        elif inside and (words[place - 1] != "." or words[place - 3] in _BEFORE_TABLES):
            found.add(word.strip('"`[]'))
    return found
