"""What a parser is given to read: a text, a file, or the first pieces of a document."""

from __future__ import annotations

import html
import io
import os
import re
from collections.abc import Collection, Sequence
from typing import Any

from ..core import Guard
from ..origin import Span
from ..verdict import Judge, Verdict
from . import entities
from .entities import ALL, EXPANDING, Reading

NAME = "xml"
MAX_READ = 4 << 20
"""Bytes of a file that are looked at before a parser reads it."""
_TYPE_BEGINS = "<!DOCTYPE"
_BEFORE_TYPE = (("<!--", "-->"), ("<?", "?>"))
INCLUDE = "http://www.w3.org/2001/XInclude"
STYLESHEET = "http://www.w3.org/1999/XSL/Transform"
_FIX_INCLUDE = "do not process includes or stylesheets of documents that come from outside"
_SAFE_PARSERS = re.compile(r"defusedxml(?:\.|$)")
READING = "__casemate_reading__"
"""Attribute of a parser: what it does with declarations, as its options say."""
_FED = "__casemate_fed__"
_MAX_FED = 64 * 1024
"""Characters before the first element that are kept of a document which comes in pieces."""
_NOTHING, _PROLOG, _TYPE, _ELEMENTS = "nothing", "prolog", "type", "elements"
"""How far a document that a parser is fed with has come."""
_ELEMENT = re.compile(r"<[^!?\s]")


def judging(reading: Reading, *, whole: bool = True) -> Judge:
    """Return the judgement of a document by a parser that does as told.

    It is the `whole` document, or a piece of one.
    """

    def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
        # UTF-16 and UTF-32 read as bytes have nulls between the letters.
        if "\x00" in text[:64]:
            plain = text.replace("\x00", "")
            spread = spans[0]._replace(start=0, end=len(plain))
            return entities.judge(plain, [spread], reading, whole=whole)
        if whole and not _is_typed(text):
            return None
        return entities.judge(text, spans, reading, whole=whole)

    return judge


def _is_typed(text: str) -> bool:
    """Tell whether a document has a type: comments and instructions may come before it."""
    place = 0
    while True:
        while text[place : place + 1].isspace() or text[place : place + 1] == "\ufeff":
            place += 1
        closing = next((c for o, c in _BEFORE_TYPE if text.startswith(o, place)), None)
        if closing is None:
            return text[place : place + len(_TYPE_BEGINS)].upper() == _TYPE_BEGINS
        end = text.find(closing, place)
        if end < 0:
            return False
        place = end + len(closing)


INTERNAL, ANY = judging(EXPANDING), judging(ALL)


def check_document(guard: Guard, source: Any, judge: Judge = INTERNAL) -> None:
    """Block a document (BlockedError): a text, or a file that holds one."""
    if not guard.active:
        return
    if isinstance(source, (bytearray, memoryview)):
        source = bytes(source)
    if isinstance(source, (str, bytes)) and _declares(source):
        guard.check(NAME, source, judge)


def check_piece(guard: Guard, parser: Any, data: Any, reading: Reading) -> None:
    """Block what a parser is fed if it declares what it follows, before the first element."""
    if not guard.active or not isinstance(data, (str, bytes, bytearray, memoryview)):
        return
    content: Any = data if isinstance(data, (str, bytes)) else bytes(data)
    state, before = getattr(parser, _FED, (_NOTHING, content[:0]))
    if state == _ELEMENTS or type(before) is not type(content):
        before = content[:0]
    # A declaration may come in many pieces.
    content = before + content
    text = content if isinstance(content, str) else content.decode("latin-1")
    if state != _ELEMENTS and (len(content) >= _MAX_FED or _is_typed(text.replace("\x00", ""))):
        check_document(guard, content, judging(reading, whole=False))
    if state == _TYPE or "<!" in text.replace("<!--", ""):
        after = _TYPE
    else:
        after = _ELEMENTS if _ELEMENT.search(text) else _PROLOG
    if state != _ELEMENTS:
        setattr(parser, _FED, (after, content[-_MAX_FED:] if after != _ELEMENTS else content[:0]))


def check_source(guard: Guard, source: Any, judge: Judge = INTERNAL) -> None:
    """Block what a file or path holds (BlockedError)."""
    if guard.active:
        guard.decide(NAME, lambda: _of_source(guard, source, judge))


def _of_source(guard: Guard, source: Any, judge: Judge) -> Verdict | None:
    content = source if isinstance(source, bytes) else content_of(source)
    if not content or not (_declares(content)):
        return None
    spans = guard.spans(content)
    text = content if isinstance(content, str) else content.decode(errors="surrogateescape")
    return judge(text, spans) if spans else None


def _declares(content: str | bytes) -> bool:
    if isinstance(content, bytes):
        return b"<!" in content or b"\x00" in content[:64]
    return "<!" in content


def content_of(source: Any) -> str | bytes | None:
    """Return what a file or path holds, and leave a file where it was."""
    if isinstance(source, (str, os.PathLike)) and not _is_markup(source):
        try:
            with open(source, "rb") as file:
                return file.read(MAX_READ)
        except (OSError, ValueError):
            return None  # a URL, or nothing: the parser will tell
    if isinstance(source, (io.StringIO, io.BytesIO)):
        return source.getvalue()
    try:
        if source.seekable():
            place = source.tell()
            content = source.read(MAX_READ)
            source.seek(place)
            return content if isinstance(content, (str, bytes)) else None
    except (AttributeError, OSError, ValueError):
        pass
    return None


def _is_markup(source: Any) -> bool:
    return isinstance(source, str) and source.lstrip()[:1] == "<"


def is_safe(parser: Any) -> bool:
    """Tell whether a parser that was given refuses or keeps entities by itself."""
    if parser is None:
        return False
    kinds = type(parser).__mro__
    if any(_SAFE_PARSERS.match(str(base.__module__)) for base in kinds):
        return True
    reading = getattr(parser, READING, None)
    return isinstance(reading, Reading) and reading.harmless


def check_content(guard: Guard, mark: str, words: str) -> None:
    """Block if any text of the event holds a mark: trees do not tell where they are from."""
    if guard.active:
        guard.decide(NAME, lambda: holding(guard, {mark}, words))


def holding(guard: Guard, marks: Collection[str], words: str) -> Verdict | None:
    """Return a verdict if any text of the event has one of these, however it is written in XML."""
    if guard.taint is None or not marks:
        return None
    plain = {_as_read(mark) for mark in marks}
    for text, origin in guard.taint.texts(MAX_READ):
        read = _as_read(text)
        if any(mark in read for mark in plain):
            return Verdict(origin, words, _FIX_INCLUDE)
    return None


def _as_read(text: str) -> str:
    """Return a text as a parser takes it, without white space: `&#100;ocument(\n'x')`."""
    return "".join(html.unescape(text).split())
