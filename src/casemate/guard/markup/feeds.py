"""Feeds (RSS, Atom): what a section of CDATA has is text to XML, and markup to who reads the feed.

Posts have markup there on purpose. So it is no markup that is looked for, but what runs.
"""

from __future__ import annotations

import bisect
import html
import operator
import re
from collections.abc import Sequence

from ..origin import Span
from ..pages.judgement import judge as judge_page
from ..pages.places import Place, parts
from ..spans import neutral
from ..verdict import Verdict
from . import insertions

_FEED = re.compile(
    r"\s{0,99}(?:<\?xml[^>]{0,200}>\s{0,99})?<(?:rss|feed|rdf:RDF)[\s>]", re.IGNORECASE
)
_SECTION = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)
_MARKUP = re.compile(r"<[A-Za-z/!]")
_RUNS = re.compile(
    r"<script\b|<[A-Za-z][^<>]{0,500}[\s\"'/](?:on[a-z]{3,30}|srcdoc)\s{0,9}="
    r"|=\s{0,9}[\"']?[\x00-\x20]{0,9}(?:java|vb)script[\x00-\x20]{0,9}:",
    re.IGNORECASE,
)
_FIX = (
    "escape what goes into a feed as on a page, in CDATA as well: html.escape(value); or have a "
    "library take out what runs: nh3.clean(value)"
)


def is_feed(text: str) -> bool:
    """Tell whether a text begins as a feed does."""
    return _FEED.match(text) is not None


def judge_document(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge XML that others read, which may be a feed."""
    verdict = insertions.judge(text, spans)
    return verdict or (judge(text, spans) if is_feed(text) else None)


def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a feed runs in what shows it."""
    given = [s for s in spans if not s.vouched]
    for span in given:
        if _runs(text[span.start : span.end]):
            return Verdict(span.origin, "is markup in a feed that runs where it is shown", _FIX)
    sections = Sections(text, given)
    held: dict[tuple[int, int], list[Span]] = {}
    for span in given:
        place = sections.around(span)
        if place is not None:
            held.setdefault(place, []).append(span.moved(-place[0]))
    found = (_in_section(text[start:end], inside) for (start, end), inside in held.items())
    return next((verdict for verdict in found if verdict is not None), None)


def _runs(value: str) -> bool:
    if _MARKUP.search(value) is None:
        return False
    return _RUNS.search(value) is not None or _RUNS.search(html.unescape(value)) is not None


class Sections:
    """Where sections of CDATA are that the code has written."""

    def __init__(self, text: str, spans: Sequence[Span]) -> None:
        """Look for them in a text without its data."""
        self._places = [found.span(1) for found in _SECTION.finditer(neutral(text, spans))]

    def around(self, span: Span) -> tuple[int, int] | None:
        """Return where the section begins and ends that data is in; None if it is in none."""
        at = bisect.bisect_right(self._places, span.start, key=operator.itemgetter(0)) - 1
        place = self._places[at] if at >= 0 else (0, -1)
        return place if span.end <= place[1] else None


def without_sections(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the spans that are not in a section of CDATA."""
    sections = Sections(text, spans)
    return [span for span in spans if sections.around(span) is None]


def _in_section(section: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge data in tags that the code has written into a section."""
    if "<" not in section:
        return None
    tags = [p for p in parts(neutral(section, spans)) if p.place is not Place.TEXT]
    given = [s for s in spans if any(p.start <= s.start < p.end for p in tags)]
    return judge_page(section, given, ()) if given else None
