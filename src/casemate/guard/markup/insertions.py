"""XML that the function's code put together: data that ends what the code put it into.

A whole element in a text passes: to put a fragment into a frame is what honest code does. What ends
an element, an attribute, a comment or a CDATA section of the code does not.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..core import Guard
from ..in_memory import found, held_by, writes_in_memory
from ..origin import Span
from ..pieces import as_text
from ..spans import neutral
from ..standing import is_direct, is_put_together
from ..verdict import Verdict
from .documents import content_of

NAME = "xml"
MAX_DOCUMENT = 256 * 1024
"""Characters of a document that is looked at; a longer one is parsed as it is."""
_ENDS = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>", "<!": ">"}
_OPENS = re.compile(r"<!--|<!\[CDATA\[|<\?|<!|<")
_TAG = re.compile(r"<(?P<close>/?)[^\s<>/\"'=]*+(?:[^\"'<>]++|\"[^\"]*+\"|'[^']*+')*+>")
_QUOTED = re.compile(r"\"[^\"]*+\"?|'[^']*+'?")
_CLOSING = re.compile(r"\s{0,9}+</[^\s<>/\"'=]++\s{0,9}+>\s{0,9}+")
_NO_NAME = re.compile(r"[\s<>/\"'=]")
_STYLESHEET = "http://www.w3.org/1999/XSL/Transform"
_ATTRIBUTE = re.compile(r"(?<![A-Za-z_-])([A-Za-z_-]++)\s{0,9}+=\s{0,9}+\Z")
_OPENED = re.compile(r"<([^\s<>/!?]{1,64})(?:\s[^<>]{0,900})?(?<!/)>\s{0,9}+\Z")
_CLOSED = re.compile(r"\s{0,9}+</([^\s<>/]{1,64})")
_LONGEST_TAG = 1000
_NAMED = re.compile(r"<([^\s<>/!?]{1,64})")
_WRITTEN = re.compile(r"</?([^\s<>/!?]{1,64})")
_OF_PAGES = frozenset(
    [
        *("a", "b", "blockquote", "body", "br", "code", "div", "em", "figure", "h1", "h2", "h3"),
        *("h4", "h5", "h6", "hr", "html", "i", "img", "li", "main", "ol", "p", "pre", "q", "s"),
        *("section", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "tr"),
        *("u", "ul"),
    ]
)
"""What people write into texts of a page."""
_LONGEST = 64
_LONGEST_PATH = 1024
"""Characters of a path before data that are looked at."""
_PATHS = frozenset(("select", "match", "test", "use", "count", "from", "value", "group-by"))
"""Attributes of a stylesheet's elements that are XPath; others have it in braces."""
_STEP = re.compile(r"\s*+@?+[^\W\d][\w.-]*+\s*+|\s*+[0-9]++(?:\.[0-9]++)?+\s*+")
_READERS = ("defusedxml", "html", "lxml", "xml", "xmltodict")
"""Packages through which the code hands a document to a parser."""
_FIX = (
    "escape what goes into XML: xml.sax.saxutils.escape, quoteattr for attributes; or build the "
    "document as a tree: ElementTree.SubElement(parent, 'name').text = value"
)


class _Region(NamedTuple):
    """Characters of a document, `start` up to `end`, that data in them must not leave."""

    start: int
    end: int
    ending: str
    """What would end it; empty in a tag outside of its quotes."""


def check_insertions(guard: Guard, source: Any) -> None:
    """Block a document (BlockedError) of the code in which data is more than it was meant to be.

    Only what the code was seen putting together is looked at, and what it may have in memory.
    """
    if not guard.active or not isinstance(source, (str, bytes)) or len(source) > MAX_DOCUMENT:
        return
    if is_put_together(guard, source):
        guard.check(NAME, source, lambda t, spans: judge(t, spans) or _nested(guard, t, spans))
    elif writes_in_memory(guard) and is_direct(guard, *_READERS):
        guard.check(NAME, source, found(guard, _judge_found))


def check_file(guard: Guard, source: Any) -> None:
    """As `check_insertions`, of a file: in memory, or one that can be read from its beginning."""
    if not guard.active or isinstance(source, (str, bytes)) or not writes_in_memory(guard):
        return
    content = content_of(source)
    if content and len(content) <= MAX_DOCUMENT and is_direct(guard, *_READERS):
        guard.check(NAME, content, found(guard, _judge_found))


def check_pieces(guard: Guard, pieces: Sequence[object]) -> None:
    """As `check_insertions`, of a document in pieces."""
    given = [piece for piece in pieces if isinstance(piece, (str, bytes))]
    size = sum(map(len, given))
    if not guard.active or not given or size > MAX_DOCUMENT or not is_direct(guard, *_READERS):
        return

    def question() -> Verdict | None:
        spans: list[Span] = []
        place = 0
        for piece in given:
            spans += [span.moved(place) for span in guard.spans(piece)]
            place += len(as_text(piece))
        if place == sum(span.end - span.start for span in spans):
            return None  # it is passed on
        return judge("".join(map(as_text, given)), spans) if spans else None

    guard.decide(NAME, question)


def on_reading(guard: Guard, function: Any, *_: Any) -> None:
    """Judge a document that the code has written into memory, whatever it reads it by."""
    held = held_by(getattr(function, "__self__", None))
    if held is None or len(held) > MAX_DOCUMENT:
        return
    if as_text(held[:_LONGEST]).lstrip()[:1] == "<":
        guard.check(NAME, held, found(guard, _judge_found))


def _judge_found(text: str, spans: Sequence[Span]) -> Verdict | None:
    # A lone end of an element is in every document that has the element.
    given = [s for s in spans if _CLOSING.fullmatch(text, s.start, s.end) is None]
    return judge(text, given) if given else None


