"""What is sent to an instance, read by the runner as its handler will."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from casemate.invocation.rendering import Shape, answers_http, events_of, render, shape
from casemate.model.event import Event
from casemate.model.function import EventFormat
from casemate.model.path import Admitted, Request
from casemate.model.principal import ANONYMOUS
from casemate.model.trigger import TriggerKind
from casemate.runner.event import Origin, read
from support.core import raw, version

HTTP: dict[str, object] = {
    "method": "GET",
    "path": "/x",
    "route": "/x",
    "path_parameters": {},
    "query": {},
    "headers": {},
    "body": None,
    "is_base64": False,
    "remote_address": "192.0.2.1",
}


def admitted(body: bytes = b"null", *, aws: bool = False, **changes: Any) -> Admitted:
    given = raw(project="shop", function="f", body=body, received_at=7.5, **changes)
    style = EventFormat.AWS if aws else EventFormat.CASEMATE
    return Admitted(
        request=Request(id="inv_1", raw=given, event=body),
        version=version(event_format=style),
        principal=ANONYMOUS,
    )


def event(kind: TriggerKind = TriggerKind.QUEUE, **changes: Any) -> Event:
    known = {
        "id": "e1",
        "source": "/projects/shop/queues/jobs",
        "type": "casemate.queue.message",
        "time": 6.5,
        "kind": kind,
        "trigger": "queue-1",
        "data": msgspec.Raw(b'{"a":1}'),
        "detail": {"queue": "jobs", "attempt": 1, "sent_at": 6.5, "key": ""},
    }
    return Event(**{**known, **changes})


def handled(one: Admitted) -> tuple[Any, Any]:
    """Return what the handler gets and its event."""
    origin = Origin({"id": one.request.id, "at": one.request.raw.received_at}, "shop", "f")
    return read(shape(one).value, json.loads(render(one)), origin)


@pytest.mark.parametrize("aws", [False, True])
@pytest.mark.parametrize("body", [b"null", b"7", b'{"a":[1]}', b'{"id":"mine"}'])
def test_a_direct_call_is_sent_as_it_came(body: bytes, aws: bool) -> None:
    one = admitted(body, aws=aws)
    assert shape(one) is Shape.PLAIN
    assert render(one) == body
    assert not answers_http(one.request)
    given, seen = handled(one)
    assert given == json.loads(body)
    assert seen.id == "inv_1"


def test_a_request_to_a_route() -> None:
    one = admitted(event=HTTP)
    assert shape(one) is Shape.HTTP
    assert answers_http(one.request)
    given, seen = handled(one)
    assert given["path"] == "/x"
    assert (seen.id, seen.source, seen.type, seen.time) == (
        "inv_1",
        "/projects/shop/functions/f",
        "casemate.http.request",
        7.5,
    )
    assert seen.detail == HTTP


def test_one_event_and_a_batch() -> None:
    given, seen = handled(admitted(events=(event(),), trigger="queue"))
    assert given is seen
    assert seen.data == {"a": 1}
    assert seen.detail["queue"] == "jobs"
    given, seen = handled(admitted(events=(event(), event(id="e2")), batch=True, trigger="queue"))
    assert [record.id for record in seen.records] == ["e1", "e2"]
    one = admitted(events=(event(),), batch=True, trigger="queue")
    assert shape(one) is Shape.BATCH
    assert handled(one)[1].data == [{"a": 1}]


@pytest.mark.parametrize("changes", [{}, {"event": HTTP}])
def test_what_is_kept_is_handled_as_what_is_not(changes: dict[str, Any]) -> None:
    now = admitted(b'{"a":1}', **changes)
    (kept,) = events_of(now.request)
    again = msgspec.json.decode(msgspec.json.encode(kept), type=Event)
    later = admitted(events=(again,), trigger=kept.kind.value)
    assert shape(later) is Shape.EVENT
    assert answers_http(later.request) is answers_http(now.request)
    given, seen = handled(now)
    given_later, seen_later = handled(later)
    assert given_later == given
    for name in ("id", "source", "type", "time", "data"):
        assert getattr(seen_later, name) == getattr(seen, name), name


def test_a_kept_value_that_is_no_object() -> None:
    (kept,) = events_of(admitted(b"[1]").request)
    assert handled(admitted(events=(kept,), trigger="invoke"))[0] == [1]


def test_aws_shapes() -> None:
    given, seen = handled(admitted(events=(event(),), aws=True, trigger="queue"))
    assert type(given) is dict
    assert given["Records"][0]["body"] == '{"a":1}'
    assert seen.id == "e1"
    given, _ = handled(admitted(event=HTTP, aws=True))
    assert given["requestContext"]["http"]["method"] == "GET"
    assert given["requestContext"]["requestId"] == "inv_1"
    kept = event(TriggerKind.INVOKE, detail={}, type="casemate.invocation")
    given, _ = handled(admitted(events=(kept,), aws=True, trigger="invoke"))
    assert given == {"a": 1}
