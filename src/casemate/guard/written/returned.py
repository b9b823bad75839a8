"""Pages and tables that a function returns within its result, for whoever called it.

Nobody knows who reads them. So those alone are looked at that the function's own code was seen
putting together: what has its own tags of HTML, what it calls a table or a calendar, or what has a
type of content beside it.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..core import Guard
from ..markup import feeds
from ..pages import cleaning
from ..pages.judgement import judge as judge_page
from ..pieces import as_text, texts_in
from ..spans import around
from ..verdict import Verdict
from . import by_look, files, kinds, lines, records, shaped, wire
from .judgement import LOG, MAX_TEXT, Judge
from .kinds import Kind
from .values import Values

_MAX_PIECES = 1000
MAX_LOOKED_AT = 200
"""Values of a result that are looked at."""
_TAG = re.compile(
    r"<(?:!doctype|html|body|article|section|main|nav|header|footer|div|p|span|h[1-6]|a|b|i|em|strong|"
    r"ul|ol|li|dl|dt|dd|table|tr|td|th|img|figure|br|pre|code|blockquote|label|form|input|button|"
    r"select|option|textarea|title|style|script)\b",
    re.IGNORECASE,
)
_ROOT = re.compile(r"(?:\s{0,99}<\?xml[^>]{0,200}>)?\s{0,99}<([A-Za-z_][\w.:-]{0,60})(?=[\s>])")
"""How a document of XML begins: with its root."""
_LOOKS = (
    (re.compile(r"HTTP/1\."), Kind.HEADED),
    (re.compile(r"BEGIN:VCALENDAR|BEGIN:VCARD|#EXTM3U"), Kind.FIELDS),
    (
        re.compile(
            r"\s{0,99}(?:INSERT INTO [\w.\"`]{1,99}\b|UPDATE [\w.\"`]{1,99} SET\b"
            r"|DELETE FROM [\w.\"`]{1,99} WHERE\b)"
        ),
        Kind.SQL,
    ),
    (re.compile(r"[\w.-]{1,60}:(?!=)[^\n=]{0,200}\n\t"), Kind.RECIPES),
)
"""How texts begin that are an answer as it is sent, a calendar, a card or a playlist, a statement
that changes something, a rule of make."""
_LAST_WORD = re.compile(r"[A-Za-z]{1,16}\Z")
_NAMES = frozenset(("filename", "file", "name", "key", "path", "attachment"))
"""Fields beside a text that tell what it is called."""
_TOLD = {
    **{"csv": Kind.CELLS, "tsv": Kind.TABBED, "ics": Kind.FIELDS, "ical": Kind.FIELDS},
    **{"vcf": Kind.FIELDS, "vcard": Kind.FIELDS},
}
_TOLD_BY = tuple(_TOLD)
_HOLDS = (dict, list, tuple)
_MAX_PARTS = 8
"""Of a list that is an answer: its status, headers and body."""
_STATUS = frozenset(("status", "status_code", "statusCode"))
_OF_RULES = frozenset(("from", "source", "match", "pattern"))
"""Fields beside a status and a location that make these a rule which is told of, no answer."""
_FIRST_REDIRECT, _FIRST_ERROR = 300, 400
_KINDS = frozenset((Kind.CELLS, Kind.TABBED, Kind.FIELDS))
_TYPES = frozenset(("contenttype", "mediatype", "mimetype", "mime", "type"))
"""Fields, without signs, that tell of what type what is beside them is."""
_BODIES = frozenset(
    (
        "body",
        "content",
        "data",
        "document",
        "html",
        "markup",
        "output",
        "page",
        "payload",
        "playlist",
        "text",
    )
)
"""Fields of what is of that type."""
_ABOUT = frozenset(
    [
        *("agent", "alt", "author", "caption", "comment", "description", "detail", "error"),
        *("event", "greeting", "hint", "info", "label", "level", "message", "msg", "note", "notes"),
        *("reason", "status", "subject", "summary", "title", "user", "user_agent", "warning"),
    ]
)
"""Fields beside a file's name that tell of it, or of who asked for it."""


class Found(NamedTuple):
    """A text of a result that is judged."""

    kind: Kind
    text: str
    typed: bool = False
    """Whether a type beside it says what it is."""


