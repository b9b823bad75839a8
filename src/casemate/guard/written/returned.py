"""Pages and tables that a function returns within its result, for whoever called it.

Nobody knows who reads them. So those alone are looked at that the function's own code was seen
putting together: what has its own tags of HTML, or what it calls a table or a calendar.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..core import Guard
from ..pages import cleaning
from ..pages.judgement import judge as judge_page
from ..verdict import Verdict
from . import files, kinds, lines
from .judgement import MAX_TEXT, Judge
from .kinds import Kind

MAX_LOOKED_AT = 200
"""Values of a result that are looked at."""
_TAG = re.compile(
    r"<(?:!doctype|html|body|article|section|main|nav|header|footer|div|p|span|h[1-6]|a|b|i|em|strong|"
    r"ul|ol|li|dl|dt|dd|table|tr|td|th|img|figure|br|pre|code|blockquote|label|form|input|button|"
    r"select|option|textarea|title|style|script)\b",
    re.IGNORECASE,
)
_LAST_WORD = re.compile(r"[A-Za-z]{1,16}\Z")
_NAMES = frozenset(("filename", "file", "name", "key", "path", "attachment"))
"""Fields beside a text that tell what it is called."""
_TOLD = {
    **{"csv": Kind.CELLS, "tsv": Kind.TABBED, "ics": Kind.FIELDS, "ical": Kind.FIELDS},
    **{"vcf": Kind.FIELDS, "vcard": Kind.FIELDS},
}
_KINDS = frozenset((Kind.CELLS, Kind.TABBED, Kind.FIELDS))


def check_returned(guard: Guard, result: object, sink: str, shell: Judge) -> None:
    """Block a result (BlockedError) with a page or a table that the event has changed."""
    if not guard.active or not isinstance(result, (dict, list, tuple)):
        return
    for kind, text in _texts(result):
        # Asked last: to know how a text was made has all notes of the call sorted in.
        if kind is Kind.PAGE:
            guard.decide(sink, functools.partial(_page, guard, text))
        elif guard.provenance.of(text) is not None:
            files.check(guard, kind, text, [text], shell)


def _page(guard: Guard, text: str) -> Verdict | None:
    if guard.provenance.of(text) is None:
        return None
    spans = guard.spans(text)
    if not spans or lines.is_whole(text, spans):
        return None
    place, own = 0, ""
    for span in spans:
        own += text[place : span.start]
        place = max(span.end, place)
    if _TAG.search(own + text[place:]) is None:
        return None
    return judge_page(text, spans, cleaning.cleaned_of(guard))


def _texts(result: object) -> Iterator[tuple[Kind, str]]:
    """Yield what may be a page or a table, by its look, its field or the name beside it."""
    todo: list[tuple[Any, Kind | None]] = [(result, None)]
    for _ in range(MAX_LOOKED_AT):
        if not todo:
            return
        item, kind = todo.pop()
        if isinstance(item, Mapping):
            beside = _named(item)
            todo += [(value, _of_field(name) or beside) for name, value in _some(item.items())]
        elif isinstance(item, (list, tuple)):
            todo += [(value, kind) for value in item[:MAX_LOOKED_AT]]
        elif isinstance(item, str) and len(item) <= MAX_TEXT:
            if kind is not None:
                yield kind, item
            elif "<" in item and _TAG.search(item) is not None:
                yield Kind.PAGE, item


def _some(items: Any) -> Iterator[Any]:
    return (pair for _, pair in zip(range(MAX_LOOKED_AT), items, strict=False))


def _named(item: Mapping[Any, Any]) -> Kind | None:
    """Return the kind of file that a field beside others names."""
    for name, value in _some(item.items()):
        if isinstance(name, str) and name.lower() in _NAMES and isinstance(value, str):
            kind = kinds.of_name(value)
            if kind in _KINDS:
                return kind
    return None


def _of_field(name: object) -> Kind | None:
    last = _LAST_WORD.search(name) if isinstance(name, str) else None
    return _TOLD.get(last[0].lower()) if last is not None else None
