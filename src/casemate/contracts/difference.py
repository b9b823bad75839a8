"""What a contract would refuse that the one before let through, as far as reading them tells.

Whether one schema accepts all that another does cannot be decided in general. What is compared is
what authors change: names, types, choices, bounds. A part that is built of others and changed is
said to have changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

Schema = Mapping[str, object]

_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
_ADDED = ("pattern", "format", "multipleOf", "const", "uniqueItems")
_COMPOSED = (
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "$ref",
    "$dynamicRef",
    "contains",
    "prefixItems",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "unevaluatedItems",
)
_MAX_LINES = 50
_ALL_TYPES = frozenset(("array", "boolean", "integer", "null", "number", "object", "string"))


def tightened(before: str, after: str) -> list[str]:
    """Return a line for each thing that the text `after` refuses and `before` did not.

    An empty `before` is no contract: only the default limits held.
    """
    if before == after or not after:
        return []
    new = msgspec.json.decode(after)
    if not before:
        return [] if new is True or new == {} else ["/: a contract where there was none"]
    lines: list[str] = []
    for line in _schema(msgspec.json.decode(before), new, ""):
        if len(lines) == _MAX_LINES:
            lines.append("and more")
            break
        lines.append(line)
    return lines


def _schema(old: object, new: object, path: str) -> Iterator[str]:
    if old == new or new is True:
        return
    where = path or "/"
    if new is False:
        yield f"{where}: nothing is accepted now"
        return
    if not isinstance(new, dict):
        return
    if old is False:
        return  # nothing was accepted, so nothing is lost
    was: Schema = old if isinstance(old, dict) else {}
    yield from _types(was, new, where)
    yield from _choices(was, new, where)
    yield from _bounds(was, new, where)
    yield from _properties(was, new, path)
    if "items" in new:
        yield from _schema(was.get("items", True), new["items"], f"{path}/*")
    for keyword in _COMPOSED:
        if keyword in new and new[keyword] != was.get(keyword):
            yield f"{where}: {keyword} {'changed' if keyword in was else 'added'}"
    if was.get("$defs") != new.get("$defs") and "$defs" in new:
        yield f"{where}: $defs changed"


def _types(old: Schema, new: Schema, where: str) -> Iterator[str]:
    if "type" not in new:
        return
    lost = sorted(_type_names(old) - _type_names(new))
    if lost and "type" in old:
        yield f"{where}: type {', '.join(lost)} is no longer accepted"
    elif lost:
        yield f"{where}: only type {', '.join(sorted(_declared(new)))} is accepted"


def _type_names(schema: Schema) -> frozenset[str]:
    if "type" not in schema:
        return _ALL_TYPES
    declared = _declared(schema)
    return declared | {"integer"} if "number" in declared else declared


def _declared(schema: Schema) -> frozenset[str]:
    value = schema["type"]
    return frozenset([value] if isinstance(value, str) else map(str, _listed(value)))


def _choices(old: Schema, new: Schema, where: str) -> Iterator[str]:
    if "enum" not in new:
        return
    if "enum" not in old:
        yield f"{where}: only {len(_listed(new['enum']))} values are accepted (enum)"
        return
    # As JSON: 1 and true are equal in Python.
    kept = {msgspec.json.encode(value) for value in _listed(new["enum"])}
    lost = [one for one in map(msgspec.json.encode, _listed(old["enum"])) if one not in kept]
    if lost:
        shown = ", ".join(one.decode()[:40] for one in lost[:5])
        yield f"{where}: enum without {shown}{' and more' if len(lost) > 5 else ''}"


def _bounds(old: Schema, new: Schema, where: str) -> Iterator[str]:
    for keywords, sign in ((_UPPER, 1), (_LOWER, -1)):
        for keyword in keywords:
            now, was = new.get(keyword), old.get(keyword)
            if not isinstance(now, (int, float)):
                continue
            if not isinstance(was, (int, float)):
                if keyword not in _LOWER or now > 0 or keyword.lower().endswith("minimum"):
                    yield f"{where}: {keyword} {now:g} added"
            elif now * sign < was * sign:
                yield f"{where}: {keyword} {now:g}, was {was:g}"
    for keyword in _ADDED:
        if keyword in new and new[keyword] != old.get(keyword) and new[keyword] is not False:
            yield f"{where}: {keyword} {'changed' if keyword in old else 'added'}"


def _properties(old: Schema, new: Schema, path: str) -> Iterator[str]:
    where = path or "/"
    added = sorted(
        set(map(str, _listed(new.get("required")))) - set(map(str, _listed(old.get("required"))))
    )
    if added:
        yield f"{where}: required {', '.join(added)}"
    before, after = _named(old.get("properties")), _named(new.get("properties"))
    rest_before, rest = old.get("additionalProperties", True), new.get("additionalProperties", True)
    if rest is False and rest_before is not False:
        yield f"{where}: additionalProperties is closed"
    elif rest != rest_before:
        yield from _schema(rest_before, rest, f"{path}/*")
    for name in sorted(before.keys() | after.keys()):
        now = after.get(name, rest)
        if name not in after and rest is False:
            yield f"{path}/{name}: is no longer accepted"
        else:
            yield from _schema(before.get(name, rest_before), now, f"{path}/{name}")


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _named(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
