"""Triggers and delivery as a manifest writes them: the way back from the model."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from casemate.manifest.hosts import bracketed
from casemate.manifest.structure import Field, NamedValues, Table, ValueArray
from casemate.manifest.trigger_tables import DELIVERY, TABLES
from casemate.model.function import Delivery
from casemate.model.trigger import AnyTrigger, kind_of

Document = dict[str, object]


def triggers_tables(triggers: Iterable[AnyTrigger]) -> Document:
    """Return triggers as the data of a function's keys, defaults and contracts left out."""
    tables: dict[str, list[object]] = {}
    for trigger in triggers:
        kind = kind_of(trigger)
        written = _table(TABLES[kind][1], trigger)
        host = written.get("host")
        if isinstance(host, str):
            written["host"] = bracketed(host)
        tables.setdefault(kind.value, []).append(written)
    return {**tables}


def delivery_table(delivery: Delivery) -> Document:
    """Return the data of `[function.NAME.delivery]`, defaults left out."""
    return _table(DELIVERY, delivery)


def _table(table: Table, value: msgspec.Struct) -> Document:
    defaults = {field.name: field.default for field in msgspec.structs.fields(value)}
    written: Document = {}
    for field in table.fields:
        found = getattr(value, field.name)
        if field.name != "contract" and found != defaults[field.name]:
            written[field.name] = _written(field, found)
    return written


def _written(field: Field, value: object) -> object:
    kind = field.kind
    if isinstance(kind, ValueArray):
        return [kind.kind.render(item) for item in value] if isinstance(value, tuple) else value
    if isinstance(kind, NamedValues):
        named = value if isinstance(value, dict) else {}
        return {name: kind.kind.render(item) for name, item in named.items()}
    # No table of a trigger or of delivery holds another table.
    return kind.render(value) if hasattr(kind, "render") else value
