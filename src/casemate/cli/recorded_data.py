"""Data of the events of one trigger that a node has recorded, as contracts are about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from casemate.cli.client import NodeClient
from casemate.cli.errors import CommandError
from casemate.cli.names import FunctionName
from casemate.decoding import DECODING_ERRORS
from casemate.model.invocation import Outcome
from casemate.model.recording import Came
from casemate.model.trigger import TriggerKind, kind_of
from casemate.operations.recordings import ListRecordings, ShowRecording

if TYPE_CHECKING:
    from casemate.model.function import FunctionSpec
    from casemate.model.recording import Recording
    from casemate.model.trigger import AnyTrigger

_WAITED_FOR = frozenset(("invoke", "function"))
"""By what direct calls come whose callers wait."""


def recorded_data(
    client: NodeClient, name: FunctionName, spec: FunctionSpec | None, what: str | None
) -> list[Any]:
    """Return the data of what a trigger, a route or direct calls brought, and what ended well.

    Events that failed are left out: they may be what a contract is to refuse. That they were
    looked at is recorded. Raises CommandError if a trigger cannot be told from another.
    """
    trigger = _named(spec, what)
    asked = ListRecordings(project=name.project, function=name.function)
    found: list[Any] = []
    for one in client.call(asked).recordings:
        if one.outcome is not Outcome.OK or not _may_be_by(one.trigger, trigger, what):
            continue
        recording = client.call(ShowRecording(project=name.project, id=one.id))
        if recording.content.event:  # what was too large is not in it
            found += _data(recording, trigger, what)
    return found


def _named(spec: FunctionSpec | None, what: str | None) -> AnyTrigger | None:
    """Return the trigger of a name; none for a route and for direct calls."""
    if spec is None or what is None or " " in what:
        return None
    named = [trigger for trigger in spec.triggers if trigger.name == what]
    alike = [trigger for trigger in spec.triggers if named and _key(trigger) == _key(named[0])]
    if len(alike) > 1:
        names = " and ".join(trigger.name for trigger in alike)
        raise CommandError(
            f"Recordings do not tell events of {names} apart.",
            next_step="Name files with the events of one of them.",
        )
    return named[0] if named else None


_READ = {
    TriggerKind.QUEUE: "queue",
    TriggerKind.TOPIC: "topic",
    TriggerKind.BUCKET: "bucket",
    TriggerKind.TABLE: "table",
    TriggerKind.RESULT: "function",
    TriggerKind.SCHEDULE: "name",
}
"""What both a trigger of a kind and the detail of its events name."""


def _key(trigger: AnyTrigger) -> tuple[str, str]:
    """Return what an event tells of its trigger: the kind, and what of it was read."""
    kind = kind_of(trigger)
    return kind, getattr(trigger, _READ[kind]) if kind in _READ else ""


def _may_be_by(recorded: str, trigger: AnyTrigger | None, what: str | None) -> bool:
    if trigger is not None:
        return recorded == kind_of(trigger)
    return recorded in _WAITED_FOR if what is None else recorded == "http"


def _data(recording: Recording, trigger: AnyTrigger | None, route: str | None) -> Iterator[Any]:
    event, came = msgspec.json.decode(recording.content.event), recording.content.came
    if came is Came.NOW and route is None:
        yield event
        return
    for each in event if came is Came.BATCH else [event]:
        if trigger is not None:
            kind, read = _key(trigger)
            if not read or each[kind].get(_READ[kind_of(trigger)]) == read:
                yield each["data"]
        elif route is None:
            yield each["data"]
        else:
            yield from _body(each if came is Came.NOW else each.get("http") or {}, route)


def _body(request: dict[str, Any], route: str) -> Iterator[Any]:
    """Yield the body of a request to a route, if it is JSON: else no contract would accept it."""
    method, _, path = route.partition(" ")
    if request.get("route") != path or method not in ("*", request.get("method")):
        return
    try:
        yield msgspec.json.decode(request.get("body") or "")
    except DECODING_ERRORS:
        return
