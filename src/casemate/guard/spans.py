"""What is done with the spans of one text: put in order, cut, found again in another text."""

from __future__ import annotations

from .batches import lowered
from .origin import Span

MIN_AGAIN = 2
"""Characters of a part that is looked for in what was made of its text."""


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
    """Make one of single characters that are one after the other in a list, and in the text.

    Each by itself is too little to be seen as markup, say.
    """
    joined: list[Span] = []
    last: tuple[object, ...] = ()
    for span in spans:
        place = span.origin.steps if type(span.origin.steps) is tuple else ()
        follows = (
            joined
            and span.end == span.start + 1
            and joined[-1].end == span.start
            and _is_next(last, place)
        )
        last = place
        if follows:
            before = joined[-1]
            same = before.checked if before.checked == span.checked else ""
            joined[-1] = before._replace(end=span.end, checked=same)
        else:
            joined.append(span)
    return joined


def _is_next(last: tuple[object, ...], place: tuple[object, ...]) -> bool:
    """Tell whether one place is the next one in the same list."""
    if not last or len(last) != len(place) or last[:-1] != place[:-1]:
        return False
    return type(last[-1]) is int and place[-1] == last[-1] + 1


def within(spans: list[Span], start: int, size: int) -> list[Span]:
    """Return spans as they are in a part of their text."""
    moved = [s._replace(start=max(s.start - start, 0), end=min(s.end - start, size)) for s in spans]
    return [span for span in moved if span.start < span.end]


def chance(span: Span, standing: list[tuple[int, int]]) -> str:
    """Vouch for what was found by search where a longer text of the code stands."""
    # The text of the code has to be longer: one of the same size is as likely the event's.
    covered = any(
        start <= span.start and span.end <= end and end - start > span.end - span.start
        for start, end in standing
    )
    return "constant" if covered else ""


def apart(found: list[Span], others: list[Span]) -> list[Span]:
    """Add spans that are in none of those found. A word found by chance hides no longer piece."""
    apart = [o for o in others if not any(s.start <= o.start and o.end <= s.end for s in found)]
    return merged(found + apart) if apart else found


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
