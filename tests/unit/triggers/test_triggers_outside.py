"""From a message of a server outside to an event: what is believed, bounded and told apart."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import socket
import time
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.data.coordination import SOURCES, Watcher
from casemate.data.errors import LimitError
from casemate.data.interface import NewMessage
from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import Version
from casemate.model.event import MAX_CLOCK_AHEAD, Event
from casemate.model.function import FunctionSpec
from casemate.model.trigger import (
    MqttTrigger,
    NatsTrigger,
    OutsideTrigger,
    PostgresTrigger,
    RabbitmqTrigger,
    ValkeyTrigger,
)
from casemate.operations.leases import KeepMessages
from casemate.sources import Received, SourceKey
from casemate.triggers.outside import (
    OutsideTriggers,
    data_of,
    deduplication_of,
    event_of,
    is_json,
    source_of,
)

SERVER: dict[str, Any] = {"name": "orders", "host": "db.example.org", "port": 1}
TRIGGER = ValkeyTrigger(**SERVER, stream="s")
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("trigger", "source"),
    [
        (ValkeyTrigger(**SERVER, stream="s"), "valkey://db.example.org:1/0/s"),
        (ValkeyTrigger(**SERVER, keys="a*", database=2), "valkey://db.example.org:1/2/a*"),
        (
            PostgresTrigger(**SERVER, database="d"),
            "postgres://db.example.org:1/d/casemate_outbox",
        ),
        (RabbitmqTrigger(**SERVER, queue="q", vhost="v"), "rabbitmq://db.example.org:1/v/q"),
        (MqttTrigger(**SERVER, topic="a/#"), "mqtt://db.example.org:1/a/#"),
        (NatsTrigger(**SERVER, subject="a.>"), "nats://db.example.org:1/a.>"),
        (
            NatsTrigger(**{**SERVER, "host": "::1"}, subject="a", stream="S"),
            "nats://[::1]:1/S",
        ),
    ],
)
def test_sources_name_the_server_and_the_place(trigger: OutsideTrigger, source: str) -> None:
    assert source_of(trigger) == source


def test_json_is_data_as_it_is() -> None:
    for content_type in ("", "application/json", "application/cloudevents+json; charset=utf-8"):
        assert data_of(b' {"a": 1e3}', content_type) == b' {"a": 1e3}'
    assert data_of(b"", "text/plain") == b"null"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"hello", ""),
        (b'{"a": 1', "application/json"),  # a lie
        (b'{"a": 1}', "text/plain"),  # said to be something else
        (b"\xff\xfe", ""),
        (b'"\xff"', "application/json"),
        (b"[" * 100_000, ""),
        (b"NaN", ""),
    ],
)
def test_what_is_no_json_is_held_by_an_object(body: bytes, content_type: str) -> None:
    data = json.loads(data_of(body, content_type))
    assert base64.b64decode(data["data_base64"]) == body
    assert data["content_type"] == content_type


@given(st.binary(max_size=200), st.text(max_size=30))
def test_data_is_always_json(body: bytes, content_type: str) -> None:
    msgspec.json.decode(data_of(body, content_type))
    is_json(content_type)


def received(**fields: Any) -> Received:
    return Received(**{"body": b"1", **fields})


@pytest.mark.parametrize("at", [NOW + MAX_CLOCK_AHEAD + 1, -1.0, 1e300])
def test_a_time_that_cannot_be_is_when_it_came_and_is_told(at: float) -> None:
    event = event_of(TRIGGER, received(time=at, detail={"entry": "1-1"}), NOW)
    assert event.time == NOW
    assert event.detail == {"entry": "1-1", "claimed_time": at}


@pytest.mark.parametrize("at", [None, math.nan, math.inf])
def test_no_time_is_when_it_came(at: float | None) -> None:
    assert event_of(TRIGGER, received(time=at), NOW).time == NOW


def test_an_event_is_what_was_received() -> None:
    found = received(id="1-1", time=NOW - 5, subject="s", content_type="application/json")
    event = event_of(TRIGGER, found, NOW)
    assert (event.id, event.time, event.subject) == ("1-1", NOW - 5, "s")
    assert (event.type, event.trigger) == ("casemate.valkey.message", "orders")
    assert event.detail == {"content_type": "application/json"}
    again = msgspec.json.decode(msgspec.json.encode(event), type=Event)
    assert bytes(again.data) == b"1"
    assert event_of(TRIGGER, received(), NOW).id != event_of(TRIGGER, received(), NOW).id


def test_the_same_again_is_told_from_all_else() -> None:
    one = received(deduplication="1-1")
    assert deduplication_of(TRIGGER, one) == deduplication_of(TRIGGER, one)
    others = [
        deduplication_of(TRIGGER, received(deduplication="1-2")),
        deduplication_of(TRIGGER, received(deduplication="1-1", body=b"2")),
        deduplication_of(ValkeyTrigger(**SERVER, stream="other"), one),
        deduplication_of(ValkeyTrigger(**{**SERVER, "name": "x"}, stream="s"), one),
    ]
    assert len({deduplication_of(TRIGGER, one), *others}) == 5
    assert deduplication_of(TRIGGER, received()) is None
    assert all(len(each or "") <= 256 for each in others)


class Data:
    """Keeps messages, or has no room."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str, NewMessage]] = []
        self.error: Exception | None = None

    async def change(self, operation: KeepMessages) -> tuple[str, ...]:
        if self.error is not None:
            raise self.error
        place = operation.project, operation.kind, operation.name
        self.sent += [(*place, message) for message in operation.messages]
        return ()


