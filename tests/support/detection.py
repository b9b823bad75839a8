"""Events of the journal out of the examples of rules, which are facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from casemate.recorder import ocsf

MIDNIGHT = 1_772_409_600.0
"""2026-03-02 00:00 UTC, a Monday."""
MORNING = MIDNIGHT + 10 * 3600.0
_KINDS = {kind.__name__: kind for kind in (*ocsf.KINDS, *ocsf.OWN_KINDS)}


def _filled(value: Any, n: int) -> Any:
    if isinstance(value, str):
        return value.replace("{n}", str(n))
    if isinstance(value, list):
        return [_filled(each, n) for each in value]
    return value


def event_of(kind: str, fields: Mapping[str, Any], at: float, uid: str = "1-1") -> dict[str, Any]:
    """Return the event that a fact becomes. It fails for what is no field of the fact."""
    renamed = {
        ("principal" if kind == "Denial" and key == "by" else key): value
        for key, value in fields.items()
    }
    names = {each.encode_name for each in msgspec.structs.fields(_KINDS[kind])}
    assert renamed.keys() <= names, renamed.keys() - names
    fact = msgspec.convert({"at": at, **renamed}, _KINDS[kind])
    found: dict[str, Any] = msgspec.json.decode(ocsf.event(fact, 1, uid))
    return found


def events_of(example: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the events of an attack or its twin, as they would be in the journal."""
    now, number = MORNING, 0
    for item in example:
        [(kind, fields)] = [(key, item[key]) for key in item if key in _KINDS]
        assert item.keys() <= {kind, "times", "every", "at"}, item.keys()
        if "at" in item:
            hours, minutes = item["at"].split(":")
            now = MIDNIGHT + int(hours) * 3600 + int(minutes) * 60
        for n in range(item.get("times", 1)):
            filled = {key: _filled(value, n) for key, value in fields.items()}
            number += 1
            yield event_of(kind, filled, now, f"boot-{number}")
            now += item.get("every", 1)
