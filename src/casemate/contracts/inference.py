"""A contract proposed from recorded data: what all of it has in common, and a little room.

It is a proposal: what was not seen is not let through, so whoever takes it must know what else
may come.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from casemate.contracts.schema import DIALECT

MAX_NAMED = 64
"""Names of one object; with more of them it is taken for a table of one kind of values."""
_MAX_CHOICES = 8
_ENOUGH = 3
"""How often each of a few texts must have been seen, on average, to be taken for all there are."""
_MANY = 10
"""Texts, before a few of them are taken for all there are."""
_MAX_CHOICE_LENGTH = 64
_FORMATS = (
    ("date-time", re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")),
    ("date", re.compile(r"\d{4}-\d\d-\d\d")),
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("email", re.compile(r"[A-Za-z0-9.+_-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")),
)

Schema = dict[str, object]


def infer(values: Iterable[object]) -> Schema:
    """Return the JSON Schema (2020-12) of the values given, decoded JSON."""
    seen = _Seen()
    for value in values:
        seen.add(value)
    return {"$schema": DIALECT, **seen.schema()}


class _Seen:
    """What was seen at one place."""

    def __init__(self) -> None:
        self._types: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._longest = 0
        self._formats = {name for name, _ in _FORMATS}
        self._low: float | None = None
        self._fields: dict[str, _Seen] = {}
        self._field_counts: dict[str, int] = {}
        self._items: _Seen | None = None
        self._most_items = 0

    def add(self, value: object) -> None:
        """Take one value into account."""
        kind = _type_of(value)
        self._types[kind] = self._types.get(kind, 0) + 1
        if isinstance(value, str):
            self._add_text(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            self._low = value if self._low is None else min(self._low, value)
        elif isinstance(value, dict):
            for name, item in value.items():
                self._fields.setdefault(name, _Seen()).add(item)
                self._field_counts[name] = self._field_counts.get(name, 0) + 1
        elif isinstance(value, list):
            self._most_items = max(self._most_items, len(value))
            self._items = self._items or _Seen()
            for item in value:
                self._items.add(item)

    def merge(self, other: _Seen) -> None:
        """Take into account what was seen at another place, texts and fields as well."""
        for kind, count in other._types.items():
            self._types[kind] = self._types.get(kind, 0) + count
        for text, count in other._texts.items():
            self._texts[text] = self._texts.get(text, 0) + count
        self._longest = max(self._longest, other._longest)
        self._formats &= other._formats
        lows = [low for low in (self._low, other._low) if low is not None]
        self._low = min(lows, default=None)
        for name, seen in other._fields.items():
            self._fields.setdefault(name, _Seen()).merge(seen)
            count = self._field_counts.get(name, 0) + other._field_counts[name]
            self._field_counts[name] = count
        self._most_items = max(self._most_items, other._most_items)
        if other._items is not None:
            self._items = self._items or _Seen()
            self._items.merge(other._items)

    def schema(self) -> Schema:
        """Return what describes all that was seen."""
        kinds = dict(self._types)
        if "number" in kinds:
            kinds.pop("integer", None)
        if not kinds:
            return {}
        names = sorted(kinds)
        found: Schema = {"type": names[0] if len(names) == 1 else names}
        if "object" in kinds:
            found.update(self._object())
        if "array" in kinds:
            found["maxItems"] = _room(self._most_items)
            found["items"] = self._items.schema() if self._items is not None else {}
        if "string" in kinds:
            found.update(self._string(alone=len(names) == 1))
        if self._low is not None and self._low >= 0:
            found["minimum"] = 0
        return found

    def _add_text(self, value: str) -> None:
        self._longest = max(self._longest, len(value))
        if len(self._texts) <= _MAX_CHOICES:
            self._texts[value] = self._texts.get(value, 0) + 1
        if self._formats:
            fitting = {name for name, pattern in _FORMATS if pattern.fullmatch(value)}
            self._formats &= fitting

    def _string(self, *, alone: bool) -> Schema:
        total = sum(self._texts.values())
        few = len(self._texts) <= _MAX_CHOICES and total >= _ENOUGH * len(self._texts)
        short = self._longest <= _MAX_CHOICE_LENGTH
        if few and alone and total >= _MANY and short and not self._formats:
            return {"enum": sorted(self._texts)}
        found: Schema = {"maxLength": _room(self._longest)}
        if len(self._formats) == 1:
            found["format"] = next(iter(self._formats))
        return found

    def _object(self) -> Schema:
        if len(self._fields) > MAX_NAMED:
            every = _Seen()
            for seen in self._fields.values():
                every.merge(seen)
            return {
                "maxProperties": _room(len(self._fields)),
                "additionalProperties": every.schema(),
            }
        objects = self._types["object"]
        required = sorted(name for name, count in self._field_counts.items() if count == objects)
        found: Schema = {
            "properties": {name: self._fields[name].schema() for name in sorted(self._fields)},
            "additionalProperties": False,
        }
        return {**found, "required": required} if required else found


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object")


def _room(seen: int) -> int:
    """Return a bound with room: the power of two that is at least twice what was seen."""
    return 1 << max(seen * 2 - 1, 3).bit_length()
