"""What is done with the spans of one text: put in order, cut, found again in another text."""

from __future__ import annotations

import bisect
import html
import itertools
import shlex
from collections.abc import Callable, Iterable

from .batches import lowered
from .origin import Origin, Span

MAX_ESCAPED = 1000
"""Places at which one text may stand escaped; with more nothing is told of where it stands."""
_IN_SCRIPT = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}
_IN_SCRIPT_UPPER = {ord(sign): f"\\u{ord(sign):04X}" for sign in "<>&"}
"""As Django writes them."""
MIN_AGAIN = 2
"""Characters of a part that is looked for in what was made of its text."""


def around(text: str, spans: Iterable[Span]) -> list[str]:
    """Return what is before, between and after spans that are in order."""
    parts: list[str] = []
    place = 0
    for span in spans:
        parts.append(text[place : span.start])
        place = max(span.end, place)
    parts.append(text[place:])
    return parts


def neutral(text: str, spans: Iterable[Span], letter: str = "q") -> str:
    """Return a text with harmless letters in place of spans that are in order, as many."""
    pieces: list[str] = []
    place = 0
    for span in spans:
        begin = max(span.start, place)
        pieces += (text[place:begin], letter * (span.end - begin))
        place = max(span.end, place)
    return "".join((*pieces, text[place:]))


def merged(spans: list[Span]) -> list[Span]:
    """Return spans in order without those inside others; what overlaps becomes one."""
    spans.sort(key=lambda s: (s.start, -s.end))
    kept: list[Span] = []
    for span in spans:
        if kept and span.start < kept[-1].end:
            # Two values that overlap were both found by search: neither is vouched for as a whole,
            # and together they are exact only if each was.
            last = kept[-1]
            if span.end > last.end:
                kept[-1] = last._replace(end=span.end, exact=last.exact and span.exact, checked="")
        else:
            kept.append(span)
    return kept


def together(spans: list[Span]) -> list[Span]:
    """Make one of what stands side by side: parts of one value, or characters in a list's order.

    Each by itself is too little to be seen as a tag, say.
    """
    joined: list[Span] = []
    last: Origin | None = None
    for span in spans:
        beside = bool(joined) and joined[-1].end == span.start
        if beside and last is not None and _continues(joined[-1], last, span):
            before = joined[-1]
            joined[-1] = before._replace(end=span.end, exact=before.exact and span.exact)
        else:
            joined.append(span)
        last = span.origin
    return joined


def _continues(before: Span, last: Origin, span: Span) -> bool:
    """Tell whether a span goes on with what is before it."""
    if before.checked or span.checked or last.source != span.origin.source:
        return False
    # What was found in pieces may stand beside it by chance, as the end of the code's own tag.
    if before.is_piece != span.is_piece:
        return False
    if last.steps == span.origin.steps:
        return True
    first, second = last.steps, span.origin.steps
    if span.end != span.start + 1 or not isinstance(first, tuple) or not isinstance(second, tuple):
        return False
    if not first or len(first) != len(second) or first[:-1] != second[:-1]:
        return False
    return isinstance(first[-1], int) and second[-1] == first[-1] + 1


def within(spans: list[Span], start: int, size: int) -> list[Span]:
    """Return spans as they are in a part of their text."""
    moved = [s._replace(start=max(s.start - start, 0), end=min(s.end - start, size)) for s in spans]
    return [span for span in moved if span.start < span.end]


def cutting(spans: list[Span]) -> Callable[[int, int], list[Span]]:
    """Return `within` of many parts of one text, in each of which only some of its spans are."""
    spans = merged(list(spans))
    starts, ends = [span.start for span in spans], [span.end for span in spans]

    def cut(start: int, size: int) -> list[Span]:
        first = bisect.bisect_right(ends, start)
        return within(spans[first : bisect.bisect_left(starts, start + size)], start, size)

    return cut


