"""The event of a handler: the same attributes whatever brought it."""

from __future__ import annotations

import base64
import copy
import json
import pickle
from typing import Any

import pytest

from casemate.runner import event as events
from casemate.runner.event import Event, Origin, read

HEAD = {"id": "inv_1", "at": 5.5}
ORIGIN = Origin(HEAD, "shop", "cart")


def sent(kind: str = "queue", **changes: Any) -> dict[str, Any]:
    return {
        "id": "e1",
        "source": "/projects/shop/queues/jobs",
        "type": "casemate.queue.message",
        "time": 4.5,
        "kind": kind,
        "subject": "",
        "data": {"a": 1},
        kind: {"queue": "jobs", "attempt": 2},
        **changes,
    }


def request(**changes: Any) -> dict[str, Any]:
    return {
        "method": "POST",
        "path": "/x",
        "route": "/x",
        "path_parameters": {},
        "query": {},
        "headers": {"content-type": "application/json"},
        "body": '{"a":1}',
        "is_base64": False,
        "remote_address": "192.0.2.1",
        **changes,
    }


IDENTITY = {
    "id": "inv_1",
    "source": "/projects/shop/functions/cart",
    "type": "casemate.http.request",
    "time": 5.5,
}


def attributes(event: Event) -> tuple[object, ...]:
    return event.id, event.source, event.type, event.time, event.subject


# -- direct calls ----------------------------------------------------------------------------------


def test_an_object_is_the_event() -> None:
    given, event = read("", {"a": [1]}, ORIGIN)
    assert given is event
    assert given == {"a": [1]}
    assert isinstance(given, dict)
    assert json.dumps(given) == '{"a": [1]}'
    assert event.data == {"a": [1]}
    assert attributes(event) == (
        "inv_1",
        "/projects/shop/functions/cart",
        "casemate.invocation",
        5.5,
        "",
    )
    assert event.detail == {}
    assert event.records == [event]


@pytest.mark.parametrize("value", [None, 7, 1.5, "x", True, [1, {"a": 2}]])
def test_any_other_value_is_handed_over_as_itself(value: object) -> None:
    given, event = read("", value, ORIGIN)
    assert given == value
    assert type(given) is type(value)
    assert event == {}
    assert event.data == value
    assert event.id == "inv_1"


def test_attributes_do_not_get_in_the_way_of_names() -> None:
    given, event = read("", {"id": 7, "source": "x", "data": [1], "time": "noon"}, ORIGIN)
    assert given["id"] == 7
    assert given["data"] == [1]
    assert event.id == "inv_1"
    assert event.data == given


def test_copies_are_plain() -> None:
    _, event = read("", {"a": [1]}, ORIGIN)
    for copied in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert type(copied) is dict
        assert copied == {"a": [1]}


def test_a_call_that_was_kept_is_as_one_that_was_not() -> None:
    kept = sent("invoke", type="casemate.invocation", invoke={})
    given, event = read("event", kept, ORIGIN)
    assert given is event
    assert given == {"a": 1}
    assert attributes(event) == ("e1", kept["source"], "casemate.invocation", 4.5, "")
    given, event = read("event", {**kept, "data": [1, 2]}, ORIGIN)
    assert given == [1, 2]
    assert event.data == [1, 2]
    assert event.id == "e1"


# -- requests --------------------------------------------------------------------------------------


def test_a_request_has_its_keys_and_attributes() -> None:
    given, event = read("http", {**request(), **IDENTITY}, ORIGIN)
    assert given is event
    assert given["method"] == "POST"
    assert given["id"] == "inv_1"
    assert attributes(event) == (*IDENTITY.values(), "/x")
    assert event.data == {"a": 1}
    assert event.detail == request()


@pytest.mark.parametrize(
    ("changes", "data"),
    [
        ({"body": None}, None),
        ({"body": "not json"}, "not json"),
        ({"body": "1", "headers": {"content-type": "application/problem+json; x=y"}}, 1),
        ({"body": "1", "headers": {"content-type": "text/plain"}}, "1"),
        ({"body": "1", "headers": {}}, "1"),
        ({"body": base64.b64encode(b"\xff\x00").decode(), "is_base64": True}, b"\xff\x00"),
    ],
)
def test_the_data_of_a_request_is_its_body(changes: dict[str, Any], data: object) -> None:
    _, event = read("http", {**request(**changes), **IDENTITY}, ORIGIN)
    assert event.data == data


def test_a_request_that_was_kept_is_as_one_that_was_not() -> None:
    kept = sent("http", **IDENTITY, data=None, http=request())
    given, event = read("event", kept, ORIGIN)
    assert given == {**request(), **IDENTITY}
    assert event.data == {"a": 1}


def test_a_cloudevent_on_a_route_brings_its_data_apart() -> None:
    kept = sent("http", type="com.example.x", data=None, http=request())
    _, event = read("event", kept, ORIGIN)
    assert event.data is None
    assert event.type == "com.example.x"


# -- triggers --------------------------------------------------------------------------------------


def test_an_event_of_a_trigger() -> None:
    given, event = read("event", sent(), ORIGIN)
    assert given is event
    assert given == {k: v for k, v in sent().items() if k != "kind"}
    assert given["queue"]["attempt"] == 2
    assert event.data == {"a": 1}
    assert event.detail == {"queue": "jobs", "attempt": 2}
    assert event.records == [event]


def test_a_batch() -> None:
    two = [sent(), sent(id="e2", data="x")]
    given, event = read("batch", two, ORIGIN)
    assert given is event
    assert event.data == [{"a": 1}, "x"]
    assert [record.id for record in event.records] == ["e1", "e2"]
    assert event.records[1].detail["queue"] == "jobs"
    assert event.id == "inv_1"
    assert event.type == "casemate.queue.message"
    assert [record["id"] for record in given["records"]] == ["e1", "e2"]
    assert json.loads(json.dumps(given))["records"][1]["data"] == "x"


def test_a_batch_of_one_is_a_list() -> None:
    _, event = read("batch", [sent()], ORIGIN)
    assert event.data == [{"a": 1}]
    assert len(event.records) == 1
    assert event.records[0] is not event


def test_the_shape_of_aws_is_handed_over_as_it_is() -> None:
    shown = {"Records": [{"body": "x"}]}
    given, event = read("aws", {"aws": shown, "events": [sent()]}, ORIGIN)
    assert given is shown
    assert type(given) is dict
    assert event.id == "e1"
    _, event = read("aws", {"aws": shown, "events": [sent(), sent(id="e2")]}, ORIGIN)
    assert [record.id for record in event.records] == ["e1", "e2"]


def test_a_shape_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="'new'"):
        read("new", {}, ORIGIN)


def test_the_shapes_are_those_of_the_platform() -> None:
    from casemate.invocation.rendering import Shape

    ours = {events.PLAIN, events.HTTP, events.EVENT, events.BATCH, events.AWS}
    assert ours == {shape.value for shape in Shape}
