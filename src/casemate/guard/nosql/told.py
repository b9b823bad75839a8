"""Queries and commands that an object of the function's own is asked by, whatever it is called.

What language it is nobody says. What the code has written around a value does: quotes behind a
comparison, names of fields before words, or a word in capitals that begins the line.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

from ..core import Guard
from ..in_memory import check_own
from ..origin import Span
from ..pieces import as_text
from ..spans import neutral
from ..standing import is_own
from ..verdict import Verdict
from ..written import commands, wire
from ..written.alike import KINDS
from ..written.lines import BREAKS, before_in_line, doubtful, is_whole
from .languages import judge_graphql

NAME = "nosql"
_TEXTS = frozenset((str, bytes))
_MAX_TEXT = 16 * 1024
_MAX_GIVEN, _MAX_HELD, _MAX_LINES = 3, 8, 200
"""Of a call that are looked at, and what is in a dictionary that is given."""
_COMPARED = re.compile(
    r"(?:[=~:(,<>]|\b(?i:eq|ne|co|sw|like|contains|is)\b|\b[A-Z]{2,12} |\w:\w{1,40} )"
    r"\s{0,4}['\"]\Z"
)
_JOINED = re.compile(
    r"\b(?:and|or|where|match|filter|select|pr|return)\b|&&|\|\||['\"]\s{0,4}[,)}\]]", re.IGNORECASE
)
"""What there is in a query beside one comparison."""
_GOES_ON = re.compile(r"[)}\]|&=<>,#;~.]|//|--|\b(?:and|or|not|union|pr|ne|eq)\b", re.IGNORECASE)
_FIELDS = re.compile(r"\w{2,40}([:=])\w[\w.-]{0,60}[ ,](?:[^\n]{0,200}[ ,])?\w{2,40}\1\Z")
_MORE = re.compile(r"(?:\b(?:OR|AND|NOT)\b|,).{0,80}\w[:=!<>]")
_NUMBER = re.compile(r"\w\s{0,4}(?:[<>!]=|<>|=|<|>)\s{0,4}\Z")
"""A comparison with what has no quotes."""
_ONE_MORE = re.compile(
    r"\s{0,9}\S{1,64}\s{1,9}(?:and|or)\s{1,9}(?:not\s{1,9})?[\w.]{1,64}\s{0,9}(?:[<>=]|!=)",
    re.IGNORECASE,
)
_CRITERION = re.compile(r"(?:\A|\s)[A-Z]{2,12} ['\"]\Z")
_NEXT_CRITERION = re.compile(r"\s{1,4}[A-Z]{2,12}\b")
"""A word in capitals before a value in quotes, and another, as in searches of mails."""
_CAPITALS = re.compile(
    r"(?!(?:DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|AUDIT)\b)[A-Z]{2,12}\b"
)
"""A command; a level begins a record of a log."""
_ESCAPED = re.compile(r"\\.|''|\"\"", re.DOTALL)
_DOCUMENT = re.compile(
    r"\s{0,9}(?:(?:query|mutation|subscription)\b[^{}]{0,200})?"
    r"\{\s{0,99}\w{1,40}\s{0,3}[({:]"
)
_FIX = (
    "give values to the client by themselves, as parameters; or escape the quotes in a value and "
    "refuse line ends, before it is put into the text"
)


def on_told(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Block a text (BlockedError) that data has changed, for an object of the code's own."""
    for given in _given(arguments, named):
        if type(given) not in _TEXTS or not 2 < len(given) <= _MAX_TEXT or guard.is_own(given):
            continue
        text = as_text(given)
        quoted = "'" in text or '"' in text
        looks = quoted or ":" in text or "=" in text
        if not (looks or text.isprintable()):  # no sign that ends a line is
            looks = BREAKS.search(text.strip()) is not None
        if looks and is_own(guard, function):
            check_own(guard, NAME, given, judge_graphql if _DOCUMENT.match(text) else judge)
        # One line has its end as well, and may have a key more than the code has put into it.
        if text[-1:] in "\r\n" and is_own(guard, function):
            _check_lines(guard, given, text)


def _check_lines(guard: Guard, given: str | bytes, text: str) -> None:
    """Block lines of a protocol (BlockedError) that the code gives to an object of its own."""
    if commands.may_be(text):
        check_own(guard, commands.NAME, given, commands.judging(guard))
    elif any(kind.match(line) for line in text.split("\n", _MAX_LINES) for kind in KINDS):
        check_own(guard, wire.NAME, given, wire.judge_lines)


def _given(arguments: Sequence[Any], named: dict[str, Any]) -> list[Any]:
    """Return what an object is given by which it may be asked: also in a dictionary."""
    given = [*arguments[:_MAX_GIVEN], *itertools.islice(named.values(), _MAX_GIVEN)]
    held = [one for one in given if type(one) is dict and len(one) <= _MAX_HELD]
    return [*given, *(value for one in held for value in one.values())]


def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data ends its quotes in a query, adds a field, or begins a command."""
    seen = [span for span in spans if not span.is_piece]
    if not seen or is_whole(text, seen):
        return None
    own = neutral(text, seen)
    for span in doubtful(seen):
        part = text[span.start : span.end]
        if _ends_quotes(own, part, span):
            return Verdict(span.origin, "ends its quotes in a query of the code's", _FIX)
        if _adds_condition(own, part, span):
            return Verdict(span.origin, "adds a condition to a query of the code's", _FIX)
        line = before_in_line(own, span)
        if _CAPITALS.match(line) is not None and _begins_command(part):
            return Verdict(span.origin, "begins another command", _FIX)
    return None


def _ends_quotes(own: str, part: str, span: Span) -> bool:
    quote = own[span.start - 1 : span.start]
    if quote not in ("'", '"') or quote not in part or own[span.end : span.end + 1] != quote:
        return False
    if _COMPARED.search(own, max(span.start - 32, 0), span.start) is None:
        return False
    ends = _unescaped(part, quote)
    if ends >= 0 and _CRITERION.search(own, max(span.start - 32, 0), span.start) is not None:
        return _NEXT_CRITERION.match(part, ends + 1) is not None
    if _JOINED.search(f"{own[: span.start]}q{own[span.end :]}") is None:
        return False
    while ends >= 0:
        # Within a word it is an apostrophe.
        within = part[:ends][-1:].isalpha() and part[ends + 1 : ends + 2].isalpha()
        found = _GOES_ON.search(part, ends + 1)
        if found is not None and not (within and found.start() > ends + 1):
            return True
        ends = _unescaped(part, quote, ends + 1)
    return False


def _adds_condition(own: str, part: str, span: Span) -> bool:
    before = max(span.start - 300, 0), span.start
    fields = part[:1] not in ("'", '"') and _MORE.search(part) is not None
    if fields and _FIELDS.search(own, *before) is not None:
        return True
    return _ONE_MORE.match(part) is not None and _NUMBER.search(own, *before) is not None


def _unescaped(part: str, quote: str, start: int = 0) -> int:
    """Return where a quote is that is neither doubled nor behind a backslash, or -1."""
    return _ESCAPED.sub("qq", part).find(quote, start)


def _begins_command(part: str) -> bool:
    ends = itertools.islice(BREAKS.finditer(part), _MAX_LINES)
    return any(_CAPITALS.match(part, ended.end()) is not None for ended in ends)
