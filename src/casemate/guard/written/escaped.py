"""Quotes in data that a program has escaped, and that its own reader takes back.

How they are to be escaped, the pattern that reads them says: by two of them, by a backslash. It is
run on the text as it is, and with letters for the data. Escaped is what it finds the same parts in.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

from ..exponential import is_exponential
from ..origin import Span
from ..spans import neutral

MAX_TEXT = 8 * 1024
_MAX_PATTERN, _MAX_PARTS = 1000, 500
_BEHIND_BACKSLASHES = re.compile(r"(?:[^\\'\"]|\\.)*+", re.DOTALL)
Knows = Callable[[Span], bool]
"""Tells of data within quotes that the reader takes it for the inside of one text."""


def knowing(pattern: str | re.Pattern[str], text: str, spans: Sequence[Span]) -> Knows:
    """Return what tells of data whether a pattern reads it as one text, with its quotes."""
    compiled = _compiled(pattern) if len(text) <= MAX_TEXT else None
    if compiled is None:
        return lambda span: False
    own = neutral(text, spans)
    parts = _parts(compiled, text)
    if len(parts) >= _MAX_PARTS or parts != _parts(compiled, own):
        return lambda span: False

    def knows(span: Span) -> bool:
        if not _is_escaped(text[span.start : span.end], text[span.end : span.end + 1]):
            return False
        return any(start < span.start and span.end < end for start, end in parts)

    return knows


def _is_escaped(part: str, quote: str) -> bool:
    """Tell whether no quote is left in data once those are taken out that are escaped."""
    if quote not in part.replace(quote * 2, ""):
        return True
    return _BEHIND_BACKSLASHES.fullmatch(part.replace("'" if quote == '"' else '"', "")) is not None


def _parts(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [m.span() for m in itertools.islice(pattern.finditer(text), _MAX_PARTS)]


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str] | None:
    source = pattern if isinstance(pattern, str) else pattern.pattern
    if len(source) > _MAX_PATTERN or is_exponential(source):
        return None
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError, ValueError):
        return None
