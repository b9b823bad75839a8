"""Command lines compared: with harmless letters in place of the data, what else is different?"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ..origin import Origin, Span
from ..spans import Cover
from .shell import Kind, Line, Mark, Word

_ADDRESS = re.compile(r"\[[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}\](?![\w*?\[/])")
_VARIABLE = re.compile(r"\$[A-Za-z_]\w{0,64}\Z")
_MAX_NAME = 66
_NOWHERE, _ANYWHERE = re.compile(r"(?!)"), re.compile("")
_LEADS_ON = {
    **{Kind.REDIRECTION: _ANYWHERE, Kind.SUBSTITUTION: _ANYWHERE, Kind.KEYWORD: _ANYWHERE},
    Kind.OPERATOR: re.compile(r"(?<!\|)\|(?!\|)|[()]"),
}
"""By which something else reads what a command shows."""
_REOPENS, _CLOSES = "'\"'\"", "\"'\"'"
"""Before and after the quotes that `shlex.quote` puts in place of one of the value."""


def unquoted(text: str, span: Span) -> Span | None:
    """Leave out of a span the quotes that `shlex.quote` has put around one of the value.

    A value that begins or ends with a quote is found by search with one of these instead.
    """
    start, end = span.start, span.end
    # A slash ends the name of a variable; letters in its place would not.
    start += (
        text[start : start + 1] == "/" and _VARIABLE.search(text[:start][-_MAX_NAME:]) is not None
    )
    if text[start : start + 1] == "'" and text[:start].endswith(_REOPENS):
        start += 1
    if end > start and text[end - 1] == "'" and text.startswith(_CLOSES, end):
        end -= 1
    if (start, end) == (span.start, span.end):
        return _without_blanks(text, span)
    if start == end:
        return None
    inside = text[start:end]
    return span._replace(start=start, end=end) if inside.strip("'") or span.exact else None


def _without_blanks(text: str, span: Span) -> Span | None:
    """Leave out blanks at the ends of a span, beside which the code has blanks, or nothing."""
    part = text[span.start : span.end]
    start, end = span.start, span.end
    if text[:start].strip(" ") == "" or text[start - 1] == " ":
        start = end - len(part.lstrip(" "))
    # A blank that was found before the quotes of a word of the code's is between two of its words.
    after = text[end : end + 1]
    if text[end:].strip(" ") == "" or after == " " or (not span.exact and after in ("'", '"')):
        end = span.start + len(part.rstrip(" "))
    return span._replace(start=start, end=end) if start < end else None


def difference(text: str, found: Line, expected: Line) -> tuple[int, str] | None:
    """Return where a command line is not as expected, and how, in words without its content."""
    marks = [m for m in found.marks if not _is_address(text, m)]
    if any(m.kind is Kind.ESCAPE for m in (*marks, *expected.marks)):
        quotes = {m for m in marks if m.kind is Kind.DOUBLE}.intersection(expected.marks)
        marks = _without_escapes(marks, quotes)
        expected = expected._replace(marks=_without_escapes(expected.marks, quotes))
    if marks == expected.marks:
        return None
    known = set(expected.marks)
    new = [m for m in marks if m not in known]
    order = (Kind.OPERATOR, Kind.SUBSTITUTION, Kind.REDIRECTION, Kind.VARIABLE, Kind.PATTERN)
    for kind in order:
        mark = next((m for m in new if m.kind is kind), None)
        if mark is not None:
            return mark.start, f"adds a {kind.value} to the command line"
    lost = next((m for m in expected.marks if m not in set(marks)), None)
    if lost is not None and lost.kind in (Kind.SINGLE, Kind.DOUBLE):
        return lost.start, f"ends the {lost.kind.value} that it stands in"
    if _are_echoed(text, found, new) and (lost is None or lost.kind is Kind.WORD):
        return None
    place = new[0].start if new else (lost.start if lost is not None else 0)
    return place, "is more than one word of the command line"


def _without_escapes(marks: Sequence[Mark], quotes: Collection[Mark]) -> list[Mark]:
    """Leave out what is escaped within double quotes that stay as they are: it is text there."""
    inside = Cover((quote.start + 1, quote.end - 1) for quote in quotes)
    commands = Cover((m.start, m.end) for m in marks if m.kind is Kind.SUBSTITUTION)
    return [
        m
        for m in marks
        if m.kind is not Kind.ESCAPE
        or not inside.holds(m.start, m.end)
        or commands.holds(m.start, m.end)
    ]


def _are_echoed(text: str, found: Line, marks: Sequence[Mark]) -> bool:
    """Tell whether marks are words that `echo` shows after a first one, and nobody reads.

    The first word is none of the marks: before it data could be an option of `echo`.
    """
    if any(_LEADS_ON.get(m.kind, _NOWHERE).search(text[m.start : m.end]) for m in found.marks):
        return False
    begun = {m.start for m in marks}
    places = {
        word.start
        for command in found.commands
        if [w.value for w in command[:1] if w.plain] == ["echo"] and _is_first(command[1:2], begun)
        for word in command[2:]
    }
    return bool(marks) and all(m.kind is Kind.WORD and m.start in places for m in marks)


def _is_first(words: Sequence[Word], begun: set[int]) -> bool:
    """Tell whether a word is there that is neither one of those begun nor an option."""
    return bool(words) and words[0].start not in begun and not words[0].value.startswith("-")


def _is_address(text: str, mark: Mark) -> bool:
    """Tell whether what looks like a pattern is an address of IPv6, in its brackets."""
    return mark.kind is Kind.PATTERN and _ADDRESS.match(text, mark.start) is not None


def nearest(spans: Sequence[Span], place: int) -> Origin:
    """Return where the span at or after a place is from."""
    return next((s for s in spans if s.end > place), spans[-1]).origin
