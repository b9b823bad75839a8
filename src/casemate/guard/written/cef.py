"""Records in the Common Event Format (CEF) and IBM's Log Event Extended Format (LEEF).

`CEF:0|vendor|product|version|signature|name|severity|key=value key=value`: a `|` in a field before
the seventh, and a `=` in a value, have to be written with a backslash before them (Micro Focus CEF
Implementation Standard, version 26; LEEF 2.0 has five fields, and tabs between its attributes).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..origin import Span
from ..spans import neutral
from ..verdict import Verdict

MAX_BEFORE = 128
"""Characters before a record, as syslog has some."""
_BEGIN = re.compile(r"\b(?:CEF:\d|LEEF:\d\.\d)\|")
_FIELDS = {"C": 7, "L": 5}
_LINES = re.compile(r"[^\n]+")
_DIVIDING = re.compile(r"(?<!\\)(?:\\\\)*+\|")
_KEY = re.compile(r"(?:^|[ \t])([A-Za-z_]\w{0,63})=")
_KNOWN = frozenset(
    [
        *("act", "app", "cat", "cnt", "dhost", "dpt", "dst", "duser", "dvc", "fname", "msg"),
        *("outcome", "proto", "reason", "request", "rt", "sev", "shost", "spt", "src", "suser"),
        *("usrName", "srcPort", "dstPort", "identSrc", "devTime"),
    ]
)
_FIX = (
    "write `\\`, `|` and `=` of what is from outside with a backslash before them, and take line "
    "ends out of it"
)


def begins(text: str) -> bool:
    """Tell whether a text is such a record."""
    return "EF:" in text[:MAX_BEFORE] and _BEGIN.search(text, 0, MAX_BEFORE) is not None


def judge_each(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Judge records that stand one in each line that the code has begun."""
    for line in _LINES.finditer(neutral(text, spans)):
        start, end = line.span()
        inside = [s.moved(-start) for s in spans if start <= s.start and s.end <= end]
        verdict = judge(text[start:end], inside) if inside else None
        if verdict is not None:
            return verdict
    return None


def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a record adds a field or an attribute to it."""
    found = _BEGIN.search(text, 0, MAX_BEFORE)
    if found is None:
        return None
    own = neutral(text, spans)
    marks = [mark.end() - 1 for mark in _DIVIDING.finditer(own, found.start())]
    count = _FIELDS[found[0][0]]
    end = marks[count - 1] if len(marks) >= count else len(text)
    keys = _KNOWN.union(_KEY.findall(own, end + 1))
    for span in (one for one in spans if not one.vouched):
        if span.start < end and _DIVIDING.search(text, span.start, span.end):
            return Verdict(span.origin, "adds a field to a record of the log", _FIX)
        # What is all of an attribute, with its key, has the code's sign before it or none.
        first = max(span.start, end + 1)
        if first < span.end and keys.intersection(_KEY.findall(text, first, span.end)):
            return Verdict(span.origin, "adds an attribute to a record of the log", _FIX)
    return None
