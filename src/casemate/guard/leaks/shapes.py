"""What is told by its looks alone: traces with frames of the sandbox, debug pages of frameworks.

A trace of other files passes: documentation and logs of other programs are full of them.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_plus

from .kinds import PAGE, TRACE

INSIDE = b"/function/"
"""What paths of the function's bundle begin with."""
_ESCAPED = b"\\/function\\/"
_PERCENT_SIGN, _SLASH = b"%/"
_PERCENT = (b"%2Ffunction%2F", b"%2ffunction%2f")
"""As in an address of a redirect, or in a cookie."""
MAX_PLACES = 4_096
"""Mentions of such a path that are looked at; an answer with more of them is taken for a trace."""
_AFTER = 400
_PLACE = re.compile(
    r"/function/(?:code|deps)/[^\s\"'<>&,:(#]{1,300}+"
    r"[\\\"']{0,8}+(?:,?\s{1,40}+(?:on )?line |:(?:line )?|\(|#L?"
    r"|,\s{0,8}+[\\\"']{1,8}+line(?:no|_number)?[\\\"']{1,8}+:\s{0,8}+)[0-9]{1,7}+(?![0-9.])"
)
"""As Python, Node, Go and Ruby name it, PHP (`on line 3`, `(3)`), .NET (`:line 3`), JSON and links
(`#L3`)."""
TAG = re.compile(r"<[^<>]{0,200}+>")
_PAGES: tuple[tuple[bytes, ...], ...] = (
    (b'href="?__debugger__=yes', b"EVALEX"),
    (b"<code>DEBUG = True</code>", b'id="traceback'),
    (b"<title>Starlette Debugger</title>", b"frame-"),
    (b"<h2>Traceback:</h2>\n<pre>", b"Internal Server Error</h1>"),
)
"""Werkzeug (Flask), Django, Starlette (FastAPI), aiohttp: markup that a page about them escapes."""
_ALL = b"Traceback"
"""A word that all four have."""
_NO_ROUTE = (b'id="summary"', b"<code>DEBUG = True</code>", b"URLconf")
"""Django's page that lists all routes, where none was found."""
_BEGIN, _PAGE = b"<!DOCTYPE html>", 64 * 1024


class Shape(NamedTuple):
    """What was recognised."""

    kind: str
    text: str


def suspicious(data: bytes) -> bool:
    """Tell whether there is anything to look at: the one thing that every answer pays for."""
    # A single byte is found many times as fast as several, and as a number it is not first taken
    # for one, which costs an exception.
    if _PERCENT_SIGN in data and any(mark in data for mark in _PERCENT):
        return True
    if _SLASH not in data:
        return False
    return INSIDE in data or (b"\\" in data and _ESCAPED in data)


def may_have_place(text: str) -> bool:
    """Tell whether the bytes of a text are suspicious."""
    found = any(mark.decode() in text for mark in (INSIDE, _ESCAPED))
    return found or ("%" in text and any(mark.decode() in text for mark in _PERCENT))


def trace_in(data: bytes) -> Shape | None:
    """Return a place in code of the sandbox, as traces and debug pages name it; linear."""
    for seen, window in enumerate(windows(data)):
        if seen == MAX_PLACES:
            return Shape(TRACE, f"more than {MAX_PLACES} paths of the sandbox")
        found = _PLACE.match(_without_markup(window))
        if found:
            return Shape(TRACE, found.group())
    return None


def windows(data: bytes) -> Iterator[str]:
    """Yield what begins at each path of the sandbox, as it reads without escapes of addresses."""
    for mark in (INSIDE, _ESCAPED, *(_PERCENT if b"%" in data else ())):
        at = data.find(mark)
        while at >= 0:
            text = data[at : at + _AFTER].decode("utf-8", "replace").replace("\\/", "/")
            yield unquote_plus(text, errors="replace") if "%" in text else text
            at = data.find(mark, at + len(mark))


def _without_markup(text: str) -> str:
    if "<" in text:
        text = TAG.sub("", text)
    return html.unescape(text) if "&" in text else text


def page_in(data: bytes) -> Shape | None:
    """Return the debug page of a framework that an answer is."""
    for marks in _PAGES if _ALL in data else ():
        if all(mark in data for mark in marks):
            return Shape(PAGE, marks[0].decode())
    begin = data[:_PAGE] if data.startswith(_BEGIN) else b""
    if all(mark in begin for mark in _NO_ROUTE):
        return Shape(PAGE, _NO_ROUTE[1].decode())
    return None
