"""What a change tells of carries the trace that it was asked for in, and no other change's."""

from __future__ import annotations

import contextvars
from typing import Any

import msgspec
import pytest
from data_support import Data

from casemate.data import Message, Subscription, messages
from casemate.data.work import Work, in_trace
from casemate.model.event import Event
from casemate.model.tracing import AMBIENT
from casemate.model.trigger import BucketTrigger, TableTrigger, TopicTrigger
from casemate.operations.declaration import Operation
from casemate.operations.items import PutItem
from casemate.operations.messages import PublishMessage, SendMessage
from casemate.operations.objects import DeleteObject, WriteObject
from support.data_calls import ask

FOR_SQLITE_ALONE: frozenset[str] = frozenset()

TRACE = f"00-{'4' * 32}-{'2' * 16}-01 vendor=1"
OTHER = f"00-{'5' * 32}-{'2' * 16}-01"


def within(trace: str, data: Data, wanted: Operation[Any]) -> None:
    """Do something as if a function in that trace had asked for it; in none for an empty one."""

    async def asked() -> None:
        AMBIENT.set(trace)
        await ask(data.port, wanted)

    data.runner.run(asked(), context=contextvars.copy_context())


def put(key: str, content: bytes) -> WriteObject:
    return WriteObject(project="p", bucket="files", key=key, content=content)


def traces(data: Data, function: str) -> list[str]:
    leased = data.lease("p", "inbox", function, limit=100, lease=60.0)
    return [msgspec.json.decode(message.body, type=Event).trace for message in leased]


def test_changes_of_buckets_tables_and_topics_carry_it(data: Data) -> None:
    data.subscribe(
        "p",
        [
            Subscription(
                function="b",
                trigger=BucketTrigger(name="t", bucket="files", events=("created", "deleted")),
            ),
            Subscription(
                function="r",
                trigger=TableTrigger(
                    name="t", table="plain", events=("inserted", "updated", "deleted")
                ),
            ),
            Subscription(function="n", trigger=TopicTrigger(name="t", topic="jobs")),
        ],
    )
    large = b"x" * 300_000  # in a file of its own, written on a thread
    within(TRACE, data, put("a", b"x"))
    within(OTHER, data, put("b", large))
    within("", data, put("c", b"x"))
    within(TRACE, data, DeleteObject(project="p", bucket="files", key="a"))
    assert traces(data, "b") == [TRACE, OTHER, "", TRACE]
    within(TRACE, data, PutItem(project="p", table="plain", content=b'{"id": "a"}'))
    within("", data, PutItem(project="p", table="plain", content=b'{"id": "b"}'))
    assert sorted(traces(data, "r")) == ["", TRACE]
    within(TRACE, data, PublishMessage(project="p", topic="jobs", content=b"1"))
    within("", data, PublishMessage(project="p", topic="jobs", content=b"2"))
    assert traces(data, "n") == [TRACE, ""]


def test_a_queue_keeps_it_beside_the_attributes(data: Data) -> None:
    for trace, attributes in ((TRACE, {"a": "b"}), (TRACE, None), ("", {"traceparent": OTHER})):
        sent = SendMessage(project="p", queue="jobs", content=b"1", attributes=attributes)
        within(trace, data, sent)
    received: list[Message] = list(data.lease("p", "queue", "jobs", limit=10, lease=60.0))
    assert [(m.trace, m.attributes) for m in received] == [
        (TRACE, {"a": "b"}),
        (TRACE, {}),
        ("", {"traceparent": OTHER}),
    ]


def test_what_was_kept_before_there_were_traces_has_none() -> None:
    assert messages.unpacked(b"") == ({}, "")
    assert messages.unpacked(b'{"a":"b"}') == ({"a": "b"}, "")
    assert messages.packed({}, "") == b""
    assert messages.unpacked(messages.packed({"a": "b"}, TRACE)) == ({"a": "b"}, TRACE)


def test_a_change_that_fails_leaves_no_trace_to_the_next() -> None:
    work = Work(None, None)  # type: ignore[arg-type]
    seen: list[str] = []

    def fails(work: Work) -> None:
        seen.append(work.trace)
        raise ValueError("no")

    token = AMBIENT.set(TRACE)
    change = in_trace(fails)
    AMBIENT.reset(token)
    with pytest.raises(ValueError, match="no"):
        change(work)
    assert (seen, work.trace) == ([TRACE], "")
    assert in_trace(fails) is fails
