"""Did data change a statement's structure? Its tokens must be the same with harmless data there.

Each part that came from outside is replaced by as many letters. If tokens begin, end or are of
another kind than before, the part was more than the inside of one literal or one name.
"""

from __future__ import annotations

import bisect
import itertools
import operator
import re
from collections.abc import Sequence

from ..origin import Origin, Span
from ..spans import neutral
from ..verdict import Verdict
from .columns import without_free
from .conditions import without_conditions
from .tokens import Dialect, Kind, Token, tokenize

_NUMBERS = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:\s*,\s*[+-]?\d+(?:\.\d*)?)*"
)
_WORDS = re.compile(r"\w+")
_PHRASE = re.compile(r"[\w\s.,*()<>=!|+?%:]+")
_NAMES = re.compile(r"[^\W\d][\w$]*(?:\.[^\W\d][\w$]*){0,3}(?:\s+(?:ASC|DESC))?", re.IGNORECASE)
_NAME_LIST = re.compile(
    r"[^\W\d][\w$]*(?:\s*[.,]\s*[^\W\d][\w$]*|\s+(?:ASC|DESC)\b)*", re.IGNORECASE
)
_KEYWORDS = frozenset(
    [
        "all",
        "and",
        "as",
        "between",
        "by",
        "case",
        "delete",
        "distinct",
        "drop",
        "else",
        "end",
        "except",
        "exec",
        "exists",
        "from",
        "group",
        "having",
        "in",
        "insert",
        "intersect",
        "into",
        "is",
        "join",
        "like",
        "limit",
        "not",
        "null",
        "offset",
        "on",
        "or",
        "order",
        "select",
        "set",
        "then",
        "truncate",
        "union",
        "update",
        "using",
        "values",
        "when",
        "where",
    ]
)
_HARMLESS_WORDS = frozenset(
    ("ASC", "DESC", "NULLS", "FIRST", "LAST", "NULL", "TRUE", "FALSE", "DEFAULT")
)
_BEFORE_VALUES = frozenset(
    ("=", "<", ">", "<=", ">=", "<>", "!=", "<=>", "LIMIT", "OFFSET", "LIKE", "BETWEEN", "THEN")
)
_WRITTEN = r"(?:\w{1,64}|\"\w{1,64}\"|`\w{1,64}`|\[\w{1,64}\])"
_INSERTED = re.compile(
    rf"\s*(?:insert(?:\s+or\s+[a-z]+)?|replace)\s+into\s+{_WRITTEN}(?:\.{_WRITTEN})?"
    rf"\s*\(\s*{_WRITTEN}(?:\s*,\s*{_WRITTEN})*\s*\)",
    re.IGNORECASE,
)
"""Beginning of a statement in which brackets are around columns of a table, and call nothing."""
_COMPARISONS = frozenset(("=", "<", ">", "<=", ">=", "<>", "!="))
_QUOTED_WORD = re.compile(r"[\"`\[]\w+[\"`\]]")
_BEGINNING = re.compile(r"select\s+\*\s+from\s+[\"`\[]\w{1,64}[\"`\]]", re.IGNORECASE)
_PLAIN = re.compile(r"[\w .,:@+-]+")
_start = operator.attrgetter("start")
_LONG = frozenset((Kind.STRING, Kind.NAME, Kind.COMMENT))
_DIGITS = re.compile(r"[0-9]+")
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")
_LETTERS = re.compile(r"[A-Za-z][A-Za-z0-9 ]*")
_KINDS = ((_DIGITS, "0"), (_DECIMAL, "0.0"), (_LETTERS, "a"))
_MAX_FORMS = 256
_MAX_QUOTES = 64
"""Quotes in a row that are counted; of more than that all are taken for whole pairs."""
_harmless: set[tuple[tuple[str, ...], Dialect]] = set()
"""Forms of statements whose values change nothing. Digits, decimals and letters never do where
others of their kind did not: tokens tell none of these from each other."""
"""Begins no prefix of a string literal (`E''`, `N''`, `X''`) in the dialects known here."""

_FIX_VALUE = (
    'pass the value as a parameter, such as execute("... WHERE name = ?", (value,)) or %s, as '
    "the driver writes it, instead of putting it into the statement"
)
_FIX_NAME = (
    "choose names from a collection in the code (`if column not in ALLOWED: raise ...`), or quote "
    "them with the driver's means, such as psycopg's sql.Identifier"
)