class Cover:
    """Places of a text that may hold others: asked of thousands, it goes through none of them."""

    def __init__(self, places: Iterable[tuple[int, int]]) -> None:
        """Take where each begins and ends, in any order."""
        ordered = sorted(places)
        self.starts = [start for start, _ in ordered]
        self._reached = list(itertools.accumulate((end for _, end in ordered), max))
        """How far those up to each one go."""

    def holds(self, start: int, end: int) -> bool:
        """Tell whether one of them holds a part."""
        return self._reach(bisect.bisect_right(self.starts, start)) >= end

    def meets(self, start: int, end: int) -> bool:
        """Tell whether one of them has a character of a part."""
        return self._reach(bisect.bisect_left(self.starts, end)) > start

    def holds_in_more(self, span: Span) -> bool:
        """Tell whether one that is longer holds it."""
        before = self._reach(bisect.bisect_left(self.starts, span.start))
        return before >= span.end or (
            self._reach(bisect.bisect_right(self.starts, span.start)) > span.end
        )

    def _reach(self, count: int) -> int:
        return self._reached[count - 1] if count else -1


def chance(span: Span, standing: Cover) -> str:
    """Vouch for what was found by search where a longer text of the code stands."""
    # The text of the code has to be longer: one of the same size is as likely the event's.
    return "constant" if standing.holds_in_more(span) else ""


def apart(found: list[Span], others: list[Span]) -> list[Span]:
    """Add spans that are in none of those found. A word found by chance hides no longer piece."""
    cover = Cover((span.start, span.end) for span in found)
    apart = [other for other in others if not cover.holds(other.start, other.end)]
    return merged(found + apart) if apart else found


def without_pieces_of(known: list[Span], found: list[Span]) -> list[Span]:
    """Leave out pieces that a search has found around a part of which more is known."""
    ends = [span.end for span in known]
    kept = []
    for span in found:
        at = bisect.bisect_right(ends, span.start)
        around = at < len(known) and known[at].start < span.end
        if not around or not span.is_piece:
            kept.append(span)
    return kept


def escaped_again(text: str, source: str, inside: list[Span]) -> list[tuple[int, int]]:
    """Find the parts of a source where they stand escaped, each of them, in what was made of it."""
    found: list[tuple[int, int]] = []
    for span in inside:
        part = source[span.start : span.end]
        forms = (*escaped(part), shlex.quote(part), part.replace("'", "''"))
        places = next((places for form in forms if (places := _places(text, form))), [])
        if not places:
            return []
        found += places
    return sorted(set(found))


def escaped(part: str) -> tuple[str, ...]:
    """Return the forms in which a text with signs is mostly escaped for HTML and its scripts."""
    quoted = html.escape(part)
    as_numbers = quoted.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")  # markupsafe
    in_script = (
        part.replace("<", "\\u003c"),
        part.translate(_IN_SCRIPT),
        part.translate(_IN_SCRIPT_UPPER),
        part.replace("</", "<\\/"),
    )
    forms = (quoted, as_numbers, html.escape(part, quote=False), *in_script)
    return tuple(f for f in forms if f != part)


def _places(text: str, part: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    start = text.find(part)
    while start >= 0 and len(found) <= MAX_ESCAPED:
        found.append((start, start + len(part)))
        start = text.find(part, start + len(part))
    return found if len(found) <= MAX_ESCAPED else []


def found_again(text: str, source: str, inside: list[Span]) -> list[Span]:
    """Find the parts of a source in what was made of it, such as a trimmed query."""
    found = []
    searched = lowered(text)
    for span in inside:
        part = lowered(source[span.start : span.end])
        start = searched.find(part)
        while start >= 0 and len(part) >= MIN_AGAIN:
            end = start + len(part)
            found.append(span._replace(start=start, end=end, exact=False))
            start = searched.find(part, end)
    return found


def folder_before(text: str, whole: str, first: Span) -> int:
    """Return how much of a text is the folder before what is from outside, as in its source.

    A path that was resolved (`/srv/a/../b` is `/srv/b`) begins as before: with the code's folder.
    """
    folder = whole[: first.start]
    is_folder = folder[:1] == "/" and folder[-1:] == "/" and len(folder) > 1
    return len(folder) if is_folder and text.startswith(folder) and len(text) > len(folder) else 0
