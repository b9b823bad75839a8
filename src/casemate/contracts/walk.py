"""Where a JSON Schema holds other schemas: its keywords, told apart from data that looks alike."""

from __future__ import annotations

from collections.abc import Iterator

Place = tuple[str | int, ...]
"""Keys and indexes from the root."""

IN_PLACE_ARRAYS = ("allOf", "anyOf", "oneOf")
IN_PLACE = ("not", "if", "then", "else")
IN_PLACE_MAPS = ("dependentSchemas",)
"""Keywords whose schemas judge the same value."""
CHILD_OF_OBJECT = ("additionalProperties", "propertyNames", "unevaluatedProperties")
CHILD_OF_ARRAY = ("items", "contains", "unevaluatedItems")
CHILD_ARRAYS = ("prefixItems",)
CHILD_MAPS = ("properties", "patternProperties")
"""Keywords whose schemas judge what is in the value."""
DEFINITIONS = ("$defs", "definitions")

_ONE = (*IN_PLACE, *CHILD_OF_OBJECT, *CHILD_OF_ARRAY, "contentSchema")
_ARRAYS = (*IN_PLACE_ARRAYS, *CHILD_ARRAYS)
_MAPS = (*IN_PLACE_MAPS, *CHILD_MAPS, *DEFINITIONS)


def subschemas(schema: object, place: Place = ()) -> Iterator[tuple[Place, dict[str, object]]]:
    """Yield every schema of a document that is an object, with its place; the root first."""
    if not isinstance(schema, dict):
        return
    yield place, schema
    for keyword in _ONE:
        if keyword in schema:
            yield from subschemas(schema[keyword], (*place, keyword))
    for keyword in _ARRAYS:
        parts = schema.get(keyword)
        for index, part in enumerate(parts if isinstance(parts, list) else ()):
            yield from subschemas(part, (*place, keyword, index))
    for keyword in _MAPS:
        named = schema.get(keyword)
        for name, part in named.items() if isinstance(named, dict) else ():
            yield from subschemas(part, (*place, keyword, name))


def names_of(schema: object) -> frozenset[str]:
    """Return the names of properties that a schema itself has."""
    found: set[str] = set()
    for _, part in subschemas(schema):
        for keyword in ("properties", "dependentSchemas", "dependentRequired"):
            named = part.get(keyword)
            if isinstance(named, dict):
                found.update(named)
        required = part.get("required")
        if isinstance(required, list):
            found.update(name for name in required if isinstance(name, str))
    return frozenset(found)


def resolve(root: object, reference: str) -> object | None:
    """Return what `#`, `#/json/pointer` or `#anchor` leads to in a document, None if nothing."""
    if reference in ("#", ""):
        return root
    if not reference.startswith("#/"):
        return _anchor(root, reference.removeprefix("#"))
    found: object = root
    for raw in reference[2:].split("/"):
        part = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isascii() and part.isdigit() and len(part) < 6:
            if int(part) >= len(found):
                return None
            found = found[int(part)]
        else:
            return None
    return found


def _anchor(root: object, name: str) -> object | None:
    for _, part in subschemas(root):
        if name in (part.get("$anchor"), part.get("$dynamicAnchor")):
            return part
    return None
