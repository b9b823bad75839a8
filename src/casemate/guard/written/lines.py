"""Where lines begin in a text with data: what those that judge lines have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..origin import Span
from ..spans import around

BREAKS = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_INDENT = re.compile(r"[ \t]{0,16}(?=[^\s])")
MAX_LINE = 512
"""Characters of a line that are looked at, before and after where data begins one."""


def doubtful(spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans that the code does not vouch for."""
    return (s for s in spans if not s.vouched)


def begun(text: str, span: Span) -> Iterator[int]:
    """Yield where lines begin, with something in them, whose line end is data."""
    for found in BREAKS.finditer(text, span.start, span.end):
        following = text[found.end() : found.end() + 1]
        if following not in ("", " ", "\t", "\r", "\n") and found.end() < span.end:
            yield found.end()


def begun_behind_blanks(text: str, span: Span) -> Iterator[int]:
    """Yield the same of lines in data that have something of it in them, be it behind blanks."""
    for found in BREAKS.finditer(text, span.start, span.end):
        following = _INDENT.match(text, found.end())
        if following is not None and following.end() < span.end:
            yield found.end()


def before_in_line(text: str, span: Span, most: int = MAX_LINE) -> str:
    """Return what is before a span in its line, so many characters at most."""
    least = max(span.start - most, 0)
    return text[max(text.rfind("\n", least, span.start) + 1, least) : span.start]


def is_whole(text: str, spans: Sequence[Span]) -> bool:
    """Tell whether the code has put nothing around what came from outside: it is passed on."""
    return not any(map(str.strip, around(text, spans)))
