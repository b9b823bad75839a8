"""Which shape an event gets, by what brought it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from casemate.invocation.aws.dynamodb import dynamodb_record
from casemate.invocation.aws.eventbridge import eventbridge_event
from casemate.invocation.aws.http import http_event
from casemate.invocation.aws.load_balancer import load_balancer_event
from casemate.invocation.aws.rest import rest_event
from casemate.invocation.aws.s3 import s3_record
from casemate.invocation.aws.sns import sns_record
from casemate.invocation.aws.sqs import sqs_record
from casemate.model.event import Event
from casemate.model.function import EventFormat
from casemate.model.trigger import TriggerKind

_RECORDS: dict[TriggerKind, Callable[[Event], dict[str, object]]] = {
    TriggerKind.QUEUE: sqs_record,
    TriggerKind.TOPIC: sns_record,
    TriggerKind.BUCKET: s3_record,
    TriggerKind.S3: s3_record,
    TriggerKind.TABLE: dynamodb_record,
}


_REQUESTS: dict[EventFormat, Callable[[Mapping[str, object], str, float], dict[str, object]]] = {
    EventFormat.AWS: http_event,
    EventFormat.AWS_REST: rest_event,
    EventFormat.AWS_ALB: load_balancer_event,
}


def aws_event(
    events: Sequence[Event],
    request_id: str,
    *,
    batch: bool,
    event_format: EventFormat = EventFormat.AWS,
) -> object:
    """Return what AWS Lambda would hand over for events of one trigger, at least one.

    `event_format` says which shape requests to routes have; all else is the same in each.

    Those without records come one at a time, in a batch as an array as EventBridge Pipes does it.
    """
    first = events[0]
    record = _RECORDS.get(first.kind)
    if record is not None:
        return {"Records": [record(event) for event in events]}
    if first.kind is TriggerKind.HTTP:
        return _REQUESTS[event_format](first.detail, request_id, first.time)
    if first.kind is TriggerKind.INVOKE:
        return first.data
    if batch:
        return [eventbridge_event(event) for event in events]
    return eventbridge_event(first)
