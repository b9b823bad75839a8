"""CloudEvents 1.0: all three modes are read strictly, and what is written can be read."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.invocation.cloudevents import Mode, answered, mode_of, read_events, structured
from casemate.invocation.cloudevents.writing import timestamp
from casemate.invocation.parse import parse
from casemate.model.event import MAX_CLOCK_AHEAD, Event
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import RawInvocation, RefusedError
from casemate.model.trigger import TriggerKind

NOW = 1_772_366_400.0
STRUCTURED = "application/cloudevents+json; charset=utf-8"
BATCH = "application/cloudevents-batch+json"
REQUIRED = {"specversion": "1.0", "id": "a-1", "source": "/orders?x=1", "type": "com.example.paid"}


def raw(body: bytes = b"", content_type: str = STRUCTURED, **changes: Any) -> RawInvocation:
    given = {
        "trigger": "invoke",
        "project": "shop",
        "function": "f",
        "qualifier": None,
        "credential": None,
        "content_type": content_type,
        "body": body,
        "received_at": NOW,
        **changes,
    }
    return RawInvocation(**given)


def one(**attributes: Any) -> Event:
    """Read one event in structured mode."""
    body = {k: v for k, v in {**REQUIRED, **attributes}.items() if v is not Ellipsis}
    (event,) = read_events(raw(json.dumps(body).encode()))
    return event


def binary(body: bytes = b"", content_type: str = "", **attributes: str) -> Event:
    pairs = tuple({**REQUIRED, **attributes}.items())
    (event,) = read_events(raw(body, content_type, attributes=pairs))
    return event


def refused(make: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        make()
    assert caught.value.outcome is Outcome.INVALID
    assert caught.value.status in (None, 400, 415)
    return caught.value.message


# -- modes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "attributes", "mode"),
    [
        ("", (), Mode.NONE),
        ("application/json", (), Mode.NONE),
        ("application/json", (("id", "1"),), Mode.BINARY),
        ("Application/CloudEvents+JSON", (), Mode.STRUCTURED),
        (STRUCTURED, (("id", "1"),), Mode.STRUCTURED),
        (BATCH, (), Mode.BATCH),
        ("application/cloudevents+avro", (), Mode.OTHER),
        ("application/cloudevents", (), Mode.OTHER),
    ],
)
def test_the_mode_of_a_request(content_type: str, attributes: Any, mode: Mode) -> None:
    assert mode_of(content_type, attributes) is mode


def test_what_is_no_cloudevent_brings_none() -> None:
    assert read_events(raw(b"{}", "application/json")) == ()


def test_other_formats_are_refused() -> None:
    message = refused(lambda: read_events(raw(b"", "application/cloudevents+protobuf")))
    assert "application/cloudevents+json" in message


# -- structured and binary -------------------------------------------------------------------------


def test_a_structured_event() -> None:
    event = one(
        time="2026-03-01T11:00:00.5+00:00",
        subject="order/7",
        dataschema="https://example.com/schema",
        datacontenttype="application/json",
        traceparent="00-ab",
        sequence=7,
        data={"amount": 3},
    )
    assert event.kind is TriggerKind.INVOKE
    assert (event.id, event.source, event.type) == ("a-1", "/orders?x=1", "com.example.paid")
    assert timestamp(event.time) == "2026-03-01T11:00:00.500000Z"
    assert event.subject == "order/7"
    assert bytes(event.data) == b'{"amount": 3}'
    assert event.detail == {
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "dataschema": "https://example.com/schema",
        "extensions": {"traceparent": "00-ab", "sequence": 7},
    }


def test_an_event_brings_the_trace_that_it_came_of_if_it_is_valid() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert one(traceparent=parent, tracestate="a=1").trace == f"{parent} a=1"
    assert binary(b"1", "application/json", traceparent=parent).trace == parent
    for wrong in ("00-ab", "", 7, parent.upper()):
        assert one(traceparent=wrong or "x").trace == ""


def test_an_event_of_ours_says_the_trace_that_it_came_of() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    event = Event(
        id="1", source="/p", type="t", time=1.0, kind=TriggerKind.RESULT, trace=f"{parent} a=1"
    )
    told = json.loads(structured(event))
    assert (told["traceparent"], told["tracestate"]) == (parent, "a=1")
    assert "traceparent" not in json.loads(structured(msgspec.structs.replace(event, trace="")))


def test_a_binary_event() -> None:
    event = binary(b'{"amount":3}', "application/json", subject="x", myext="1")
    assert bytes(event.data) == b'{"amount":3}'
    assert event.detail["extensions"] == {"myext": "1"}
    assert event.detail["datacontenttype"] == "application/json"
    assert event.time == NOW


@pytest.mark.parametrize(
    ("body", "content_type", "data", "is_base64"),
    [
        (b"", "application/json", None, False),
        (b"caf\xc3\xa9", "text/plain", "café", False),
        (b"\xff", "text/plain", base64.b64encode(b"\xff").decode(), True),
        (b"\x00\x01", "image/png", "AAE=", True),
    ],
)
def test_data_that_is_no_json(
    body: bytes, content_type: str, data: object, is_base64: bool
) -> None:
    event = binary(body, content_type)
    assert msgspec.json.decode(event.data) == data
    assert event.detail.get("is_base64", False) is is_base64


def test_data_in_base64() -> None:
    event = one(data_base64="AAE=")
    assert msgspec.json.decode(event.data) == "AAE="
    assert event.detail["is_base64"] is True
    assert "both data" in refused(lambda: one(data_base64="AAE=", data=1))
    for wrong in ("A", "A*==", "A\nAE=", 7, None):
        assert "not base64" in refused(lambda wrong=wrong: one(data_base64=wrong))


def test_null_is_as_if_it_were_not_there() -> None:
    event = one(subject=None, time=None, dataschema=None, myext=None)
    assert event.subject == ""
    assert event.time == NOW
    assert event.detail == {"specversion": "1.0"}


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"id": ...}, "the attribute id is missing"),
        ({"source": ...}, "the attribute source is missing"),
        ({"type": ...}, "the attribute type is missing"),
        ({"specversion": ...}, "the attribute specversion is missing"),
        ({"specversion": "0.3"}, "specversion is '0.3'; expected '1.0'"),
        ({"specversion": 1.0}, "specversion is no text"),
        ({"id": ""}, "id is not a text that is not empty"),
        ({"id": 7}, "id is not a text"),
        ({"id": "x" * 3000}, "id is longer than 2048"),
        ({"id": "a\nb"}, "id has control characters"),
        ({"source": "a b"}, "source is not a URI reference"),
        ({"source": "%zz"}, "source is not a URI reference"),
        ({"subject": ""}, "subject is not a text that is not empty"),
        ({"dataschema": "a b"}, "dataschema is not a URI reference"),
        ({"time": "yesterday"}, "time is not a time"),
        ({"time": "2026-03-01 11:00:00Z"}, "time is not a time"),
        ({"time": "2026-13-01T11:00:00Z"}, "time is not a time"),
        ({"time": "2026-03-01T11:00:00"}, "time is not a time"),
        ({"time": 5}, "time is not a text"),
        ({"Upper": "x"}, "name is not of lower-case letters"),
        ({"my-ext": "x"}, "name is not of lower-case letters"),
        ({"ext": {"a": 1}}, "the extension attribute ext is no text"),
        ({"ext": "x" * 3000}, "the extension attribute ext is no text"),
        ({f"e{n}": "x" for n in range(40)}, "more than 32 extension attributes"),
    ],
)
def test_mistakes_are_told(attributes: dict[str, Any], says: str) -> None:
    assert says in refused(lambda: one(**attributes))


def test_nobody_outside_speaks_in_our_name() -> None:
    assert "of the platform" in refused(lambda: one(type="casemate.bucket.created"))
    assert "of the platform" in refused(lambda: one(source="/projects/shop/buckets/uploads"))
    assert "of the platform" in refused(lambda: binary(type="casemate.schedule.tick"))


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object(body: bytes) -> None:
    assert "not JSON with an object" in refused(lambda: read_events(raw(body)))


def test_headers_that_are_none_of_an_event() -> None:
    assert "ce-datacontenttype" in refused(lambda: binary(datacontenttype="x/y"))
    assert "ce-data " in refused(lambda: binary(data="x"))
    twice = (*REQUIRED.items(), ("id", "b"))
    assert "more than once" in refused(lambda: read_events(raw(b"", "", attributes=twice)))
    many = (*REQUIRED.items(), *((f"e{n}", "x") for n in range(100)))
    assert "more than 64" in refused(lambda: read_events(raw(b"", "", attributes=many)))
    assert "is missing" in refused(lambda: read_events(raw(b"", "", attributes=(("id", "1"),))))


def test_events_from_the_future_happened_when_they_came_and_say_so() -> None:
    assert one(time=timestamp(NOW + MAX_CLOCK_AHEAD - 1)).time == NOW + MAX_CLOCK_AHEAD - 1
    claimed = timestamp(NOW + MAX_CLOCK_AHEAD + 1)
    event = one(time=claimed)
    assert event.time == NOW
    assert event.detail["claimed_time"] == claimed
    assert one(time="1970-01-01T00:00:00Z").time == 0.0


@pytest.mark.parametrize("claimed", ["0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z"])
def test_so_do_those_from_before_there_were_times_like_ours(claimed: str) -> None:
    event = one(time=claimed)
    assert event.time == NOW and event.detail["claimed_time"] == claimed
    assert timestamp(event.time)


# -- batches ---------------------------------------------------------------------------------------


def test_a_batch_is_taken_for_later_only() -> None:
    body = json.dumps([{**REQUIRED, "data": n} for n in range(3)]).encode()
    events = read_events(raw(body, BATCH), later=True)
    assert [bytes(event.data) for event in events] == [b"0", b"1", b"2"]
    assert "respond-async" in refused(lambda: read_events(raw(body, BATCH)))
    assert "respond-async" in refused(lambda: parse(raw(body, BATCH)))
    assert len(parse(raw(body, BATCH), later=True).raw.events) == 3


def test_mistakes_in_a_batch_are_told_with_their_number() -> None:
    def take(values: object) -> Any:
        return lambda: read_events(raw(json.dumps(values).encode(), BATCH), later=True)

    assert "event 2: the attribute id" in refused(take([REQUIRED, {**REQUIRED, "id": ""}]))
    assert "1 to 1000 events, not 0" in refused(take([]))
    assert "1 to 1000 events, not 1001" in refused(take([REQUIRED] * 1001))
    assert "array of objects" in refused(take(REQUIRED))


# -- on routes -------------------------------------------------------------------------------------


def test_on_a_route_the_request_is_there_as_well() -> None:
    event: dict[str, object] = {
        "method": "POST",
        "path": "/x",
        "headers": {"content-type": "application/json"},
    }
    given = raw(b'{"a":1}', "", attributes=tuple(REQUIRED.items()), event=event)
    (found,) = read_events(given)
    assert found.kind is TriggerKind.HTTP
    assert found.detail["method"] == "POST"
    assert found.detail["cloudevent"] == {
        "specversion": "1.0",
        "datacontenttype": "application/json",
    }
    assert bytes(found.data) == b'{"a":1}'


def test_stage_one_checks_the_data() -> None:
    assert "not valid JSON" in refused(
        lambda: parse(raw(b"{", "application/json", attributes=tuple(REQUIRED.items())))
    )
    deep = json.dumps({**REQUIRED}).encode()[:-1] + b',"data":' + b"[" * 65 + b"]" * 65 + b"}"
    assert "nests deeper" in refused(lambda: parse(raw(deep)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
NAMES = st.sampled_from([*REQUIRED, "time", "subject", "data", "data_base64", "ext", "Bad"])


@given(st.dictionaries(NAMES, JSON | st.sampled_from(["1.0", "2026-03-01T00:00:00Z", "AAE="])))
def test_anything_is_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        (event,) = read_events(raw(json.dumps(fields).encode()))
    except RefusedError:
        return
    assert event.id
    msgspec.json.decode(event.data)


@given(st.binary(max_size=60), st.sampled_from([STRUCTURED, BATCH]))
def test_any_bytes_are_read_or_refused(body: bytes, content_type: str) -> None:
    try:
        read_events(raw(body, content_type), later=True)
    except RefusedError as error:
        assert error.outcome is Outcome.INVALID


# -- out -------------------------------------------------------------------------------------------


def test_what_is_written_can_be_read() -> None:
    event = Event(
        id="inv_1.1",
        source="//node/projects/shop/functions/f",
        type="com.example.done",
        time=NOW,
        kind=TriggerKind.RESULT,
        subject="e1",
        data=msgspec.Raw(b'{"result":[1]}'),
        detail={"error_id": "err_1", "attempts": 3, "nested": {"a": 1}, "id": "no", "empty": ""},
    )
    text = structured(event)
    assert json.loads(text) == {
        "specversion": "1.0",
        "id": "inv_1.1",
        "source": "//node/projects/shop/functions/f",
        "type": "com.example.done",
        "time": timestamp(NOW),
        "datacontenttype": "application/json",
        "subject": "e1",
        "errorid": "err_1",
        "attempts": 3,
        "data": {"result": [1]},
    }
    (again,) = read_events(raw(text))
    assert (again.id, again.time, again.subject) == (event.id, event.time, event.subject)
    assert bytes(again.data) == bytes(event.data)


def answer(body: bytes, content_type: str, status: int = 200) -> HttpResponse:
    headers = [(b"x-request-id", b"inv_1"), (b"x-mine", b"1")]
    if content_type:
        headers.append((b"content-type", content_type.encode()))
    return answered(HttpResponse(status, tuple(headers), body), "/projects/shop/functions/f")


@pytest.mark.parametrize(
    ("body", "content_type", "field", "value"),
    [
        (b'{"a":1}', "application/json", "data", {"a": 1}),
        (b"{", "application/json", "data_base64", "ew=="),
        (b"hello", "text/plain; charset=utf-8", "data", "hello"),
        (b"\xff", "text/plain", "data_base64", "/w=="),
        (b"\x00", "image/png", "data_base64", "AA=="),
    ],
)
def test_an_answer_as_an_event(body: bytes, content_type: str, field: str, value: object) -> None:
    response = answer(body, content_type)
    assert dict(response.headers)[b"content-type"] == b"application/cloudevents+json"
    assert dict(response.headers)[b"x-mine"] == b"1"
    shown = json.loads(response.body)
    assert shown[field] == value
    assert shown["id"] == "inv_1"
    assert shown["type"] == "casemate.function.answered"
    assert shown["source"] == "/projects/shop/functions/f"
    assert shown["datacontenttype"] == content_type


def test_errors_stay_what_they_are() -> None:
    response = answer(b'{"status":500}', "application/problem+json", 500)
    assert response.body == b'{"status":500}'
    assert response.status == 500