def check(guard: Guard, found: Sequence[Found], sink: str, shell: Judge) -> None:
    """Block a result (BlockedError) with a page or a table that the event has changed."""
    values = Values(guard)
    for kind, text, typed in found:
        # Asked last: to know how a text was made has all notes of the call sorted in.
        if kind is Kind.PAGE:
            guard.decide(sink, functools.partial(_page, guard, text, typed=typed))
        elif kind is Kind.SHAPED:
            # Of most that are short no value has a sign; lines are mostly put together of others.
            plain = "\n" not in text and not values.have_signs(text)
            if plain or not values.have(text, shaped.signs_of(text)):
                continue
            if records.begins_record(text) and "\n" in text and guard.provenance.of(text):
                guard.check(LOG, text, records.judge_kept)
            if "\r\n" in text or wire.begins_mail(text):
                wire.read_answer(guard, text)
            by_look.look_at(lambda _: shell, guard, text, answered=True)
        elif guard.provenance.of(text) is not None:
            files.check(guard, kind, text, [text], shell)


def check_markup(guard: Guard, sink: str, text: object) -> None:
    """Block markup (BlockedError) that the code puts together, and says is safe, if data has tags.

    Whoever shows it then, such as a template, escapes none of it.
    """
    if isinstance(text, str) and guard.active and "<" in text and len(text) <= MAX_TEXT:
        guard.decide(sink, functools.partial(_page, guard, text, typed=False))


def _has_tag_of_code(guard: Guard, text: str) -> bool:
    """Tell whether a text was put together of one that has a tag in it as a whole.

    What a parser gives piece by piece, and the code joins, was read and not written.
    """
    todo: list[Any] = [text]
    opened = named = False
    for _ in range(_MAX_PIECES):
        if not todo:
            return opened and named
        item = todo.pop()
        made = guard.provenance.of(item) if isinstance(item, (str, bytes)) else None
        if made is not None:
            todo += texts_in(made)
        elif isinstance(item, (str, bytes)) and _TAG.search(as_text(item)) is not None:
            return True
        elif type(item) is str:  # or of `<` and a name that the code has written
            opened = opened or item == "<"
            named = named or (_TAG.match(f"<{item}>") is not None and _is_written(guard, item))
    return True


def _is_written(guard: Guard, text: str) -> bool:
    taint = guard.taint
    return guard.constants.is_literal(text) and (taint is None or taint.exact(text) is None)


def _page(guard: Guard, text: str, *, typed: bool) -> Verdict | None:
    if guard.provenance.of(text) is None:
        return None
    spans = guard.spans(text)
    if not spans or lines.is_whole(text, spans):
        return None
    if feeds.is_feed(text):
        verdict = feeds.judge_document(text, spans)
        if verdict is not None:
            return verdict
        spans = feeds.without_sections(text, spans)
    own = "".join(around(text, spans))
    if not typed and (_TAG.search(own) is None or not _has_tag_of_code(guard, text)):
        return None
    return judge_page(text, spans, cleaning.cleaned_of(guard), guard.constants.plain_tags())


def judged_in(result: object) -> tuple[list[Found], list[str]]:
    """Return what of a result is to be judged: texts that may be pages or tables, and redirects.

    Texts are known by their look, their field, a name or a type beside them; redirects, of which
    these are the targets, by a status and a `location`. Every call pays for this: no more is done
    than to go through the values once, unless there is a text of more than letters and digits, or a
    status.
    """
    texts: list[Found] = []
    redirects: list[str] = []
    if isinstance(result, str) and len(result) <= MAX_TEXT:
        kind = _kind_of(result, None)
        # Of a text that is all of a result nobody says that it is a page.
        return ([Found(kind, result)] if kind not in (None, Kind.PAGE) else []), redirects
    todo: list[tuple[Any, Kind | None]] = [(result, None)] if isinstance(result, _HOLDS) else []
    left = MAX_LOOKED_AT
    while todo:
        item, kind = todo.pop()
        of_fields = isinstance(item, dict)
        if of_fields and not _STATUS.isdisjoint(dict.keys(item)) and _is_redirect(item):
            redirects += _locations(item)
        values: Iterable[Any] = dict.items(item) if of_fields else item
        for value in values:
            left -= 1
            if left < 0:
                return texts, redirects
            name = None
            if of_fields:
                name, value = value  # noqa: PLW2901 - a field and what it holds
            if value is None or type(value) is int:
                continue
            if isinstance(value, str):
                if not value.isalnum() and len(value) <= MAX_TEXT:
                    typed = _typed(item, name)
                    told = _told(item, name) if of_fields else kind
                    of = typed or _kind_of(value, told)
                    if of is not None:
                        texts.append(Found(of, value, typed is not None))
            elif isinstance(value, _HOLDS):
                todo.append((value, _told(item, name) if of_fields else kind))
    return texts, redirects


