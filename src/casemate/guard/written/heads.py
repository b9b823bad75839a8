"""Heads of messages and what else is made of fields: data begins none."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from ..origin import Span
from ..verdict import Verdict
from .fields import judge_values
from .lines import begun, doubtful, is_whole

_INSIDE = re.compile(r"^BEGIN:V(?:CALENDAR|CARD)\b", re.MULTILINE)
"""What is made of fields within the body of a mail."""
_PART = re.compile(r"^--[^\s-]\S{0,80}\r?\n(?=[A-Za-z][\w-]{0,40}:)", re.MULTILINE)
_MAX_MIME_PARTS = 50
_MAX_PART_HEAD = 8192
"""Characters of a part of a message in which its head is looked for."""
_NAME_ALONE = re.compile(
    r"[\r\n]{0,2}[A-Za-z][\w-]{0,40}:[ \t]{0,8}|[\r\n]{1,2}[A-Za-z][\w-]{0,40}"
)
"""What of a text is a field's name in the head as well: `Subject: `, or a line that begins so."""
_BLANK_LINE = re.compile(r"\r?\n\r?\n|\r\r")
_EVENT_FIELD = re.compile(r"[\r\n](?:event|data|id|retry)[ \t]?:")
FIX_HEAD = (
    "take line ends out of what goes into a header, `' '.join(value.split())`, or build it by "
    "email.message.EmailMessage or an HTTP client, which refuse them"
)
FIX_EVENT = (
    "send the value as JSON, json.dumps(value), or each of its lines behind its own `data: `"
)


def judge_head(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in the head of a message ends its header field."""
    end = _end_of_head(text)
    verdict = judge_fields(text, spans, end=end) or judge_values(text, spans, end)
    return verdict or _judge_parts(text, spans) or judge_inside(text, spans)


def judge_inside(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a calendar or a card within a message begins another field."""
    inside = _INSIDE.search(text)
    # One that the event brings whole within a text of several lines is passed on.
    if inside is None or any(s.start < inside.end() and inside.start() < s.end for s in spans):
        return None
    moved = [s.moved(-inside.start()) for s in spans if s.start > inside.start()]
    return judge_fields(text[inside.start() :], moved) if moved else None


def _judge_parts(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge the heads of the parts of a message, which are fields as well (RFC 2046, 5.1)."""
    for found in itertools.islice(_PART.finditer(text), _MAX_MIME_PARTS):
        part = text[found.end() : found.end() + _MAX_PART_HEAD]
        moved = [
            s._replace(start=s.start - found.end(), end=min(s.end - found.end(), len(part)))
            for s in spans
            if found.end() <= s.start < found.end() + len(part)
        ]
        verdict = judge_fields(part, moved, end=_end_of_head(part)) if moved else None
        if verdict is not None:
            return verdict
    return None


def _end_of_head(text: str) -> int:
    found = _BLANK_LINE.search(text)
    return found.start() if found is not None else len(text)


def judge_fields(text: str, spans: Sequence[Span], *, end: int | None = None) -> Verdict | None:
    """Return a verdict if data begins a line of its own in lines that are fields."""
    end = len(text) if end is None else end
    if is_whole(text, spans):
        return None
    first = len(text) - len(text.lstrip())
    for span in doubtful(spans):
        # What begins with the data is a message of the event's own, which the code adds to.
        if span.start <= first or span.start >= end or _is_name_alone(text, span):
            continue
        if next(begun(text, span), None) is not None or _BLANK_LINE.search(
            text, span.start, span.end
        ):
            return Verdict(span.origin, "ends its header field and begins another", FIX_HEAD)
    return None


def _is_name_alone(text: str, span: Span) -> bool:
    """Tell of a piece whether it is the name of a field, which the head has as well."""
    if not span.is_piece:
        return False
    return _NAME_ALONE.fullmatch(text, span.start, span.end) is not None


def judge_events(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in what a server sends begins a field: of this event, or another.

    Other lines are nothing to who reads them (HTML, 9.2.6): a text of several lines passes.
    """
    if is_whole(text, spans):
        return None
    for span in doubtful(spans):
        if _EVENT_FIELD.search(text, span.start, span.end):
            return Verdict(span.origin, "begins a field of an event", FIX_EVENT)
    return None
