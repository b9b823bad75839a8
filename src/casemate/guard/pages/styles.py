"""Is data more than a value where it stands in a style sheet (CSS Syntax Module Level 3, 4)?"""

from __future__ import annotations

import re

_MORE = "is more than a value of a style sheet"
_SIGNS = re.compile(r"[<>{};\\\"'()@]")
_DECLARED = re.compile(r"[{};\\\"'()]")
_CALL = re.compile(
    r"\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch|calc|min|max|clamp|cubic-bezier|var|rotate|scale|"
    r"translate[XYZ]?|skew[XY]?)\([\w\s.,%/+*-]{0,80}\)"
)
"""Functions that make a colour or a length of numbers, and fetch nothing."""
_NAME = re.compile(r"\"[\w ,.-]{0,80}\"|'[\w ,.-]{0,80}'")
"""A text within a value, such as the name of a font."""
_ENDS_SINGLE, _ENDS_DOUBLE = re.compile(r"['\\\n]"), re.compile(r'["\\\n]')
_ENDS_TEXT = {"'": _ENDS_SINGLE, '"': _ENDS_DOUBLE}
_OPENED = re.compile(r"(?:[^\"'\\]|\\.|\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+')*+", re.DOTALL)
_IN_ADDRESS = re.compile(r"\burl\(\s{0,9}([^\s\"'()\\]{0,2000})\Z", re.IGNORECASE)
_ENDS_ADDRESS = re.compile(r"[\s\"'()\\]")
_FETCHES = re.compile(r"url\s{0,9}\(|image-set|expression|@import|behaviou?r|binding|\\", re.I)


def in_sheet(text: str) -> str | None:
    """Return what is wrong with data in an element `style`; None if nothing is."""
    return _MORE if _SIGNS.search(_CALL.sub("", text)) else None


def in_attribute(before: str, text: str, after: str) -> str | None:
    """Return what is wrong with data in an attribute `style`, between what is there; or None.

    Declarations that are all of the attribute are meant to be chosen, if they fetch nothing.
    """
    if not before.strip() and not after.strip(" ;"):
        return "fetches or runs something by a style" if _FETCHES.search(text) else None
    opened = _OPENED.match(before)
    quote = before[opened.end() : opened.end() + 1] if opened else ""
    if quote in _ENDS_TEXT:
        return _MORE if _ENDS_TEXT[quote].search(text) else None
    if _IN_ADDRESS.search(before) is not None:
        return _MORE if _ENDS_ADDRESS.search(text) else None
    value = _NAME.sub("", _CALL.sub("", text))
    if not after.strip(" ;"):
        value = value.rstrip(" ;")
    return _MORE if _DECLARED.search(value) else None
