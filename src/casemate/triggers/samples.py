"""A sample event of any trigger, in the shape that its real source makes.

Where the real source has a function that makes the event, this calls it: web hooks are parsed from
a sample body, messages of servers outside from a sample message. Tests compare the others with
events of the project's data. A sample fits the trigger's filters.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from casemate.data.interface import Message
from casemate.decoding import decodable
from casemate.delivery.destinations import FAILED, SUCCEEDED
from casemate.delivery.leased import read_message
from casemate.invocation.rendering import function_source
from casemate.model.deployment import Version
from casemate.model.errors import InvalidInputError
from casemate.model.event import Event
from casemate.model.grant import Resources
from casemate.model.http import HttpHead
from casemate.model.trigger import (
    AnyTrigger,
    BucketTrigger,
    MqttTrigger,
    NatsTrigger,
    OutsideTrigger,
    PostgresTrigger,
    QueueTrigger,
    RabbitmqTrigger,
    RepositoryTrigger,
    ResultTrigger,
    S3Trigger,
    ScheduleTrigger,
    TableTrigger,
    TopicTrigger,
    TriggerKind,
    ValkeyTrigger,
)
from casemate.sources import Received
from casemate.triggers.hooks.declared import Hook
from casemate.triggers.outside import event_of
from casemate.triggers.schedule import event_of_tick

_COMMIT = "5b1f" * 10
_BEFORE = "0a2c" * 10
_OBJECT = b"sample"
_DATA: dict[str, object] = {"sample": True}
_encode = msgspec.json.encode


def sample_event(
    version: Version,
    trigger: AnyTrigger,
    now: float,
    *,
    resources: Resources,
    data: object = msgspec.UNSET,
) -> Event:
    """Return an event as this trigger of `version` brings it.

    `resources` are the project's, for the keys of its tables; `data` takes the place of the
    sample's. Raises InvalidInputError if it is nothing that this trigger could bring.
    """
    given = None if data is msgspec.UNSET else msgspec.Raw(_encode(data))
    if isinstance(trigger, BucketTrigger):
        return _bucket(version, trigger, now, data)
    if isinstance(trigger, TableTrigger):
        return _table(version, trigger, now, resources, data)
    if isinstance(trigger, OutsideTrigger):
        return event_of(trigger, _received(trigger, now, given), now)
    make: Callable[[Version, Any, float, msgspec.Raw | None], Event] = _OF_KIND[type(trigger)]
    return make(version, trigger, now, given)


def _object_of(data: object, what: str) -> Mapping[str, Any]:
    if data is msgspec.UNSET:
        return {}
    if not isinstance(data, dict):
        raise InvalidInputError(
            f"The data of {what} is a JSON object.", next_step="See docs/reference/events.md."
        )
    return data


def _identity() -> str:
    return secrets.token_hex(16)


def _schedule(
    version: Version, trigger: ScheduleTrigger, now: float, given: msgspec.Raw | None
) -> Event:
    tick = event_of_tick(version.project, version.function, trigger, now, 0)
    return tick if given is None else msgspec.structs.replace(tick, data=given)


def _queue(version: Version, trigger: QueueTrigger, now: float, given: msgspec.Raw | None) -> Event:
    body = bytes(given) if given is not None else _encode(_DATA)
    message = Message(id=_identity(), body=body, sent_at=now, attempts=1)
    place = (version.project, "queue", trigger.queue)
    event = read_message(place, message, now, trigger.name, None).event
    if event is None:
        raise InvalidInputError("The data is not a message.")
    return event


def _topic(version: Version, trigger: TopicTrigger, now: float, given: msgspec.Raw | None) -> Event:
    value: dict[str, Any] = dict(_DATA)
    for path, wanted in trigger.filter.items():
        place, *rest = value, *path.split(".")
        for part in rest[:-1]:
            place = place.setdefault(part, {})
        place[rest[-1]] = wanted[0] if wanted else None
    return Event(
        id=_identity(),
        source=f"/projects/{version.project}/topics/{trigger.topic}",
        type="casemate.topic.message",
        time=now,
        kind=TriggerKind.TOPIC,
        trigger=trigger.name,
        data=given if given is not None else msgspec.Raw(_encode(value)),
        detail={"topic": trigger.topic, "attributes": {}},
    )


def _bucket(version: Version, trigger: BucketTrigger, now: float, data: object) -> Event:
    detail: dict[str, object] = {
        "bucket": trigger.bucket,
        "key": f"{trigger.prefix}sample{trigger.suffix}",
        "revision": 1,
        "size": len(_OBJECT),
        "content_type": "application/octet-stream",
        "sha256": hashlib.sha256(_OBJECT).hexdigest(),
    }
    kind, given = _kind_of(_object_of(data, "a bucket's event"), trigger.events)
    _take(detail, given, "a bucket's event", fixed=("bucket",))
    return Event(
        id=_identity(),
        source=f"/projects/{version.project}/buckets/{trigger.bucket}",
        type=f"casemate.bucket.{kind}",
        time=now,
        kind=TriggerKind.BUCKET,
        trigger=trigger.name,
        subject=str(detail["key"]),
        data=msgspec.Raw(_encode(detail)),
        detail=detail,
    )


def _table(
    version: Version, trigger: TableTrigger, now: float, resources: Resources, data: object
) -> Event:
    kind, given = _kind_of(_object_of(data, "a table's event"), trigger.events)
    table = next((one for one in resources.tables if one.name == trigger.table), None)
    names = [name for name in (getattr(table, "key", "id"), getattr(table, "sort", None)) if name]
    item: dict[str, object] = {**dict.fromkeys(names, "sample"), "value": 1}
    images: dict[str, object] = {
        "old": None if kind == "inserted" else {**item, "value": 0},
        "new": None if kind in ("deleted", "expired") else item,
    }
    _take(images, given, "a table's event")
    shown = images["new"] or images["old"]
    found = shown if isinstance(shown, dict) else {}
    keys = {name: found.get(name, "sample") for name in names}
    key, *sort = keys.values()
    return Event(
        id=_identity(),
        source=f"/projects/{version.project}/tables/{trigger.table}",
        type=f"casemate.table.{kind}",
        time=now,
        kind=TriggerKind.TABLE,
        trigger=trigger.name,
        subject=str(key),
        data=msgspec.Raw(_encode(images)),
        detail={
            "table": trigger.table,
            "key": key,
            "sort": sort[0] if sort else None,
            "keys": keys,
            "revision": 1,
            **images,
        },
    )


def _kind_of(given: Mapping[str, Any], events: tuple[str, ...]) -> tuple[str, Mapping[str, Any]]:
    """Return which of a trigger's events is meant, by `event`, and what else is given."""
    kind = given.get("event", events[0])
    if kind not in events:
        raise InvalidInputError(
            f"The event is {str(kind)[:80]!r}, which this trigger does not bring.",
            next_step=f"Give one of: {', '.join(events)}.",
        )
    return kind, {name: value for name, value in given.items() if name != "event"}