def judge(text: str, spans: Sequence[Span], dialects: Sequence[Dialect]) -> Verdict | None:
    """Return a verdict if `spans` are more than literals and names in any of the dialects."""
    if all(span.checked == "member" for span in spans):
        return None
    form = _form(text, spans)
    for dialect in dialects:
        if form is not None and (form, dialect) in _harmless:
            continue
        verdict = _judge(text, spans, dialect)
        if verdict is not None:
            return verdict
        if form is not None and _is_harmless(text, spans, dialect):
            if len(_harmless) >= _MAX_FORMS:
                _harmless.clear()
            _harmless.add((form, dialect))
    return None


def _form(text: str, spans: Sequence[Span]) -> tuple[str, ...] | None:
    """Return what a statement is without its values, if all are numbers or plain words.

    A loop over rows sends the same statement with other values: it is cut into tokens once.
    """
    pieces: list[str] = []
    place = 0
    for span in spans:
        kind = next((k for p, k in _KINDS if p.fullmatch(text, span.start, span.end)), None)
        if kind is None:
            return None
        pieces += (text[place : span.start], kind)
        place = span.end
    return (*pieces, text[place:])


def _is_harmless(text: str, spans: Sequence[Span], dialect: Dialect) -> bool:
    """Tell whether any numbers and words could stand in the place of these."""
    tokens = tokenize(text, dialect)
    return all(
        _DIGITS.fullmatch(text, span.start, span.end)
        or _DECIMAL.fullmatch(text, span.start, span.end)
        or _is_plain_inside(text, span, tokens)
        for span in spans
    )


def _judge(text: str, spans: Sequence[Span], dialect: Dialect) -> Verdict | None:
    tokens = tokenize(text, dialect)
    if tokens and tokens[-1].kind is Kind.BROKEN:
        origin = _nearest(spans, tokens[-1].start)
        return Verdict(origin, "stands in a statement with a literal that does not end", _FIX_VALUE)
    spans = [_paired(text, span, tokens) for span in spans]
    spans = [s for span in spans if (s := _trimmed(text, span, tokens)) is not None]
    doubtful = [s for s in spans if not _vouched(text, s) or _in_value_place(text, s, tokens)]
    doubtful = [s for s in doubtful if not (s.is_of_schema and _is_of_names(text, s, tokens))]
    # What has no sign of its own inside a literal cannot end it, whatever stands elsewhere.
    doubtful = [s for s in doubtful if not _is_plain_inside(text, s, tokens)]
    if doubtful and doubtful[0] is spans[0] and _is_usual_beginning(text, spans):
        del doubtful[0]
    doubtful = without_free(text, doubtful, tokens, dialect)
    verdict = _changed(text, doubtful, tokens, dialect)
    if verdict is None:
        return None
    left = without_conditions(text, doubtful, tokens, dialect, spans)
    return _changed(text, left, tokens, dialect) if len(left) < len(doubtful) else verdict


def _changed(
    text: str, doubtful: Sequence[Span], tokens: list[Token], dialect: Dialect
) -> Verdict | None:
    """Return a verdict if parts of a statement are more than values and names."""
    harmless = neutral(text, [s for s in doubtful if not _is_number(text, s)])
    if harmless != text:
        changed = _difference(tokens, tokenize(harmless, dialect))
        if changed is not None:
            place, words = changed
            return Verdict(_nearest(doubtful, place), words, _FIX_VALUE)
    for span in doubtful:
        verdict = _number(text, span, tokens) if _is_number(text, span) else None
        verdict = verdict or _name(text, span, tokens)
        if verdict is not None:
            return verdict
    return None


def _is_usual_beginning(text: str, spans: Sequence[Span]) -> bool:
    """Tell whether the first span is how a library begins statements, found in pieces by chance.

    Who searches for `select * from pages` has it put where the search is, as well: after WHERE.
    """
    first = spans[0]
    if first.start or first.exact or not first.is_piece:
        return False
    begun = _BEGINNING.match(text)
    if begun is None or first.end > begun.end():
        return False
    source, steps = first.origin.source, first.origin.steps
    return any((s.origin.source, s.origin.steps) == (source, steps) for s in spans[1:])


