"""Attacks on record: the facts that each rule of detection comes with, as events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from casemate.decoding import decodable
from casemate.detection import attacks_of, examples, over, shipped_rules, twins_of
from casemate.recorder import ocsf

MIDNIGHT = 1_772_409_600.0
"""2026-03-02 00:00 UTC, a Monday."""
MORNING = MIDNIGHT + 10 * 3600.0
_KINDS = {kind.__name__: kind for kind in (*ocsf.KINDS, *ocsf.OWN_KINDS)}
_OTHERS = {"times", "every", "at"}


def _filled(value: Any, n: int) -> Any:
    if isinstance(value, str):
        return value.replace("{n}", str(n))
    if isinstance(value, list):
        return [_filled(each, n) for each in value]
    return value


def event_of(kind: str, fields: Mapping[str, Any], at: float, uid: str = "1-1") -> dict[str, Any]:
    """Return the event that a fact becomes. ValueError for what is no field of the fact."""
    renamed = {
        ("principal" if kind == "Denial" and key == "by" else key): value
        for key, value in fields.items()
    }
    if unknown := renamed.keys() - set(_KINDS[kind].__struct_encode_fields__):
        raise ValueError(f"{kind} has no field {sorted(unknown)}.")
    fact = msgspec.convert({"at": at, **renamed}, decodable(_KINDS[kind]))
    found: dict[str, Any] = msgspec.json.decode(ocsf.event(fact, 1, uid))
    return found


def events_of(example: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the events of an attack or its twin. ValueError for what is no example."""
    now, number = MORNING, 0
    for item in example:
        [(kind, fields)] = [(key, item[key]) for key in item if key in _KINDS]
        if unknown := item.keys() - {kind, *_OTHERS}:
            raise ValueError(f"An example has no {sorted(unknown)}.")
        if "at" in item:
            hours, minutes = item["at"].split(":")
            now = MIDNIGHT + int(hours) * 3600 + int(minutes) * 60
        for n in range(item.get("times", 1)):
            filled = {key: _filled(value, n) for key, value in fields.items()}
            number += 1
            yield event_of(kind, filled, now, f"boot-{number}")
            now += item.get("every", 1)


def found_on_record(rule: str) -> tuple[bool, bool]:
    """Tell whether a rule finds each attack that it comes with, and whether one of its twins."""
    example, only = examples()[rule], shipped_rules().only(rule)
    attacks = all(over(events_of(each), only) for each in attacks_of(example))
    return attacks, any(over(events_of(each), only) for each in twins_of(example))
