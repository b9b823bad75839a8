"""A recorded event as the node handed it over, in the shape that the handler of now reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from casemate.cli.errors import CommandError
from casemate.model.recording import Came

if TYPE_CHECKING:
    from casemate.model.event import Event
    from casemate.model.function import FunctionSpec
    from casemate.model.recording import Recording

_SHAPES = {"invoke": "", "function": "", "http": "http"}
"""How what is recorded of somebody who waits is handed over, by its trigger."""
_KEPT = {Came.KEPT: "event", Came.BATCH: "batch"}
"""How what came by an inbox is."""


class HandedOver(NamedTuple):
    """What a runner reads: see `casemate.runner.event`."""

    shape: str
    event: Any
    http: bool
    """Whether it came by a route, and may be answered with a status."""


def handed_over(spec: FunctionSpec, recording: Recording) -> HandedOver:
    """Return a recorded event for a handler. Raises CommandError for what cannot be done again."""
    summary, content = recording.summary, recording.content
    shape = _KEPT.get(content.came) or _SHAPES.get(summary.trigger)
    if not content.event:
        raise CommandError(
            f"The event of {summary.id} was too large to be recorded, or came by an inbox when "
            "those were not recorded yet, so that it cannot be handed over.",
            next_step="Have it fail again, by a smaller event if it was too large.",
        )
    if shape is None:
        raise CommandError(
            f"An event of the kind {summary.trigger!r} cannot be handed over: it is none that this "
            "release knows.",
            next_step="Use the release that the node has.",
        )
    event = msgspec.json.decode(content.event)
    if shape == "http" and isinstance(event, dict):
        source = f"/projects/{summary.project}/functions/{summary.function}"
        event |= {"id": summary.id, "source": source, "type": "casemate.http.request"}
        event["time"] = summary.at
    first = event[0] if shape == "batch" else event
    http = shape == "http" or (shape == "event" and first["kind"] == "http")
    # A direct call has no shape of AWS's.
    if shape and spec.event_format.value != "casemate" and first.get("kind") != "invoke":
        return HandedOver("aws", _as_aws(spec, summary.id, shape, event), http)
    return HandedOver(shape, event, http)


def _as_aws(spec: FunctionSpec, invocation: str, shape: str, event: Any) -> Any:
    """Return events as `casemate.invocation` hands them over to a handler of AWS Lambda's."""
    from casemate.invocation.rendering import rendered

    several = event if shape == "batch" else [event]
    try:
        events = tuple(_request(one) if shape == "http" else _kept(one) for one in several)
        told = rendered(events, spec.event_format, invocation, batch=shape == "batch")[1]
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(
            f"The event of {invocation} has not what the shape {spec.event_format.value} is made "
            "of, so that it cannot be handed over.",
            next_step="Use the release that the node has.",
        ) from error
    return msgspec.json.decode(told)


def _kept(told: dict[str, Any]) -> Event:
    """Return the event of an inbox, of what was handed over of it."""
    from casemate.model.event import Event
    from casemate.model.trigger import TriggerKind

    attributes = {name: told[name] for name in ("id", "source", "type", "time", "subject")}
    return Event(
        **attributes,
        kind=TriggerKind(told["kind"]),
        data=msgspec.Raw(msgspec.json.encode(told["data"])),
        detail=told[told["kind"]],
    )


def _request(told: dict[str, Any]) -> Event:
    """Return a request to a route as such an event."""
    from casemate.model.event import Event
    from casemate.model.trigger import TriggerKind

    attributes = {name: told[name] for name in ("id", "source", "type", "time")}
    return Event(**attributes, kind=TriggerKind.HTTP, detail=told)
