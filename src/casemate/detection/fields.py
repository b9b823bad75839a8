"""Finds a field of an event by its path, such as `src_endpoint.ip` or `resources.0.name`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from casemate.detection.errors import refused

MAX_PARTS = 8
MAX_ELEMENTS = 64
"""Elements of a list in an event that are looked at; the journal's own events have fewer."""

PATHS = (
    "unmapped.operation",
    "unmapped.action",
    "unmapped.kind",
    "unmapped.outcome",
    "unmapped.risk",
    "metadata.event_code",
    "class_uid",
)
"""Fields by which rules are told apart before any is tried, those that tell best first."""

Event = Mapping[str, Any]
Get = Callable[[Event], Any]
"""Returns the value at a path; None where there is none; of a list without a place all of them."""

_MOST = 10**18
_PART = re.compile(r"[A-Za-z0-9_-]{1,64}")


def getter(path: str, place: str) -> Get:
    """Return what finds the value at a path. Raises RuleError if it is none."""
    parts = path.split(".")
    if len(parts) > MAX_PARTS or not all(map(_PART.fullmatch, parts)):
        raise refused(place, f"{path[:128]!r} is no path of a field", "such as `src_endpoint.ip`")
    if len(parts) == 1:
        return _top(parts[0])
    if len(parts) == 2:
        return _second(parts[0], parts[1])
    return lambda event: _walk(event, parts, 0)


def _top(name: str) -> Get:
    return lambda event: event.get(name)


def _second(first: str, second: str) -> Get:
    rest = [second]

    def get(event: Event) -> Any:
        inner = event.get(first)
        if type(inner) is dict:
            return inner.get(second)
        return None if inner is None else _walk(inner, rest, 0)

    return get


def _walk(value: Any, parts: list[str], at: int) -> Any:
    while at < len(parts):
        if isinstance(value, dict):
            value = value.get(parts[at])
        elif isinstance(value, list):
            if not parts[at].isdecimal():
                return _each(value, parts, at)
            index = int(parts[at])
            value = value[index] if index < min(len(value), MAX_ELEMENTS) else None
        else:
            return None
        at += 1
    return value


def _each(values: list[Any], parts: list[str], at: int) -> list[Any] | None:
    """Return what the rest of the path leads to from each element."""
    found: list[Any] = []
    for value in values[:MAX_ELEMENTS]:
        inner = _walk(value, parts, at) if isinstance(value, dict) else None
        if isinstance(inner, list):
            found += inner[:MAX_ELEMENTS]
        elif inner is not None:
            found.append(inner)
    return found[:MAX_ELEMENTS] or None


def text_of(value: Any) -> str | None:
    """Return a value of an event as text, as rules compare it; None for maps and lists."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        # Of more digits than any number of ours has, Python itself makes no text.
        return str(value) if -_MOST <= value <= _MOST else None
    if kind is float:
        return str(int(value)) if value.is_integer() and abs(value) <= _MOST else str(value)
    return None