def _is_of_names(text: str, span: Span, tokens: list[Token]) -> bool:
    """Tell of a piece of what a database's file has of its tables whether it is of names alone.

    What a library writes of the code's own tables is the same. A word that is cut off at either end
    goes on otherwise there, and brackets count where they are around the columns of an `INSERT`;
    a comparison with a parameter, as a rule of a table has with a number, tells rows apart.
    """
    inserted = _INSERTED.match(text)
    begin = max(_before(span.start, tokens), 0)
    for token, after in itertools.zip_longest(tokens[begin:], tokens[begin + 1 :]):
        start, end = max(token.start, span.start), min(token.end, span.end)
        if start >= end:
            continue
        part = text[token.start : token.end]
        if token.kind is Kind.NAME:
            named = _QUOTED_WORD.fullmatch(part) is not None
        elif token.kind is Kind.WORD:
            named = end - start < len(part) or part.lower() not in _KEYWORDS
        elif part in _COMPARISONS:
            named = after is not None and after.kind is Kind.PARAMETER
        else:
            named = part in ".," or (
                part in "()" and inserted is not None and token.end <= inserted.end()
            )
        if not named:
            return False
    return True


def _is_plain_inside(text: str, span: Span, tokens: list[Token]) -> bool:
    if not _PLAIN.fullmatch(text, span.start, span.end):
        return False
    at = _before(span.start, tokens)
    token = tokens[at] if at >= 0 else None
    return (
        token is not None
        and token.kind in (Kind.STRING, Kind.NAME)
        and token.start < span.start
        and span.end < token.end
    )


def _paired(text: str, span: Span, tokens: list[Token]) -> Span:
    """Return a part that was found by search with all of a doubled quote that it has the half of.

    `'tis` is found in `'%''tis%'` from the second quote on, `say 'hi'` in `'say ''hi''!'` up to a
    first one. Both are inside one literal or name.
    """
    at = _before(span.start, tokens) if not span.exact else -1
    token = tokens[at] if at >= 0 else None
    if token is None or token.kind not in (Kind.STRING, Kind.NAME):
        return span
    if not token.start < span.start < span.end < token.end:
        return span
    start = span.start - _is_half(text, span.start, token)
    end = span.end + _is_half(text, span.end, token)
    inside = token.start < start and end < token.end
    return span._replace(start=start, end=end) if inside else span


def _is_half(text: str, place: int, token: Token) -> bool:
    """Tell whether a place within a literal is between the two quotes that stand for one."""
    quote = text[token.end - 1]
    if text[place] != quote:
        return False
    before = text[max(token.start + 1, place - _MAX_QUOTES) : place]
    return (len(before) - len(before.rstrip(quote))) % 2 == 1


def _trimmed(text: str, span: Span, tokens: list[Token]) -> Span | None:
    """Return a span without white space at its ends, which is part of no token; None if empty.

    Inside a literal or a comment white space counts: a line's end is the end of `-- {v}`.
    """
    at = _before(span.start, tokens)
    if at >= 0 and tokens[at].kind in _LONG and tokens[at].start < span.start < tokens[at].end:
        return span if span.start < span.end else None
    part = text[span.start : span.end]
    start = span.start + len(part) - len(part.lstrip())
    end = start + len(part.strip())
    return span._replace(start=start, end=end) if start < end else None


def _is_number(text: str, span: Span) -> bool:
    return _NUMBERS.fullmatch(text, span.start, span.end) is not None


def _vouched(text: str, span: Span) -> bool:
    """Tell whether the function's code itself has checked or foreseen this very value."""
    if span.checked == "member":
        return True
    if span.checked in ("constant", "named") and _PHRASE.fullmatch(text, span.start, span.end):
        return True
    if not span.exact:
        # Names that stand in a statement which nobody was seen making: most likely by chance.
        part = text[span.start : span.end]
        return bool(_NAME_LIST.fullmatch(part)) and not _KEYWORDS & set(
            _WORDS.findall(part.lower())
        )
    if span.checked in ("pattern", "word"):
        return _NAMES.fullmatch(text, span.start, span.end) is not None
    return False


