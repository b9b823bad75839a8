"""Values of header fields that have parts: parameters, and addresses with names before them."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence

from ..origin import Span
from ..verdict import Verdict

_BEGUN = re.compile(r"[\w*-]{0,40}=\"")
PARAMETERS = {
    "content-disposition": ";",
    "content-security-policy": ";,",
    "content-type": ";",
    "link": ";,<>",
    "permissions-policy": ",",
    "strict-transport-security": ";",
}
"""Headers that consist of parts, and the signs between these (RFC 9110, 5.6)."""
ADDRESSES = frozenset(("bcc", "cc", "from", "reply-to", "resent-to", "sender", "to"))
"""Fields of addresses, each with a name before it."""
_FIELD = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60}):[ \t]?")
_AFTER_NAME = re.compile(r"[<>,;]")
_FIX_PARAMETER = (
    "quote the value: urllib.parse.quote(value, safe='') after `filename*=UTF-8''`, or choose it "
    "from a collection in the code"
)
_FIX_COOKIE = "make cookies by http.cookies.SimpleCookie, or quote the value: urllib.parse.quote"
_FIX_ADDRESS = (
    "put a name and an address together by email.utils.formataddr((name, address)), or have "
    "email.headerregistry.Address do so"
)


def judge_values(text: str, spans: Sequence[Span], end: int) -> Verdict | None:
    """Return a verdict if data in the value of a field of a head is more than one part of it."""
    at = 0
    while at < len(spans) and spans[at].start < end:
        start = text.rfind("\n", 0, spans[at].start) + 1
        until = text.find("\n", spans[at].start)
        until = len(text) if until < 0 else until
        field = _FIELD.match(text, start, until)
        place = field.end() if field is not None else until
        first = at
        at += 1
        while at < len(spans) and spans[at].start <= until:
            at += 1
        inside = [
            s._replace(start=s.start - place, end=min(s.end, until) - place)
            for s in spans[first:at]
            if place <= s.start < until
        ]
        if field is not None and inside and spans[first].start >= place:
            value = text[place:until].rstrip("\r")
            name = field[1].lower()
            # Of a head only quotes that are ended count: what is in none may be any text.
            given = inside if name in ADDRESSES else [s for s in inside if '"' in _part(value, s)]
            verdict = judge_value(name, value, given) if given else None
            if verdict is not None:
                return verdict
    return None


def _part(text: str, span: Span) -> str:
    return text[span.start : span.end]


def judge_value(name: str, value: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than one part of the value of a field of this name."""
    if name in PARAMETERS:
        return judge_parameter(value, spans, PARAMETERS[name])
    if name in ADDRESSES:
        return judge_addresses(value, spans)
    return judge_cookie(value, spans) if name == "set-cookie" else None


def judge_addresses(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data ends the quotes around a name, or the brackets around an address.

    What has quotes by itself, and nothing after them that begins another address, is a name still.
    """
    opened = ""
    place = 0
    for span in spans:
        opened = _opened(text[place : span.start], opened)
        place = max(span.end, place)
        part = text[span.start : span.end]
        if span.vouched or span.is_piece:
            continue
        if opened == '"':
            ended = _end_of_quotes(part)
            if ended >= 0 and _AFTER_NAME.search(part, ended) is not None:
                return Verdict(span.origin, "ends the quotes of a name in a field", _FIX_ADDRESS)
        elif opened == "<" and _AFTER_NAME.search(part) is not None:
            return Verdict(span.origin, "is more than one address of a field", _FIX_ADDRESS)
    return None


def _opened(text: str, opened: str) -> str:
    """Return what is open after a part of a value: quotes, a bracket, or nothing."""
    escaped = False
    for sign in text:
        if escaped:
            escaped = False
        elif opened == '"':
            escaped = sign == "\\"
            opened = "" if sign == '"' else opened
        elif sign in ('"', "<"):
            opened = sign
        elif sign == ">":
            opened = ""
    return opened


def _end_of_quotes(part: str) -> int:
    """Return where quotes end in data that has not escaped them; -1 if it does not end them."""
    escaped = False
    for place, sign in enumerate(part):
        if escaped:
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign == '"':
            return place
    return -1


def judge_cookie(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data adds attributes to a cookie."""
    for span in spans:
        # One at its end adds nothing: what follows is the code's.
        if ";" in text[span.start : span.end].rstrip("; "):
            return Verdict(span.origin, "adds attributes to the cookie by `;`", _FIX_COOKIE)
    return None


def judge_parameter(text: str, spans: Sequence[Span], signs: str) -> Verdict | None:
    """Return a verdict if data that is one part of a header ends it, or its quotes."""
    structure: list[int] = []
    quoted, escaped = False, False
    for place, sign in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and sign == "\\":
            escaped = True
        elif sign == '"':
            quoted = not quoted
            structure.append(place)
        elif not quoted and sign in signs:
            structure.append(place)
    for span in spans:
        # All of a header, such as the type of a stored object, is for the event to choose.
        whole = span.start <= 0 and span.end >= len(text)
        if whole or span.vouched:
            continue
        if span.is_piece:
            # The `=` of a form is found again before the quotes of a header's part.
            begun = _BEGUN.match(text, span.start, span.end)
            span = span._replace(start=begun.end()) if begun is not None else span  # noqa: PLW2901
        at = bisect.bisect_left(structure, span.start)
        if at < len(structure) and structure[at] < span.end:
            return Verdict(span.origin, "is more than one part of its header", _FIX_PARAMETER)
    return None
