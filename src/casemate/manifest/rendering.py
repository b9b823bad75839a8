"""Grants and resources as a manifest writes them: the way back from the model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import msgspec

from casemate.manifest.grant_tables import EGRESS_GRANT, KEYS
from casemate.manifest.quantity import format_duration, format_size
from casemate.model.grant import (
    BucketSpec,
    Grant,
    GrantKind,
    QueueSpec,
    Resources,
    TableIndex,
    TableSpec,
)

Document = dict[str, object]
"""Data as `tomllib` would give it."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SIZES = ("max_object", "max_total", "max_item", "max_message")


def grants_table(grants: Iterable[Grant]) -> Document:
    """Return `grants` as the data of `[function.NAME.grants]`, defaults left out."""
    table: Document = {}
    for kind, key in KEYS.items():
        written = [_written(grant) for grant in grants if grant.kind is kind]
        if written:
            table[key] = written
    return table


def grants_text(function: str, grants: Iterable[Grant]) -> str:
    """Return `[function.NAME.grants]` as text of a manifest, with a final newline."""
    lines = [f"[function.{function}.grants]"]
    for key, values in grants_table(tuple(grants)).items():
        if not isinstance(values, list):
            continue
        if all(isinstance(value, str) for value in values):
            lines.append(f"{key} = {toml_value(values)}")
        else:
            lines += [f"{key} = [", *(f"  {toml_value(value)}," for value in values), "]"]
    return "\n".join(lines) + "\n"


def resources_tables(resources: Resources) -> Document:
    """Return `resources` as the data of their tables in a manifest, every key written."""
    kinds: dict[str, tuple[BucketSpec | TableSpec | QueueSpec, ...]] = {
        "bucket": resources.buckets,
        "table": resources.tables,
        "queue": resources.queues,
        "topic": resources.topics,
    }
    return {
        key: {spec.name: _fields(spec) for spec in specs} for key, specs in kinds.items() if specs
    }


def _written(grant: Grant) -> object:
    if grant.kind is GrantKind.EGRESS:
        host, _, port = grant.name.rpartition(":")
        number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else port
        entry: Document = {"host": host}
        if number != EGRESS_GRANT.default("port"):
            entry["port"] = number
        if grant.forward is not None:
            entry["forward"] = grant.forward
        if grant.private:
            entry["private"] = True
        if grant.exception:
            entry["exception"] = grant.exception
        return entry
    if grant.kind is GrantKind.BUCKET and grant.prefixes:
        return {
            "name": grant.name,
            "actions": list(grant.actions),
            "prefixes": list(grant.prefixes),
        }
    if grant.kind in (GrantKind.BUCKET, GrantKind.TABLE):
        return {"name": grant.name, "actions": list(grant.actions)}
    return grant.name


def _fields(spec: BucketSpec | TableSpec | QueueSpec | TableIndex) -> Document:
    """Return the keys of one table; raises ArithmeticError for a number that is none."""
    fields: Document = {}
    for field in msgspec.structs.fields(spec):
        value = getattr(spec, field.name)
        if field.name in _SIZES:
            fields[field.name] = format_size(value)
        elif field.name == "retention":
            fields[field.name] = format_duration(value)
        elif isinstance(spec, TableSpec) and field.name == "indexes":
            fields["indexes"] = [{"name": index.name, **_fields(index)} for index in spec.indexes]
        elif field.name != "name" and value is not None:
            fields[field.name] = value
    return fields


def toml_value(value: object) -> str:
    """Return a value on one line; strings as basic strings, whose escapes JSON's are."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else toml_value(key)