def _take(
    into: dict[str, object], given: Mapping[str, Any], what: str, fixed: tuple[str, ...] = ()
) -> None:
    unknown = sorted(name for name in given if name not in into or name in fixed)
    if unknown:
        raise InvalidInputError(
            f"{unknown[0][:80]!r} is nothing that {what} can be given.",
            next_step=f"Give some of: {', '.join(sorted({'event', *into} - set(fixed)))}.",
        )
    into.update(given)


def _result(
    version: Version, trigger: ResultTrigger, now: float, given: msgspec.Raw | None
) -> Event:
    succeeded = trigger.on[0] == "success"
    invocation = f"inv_{secrets.token_hex(12)}"
    return Event(
        id=f"{invocation}.1",
        source=function_source(version.project, trigger.function),
        type=SUCCEEDED if succeeded else FAILED,
        time=now,
        kind=TriggerKind.RESULT,
        trigger=trigger.name,
        subject=_identity(),
        data=given or msgspec.Raw(_encode({"result": _DATA if succeeded else None})),
        detail={
            "function": trigger.function,
            "invocation": invocation,
            "outcome": "success" if succeeded else "handler-error",
            "error_id": "" if succeeded else f"err_{secrets.token_hex(12)}",
            "attempts": 1,
            "depth": 1,
            "left": 256,
        },
    )


# -- from outside ----------------------------------------------------------------------------------


