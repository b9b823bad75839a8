"""From the checked values of a function's triggers to the model, and what a table cannot say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import msgspec

from casemate.decoding import decodable
from casemate.manifest.grants import PlacedGrant, check_declared, check_egress
from casemate.manifest.hosts import WILDCARD
from casemate.manifest.locator import KeyPath
from casemate.manifest.problem import ProblemCollector, quoted
from casemate.manifest.trigger_fields import MAX_TRIGGERS
from casemate.manifest.trigger_tables import TABLES
from casemate.manifest.validation import Values
from casemate.model.grant import GrantKind
from casemate.model.trigger import (
    OUTSIDE,
    AnyTrigger,
    OutsideTrigger,
    QueueTrigger,
    ResultTrigger,
    Trigger,
    TriggerKind,
    consumed,
)


class PlacedTrigger(NamedTuple):
    """A trigger and where it stands."""

    trigger: AnyTrigger
    path: KeyPath


def triggers_of(values: Values, path: KeyPath, problems: ProblemCollector) -> list[PlacedTrigger]:
    """Return the triggers of a checked function; note what contradicts itself or is there twice.

    What was noted by the tables' own checks is left out. A contract is text already.
    """
    placed = []
    for kind, (model, _) in TABLES.items():
        tables = values.get(kind.value)
        for index, value in enumerate(tables if isinstance(tables, list) else ()):
            place: KeyPath = (*path, kind.value, index)
            before = len(problems)
            _check_value(kind, value, place, problems)
            if len(problems) > before or None in value.values():
                continue
            trigger = _trigger(kind, model, index, value)
            if trigger is not None:
                placed.append(PlacedTrigger(trigger, place))
    for trigger, place in placed:
        _check_outside(trigger, place, problems)
    _check_names(placed, path, problems)
    return placed


def check_consumed(
    function: str,
    placed: Collection[PlacedTrigger],
    declared: Mapping[GrantKind, Collection[str]],
    problems: ProblemCollector,
) -> None:
    """Note triggers of what the manifest does not declare, and of the function itself."""
    for trigger, path in placed:
        for grant in consumed((trigger,)):
            if isinstance(trigger, ResultTrigger) and trigger.function == function:
                problems.add((*path, "function"), "the function itself", "another one")
            elif grant.kind in declared:
                where = PlacedGrant(grant, path)
                check_declared([where], declared, problems, key=grant.kind.value)


def check_consumers(
    functions: Mapping[str, Collection[PlacedTrigger]], problems: ProblemCollector
) -> None:
    """Note every queue that two triggers of the project consume."""
    first: dict[str, KeyPath] = {}
    for placed in functions.values():
        for trigger, path in placed:
            if not isinstance(trigger, QueueTrigger):
                continue
            earlier = first.setdefault(trigger.queue, path)
            if earlier is not path:
                problems.add(
                    (*path, "queue"),
                    f"{quoted(trigger.queue)}, which the trigger on line {problems.line(earlier)} "
                    "consumes",
                    "one consumer for each queue; use a topic for several",
                )


def ordered(placed: Collection[PlacedTrigger]) -> tuple[AnyTrigger, ...]:
    """Return the triggers in the order that the model has them in."""
    return tuple(trigger for trigger, _ in placed)


def _trigger(
    kind: TriggerKind, model: type[Trigger], index: int, value: Values
) -> AnyTrigger | None:
    raw = {"name": f"{kind.value}-{index + 1}", **value, "type": kind.value}
    host = raw.get("host")
    if isinstance(host, str):
        raw["host"] = host.strip("[]")
    try:
        # The type tells the kind; msgspec checks each field against the model once more.
        trigger: AnyTrigger = msgspec.convert(raw, decodable(model))  # type: ignore[assignment]
    except msgspec.ValidationError:
        return None  # a value that is missing or wrong was noted where it stands
    return trigger


def _check_value(
    kind: TriggerKind, value: Values, path: KeyPath, problems: ProblemCollector
) -> None:
    if kind is TriggerKind.SCHEDULE:
        _exactly_one(value, ("cron", "every"), path, problems)
        _only_with(value, "timezone", "cron", path, problems)
    elif kind is TriggerKind.VALKEY:
        _exactly_one(value, ("stream", "keys"), path, problems)
        _only_with(value, "group", "stream", path, problems)
    elif kind is TriggerKind.NATS:
        _only_with(value, "durable", "stream", path, problems)
    elif kind is TriggerKind.POSTGRES and value.get("outbox") == "" and not value.get("channel"):
        problems.add((*path, "channel"), "neither an outbox nor a channel", "one of them, or both")
    if kind in OUTSIDE:
        _only_with(value, "password", "user", path, problems, besides=TriggerKind.VALKEY is kind)
    if value.get("window") and value.get("batch", 1) == 1:
        problems.add(
            (*path, "window"),
            "a window without a batch",
            "batch = 2 or more beside it: one event does not wait for others",
        )


def _exactly_one(
    value: Values, keys: tuple[str, str], path: KeyPath, problems: ProblemCollector
) -> None:
    given = [key for key in keys if key in value and value[key] != ""]
    if len(given) == 1:
        return
    found = f"both {keys[0]} and {keys[1]}" if given else f"neither {keys[0]} nor {keys[1]}"
    problems.add(path, found, "exactly one of them")


def _only_with(
    value: Values,
    key: str,
    other: str,
    path: KeyPath,
    problems: ProblemCollector,
    *,
    besides: bool = False,
) -> None:
    if value.get(key) and not value.get(other) and not besides:
        problems.add((*path, key), f"{key} without {other}", f"{key} only beside {other}")


def _check_outside(trigger: AnyTrigger, path: KeyPath, problems: ProblemCollector) -> None:
    if not isinstance(trigger, OutsideTrigger):
        return
    grant = consumed((trigger,))[0]
    if grant.name.startswith(WILDCARD):
        problems.add((*path, "host"), quoted(trigger.host), "one host, not a wildcard")
        return
    check_egress(grant, path, problems, also_needed="" if trigger.tls else "tls = false")


def _check_names(
    placed: Collection[PlacedTrigger], path: KeyPath, problems: ProblemCollector
) -> None:
    first: dict[str, KeyPath] = {}
    for trigger, place in placed:
        earlier = first.setdefault(trigger.name, place)
        if earlier is not place:
            problems.add(
                (*place, "name"),
                f"{quoted(trigger.name)}, as the one on line {problems.line(earlier)} is called",
                "a name of its own in the function",
            )
    if len(placed) > MAX_TRIGGERS:
        problems.add(path, f"{len(placed)} triggers", f"at most {MAX_TRIGGERS} of a function")
