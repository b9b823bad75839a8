"""Where a browser is in a page, character by character: in text, in a tag, in a script.

One pass, as WHATWG HTML 13.2.5 cuts a page into tokens, with the states that matter put together.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple


class Place(Enum):
    """What a character belongs to."""

    TEXT = "text"
    RAW = "text of a title or text area"
    SCRIPT = "script"
    STYLE = "style sheet"
    COMMENT = "comment"
    TAG = "name of a tag"
    NAME = "name of an attribute"
    QUOTED = "attribute"
    BARE = "attribute without quotes"


class Part(NamedTuple):
    """Characters `start` up to, not including, `end`, all of one place."""

    place: Place
    start: int
    end: int
    attribute: str = ""
    """Of a value, in lower case."""
    quote: str = ""


MAX_PARTS = 20_000
"""Parts of a page that are told apart, which takes 30 ms; what comes after counts as text."""
_OPENS = re.compile(r"<(?=[A-Za-z/!?])")
_NAME_END = re.compile(r"[\s/>]")
_ATTRIBUTE_END = re.compile(r"[\s/>=]")
_VALUE_END = re.compile(r"[\s>]")
_BLANK = re.compile(r"[\s/]*")
_WHITE = re.compile(r"\s*")
_HOLDING = {
    "script": Place.SCRIPT,
    "style": Place.STYLE,
    "title": Place.RAW,
    "textarea": Place.RAW,
    "noscript": Place.TEXT,
}
_CLOSINGS = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea")
}


def parts(page: str) -> list[Part]:
    """Return what a page consists of, in order."""
    found: list[Part] = []
    place = 0
    gone: set[str] = set()
    while place < len(page):
        opens = _OPENS.search(page, place) if len(found) < MAX_PARTS else None
        begun = opens.start() if opens else len(page)
        if begun > place:
            found.append(Part(Place.TEXT, place, begun))
        place = begun
        if place >= len(page):
            break
        following = page[place + 1 : place + 2]
        if page.startswith("<!--", place):
            place = _upto(page, place + 4, "-->", found, Place.COMMENT)
        elif following in ("!", "?"):
            place = _upto(page, place + 2, ">", found, Place.COMMENT)
        else:
            place, name = _tag(page, place + 1, found)
            held = _HOLDING.get(name, Place.TEXT)
            if held is not Place.TEXT and name not in gone:
                closing = _CLOSINGS[name].search(page, place)
                if closing is None:
                    gone.add(name)  # none of its kind is closed any more
                end = closing.start() if closing else len(page)
                found.append(Part(held, place, end))
                place = end
    return found


def _upto(page: str, start: int, mark: str, found: list[Part], place: Place) -> int:
    end = page.find(mark, start)
    end = len(page) if end < 0 else end
    found.append(Part(place, start, end))
    return min(end + len(mark), len(page))


def _tag(page: str, start: int, found: list[Part]) -> tuple[int, str]:
    """Read a tag from its name on; return where it ends, and its name if it is one that opens."""
    match = _NAME_END.search(page, start + 1)
    end = match.start() if match else len(page)
    found.append(Part(Place.TAG, start, end))
    name = page[start:end].lower()
    place = end
    while place < len(page) and len(found) < MAX_PARTS:
        blank = _BLANK.match(page, place)
        after = blank.end() if blank else place
        if after > place:
            found.append(Part(Place.NAME, place, after))
        place = after
        if place >= len(page) or page[place] == ">":
            return min(place + 1, len(page)), name
        place = _attribute(page, place, found)
    return place, name


def _attribute(page: str, start: int, found: list[Part]) -> int:
    match = _ATTRIBUTE_END.search(page, start + 1)
    end = match.start() if match else len(page)
    found.append(Part(Place.NAME, start, end))
    name = page[start:end].lower()
    white = _WHITE.match(page, end)
    equals = white.end() if white else end
    if page[equals : equals + 1] != "=":
        return end
    white = _WHITE.match(page, equals + 1)
    value = white.end() if white else equals + 1
    quote = page[value : value + 1]
    if quote in ('"', "'") and quote:
        closing = page.find(quote, value + 1)
        closing = len(page) if closing < 0 else closing
        found.append(Part(Place.QUOTED, value + 1, closing, name, quote))
        return min(closing + 1, len(page))
    match = _VALUE_END.search(page, value)
    end = match.start() if match else len(page)
    found.append(Part(Place.BARE, value, end, name))
    return end
