"""How often a contract can look at one place of an event: what bounds the time of a check.

Alternatives look at the same value again. Where they refer to themselves, the number of looks can
multiply with every level of an event, and a small event would keep the host busy for hours.
"""

from __future__ import annotations

from collections.abc import Callable

from casemate.contracts.walk import (
    CHILD_ARRAYS,
    CHILD_OF_ARRAY,
    CHILD_OF_OBJECT,
    IN_PLACE,
    IN_PLACE_ARRAYS,
    IN_PLACE_MAPS,
    resolve,
    subschemas,
)

MAX_COST = 200_000
"""Looks at the values along one way from an event's root to its deepest value."""
LEVELS = 64
"""Levels an event can have (`invocation.parse`)."""


Weight = Callable[[dict[str, object]], int]
"""What one look with a schema costs by itself."""


def _one(_: dict[str, object]) -> int:
    return 1


def cost(schema: object, weight: Weight = _one, most: int = MAX_COST) -> int:
    """Return an upper bound of the looks along one way into an event, weighed; most + 1 if above.

    Raises RecursionError for references that follow one another without end in sight.
    """
    return _Count(schema, weight, most).total()


class _Count:
    """Counts in one document, level by level from the deepest values of an event up."""

    def __init__(self, root: object, weight: Weight, most: int) -> None:
        self._root, self._weight, self._most = root, weight, most
        self._parts = [part for _, part in subschemas(root)]
        self._below: dict[int, int] = {}
        """Looks by schema (its id) at values one level further down."""
        self._here: dict[int, int] = {}

    def total(self) -> int:
        """Return the looks that begin with the root."""
        for _ in range(LEVELS + 1):
            for part in self._parts:
                self._of(part, frozenset())
            if self._here == self._below:
                break
            self._below, self._here = self._here, {}
        return self._of(self._root, frozenset())

    def _of(self, schema: object, within: frozenset[int]) -> int:
        """Count one schema; `within` are those that judge the same value around it."""
        if not isinstance(schema, dict):
            return 1
        key = id(schema)
        if key in self._here:
            return self._here[key]
        if key in within:
            return 1  # the library notices a reference to itself at the same value
        inner = within | {key}
        total = self._weight(schema) + self._children(schema)
        for part in self._in_place(schema):
            total += self._of(part, inner)
        self._here[key] = min(total, self._most + 1)
        return self._here[key]

    def _in_place(self, schema: dict[str, object]) -> list[object]:
        parts: list[object] = [schema[keyword] for keyword in IN_PLACE if keyword in schema]
        for keyword in IN_PLACE_ARRAYS:
            parts += _listed(schema.get(keyword))
        for keyword in IN_PLACE_MAPS:
            parts += _named(schema.get(keyword))
        for keyword in ("$ref", "$dynamicRef"):
            target = schema.get(keyword)
            if isinstance(target, str):
                parts.append(resolve(self._root, target))
        return parts

    def _children(self, schema: dict[str, object]) -> int:
        """Count what judges one child, of an object or an array, whichever costs more."""
        of_object = sum(self._child(schema[k]) for k in CHILD_OF_OBJECT if k in schema)
        named = map(self._child, _named(schema.get("properties")))
        of_object += max(named, default=0)  # of several properties, each child is only one
        of_object += sum(map(self._child, _named(schema.get("patternProperties"))))
        of_array = sum(self._child(schema[k]) for k in CHILD_OF_ARRAY if k in schema)
        for keyword in CHILD_ARRAYS:
            of_array += max(map(self._child, _listed(schema.get(keyword))), default=0)
        return max(of_object, of_array)

    def _child(self, schema: object) -> int:
        return self._below.get(id(schema), 1)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _named(value: object) -> list[object]:
    return list(value.values()) if isinstance(value, dict) else []
