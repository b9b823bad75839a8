"""From the checked values of buckets, tables, queues and topics to the model."""

from __future__ import annotations

import msgspec

from casemate.decoding import decodable
from casemate.manifest.locator import KeyPath
from casemate.manifest.problem import ProblemCollector, quoted
from casemate.manifest.validation import Values
from casemate.model.grant import Resources

KEYS = {"bucket": "buckets", "table": "tables", "queue": "queues", "topic": "topics"}
"""The manifest's key of each field of Resources."""


def resources_of(values: Values, problems: ProblemCollector) -> Resources | None:
    """Return what a checked manifest declares, sorted by name; None if something is wrong.

    Notes what contradicts itself beyond what the tables' own checks have noted.
    """
    before = len(problems)
    raw: dict[str, list[Values]] = {}
    for key, field in KEYS.items():
        tables = values.get(key)
        named = tables if isinstance(tables, dict) else {}
        raw[field] = [
            {**spec, "name": name} for name, spec in sorted(named.items()) if isinstance(spec, dict)
        ]
    for spec in raw["tables"]:
        _check_table(spec, ("table", str(spec["name"])), problems)
    if len(problems) > before:
        return None
    try:
        return msgspec.convert(raw, decodable(Resources))
    except msgspec.ValidationError:
        return None  # a value that is wrong was noted where it stands, and left out


def declared_names(values: Values) -> dict[str, list[str]]:
    """Return the names of each key of KEYS, those of tables with mistakes included."""
    found = {}
    for key in KEYS:
        tables = values.get(key)
        found[key] = list(tables) if isinstance(tables, dict) else []
    return found


def _check_table(spec: Values, path: KeyPath, problems: ProblemCollector) -> None:
    _check_attributes(spec, path, problems)
    indexes = spec.get("indexes")
    names: set[object] = set()
    for number, index in enumerate(indexes if isinstance(indexes, list) else ()):
        place: KeyPath = (*path, "indexes", number)
        _check_attributes(index, place, problems)
        name = index.get("name")
        if isinstance(name, str) and name in names:
            problems.add((*place, "name"), f"{quoted(name)} once more", "a name of its own")
        names.add(name)


def _check_attributes(spec: Values, path: KeyPath, problems: ProblemCollector) -> None:
    key = spec.get("key")
    for other in ("sort", "ttl"):
        value = spec.get(other)
        if isinstance(value, str) and value == key:
            problems.add((*path, other), f"{quoted(value)}, which is the key", "another attribute")
    if spec.get("ttl") is not None and spec.get("ttl") == spec.get("sort"):
        problems.add((*path, "ttl"), "the attribute of sort", "another attribute")
