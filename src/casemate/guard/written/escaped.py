"""Quotes in data that a program has escaped, and that its own reader takes back.

How they are to be escaped, the pattern that reads them says: by two of them, by a backslash. It is
run on the text as it is, and with letters for the data. Escaped is what it finds the same parts in.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

from ..origin import Span
from ..spans import neutral
from .taken_apart import MAX_PARTS, MAX_TEXT, compiled_of

_BEHIND_BACKSLASHES = re.compile(r"(?:[^\\'\"]|\\.)*+", re.DOTALL)
Knows = Callable[[Span], bool]
"""Tells of data within quotes that the reader takes it for the inside of one text."""


def knowing(pattern: str | re.Pattern[str], text: str, spans: Sequence[Span]) -> Knows:
    """Return what tells of data whether a pattern reads it as one text, with its quotes."""
    compiled = compiled_of(pattern) if len(text) <= MAX_TEXT else None
    if compiled is None:
        return lambda span: False
    own = neutral(text, spans)
    parts = _parts(compiled, text)
    if len(parts) >= MAX_PARTS or parts != _parts(compiled, own):
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
    return [m.span() for m in itertools.islice(pattern.finditer(text), MAX_PARTS)]
