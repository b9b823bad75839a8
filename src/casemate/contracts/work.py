"""How long the check of one event can take, known before it begins.

The library does not give up the interpreter's lock, so nothing can end a check: what would take
longer than `MAX_WORK` is refused. Bounded are the looks (`cost`) at each value, weighed by what a
keyword was measured to cost (`python -m bench.contracts`), and what it costs to read the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from casemate.contracts.cost import cost
from casemate.decoding import NUMBER_SHAPES, without_texts

MAX_WORK = 300_000_000
"""Nanoseconds that the check of one event may take, by its bound."""

_READ = 100
"""To make an object of one value of the text."""
_LOOK, _TEXT_LOOK = 20, 100
_PATTERN_BYTE, _NAME_BYTE, _FORMAT_BYTE = 4, 20, 1
_SET_OF_VALUES, _CONTAINS, _PLAIN_VALUE, _FRACTION = 400, 100, 150, 1600
_BOUND, _MULTIPLE, _WHOLE_MULTIPLE = 700, 2500, 1300
_NAMED = 8
_LEAST_VALUE_BYTES = 2
_NUMBERS = (b":0", b",0", b"[0")
_SLOW_FORMATS = ("idn-hostname", "idn-email", "hostname", "email")

Schema = dict[str, Any]


class Work:
    """What events cost under one contract. Immutable."""

    __slots__ = ("_number", "_object", "_text", "_value")

    def __init__(self, schema: object) -> None:
        """Weigh a contract. Raises RecursionError for references without end in sight."""
        self._value = _READ + cost(schema, _of_value, MAX_WORK)
        self._number = cost(schema, _of_number, MAX_WORK)
        self._object = cost(schema, _of_object, MAX_WORK)
        self._text = cost(schema, _of_byte, MAX_WORK)

    def exceeds(self, data: bytes) -> bool:
        """Tell whether the check of JSON could take longer than MAX_WORK."""
        size = len(data)
        most = self._value + self._number + self._object
        if size * most // _LEAST_VALUE_BYTES + size * self._text <= MAX_WORK:
            return False
        # What has too many texts has too many values: to take out so many texts takes seconds.
        if _least_values(data) * self._value > MAX_WORK:
            return True
        # A comma in a text counts as one between values unless that says too much.
        if self._bound(data, size) <= MAX_WORK:
            return False
        return self._bound(without_texts(data), size) > MAX_WORK

    def _bound(self, data: bytes, size: int) -> int:
        objects = data.count(b"{")
        values = data.count(b",") + data.count(b"[") + objects + 1
        shape = data.translate(NUMBER_SHAPES, b"- \t\r\n")
        numbers = sum(map(shape.count, _NUMBERS)) + 1
        return (
            values * self._value
            + numbers * self._number
            + objects * self._object
            + size * self._text
        )


def _least_values(data: bytes) -> int:
    """Return how many values JSON has at least: each has at most one other text, its key."""
    quotes = data.count(b'"') - data.count(b'\\"')
    return quotes // 4


def _of_value(schema: Schema) -> int:
    found = _LOOK
    if "const" in schema:
        found += max(_PLAIN_VALUE, _of_option(schema["const"]))
    options = schema.get("enum")
    if isinstance(options, list) and not _is_looked_up(options):
        found += sum(map(_of_option, options))
    found += _SET_OF_VALUES * (schema.get("uniqueItems") is True)
    found += _CONTAINS * (("contains" in schema) + ("unevaluatedItems" in schema))
    if "format" in schema:
        found += _TEXT_LOOK * (12 if schema["format"] in _SLOW_FORMATS else 1)
    patterns = schema.get("patternProperties")
    count = len(patterns) if isinstance(patterns, Mapping) else 0
    return found + _TEXT_LOOK * (("pattern" in schema) + count)


def _is_looked_up(options: list[object]) -> bool:
    """Tell whether the library finds a value among them without comparing it with each."""
    return all(isinstance(o, str) for o in options) or all(isinstance(o, int) for o in options)


def _of_option(option: object) -> int:
    if isinstance(option, float):
        return _FRACTION
    return _PLAIN_VALUE if isinstance(option, (list, dict)) else _LOOK


def _of_number(schema: Schema) -> int:
    names = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    found = _BOUND * sum(name in schema for name in names)
    multiple = schema.get("multipleOf")
    if multiple is not None:
        found += _WHOLE_MULTIPLE if isinstance(multiple, int) else _MULTIPLE
    return found


def _of_object(schema: Schema) -> int:
    found = 0
    for keyword in ("required", "dependentRequired"):
        named = schema.get(keyword)
        found += _NAMED * len(named) if isinstance(named, (list, dict)) else 0
    return found


def _of_byte(schema: Schema) -> int:
    patterns = schema.get("patternProperties")
    found = len(patterns) if isinstance(patterns, Mapping) else 0
    found = _PATTERN_BYTE * (found + ("pattern" in schema))
    if "format" in schema:
        found += _NAME_BYTE if schema["format"] in _SLOW_FORMATS else _FORMAT_BYTE
    return found + ("maxLength" in schema) + ("minLength" in schema)