def _hook(
    version: Version,
    trigger: RepositoryTrigger | S3Trigger,
    now: float,
    given: msgspec.Raw | None,
) -> Event:
    """Read a sample request with the provider's own reader."""
    is_storage = isinstance(trigger, S3Trigger)
    body = _notification(trigger) if isinstance(trigger, S3Trigger) else _push(trigger)
    names = {event for event in getattr(trigger, "events", ()) if "*" not in event}
    event = "push" if is_storage or "push" in names or not names else sorted(names)[0]
    identity = secrets.token_hex(16)
    headers = {
        "x-github-event": event,
        "x-github-delivery": identity,
        "x-gitea-event": event,
        "x-gitea-delivery": identity,
        "x-gitlab-event-uuid": identity,
        "webhook-id": identity,
        "webhook-timestamp": str(int(now)),
        "content-type": "application/json",
    }
    head = HttpHead(
        method="POST",
        path="/",
        query="",
        headers=tuple((name.encode(), value.encode()) for name, value in headers.items()),
        peer="127.0.0.1",
    )
    hook = Hook((version.project, version.function, trigger.name), trigger, version)
    notices = hook.provider.notices(head, bytes(given) if given is not None else _encode(body))
    message = hook.message(notices[0], now)
    return msgspec.json.decode(message.body, type=decodable(Event))


def _push(trigger: RepositoryTrigger) -> dict[str, object]:
    branch = trigger.branches[0].replace("*", "sample") if trigger.branches else "main"
    pushed: dict[str, object] = {
        "ref": f"refs/heads/{branch}",
        "before": _BEFORE,
        "after": _COMMIT,
    }
    url = "https://git.example.org/team/sample"
    if trigger.provider == "git":
        return {**pushed, "event": "push", "repository": url, "sender": "sample"}
    if trigger.provider == "gitlab":
        project = {"web_url": url, "path_with_namespace": "team/sample"}
        more = {"checkout_sha": _COMMIT, "user_username": "sample", "project": project}
        return {"object_kind": "push", "event_name": "push", **pushed, **more}
    repository = {"html_url": url, "full_name": "team/sample"}
    return {**pushed, "repository": repository, "sender": {"login": "sample"}, "commits": []}


def _notification(trigger: S3Trigger) -> dict[str, object]:
    names = [event.replace("*", "Put") for event in trigger.events]
    key = f"{trigger.prefix}sample{trigger.suffix}"
    stored = {
        "key": key,
        "size": len(_OBJECT),
        "eTag": "36c1e1c26d9a5b5d0b5f0a6a7f7a5a1c",
        "contentType": "application/octet-stream",
        "sequencer": "0055AED6DCD90281E5",
    }
    record = {
        "eventVersion": "2.0",
        "eventName": names[0] if names else "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": "sample"}, "object": stored},
    }
    return {"EventName": record["eventName"], "Key": f"sample/{key}", "Records": [record]}


def _received(trigger: OutsideTrigger, now: float, given: msgspec.Raw | None) -> Received:
    body = bytes(given) if given is not None else _encode(_DATA)
    entry = f"{int(now * 1000)}-0"
    subject, name = "", entry
    detail: dict[str, str | int | float | bool | None]
    match trigger:
        case ValkeyTrigger(stream=""):
            subject, name = trigger.keys.replace("*", "sample"), ""
            detail = {"key": subject, "event": "set"}
            body = body if given is not None else _encode({"key": subject, "event": "set"})
        case ValkeyTrigger():
            subject = trigger.stream
            detail = {"stream": trigger.stream, "group": trigger.group, "entry": entry}
        case PostgresTrigger(outbox=""):
            subject, name = trigger.channel, ""
            detail = {"channel": trigger.channel, "process": 1}
        case PostgresTrigger():
            subject, name = "sample", "1"
            detail = {"table": trigger.outbox, "id": 1, "topic": subject}
        case RabbitmqTrigger():
            subject = trigger.queue
            detail = {
                "queue": trigger.queue,
                "exchange": "",
                "routing_key": trigger.queue,
                "redelivered": False,
                "message_type": "",
                "correlation_id": "",
            }
        case MqttTrigger():
            subject, name = trigger.topic.replace("+", "sample").replace("#", "sample"), ""
            detail = {
                "topic": subject,
                "qos": trigger.qos,
                "retained": False,
                "redelivered": False,
            }
        case NatsTrigger():
            subject = trigger.subject.replace("*", "sample").replace(">", "sample")
            detail = {"subject": subject}
            if trigger.stream:
                detail |= {"stream": trigger.stream, "sequence": 1, "attempt": 1}
                name = f"{trigger.stream}-1"
            else:
                name = ""
        case _:
            detail = {}
    return Received(
        body=body,
        content_type="application/json",
        id=name,
        time=now,
        subject=subject,
        detail=detail,
    )


_OF_KIND: dict[type, Callable[[Version, Any, float, msgspec.Raw | None], Event]] = {
    ScheduleTrigger: _schedule,
    QueueTrigger: _queue,
    TopicTrigger: _topic,
    ResultTrigger: _result,
    RepositoryTrigger: _hook,
    S3Trigger: _hook,
}
