"""One resource as CloudFormation has it, resolved, with shorthands to read it."""

from __future__ import annotations

import math
from typing import Any

from casemate.audit.documents import place_of
from casemate.audit.importers.aws.intrinsics import symbolic
from casemate.audit.model import Place

OPTIONAL = "Optional"
"""The attribute of a resource that the defaults of the parameters do not make."""


class Resource:
    """A name, a type, and properties without intrinsic functions."""

    __slots__ = ("attributes", "base", "name", "place", "properties", "type")

    def __init__(
        self,
        name: str,
        type: str,
        properties: dict[str, Any],
        place: Place,
        *,
        attributes: dict[str, Any] | None = None,
        base: str = "",
    ) -> None:
        """Keep what was read. `base` is the file that paths in it are relative to."""
        self.name = name
        self.type = type
        self.properties = properties
        self.place = place
        self.attributes = attributes or {}
        self.base = base or place.file

    def get(self, *path: str | int) -> Any:
        """Return what is at a path of keys, or None."""
        return at(self.properties, *path)

    def text(self, *path: str | int) -> str:
        """Return a text at a path, or nothing."""
        return text(self.get(*path))

    def map(self, *path: str | int) -> dict[str, Any]:
        """Return a map at a path, or an empty one."""
        found = self.get(*path)
        return found if isinstance(found, dict) else {}

    def list(self, *path: str | int) -> list[Any]:
        """Return a list at a path; one value alone is a list of it."""
        return listed(self.get(*path))

    def where(self, *path: str | int) -> Place:
        """Return where a property stands: the nearest that is there."""
        container: Any = self.properties
        place = self.place
        for key in path:
            there = (isinstance(container, dict) and key in container) or (
                isinstance(container, list) and isinstance(key, int) and key < len(container)
            )
            if not there:
                break
            place = place_of(container, key, place)
            container = container[key]
        return place if place.file else self.place


def at(value: Any, *path: str | int) -> Any:
    """Return what is at a path of keys and indexes, or None."""
    for key in path:
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def text(value: Any) -> str:
    """Return a plain value as text; nothing for maps, lists and None."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else ""


def listed(value: Any) -> list[Any]:
    """Return a list of one or several values."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def truth(value: Any, default: bool | None = False) -> bool | None:
    """Return a flag, `default` where nothing is said, None where it is not known."""
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    if symbolic(value):
        return None
    lower = str(value).lower()
    return True if lower in ("true", "1", "enabled") else False if lower else default


def number(value: Any) -> float | None:
    """Return a number, or None: also for what is infinite, or larger than any setting."""
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, str):
            value = float(value) if len(value) < 20 else None
        return value if isinstance(value, (int, float)) and math.isfinite(value) else None
    except (ValueError, OverflowError):
        return None


def referred(value: Any) -> str:
    """Return the resource that a text begins with a reference to: `Bucket` of `${Bucket.Arn}/*`."""
    if isinstance(value, str) and value.startswith("${"):
        return value[2:].partition("}")[0].partition(".")[0]
    return ""
