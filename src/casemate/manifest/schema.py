"""The JSON Schema (2020-12) of a manifest, for editors; made from the tables that validate it."""

from __future__ import annotations

import json

from casemate.manifest.kinds import JsonObject
from casemate.manifest.numeric_kinds import Duration, Size
from casemate.manifest.structure import (
    Field,
    NamedTables,
    NamedValues,
    Table,
    TableArray,
    ValueArray,
)
from casemate.manifest.tables import MANIFEST

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> JsonObject:
    """Return the schema of `casemate.toml` as JSON-able data.

    What `load` accepts is valid under it. The reverse does not hold: files, bounds of sizes and
    durations, routes that clash, and grants that name what is not there are beyond a schema.
    """
    return {"$schema": DIALECT, **_table(MANIFEST)}


def schema_text() -> str:
    """Return the schema as it is published: indented JSON with a final newline."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=True) + "\n"


def _table(table: Table) -> JsonObject:
    schema: JsonObject = {
        "title": table.title,
        "description": table.description,
        "type": "object",
        "properties": {field.name: _field(field) for field in table.fields},
        "additionalProperties": False,
    }
    required = [field.name for field in table.fields if field.required]
    if required:
        schema["required"] = required
    return schema


def _field(field: Field) -> JsonObject:
    kind = field.kind
    description = field.description
    if isinstance(kind, (Size, Duration)):
        description += f" From {kind.bounds}."
    schema: JsonObject
    if isinstance(kind, Table):
        schema = _table(kind)
    elif isinstance(kind, NamedTables):
        schema = {
            "type": "object",
            "patternProperties": {kind.names.pattern: _table(kind.table)},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": kind.max_count,
        }
    elif isinstance(kind, NamedValues):
        schema = {
            "type": "object",
            "patternProperties": {
                kind.names.pattern: {**kind.kind.schema(), "description": kind.description}
            },
            "additionalProperties": False,
            "maxProperties": kind.max_count,
        }
    elif isinstance(kind, TableArray):
        schema = {"type": "array", "items": _table(kind.table), "maxItems": kind.max_count}
    elif isinstance(kind, ValueArray):
        schema = {
            "type": "array",
            "items": {**kind.kind.schema(), "description": kind.description},
            "minItems": kind.min_count,
            "maxItems": kind.max_count,
            "uniqueItems": True,
        }
    else:
        schema = kind.schema()
    schema["description"] = description
    if field.default is not None:
        schema["default"] = field.default
    return schema
