"""What an instance is sent: the event of an admitted invocation in the shape its handler reads.

The runner's `event.py` reads what is written here; the shape travels in the head of the frame.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from casemate.invocation.aws import aws_event
from casemate.model.event import Event, as_handed_over
from casemate.model.function import EventFormat
from casemate.model.path import Admitted, Request
from casemate.model.trigger import TriggerKind

_encode = msgspec.json.Encoder().encode


class Shape(StrEnum):
    """How the body of an invoke frame is to be read."""

    PLAIN = ""
    """A direct call: the payload itself."""
    HTTP = "http"
    """A request to a route, with `id`, `source`, `type` and `time` among its keys."""
    EVENT = "event"
    """One event with its attributes, `kind`, `data` and, under the kind's name, its detail."""
    BATCH = "batch"
    """An array of such events."""
    AWS = "aws"
    """What AWS Lambda would hand over, with its attributes beside it."""


_PLAIN = Shape.PLAIN.value
_LARGE_BYTES = 64 * 1024
INVOCATION_TYPE = "casemate.invocation"
REQUEST_TYPE = "casemate.http.request"


def sent(admitted: Admitted) -> tuple[str, bool, bytes]:
    """Return the shape, whether the handler may answer with a status, and the body of the frame."""
    request = admitted.request
    raw = request.raw
    if raw.event is None and not raw.events:
        return _PLAIN, False, request.event
    return shape(admitted).value, answers_http(request), render(admitted)


def shape(admitted: Admitted) -> Shape:
    """Return the shape of what `render` returns for the same invocation."""
    raw = admitted.request.raw
    if _is_aws(admitted):
        return Shape.AWS
    if raw.events:
        return Shape.BATCH if raw.batch else Shape.EVENT
    return Shape.PLAIN if raw.event is None else Shape.HTTP


def answers_http(request: Request) -> bool:
    """Tell whether the handler may answer with a status and headers."""
    raw = request.raw
    return raw.event is not None or bool(raw.events and raw.events[0].kind is TriggerKind.HTTP)


def render(admitted: Admitted) -> bytes:
    """Return the body of the invoke frame, JSON."""
    request = admitted.request
    raw = request.raw
    if raw.events or _is_aws(admitted):
        form = admitted.version.spec.event_format if _is_aws(admitted) else EventFormat.CASEMATE
        return rendered(events_of(request), form, request.id, batch=raw.batch)[1]
    if raw.event is None:
        return request.event
    more = {
        "id": request.id,
        "source": function_source(raw.project, raw.function),
        "type": REQUEST_TYPE,
        "time": raw.received_at,
    }
    if len(request.event) <= _LARGE_BYTES:
        return _encode({**raw.event, **more})
    # `raw.event` as it was encoded once: with a large body that takes its time.
    return b"".join((memoryview(request.event)[:-1], b",", memoryview(_encode(more))[1:]))


def rendered(
    events: tuple[Event, ...], event_format: EventFormat, request_id: str, *, batch: bool
) -> tuple[Shape, bytes]:
    """Return events in the shape that a handler of this format reads, and which it is."""
    if event_format is not EventFormat.CASEMATE:
        shown = aws_event(events, request_id, batch=batch, event_format=event_format)
        told = {"aws": shown, "events": [as_handed_over(event) for event in events]}
        return Shape.AWS, _encode(told)
    if batch:
        return Shape.BATCH, _encode([as_handed_over(event) for event in events])
    return Shape.EVENT, _encode(as_handed_over(events[0]))


def events_of(request: Request, keeper: str = "") -> tuple[Event, ...]:
    """Return a direct call or a request to a route as the events that an inbox keeps: one each.

    What came as CloudEvents keeps its attributes; only of these there can be several. `keeper` is
    who has one kept that is made here.
    """
    raw = request.raw
    if raw.events:
        return raw.events
    source = function_source(raw.project, raw.function)
    is_route = raw.event is not None
    event = Event(
        id=request.id,
        source=source,
        type=REQUEST_TYPE if is_route else INVOCATION_TYPE,
        time=raw.received_at,
        kind=TriggerKind.HTTP if is_route else TriggerKind.INVOKE,
        data=msgspec.Raw(b"null" if is_route else request.event),
        detail=raw.event or {},
        trace="" if raw.trace is None else raw.trace.kept,
        kept_by=keeper,
    )
    return (event,)


def function_source(project: str, function: str) -> str:
    """Return the URI reference of a function, the source of events that call it."""
    return f"/projects/{project}/functions/{function}"


def _is_aws(admitted: Admitted) -> bool:
    """Tell whether the handler reads AWS's shapes, and this is no direct call, which has none."""
    raw = admitted.request.raw
    if admitted.version.spec.event_format is EventFormat.CASEMATE:
        return False
    return raw.events[0].kind is not TriggerKind.INVOKE if raw.events else raw.event is not None
