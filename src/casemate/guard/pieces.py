"""Takes apart what templates and replacements made: what is the code's of it, and what a value."""

from __future__ import annotations

import re
import string
from typing import Any

from .notes import Made

_PLACEHOLDER = re.compile(
    r"%(?:\((?P<key>[^()]*)\))?(?P<flags>[#0\- +]*+)(?P<width>\*|\d++)?"
    r"(?:\.(?P<precision>\*|\d++))?[hlL]?(?P<type>[diouxXeEfFgGcrsa%])"
)
_PLAIN_FIELD = re.compile(r"\w*")
_TAGS = re.compile(r"(?:\s{0,8}</?[a-z][a-z0-9]{0,15} {0,2}/?>\s{0,8}){1,8}", re.IGNORECASE)
"""Tags of a page without attributes."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s\\/?#]{1,255}[^\s\\]{0,255}")
"""A URL to its host at least: a scheme alone leaves another what it was."""
_FIELD = re.compile(r"\$?\{{1,2}[^{}\\%&]{1,200}\}{1,2}")
"""Where a template shows a value."""
_STEP_UP = re.compile(r"(?:[/\\]|%2f|%5c)(?:\.|%2e){2}(?![\w.-])", re.IGNORECASE)
_WHOLE = (_TAGS, _ADDRESS, _FIELD)

_MAX_SHOWN = 4096
"""Characters of a text in quotes that are told apart from it."""

Piece = tuple[Any, bool]
"""A piece of a text, and whether it is a literal of the code."""


def as_text(value: str | bytes) -> str:
    """Return a sink's input as text, whatever bytes it holds."""
    if type(value) is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)  # a type of its own, such as bson's `Code`, may have no hash
    return bytes(value).decode(errors="surrogateescape")


def in_quotes(value: str, shown: str) -> tuple[str, str, str] | None:
    """Return what `repr` made of a text: quotes around it. None if it is long, or was escaped.

    With an escape in it, it is another text: that is searched as what a library made.
    """
    if not 2 < len(shown) == len(value) + 2 <= _MAX_SHOWN or shown[1:-1] != value:
        return None
    return shown[0], value, shown[0]


def texts_in(made: Made) -> tuple[Any, ...]:
    """Return every text that went into one, those in tuples and dicts as well."""
    found: list[Any] = []
    for part in made.parts:
        if isinstance(part, tuple):
            found += part
        elif isinstance(part, dict):
            found += part.values()
        else:
            found.append(part)
    return tuple(found)


def same(text: str, pieces: list[Piece]) -> bool:
    """Tell whether pieces are, one after the other, a text."""
    return "".join(as_text(piece) for piece, _ in pieces) == text


def replaced(template: Any, old: Any, new: Any, *count: Any) -> list[Piece] | None:
    """Take `template.replace(old, new)` apart."""
    # An empty `old` puts the new text between all characters: that is not taken apart.
    if not old or not all(type(c) is int for c in count):
        return None
    segments = template.split(old, *count)
    pieces: list[Piece] = [(segments[0], True)]
    for segment in segments[1:]:
        pieces += [(new, False), (segment, True)]
    return pieces


def has_step_up(url: str) -> bool:
    """Tell whether a URL has a step to the folder above: `/files/../x`, not `/report..v2.pdf`."""
    return _STEP_UP.search(url) is not None


def is_whole(new: str) -> bool:
    """Tell whether what the code puts in a place is a whole: tags, a URL, a field."""
    return any(pattern.fullmatch(new) for pattern in _WHOLE)


def of_percent(template: str, arguments: Any) -> list[Piece] | None:
    """Take `template % arguments` apart."""
    pieces: list[Piece] = []
    values = arguments if isinstance(arguments, tuple) else (arguments,)
    place = number = 0
    for match in _PLACEHOLDER.finditer(template):
        pieces.append((template[place : match.start()], True))
        place = match.end()
        if match["type"] == "%":
            pieces.append(("%", True))
            continue
        # The width would take an argument of its own.
        if "*" in (match["width"], match["precision"]):
            return None
        if match["key"] is not None:
            if not isinstance(arguments, dict) or match["key"] not in arguments:
                return None
            value = arguments[match["key"]]
        elif number < len(values):
            value = values[number]
            number += 1
        else:
            return None
        bare = match["width"] is None and match["precision"] is None
        if match["type"] == "s" and type(value) is str and bare:
            pieces.append((value, False))
        else:
            start = match.start() + (len(match["key"]) + 3 if match["key"] is not None else 1)
            shown = ("%" + template[start:place]) % (value,)
            pieces += _shown(value, shown) if match["type"] == "r" else ((shown, False),)
    pieces.append((template[place:], True))
    return pieces


def _shown(value: Any, shown: str) -> list[Piece]:
    parts = in_quotes(value, shown) if type(value) is str else None
    if parts is None:
        return [(shown, False)]
    quote, inside, _ = parts
    return [(quote, True), (inside, False), (quote, True)]


def of_format(
    template: str, arguments: tuple[Any, ...], named: dict[str, Any]
) -> list[Piece] | None:
    """Take `template.format(*arguments, **named)` apart. What looks into its values is left."""
    pieces: list[Piece] = []
    number = 0
    formatter = string.Formatter()
    for literal, field, specification, conversion in formatter.parse(template):
        pieces.append((literal, True))
        if field is None:
            continue
        if not _PLAIN_FIELD.fullmatch(field) or "{" in (specification or ""):
            return None
        try:
            if not field:
                value: Any = arguments[number]
                number += 1
            else:
                value = arguments[int(field)] if field.isdigit() else named[field]
        except LookupError:
            return None
        if conversion:
            given, value = value, formatter.convert_field(value, conversion)
            if conversion == "r" and not specification:
                pieces += _shown(given, value)
                continue
        plain = type(value) is str and not specification
        pieces.append((value if plain else format(value, specification or ""), False))
    return pieces