def version(*triggers: OutsideTrigger) -> Version:
    return Version(
        project="p",
        function="f",
        number=3,
        digest="",
        spec=FunctionSpec(name="f", handler="a:b", triggers=triggers),  # type: ignore[arg-type]
        created_at=0,
        created_by="",
    )


def with_triggers(work: Any) -> None:
    async def run() -> None:
        data, denials = Data(), []
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        outside = OutsideTriggers(
            data,  # type: ignore[arg-type]
            SimpleNamespace(),  # type: ignore[arg-type]
            denials.append,
            ours,
            asyncio.get_running_loop(),
        )
        outside.replace([version(TRIGGER)])
        try:
            await work(outside, data, denials)
        finally:
            await outside.close()
            theirs.close()

    asyncio.run(run())


KEY = SourceKey("p", "f", "orders")


def test_events_are_kept_in_the_inbox_with_their_age() -> None:
    async def work(outside: OutsideTriggers, data: Data, _: list[Denial]) -> None:
        assert await outside.keep(KEY, [received(id="1", deduplication="1"), received(id="2")])
        (project, kind, name, first), (*_, second) = data.sent
        assert (project, kind, name) == ("p", "inbox", "f")
        assert msgspec.json.decode(first.body, type=Event).id == "1"
        assert first.deduplication and second.deduplication is None
        assert first.expires_at is not None
        assert abs(first.expires_at - time.time() - 6 * 3600) < 60

    with_triggers(work)


@pytest.mark.parametrize("error", [LimitError("full"), ValueError("content"), OSError("disk")])
def test_what_cannot_be_kept_is_not_said_to_be(error: Exception, caplog: Any) -> None:
    async def work(outside: OutsideTriggers, data: Data, _: list[Denial]) -> None:
        data.error = error
        assert not await outside.keep(KEY, [received()])
        assert not await outside.keep(SourceKey("p", "f", "gone"), [received()])

    with_triggers(work)
    assert "content" not in caplog.text


def test_refusals_are_recorded_without_content() -> None:
    async def work(outside: OutsideTriggers, _: Data, denials: list[Denial]) -> None:
        outside.refused(KEY, "a message has 9 bytes, expected 5", denied=False, count=2)
        outside.refused(KEY, "metadata address 169.254.169.254", denied=True, count=1)
        assert [(d.kind, d.principal, d.resource, d.count) for d in denials] == [
            (DenialKind.REQUEST, "trigger:p/f/orders", "function:p/f", 2),
            (DenialKind.EGRESS, "trigger:p/f/orders", "host:db.example.org:1", 1),
        ]

    with_triggers(work)


def test_a_secret_that_was_rotated_has_who_signs_in_with_it_connect_anew() -> None:
    async def work(outside: OutsideTriggers, _data: Data, _denials: list[Denial]) -> None:
        mqtt = MqttTrigger(**{**SERVER, "name": "m"}, topic="a", password="key")
        outside.replace([version(TRIGGER, mqtt)])
        before = {each.trigger: each.since for each in outside.statuses()}
        outside.renew("other", "key")
        outside.renew("p", "other")
        assert {each.trigger: each.since for each in outside.statuses()} == before
        outside.renew("p", "key")
        after = {each.trigger: each.since for each in outside.statuses()}
        assert after["orders"] == before["orders"] and after["m"] > before["m"]

    with_triggers(work)


def test_sources_follow_what_is_live() -> None:
    async def work(outside: OutsideTriggers, _data: Data, _denials: list[Denial]) -> None:
        (status,) = outside.statuses()
        assert (status.trigger, status.server, status.connected) == (
            "orders",
            "db.example.org:1",
            False,
        )
        before = status.since
        outside.replace([version(TRIGGER, MqttTrigger(**{**SERVER, "name": "m"}, topic="a"))])
        assert [s.trigger for s in outside.statuses()] == ["m", "orders"]
        assert outside.statuses()[1].since == before  # left as it was
        outside.replace([])
        assert outside.statuses() == ()

    with_triggers(work)


def test_a_node_reads_only_what_it_leads() -> None:
    leads: set[str] = set()
    watchers: list[Watcher] = []
    coordination = SimpleNamespace(
        watch=watchers.append,
        seek=lambda kind, projects: sought.append((kind, set(projects))),
        leads=lambda kind, project: kind == SOURCES and project in leads,
    )
    sought: list[tuple[str, set[str]]] = []

    async def run() -> None:
        data = Data()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        outside = OutsideTriggers(
            data,  # type: ignore[arg-type]
            SimpleNamespace(),  # type: ignore[arg-type]
            lambda fact: None,
            ours,
            asyncio.get_running_loop(),
            coordination=coordination,  # type: ignore[arg-type]
        )
        outside.replace([version(TRIGGER)])
        assert sought == [(SOURCES, {"p"})]
        assert not outside._client._entries
        (status,) = outside.statuses()
        assert (status.trigger, status.connected) == ("orders", False)
        assert "Another node" in status.error
        assert not await outside.keep(KEY, [received(id="1")])
        leads.add("p")
        watchers[0].changed()
        assert list(outside._client._entries) == [KEY]
        assert await outside.keep(KEY, [received(id="1")])
        # It leads no more: what is handed over at this moment waits at the server outside.
        leads.clear()
        assert not await outside.keep(KEY, [received(id="2")])
        watchers[0].changed()
        assert not outside._client._entries
        assert len(data.sent) == 1
        await outside.close()
        theirs.close()

    asyncio.run(run())