def judge(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data ends an element, attribute, comment or section of the code.

    Pieces count as put there by a library that escapes: where such a part ends is not known well
    enough. So does a lone end of an element that was only found, as each element has one.
    """
    seen = [s for s in spans if s.exact or not _is_by_chance(text, s)]
    given = [s for s in _together(seen) if not s.vouched]
    if not given or (len(given) == 1 and given[0].start <= 0 and given[0].end >= len(text)):
        return None
    regions = _regions(neutral(text, given, "x"))
    program = _STYLESHEET in text
    depth = 0
    for span in given:
        value = text[span.start : span.end]
        place = bisect.bisect_right(regions, span.start, key=_end)
        region = regions[place] if place < len(regions) else None
        if region is None or region.start >= span.end:
            depth = _depth(value, depth)
            if depth < 0:
                return Verdict(span.origin, "ends an element of the document", _FIX)
        elif region.ending:
            if region.ending in value:
                return Verdict(span.origin, f"ends its place by `{region.ending}`", _FIX)
            if program and region.ending in "\"'" and _is_expression(text, span, region):
                return Verdict(span.origin, "is more than a name in a path of a stylesheet", _FIX)
        elif _NO_NAME.search(value) and not _is_quoted(text, span):
            return Verdict(span.origin, "adds to a tag of the document", _FIX)
    return None


def _nested(guard: Guard, text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if a value is an element as the code writes for itself.

    It has to be all of an element: `<name>{name}</name>`. What stands between elements is for
    whole ones, and so is what people write on pages.
    """
    for span in spans:
        value = text[span.start : span.end]
        if not span.exact or span.vouched or "<" not in value:
            continue
        opened = _OPENED.search(text, max(span.start - _LONGEST_TAG, 0), span.start)
        closed = _CLOSED.match(text, span.end)
        if opened is None or closed is None or opened[1] != closed[1]:
            continue
        names = set(_NAMED.findall(value)) - _OF_PAGES
        if opened[1] not in _OF_PAGES and any(_writes(guard, name) for name in names):
            return Verdict(span.origin, "adds an element that the code writes itself", _FIX)
    return None


def _writes(guard: Guard, name: str) -> bool:
    """Tell whether a text of the code's has an element, or an end of it."""
    texts = guard.constants.texts
    return any(name in text and name in _WRITTEN.findall(text) for text in texts)


def _is_by_chance(text: str, span: Span) -> bool:
    """Tell of what was found by search whether the document of a library would have it as well."""
    piece = span.is_piece
    return piece or _CLOSING.fullmatch(text, span.start, span.end) is not None


def _is_quoted(text: str, span: Span) -> bool:
    """Tell whether data is the whole value of an attribute in quotes, as `quoteattr` makes it."""
    value = _QUOTED.fullmatch(text, span.start, span.end)
    whole = value is not None and span.end - span.start > 1 and text[span.end - 1] == value[0][0]
    return whole and "<" not in text[span.start : span.end] and text[span.start - 1] == "="


def _is_expression(text: str, span: Span, region: _Region) -> bool:
    """Tell whether data in an attribute of a stylesheet is XPath, more than a name or a literal."""
    value = text[span.start : span.end]
    if span.start - region.start > _LONGEST_PATH:
        return True
    before = text[region.start : span.start]
    attribute = _ATTRIBUTE.search(text[max(region.start - _LONGEST, 0) : region.start - 1])
    if attribute is None or attribute[1] not in _PATHS:
        braced = before.count("{") > before.count("}")
        if not braced and "{" not in value:
            return False
    if _STEP.fullmatch(value) is not None:
        return False
    other = "'" if region.ending == '"' else '"'
    return before.count(other) % 2 == 0 or other in value


def _end(region: _Region) -> int:
    return region.end


def _together(spans: Sequence[Span]) -> list[Span]:
    """Return spans with those joined that follow each other without anything between."""
    found: list[Span] = []
    for span in spans:
        if found and found[-1].end == span.start and not span.checked and not found[-1].checked:
            found[-1] = found[-1]._replace(end=span.end, exact=False)
        else:
            found.append(span)
    return found


def _regions(text: str) -> list[_Region]:
    """Return what is no text between elements, in order."""
    found: list[_Region] = []
    place = 0
    while opens := _OPENS.search(text, place):
        mark = opens[0]
        if mark != "<":
            end = text.find(_ENDS[mark], opens.end())
            end = len(text) if end < 0 else end
            found.append(_Region(opens.end(), end, _ENDS[mark]))
            place = end
            continue
        tag = _TAG.match(text, opens.start())
        place = tag.end() if tag else len(text)
        begun = opens.end()
        for quoted in _QUOTED.finditer(text, opens.end(), place):
            found.append(_Region(begun, quoted.start(), ""))
            found.append(_Region(quoted.start() + 1, quoted.end() - 1, quoted[0][0]))
            begun = quoted.end()
        found.append(_Region(begun, place, ""))
    return found


def _depth(value: str, depth: int) -> int:
    """Return how deep elements are open after a piece of text; below 0 at once if it ends more."""
    place = 0
    while opens := _OPENS.search(value, place):
        mark = opens[0]
        if mark != "<":
            end = value.find(_ENDS[mark], opens.end())
            if end < 0:
                return -1  # the rest of the document would be in it
            place = end + len(_ENDS[mark])
            continue
        tag = _TAG.match(value, opens.start())
        if tag is None:
            return depth  # no tag: the parser refuses it
        place = tag.end()
        if tag["close"]:
            depth -= 1
        elif not tag[0].endswith("/>"):
            depth += 1
        if depth < 0:
            return depth
    return depth
