"""Texts that the code puts together and takes apart by a pattern of its own.

The pattern says what a part is. It is run on the text as it is, and with a letter in the place of
each sign of the data: a part that begins within data in the first alone, and that has the
signs which the code has written in one of its own, is one that data has added.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from ..exponential import is_exponential
from ..origin import Span
from ..verdict import Judge, Verdict
from .lines import MAX_LINE, before_in_line, doubtful, is_whole

NAME = "deserialisation"
MAX_TEXT = 8 * 1024
_MAX_PATTERN = 1000
MAX_PARTS = 500
_MIN_SIGNS = 2
_MAX_RUN = 256
"""Characters at either end of data in which a part that the code has written begins or ends."""
_SIGN = re.compile(r"[^\w\s]")
_BETWEEN = re.compile(r"\w\s?[^\w\s]+\s?[\w'\"]|\w\s?[|;^~]")
"""A sign between two words, or behind one: those before one are of hashtags and mentions."""
_LINKS = re.compile(r"://|http|www|[\w\])+*}]@|^[(]?@|\b@")
"""What a pattern has that looks for links and for people in what others write."""
_FIX = (
    "refuse values with the signs that stand around the parts of the text, or escape them as the "
    "pattern that reads it takes them back"
)


def judging(pattern: str | re.Pattern[str], flags: int = 0) -> Judge | None:
    """Return what judges a text that a pattern takes apart; None if it does not tell of parts."""
    links = _LINKS.search(source_of(pattern), 0, _MAX_PATTERN)
    compiled = compiled_of(pattern, flags) if links is None else None
    if compiled is None:
        return None
    return lambda text, spans: judge(compiled, text, spans)


def source_of(pattern: str | re.Pattern[str]) -> str:
    """Return what a pattern was written as."""
    return pattern if isinstance(pattern, str) else pattern.pattern


def compiled_of(pattern: str | re.Pattern[str], flags: int = 0) -> re.Pattern[str] | None:
    """Return a pattern of the code's own that can be run to judge by it; None if that may be long,
    or it is none."""
    source = source_of(pattern)
    if len(source) > _MAX_PATTERN or is_exponential(source):
        return None
    if not isinstance(pattern, str):
        return pattern
    try:
        return re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError, ValueError):
        return None


def judge(pattern: re.Pattern[str], text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data has added a part such as the code has written itself."""
    seen = [span for span in spans if not span.is_piece]
    given = [s for s in doubtful(seen) if _SIGN.search(text, s.start, s.end)]
    if not given or is_whole(text, seen) or len(text) > MAX_TEXT:
        return None
    flat, cuts = _flattened(text, seen)
    own = [_bounds(m, cuts) for m in itertools.islice(pattern.finditer(flat), MAX_PARTS)]
    starts = {start for start, _ in own}
    written = {_signs(text, start, end, seen) for start, end in own} - {""}
    if not written:
        return None
    for found in itertools.islice(pattern.finditer(text), MAX_PARTS):
        start, part = found.start(), found[0]
        if start in starts:
            continue
        least = 1 if _BETWEEN.search(part) is not None else _MIN_SIGNS
        inside = next((s for s in given if s.start < start < s.end), None)
        if inside is not None and text[start - 1] in "\r\n" and _is_block(text, inside):
            continue  # lines that are all of the event's are its own to write
        if inside is not None and any(
            len(signs) >= least and _has_all(part, signs) for signs in written
        ):
            words = "is more than one part of a text that the code takes apart by a pattern"
            return Verdict(inside.origin, words, _FIX)
    return None


def _is_block(text: str, span: Span) -> bool:
    """Tell whether the code has written nothing into the lines of data."""
    after = text[span.end : span.end + MAX_LINE].partition("\n")[0]
    return not before_in_line(text, span).strip() and not after.strip()


def _signs(text: str, start: int, end: int, seen: Sequence[Span]) -> str:
    """Return the signs that the code has written in a part."""
    inside = [span for span in seen if span.start < end and start < span.end]
    return "".join(
        text[at]
        for at in range(start, end)
        if _SIGN.match(text[at]) and not any(s.start <= at < s.end for s in inside)
    )


def _has_all(part: str, signs: str) -> bool:
    """Tell whether a part has signs in their order."""
    at = 0
    for sign in signs:
        at = part.find(sign, at) + 1
        if not at:
            return False
    return True


def _bounds(found: re.Match[str], cuts: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return where a part is in the text, by what was left out of the one it was found in."""
    start, end = found.span()
    return (
        start + sum(size for at, size in cuts if at <= start),
        end + sum(size for at, size in cuts if at < end),
    )


def _flattened(text: str, spans: Sequence[Span]) -> tuple[str, list[tuple[int, int]]]:
    """Return a text with letters for all signs and blanks of the data, and what is left out of it.

    Of long data that is what is neither near its beginning nor near its end: many patterns look
    through all of a run of letters from each of them on.
    """
    pieces: list[str] = []
    cuts: list[tuple[int, int]] = []
    place = size = 0
    for span in spans:
        begin = max(span.start, place)
        data = "".join(c if c.isalnum() else "q" for c in text[begin : span.end])
        size += begin - place
        if len(data) > 2 * _MAX_RUN:
            cuts.append((size + _MAX_RUN, len(data) - 2 * _MAX_RUN))
            data = data[:_MAX_RUN] + data[-_MAX_RUN:]
        pieces += (text[place:begin], data)
        size += len(data)
        place = max(span.end, place)
    return "".join((*pieces, text[place:])), cuts
