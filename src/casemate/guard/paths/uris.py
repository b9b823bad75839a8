"""Files named by a URI, as SQLite takes them: `file:/data/books.db?mode=ro`.

Its path is decoded after it was put together, so data in it is judged in its decoded form. Data
that begins the query sets how the file is opened.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from ..origin import Span
from ..verdict import Verdict
from .judgement import FIX, IsAllowed, judge

_ENDS = re.compile(r"[?#]")
_CUT_CODE = re.compile(r"%[0-9A-Fa-f]?$")
_FIX_QUOTED = "put urllib.parse.quote(name, safe='') into the URI, or open the file by its path"


def is_uri(text: str) -> bool:
    """Tell whether a text is a URI of a file (sqlite.org/uri.html)."""
    return text[:5].lower() == "file:"


def judge_uri(text: str, spans: Sequence[Span], *, allowed: IsAllowed) -> Verdict | None:
    """Return a verdict if data makes the path of a URI leave its folder, or adds a query."""
    start = len("file:")
    if text.startswith("//", start):
        start = max(text.find("/", start + 2), start)
    end = match.start() if (match := _ENDS.search(text)) else len(text)
    pieces: list[str] = []
    inside: list[Span] = []
    place, length = start, 0
    for span in spans:
        if span.checked == "member":
            continue
        part = text[span.start : span.end]
        if span.start < end < span.end and span.exact:
            return Verdict(span.origin, "begins the query of the URI of a file", _FIX_QUOTED)
        if span.start > end and re.search(r"[&#]", part):
            return Verdict(span.origin, "adds a parameter to the URI of a file", _FIX_QUOTED)
        if span.start < place or span.end > end:
            continue
        before = text[place : span.start]
        if _CUT_CODE.search(before) or (_CUT_CODE.search(part) and span.end < end):
            return Verdict(span.origin, "is part of an encoded letter of a URI", _FIX_QUOTED)
        pieces += (unquote(before), unquote(part))
        length += len(pieces[-2])
        inside.append(span._replace(start=length, end=length + len(pieces[-1])))
        length += len(pieces[-1])
        place = span.end
    path = "".join((*pieces, unquote(text[place:end])))
    if "\0" in path and inside:
        return Verdict(inside[0].origin, "has a null byte in a path", FIX)
    return judge(path, inside, allowed=allowed, follow=True)
