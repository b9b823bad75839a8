"""The shape of a URL: its host, and its path and the names of its query without what is a value."""

from __future__ import annotations

from collections.abc import Sequence

from ..origin import Span
from .hosts import host_of
from .structure import split

MAX_LOOKED = 4096
"""Characters of a URL that are looked at."""
_MAX_PARTS = 16
_MAX_PLAIN = 32
_VALUE = "{}"


def shape(url: str, spans: Sequence[Span]) -> str:
    """Return it. What came from outside, and what has a digit in it or is long, is a value."""
    parts = split(url)
    path = _without(url, spans, parts.path, parts.query)
    places = path.removeprefix("/").split("/")[:_MAX_PARTS] if path else ()
    segments = [_segment(each) for each in places]
    query = _without(url, spans, parts.query, parts.fragment).lstrip("?")
    names = sorted({_segment(each.partition("=")[0]) for each in query.split("&")[:_MAX_PARTS]})
    told = "/".join((host_of(url), *segments))
    return f"{told}?{'&'.join(names)}" if query else told


def _without(url: str, spans: Sequence[Span], start: int, end: int) -> str:
    """Return a part of a URL with a mark in the place of what came from outside."""
    out: list[str] = []
    at = start
    for span in spans:
        if span.end > at and span.start < end:
            out += (url[at : max(at, span.start)], _VALUE)
            at = min(span.end, end)
    return "".join((*out, url[at:end]))


def _segment(text: str) -> str:
    if _VALUE in text or len(text) > _MAX_PLAIN or any(map(str.isdigit, text)):
        return _VALUE
    return text