def linked_in(result: object) -> list[str]:
    """Return the texts of a result that have a URL in them, of so many values."""
    found: list[str] = []
    todo: list[Any] = [result]
    left = MAX_LOOKED_AT
    while todo and left > 0:
        left -= 1
        item = todo.pop()
        if isinstance(item, str) and "://" in item:
            found.append(item)
        elif isinstance(item, dict):
            todo += itertools.islice(dict.values(item), left)
        elif isinstance(item, (list, tuple)):
            todo += item[:left]
    return found


def _kind_of(text: str, told: Kind | None) -> Kind | None:
    """Return what a text may be: what it is called, or what it looks like."""
    if told is not None:
        return told
    if not shaped.has_sign(text):
        return None  # most by far
    if text.startswith("#!") and (script := kinds.of_first_line(text)) is not None:
        return script
    looks = next((kind for pattern, kind in _LOOKS if pattern.match(text) is not None), None)
    looks = looks or (_of_markup(text) if "<" in text else None)
    return looks or Kind.SHAPED


def _of_markup(text: str) -> Kind | None:
    if _TAG.search(text) is not None:
        return Kind.PAGE
    root = _ROOT.match(text)
    whole = root is not None and text.rstrip().endswith(f"</{root[1]}>")
    return Kind.XML if whole else None


def _is_redirect(answer: dict[Any, Any]) -> bool:
    """Tell whether what has a status is an answer that leads elsewhere, and no rule about one."""
    given = (dict.get(answer, name) for name in _STATUS)
    leads = any(isinstance(one, int) and _FIRST_REDIRECT <= one < _FIRST_ERROR for one in given)
    return leads and _OF_RULES.isdisjoint(dict.keys(answer))


def _locations(answer: dict[Any, Any]) -> list[str]:
    """Return the `location` of an answer, beside its status or among its headers."""
    found: list[str] = []
    for item in (answer, dict.get(answer, "headers")):
        if isinstance(item, dict):
            found += [
                value
                for name, value in itertools.islice(dict.items(item), MAX_LOOKED_AT)
                if isinstance(name, str) and isinstance(value, str) and name.lower() == "location"
            ]
    return found


def _told(item: dict[Any, Any], field: object) -> Kind | None:
    """Return the kind of a field that its name tells, or that of a file beside it."""
    return _of_field(field) or (_named(item, field.lower()) if isinstance(field, str) else None)


def _named(item: dict[Any, Any], field: str) -> Kind | None:
    """Return the kind of file that another field names, if this one has what is in the file.

    A name without a suffix (`passwd`) is that of anything else as well.
    """
    if field in _ABOUT:
        return None
    for name in itertools.islice(item, MAX_LOOKED_AT):
        if isinstance(name, str) and name.lower() in _NAMES:
            value = dict.get(item, name)
            if not isinstance(value, str):
                continue
            kind = kinds.of_name(value)
            if kind in _KINDS and (field in _BODIES or "." in value.rpartition("/")[2]):
                return kind
    return None


def _typed(item: Any, field: object) -> Kind | None:
    """Return what the body of an answer is by a type of content that is told beside it.

    By a field of its own, by headers, or in a list (`[200, {"Content-Type": "text/html"}, page]`).
    """
    if not isinstance(item, dict):
        told = (_of_headers(one) for one in item) if len(item) <= _MAX_PARTS else ()
        return next((kind for kind in told if kind is not None), None)
    if not isinstance(field, str) or field.lower() not in _BODIES:
        return None
    for name, value in itertools.islice(dict.items(item), MAX_LOOKED_AT):
        plain = name.lower() if isinstance(name, str) else ""
        if plain == "headers" and (kind := _of_headers(value)) is not None:
            return kind
        if isinstance(value, str) and plain.replace("_", "").replace("-", "") in _TYPES:
            kind = kinds.of_type(value)
            if kind is not None:
                return kind
    return None


def _of_headers(given: object) -> Kind | None:
    """Return the kind that a type of content among headers tells: a mapping, or pairs."""
    pairs: Iterable[Any] = given.items() if type(given) is dict else ()
    if type(given) in (list, tuple):
        pairs = (one for one in given if type(one) in (list, tuple) and len(one) == 2)  # type: ignore[attr-defined]
    for name, value in itertools.islice(pairs, MAX_LOOKED_AT):
        texts = isinstance(name, str) and isinstance(value, str)
        if texts and name.lower() == "content-type":
            return kinds.of_type(value)
    return None


def _of_field(name: object) -> Kind | None:
    if not isinstance(name, str) or not name.lower().endswith(_TOLD_BY):
        return None
    last = _LAST_WORD.search(name)
    return _TOLD.get(last[0].lower()) if last is not None else None
