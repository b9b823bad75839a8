"""The answer of an HTTP trigger. No hook: the instance asks, before it sends what was returned.

A page is judged where the answer says that it is one: everywhere else markup is text.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core import Guard, Place
from ..names import WRITES_HEAD
from ..origin import Span
from ..pages import cleaning, judgement
from ..pieces import as_text
from ..sink import Sink
from ..url import links
from ..url.hosts import Vouching
from ..url.joining import without_chance
from ..url.structure import Parts, is_below, split
from ..verdict import Verdict
from ..written import files, kinds, returned, shaped
from ..written.fields import judge_value
from ..written.lines import is_whole
from .command import judgement_of

NAME = "response"
MAX_PAGE = 512 * 1024
"""Characters of a page that is looked at; a longer one is sent as it is."""
_PAGES = ("text/html", "application/xhtml+xml", "image/svg+xml")
_LOOKS_LIKE_PAGE = re.compile(
    r"\s{0,99}<(?:!doctype html|html|head|body|article|section|main|div|h[1-6]|p|ul|ol|table|form)"
    r"[\s>]",
    re.IGNORECASE,
)
"""How an answer begins that is a page, though nothing tells its type."""
_MAX_BEGUN = 200
_FILE_NAME = re.compile(r"filename\s*=\s*\"?([^\";]{1,255})", re.IGNORECASE)
_LINE_BREAK = re.compile(r"[\r\n\x00]")
_TARGETS = frozenset(("location", "content-location", "refresh"))
_FIELDS = frozenset(
    [
        *("status", "headers", "body", "is_base64"),
        *("statusCode", "statusDescription", "multiValueHeaders", "cookies", "isBase64Encoded"),
    ]
)
"""Fields of an answer, as `runner/answers.py` reads it."""
_STATUS = frozenset(("status", "statusCode"))
_OWN_HOST = frozenset(("/headers/host", "/multivalueheaders/host/0", "/requestcontext/domainname"))
"""Where events of HTTP have the host that was asked, in lower case."""
_REFRESH = re.compile(r"\s*+\d*+\s*+[;,]\s*+(?:url\s*+=)?\s*+['\"]?", re.IGNORECASE)
_REDIRECTS = re.compile(r"HTTP/1\.\d 30\d\b|Status: 30\d\b")
_LEADS = re.compile(r"^location:[ \t]{0,9}([^\r\n]{1,4096})", re.IGNORECASE | re.MULTILINE)
_MAX_HEAD = 16 * 1024
_FIX_SPLIT = "leave line breaks out of headers: `value.splitlines()[0]`, or quote the value"
_FIX_TARGET = (
    "redirect to a path of your own (`if not target.startswith('/') or target[1:2] in '/\\\\'`), "
    "or take the host from a collection in the code"
)


def check_answer(guard: Guard, result: object, place: Place | None = None) -> None:
    """Judge headers and page of an answer as handlers return it; BlockedError.

    `place` is the handler, where records say that it was.
    """
    if guard.active and isinstance(result, dict) and not result.keys().isdisjoint(_STATUS):
        guard.answering = place
        try:
            guard.decide(NAME, lambda: _verdict(guard, result) or _page(guard, result))
            _body(guard, result)
            texts, redirects = returned.judged_in(result)
            inside = _inside(result)
            if texts and inside is not result:
                texts = returned.judged_in(inside)[0]
            if texts:
                returned.check(guard, texts, NAME, judgement_of(guard).line)
            _redirects(guard, redirects)
            _links(guard, result)
        finally:
            guard.answering = None
    else:
        check_result(guard, result, place)


def _inside(answer: dict[Any, Any]) -> object:
    """Return what is judged of an answer as of any other result: an object that it has as its body.

    All of what is no answer by its fields, but has a status: `{"status": "sent", "html": ...}`.
    """
    plain = answer.keys() <= _FIELDS
    body = answer.get("body")
    return answer if not plain else body if isinstance(body, (dict, list, tuple)) else None


def check_result(guard: Guard, result: object, place: Place | None = None) -> None:
    """Judge pages and tables in what a handler returned to another than a browser: BlockedError."""
    if not guard.active:
        return
    texts, redirects = returned.judged_in(result)
    # Most results have neither, and a judgement of commands is dear to make.
    if not texts and not redirects and not guard.constants.builds_hosts:
        return
    guard.answering = place
    try:
        if texts:
            returned.check(guard, texts, NAME, judgement_of(guard).line)
        _redirects(guard, redirects)
        _links(guard, result)
    finally:
        guard.answering = None


def _verdict(guard: Guard, result: Mapping[str, Any]) -> Verdict | None:
    for name, value in _headers(result):
        spans = guard.spans(value)
        text = as_text(value)
        verdict = None
        if name:
            lower = as_text(name).lower()
            verdict = _split(as_text(name), guard.spans(name)) or _split(text, spans)
            if verdict is None and spans and lower in _TARGETS:
                verdict = _target(guard, lower, text, spans)
            if verdict is None and spans and judge_value(lower, text, spans) is not None:
                verdict = judge_value(lower, text, without_chance(guard, text, spans))
        else:
            verdict = _split(text, spans)
        if verdict is not None:
            return verdict
    return None


def _redirects(guard: Guard, found: Sequence[str]) -> None:
    """Judge the redirects among answers that a result has in it, such as those of a test client."""
    if found:
        guard.decide(NAME, lambda: _misled(guard, found))


def _links(guard: Guard, result: object) -> None:
    """Judge the links in a result whose hosts the code may have put together."""
    if guard.constants.builds_hosts:
        for text in returned.linked_in(result):
            links.check(guard, NAME, text)


def _misled(guard: Guard, found: Sequence[str]) -> Verdict | None:
    for text in found:
        spans = guard.spans(text)
        verdict = _target(guard, "location", text, spans) if spans else None
        if verdict is not None:
            return verdict
    return None


def _page(guard: Guard, result: Mapping[str, Any]) -> Verdict | None:
    """Judge the body of an answer that is a page for browsers."""
    kinds = [as_text(v).lower() for name, v in _headers(result) if name.lower() == "content-type"]
    told = any(mark in kind for kind in kinds for mark in _PAGES)
    body = _bytes_of(result) if told or not kinds else None
    if body is None or not (told or _LOOKS_LIKE_PAGE.match(as_text(body[:_MAX_BEGUN]))):
        return None
    spans = guard.spans(body)
    text = as_text(body)
    if not told and is_whole(text, spans):
        return None
    verdict = None
    if spans:
        tags = guard.constants.plain_tags()
        verdict = judgement.judge(
            text,
            spans,
            cleaning.cleaned_of(guard),
            tags,
            lambda target, span: _target(guard, "refresh", target, [span]) is not None,
        )
    return verdict or judgement.judge_addresses(text, guard.spans)


def _bytes_of(result: Mapping[str, Any]) -> str | bytes | None:
    """Return what is sent as a body, unless it is no text or too long to be looked at."""
    body = result.get("body")
    if isinstance(body, (bytearray, memoryview)):
        body = bytes(body)
    if not isinstance(body, (str, bytes)) or len(body) > MAX_PAGE:
        return None
    if result.get("isBase64Encoded") or result.get("is_base64"):
        try:
            body = base64.b64decode(body)
        except binascii.Error:
            return None
    return body


def _body(guard: Guard, result: Mapping[str, Any]) -> None:
    """Judge a body that is a table, a script or the like, by its sink."""
    named = [(as_text(name).lower(), as_text(value)) for name, value in _headers(result)]
    kinds_of = [kinds.of_type(value) for name, value in named if name == "content-type"]
    saved = [_FILE_NAME.search(value) for name, value in named if name == "content-disposition"]
    kinds_of += [kinds.of_name(found[1]) for found in saved if found is not None]
    kind = next((one for one in kinds_of if one is not None), None)
    body = _bytes_of(result)
    if kind is None and isinstance(body, str) and shaped.may_be(body):
        shaped_body = [returned.Found(kinds.Kind.SHAPED, body)]
        returned.check(guard, shaped_body, NAME, judgement_of(guard).line)
    if kind is not None and kind is not kinds.Kind.PAGE and body:
        shell = judgement_of(guard).line
        files.check(guard, kind, as_text(body), [body], shell)


def _headers(result: Mapping[str, Any]) -> Iterator[tuple[str, str | bytes]]:
    for key in ("headers", "multiValueHeaders"):
        given = result.get(key)
        if isinstance(given, Mapping):
            for name, value in given.items():
                for one in value if isinstance(value, (list, tuple)) else (value,):
                    if isinstance(one, (str, bytes)):
                        yield str(name), one
    for cookie in result.get("cookies") or ():
        if isinstance(cookie, str):
            yield "set-cookie", cookie


def _split(text: str, spans: Sequence[Span]) -> Verdict | None:
    for span in spans:
        if _LINE_BREAK.search(text, span.start, span.end):
            return Verdict(span.origin, "ends its header and begins another", _FIX_SPLIT)
    return None


def _target(guard: Guard, header: str, text: str, spans: Sequence[Span]) -> Verdict | None:
    skipped = _REFRESH.match(text) if header == "refresh" else None
    skip = skipped.end() if skipped else 0
    target = text[skip:]
    # Browsers take off what is before, take `\\` for `/`, and drop tabs within.
    lead = len(target) - len(target.lstrip("\x00\t\x0b\x0c "))
    parts = split(target[lead:])
    vouching = Vouching(guard)
    for span in spans:
        moved = span.moved(-skip - lead)
        if _leads_away(guard, target[lead:], moved, parts, vouching):
            return Verdict(span.origin, "decides where the caller is sent", _FIX_TARGET)
    return None


def _leads_away(  # noqa: PLR0911 - one return for each rule
    guard: Guard, text: str, span: Span, parts: Parts, vouching: Vouching
) -> bool:
    # A link that the function has stored is its own to send people to.
    stored = span.origin.source != "event" and span.start <= 0 and span.end >= len(text)
    if stored or span.vouched or is_below(text, span, parts):
        return False
    scheme_end = parts.scheme[1] + 1 if parts.scheme[1] else 0
    if not parts.has_authority():
        return span.start < scheme_end or (span.start <= 1 and _hides_host(text))
    if span.start >= parts.authority[1] or span.end <= 0:
        return False
    if text[slice(*parts.scheme)].lower() not in ("", "http", "https"):
        return True
    part = text[max(span.start, parts.authority[0]) : parts.authority[1]]
    if "@" in part or "\\" in text[: parts.authority[1] + 1]:
        return True
    if span.end <= parts.scheme[1]:
        return False  # which of the two it is, as a proxy says in X-Forwarded-Proto
    return not (
        vouching(text, parts, span, visited=True) or _is_same_site(guard, text, span, parts)
    )


def _is_same_site(guard: Guard, text: str, span: Span, parts: Parts) -> bool:
    """Tell whether an address of the event is at the host that the request came to.

    A link that somebody is given cannot choose both: browsers send the host that they asked. What
    is made of that header by itself is no proof of it.
    """
    authority = text[slice(*parts.authority)].lower()
    if guard.taint is None or "@" in authority or span.origin.pointer.lower() in _OWN_HOST:
        return False
    found = guard.taint.exact(authority) if authority else None
    return found is not None and found.source == "event" and found.pointer.lower() in _OWN_HOST


def _hides_host(text: str) -> bool:
    """Tell whether a path becomes a host once a browser has dropped tabs and line breaks."""
    plain = re.sub(r"[\t\r\n]", "", text)
    return plain != text and re.match(r"[/\\]{2}", plain) is not None


def _on_marked(
    guard: Guard, function: Any, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Judge what the code says is markup that is safe."""
    if arguments:
        returned.check_markup(guard, NAME, arguments[0])


def _on_head(guard: Guard, text: object, *_: Any) -> None:
    """Judge where the head of an answer leads that the code has put together."""
    if not isinstance(text, str) or not guard.active or len(text) > _MAX_HEAD:
        return
    if _REDIRECTS.match(text) is not None:
        guard.check(NAME, text, lambda whole, spans: _led_away(guard, whole, spans))


def _led_away(guard: Guard, text: str, spans: Sequence[Span]) -> Verdict | None:
    for found in _LEADS.finditer(text):
        start, end = found.span(1)
        inside = [s.moved(-start) for s in spans if start <= s.start and s.end <= end]
        verdict = _target(guard, "location", found[1], inside) if inside else None
        if verdict is not None:
            return verdict
    return None


SINK = Sink(
    name=NAME,
    summary="Answers: no line breaks in headers, no host of a redirect that the event chose, no "
    "markup of the event on a page.",
    calls={**dict.fromkeys(("Markup", "mark_safe"), _on_marked), WRITES_HEAD: _on_head},
    patches=cleaning.patches(),
)