def _difference(tokens: list[Token], expected: list[Token]) -> tuple[int, str] | None:
    """Return where tokens are not as expected, and how, in words without their content."""
    if tokens == expected:
        return None
    same = 0
    for token, other in zip(tokens, expected, strict=False):
        if token != other:
            break
        same += 1
    place = tokens[same].start if same < len(tokens) else expected[same].start
    meant = expected[same] if same < len(expected) else None
    until = meant.end if meant is not None else tokens[-1].end
    found = [t.kind.value for t in tokens[same:] if t.start < until]
    shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
    if meant is not None and meant.kind in (Kind.STRING, Kind.NAME, Kind.COMMENT):
        return place, f"ends the {meant.kind.value} that it stands in: it becomes {shown}"
    return place, f"is more than one value or name: it becomes {shown}"


def _nearest(spans: Sequence[Span], place: int) -> Origin:
    """Return the origin of the span at or after a place, of the last one if there is none."""
    return next((s for s in spans if s.end > place), spans[-1]).origin


def _before(place: int, tokens: list[Token]) -> int:
    """Return which token begins at a place or is the last one before it; -1 if there is none.

    Tokens are in order: a statement with a thousand values must not be gone through a thousand
    times.
    """
    return bisect.bisect_right(tokens, place, key=_start) - 1


def _touched(span: Span, tokens: list[Token]) -> list[Token]:
    found = []
    for token in itertools.islice(tokens, max(_before(span.start, tokens), 0), None):
        if token.start >= span.end:
            break
        if token.end > span.start:
            found.append(token)
    return found


def _number(text: str, span: Span, tokens: list[Token]) -> Verdict | None:
    """A number must stay one where it is: `x -{n}` with -1 begins a comment."""
    for token in _touched(span, tokens):
        inside = token.start >= span.start and token.end <= span.end
        if not inside and token.kind in (Kind.OPERATOR, Kind.BROKEN):
            return Verdict(span.origin, "merges with an operator of the statement", _FIX_VALUE)
        begins = token.kind is Kind.COMMENT and token.start + 2 > span.start
        if begins and not inside:
            return Verdict(span.origin, "begins a comment", _FIX_VALUE)
    return None


def _name(text: str, span: Span, tokens: list[Token]) -> Verdict | None:
    """A bare word is a name or keyword that the event has chosen, unless the code chose it."""
    for token in _touched(span, tokens):
        whole = token.start >= span.start and token.end <= span.end
        if token.kind is Kind.WORD and whole and span.exact:
            word = text[token.start : token.end].upper()
            if word not in _HARMLESS_WORDS and not _is_selected(text, token, tokens):
                return Verdict(span.origin, "is a name or keyword of the statement", _FIX_NAME)
    return None


def _is_selected(text: str, token: Token, tokens: list[Token]) -> bool:
    """Tell whether a name puts in order what the statement gives away itself: a selected column."""
    words = [text[t.start : t.end].upper() for t in tokens]
    at = tokens.index(token)
    begin = at
    while begin > 1 and (words[begin - 1] == "," or tokens[begin - 1].kind is Kind.WORD):
        begin -= 1
        if words[begin] == "BY" and words[begin - 1] in ("ORDER", "GROUP"):
            break
    if words[begin] != "BY" or words[at - 1] not in ("BY", ","):
        return False
    if words[0] != "SELECT" or words.count("SELECT") > 1 or "FROM" not in words:
        return False
    columns = words[: words.index("FROM") + 1]
    return any(
        word == words[at] and columns[n - 1] in ("SELECT", ",") and columns[n + 1] in (",", "FROM")
        for n, word in enumerate(columns[:-1])
        if n
    )


def _in_value_place(text: str, span: Span, tokens: list[Token]) -> bool:
    """Tell whether a vouched word stands where a value is due: `id = id` is always true."""
    at = _before(span.start, tokens) + 1
    before = [t for t in tokens[max(at - 3, 0) : at] if t.end <= span.start][-2:]
    worded = span.checked in ("constant", "named", "pattern", "word")
    if not before or not worded or not text[span.start].isidentifier():
        return False
    last = text[before[-1].start : before[-1].end].upper()
    if last == "(" and len(before) == 2:
        last = text[before[0].start : before[0].end].upper()
        return last in ("IN", "VALUES")
    return last in _BEFORE_VALUES
