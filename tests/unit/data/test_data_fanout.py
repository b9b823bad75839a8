"""What changes tell subscribed functions: topics with filters, buckets, and tables in order."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from data_support import Clock, Data, end_of

from casemate.data import Fate, LimitError, Message, NewMessage, Subscription, messages
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.event import Event
from casemate.model.function import Delivery
from casemate.model.grant import QueueSpec, Resources
from casemate.model.trigger import (
    AnyTrigger,
    BucketTrigger,
    TableTrigger,
    TopicTrigger,
    TriggerKind,
)

FOR_SQLITE_ALONE: frozenset[str] = frozenset()


def subscribe(data: Data, *pairs: tuple[str, AnyTrigger | None]) -> None:
    subscriptions = [Subscription(function=name, trigger=trigger) for name, trigger in pairs]
    data.subscribe("p", subscriptions)


def lease(data: Data, function: str = "f") -> tuple[Message, ...]:
    return data.lease("p", "inbox", function, limit=100, lease=60.0)


def events(data: Data, function: str = "f") -> list[Event]:
    """Take what can be had now, and what that held back, in order."""
    found: list[Event] = []
    while leased := lease(data, function):
        found += [msgspec.json.decode(message.body, type=Event) for message in leased]
        done = [end_of(m, fate=Fate.DONE) for m in leased]
        assert data.settle("p", "inbox", function, done) == len(leased)
    return found


def value(event: Event) -> Any:
    return msgspec.json.decode(event.data)


# Topics


def test_a_topic_reaches_each_function_whose_filter_fits(data: Data) -> None:
    def topic(**wanted: tuple[Any, ...]) -> TopicTrigger:
        fields = {name.replace("_", "."): values for name, values in wanted.items()}
        return TopicTrigger(name="t", topic="jobs", filter=fields)

    subscribe(
        data,
        ("all", topic()),
        ("red", topic(colour=("red", "blue"), size_x=(1,))),
        ("true", topic(size_x=(True,))),
        ("null", topic(colour=(None,))),
    )
    sent = data.send("p", "topic", "jobs", b'{"colour":"red","size":{"x":1.0}}')
    data.send("p", "topic", "jobs", b'{"size":{"x":true}}')
    data.send("p", "topic", "jobs", b'{"colour":null,"size":"x"}')
    data.send("p", "topic", "jobs", b"[1]")
    assert [value(e) for e in events(data, "red")] == [{"colour": "red", "size": {"x": 1.0}}]
    assert [value(e) for e in events(data, "true")] == [{"size": {"x": True}}]
    assert [value(e) for e in events(data, "null")] == [{"colour": None, "size": "x"}]
    got = events(data, "all")
    assert len(got) == 4
    assert (got[0].id, got[0].source) == (sent, "/projects/p/topics/jobs")
    assert (got[0].kind, got[0].trigger, got[0].detail) == (
        TriggerKind.TOPIC,
        "t",
        {"topic": "jobs", "attributes": {}},
    )
    assert data.queue_info("p", "topic", "jobs").waiting == 0


@pytest.mark.parametrize("body", [b'{"a":1e999}', b"[" * 900 + b"]" * 900, b'{"a":{"a":1}}', b"1"])
def test_what_no_filter_can_read_reaches_those_without_one(data: Data, body: bytes) -> None:
    data.ensure("p", Resources(topics=(QueueSpec(name="rest"),)))
    wanted = TopicTrigger(name="t", topic="rest", filter={"a": (1,)})
    subscribe(data, ("f", wanted), ("g", TopicTrigger(name="t", topic="rest")))
    data.send("p", "topic", "rest", body)
    assert (len(lease(data, "f")), len(lease(data, "g"))) == (0, 1)


def test_what_a_topic_kept_goes_to_the_first_who_subscribes(data: Data, monkeypatch) -> None:
    monkeypatch.setattr("casemate.data.fanout._DRAINED_AT_ONCE", 2)
    for number in range(5):
        data.send("p", "topic", "jobs", b"%d" % number, key="k", labels=b"from %d" % number)
    subscribe(data, ("f", TopicTrigger(name="t", topic="jobs")))
    data.send("p", "topic", "jobs", b"5", key="k")
    assert data.queue_info("p", "topic", "jobs").waiting == 0
    [first] = lease(data)
    assert first.labels == b"from 0"
    data.settle(
        "p",
        "inbox",
        "f",
        [end_of(first, fate=Fate.RETRY, again_at=0.0)],
    )
    assert [value(event) for event in events(data)] == [0, 1, 2, 3, 4, 5]


def test_attributes_reach_who_is_subscribed_and_who_subscribes_later(data: Data) -> None:
    data.send("p", "topic", "jobs", b"1", attributes={"kind": "early"})
    subscribe(data, ("f", TopicTrigger(name="t", topic="jobs")))
    data.send("p", "topic", "jobs", b"2", attributes={"kind": "late"})
    assert [event.detail["attributes"] for event in events(data)] == [
        {"kind": "early"},
        {"kind": "late"},
    ]


def test_a_topic_is_delivered_once_for_each_deduplication(data: Data) -> None:
    subscribe(data, ("f", TopicTrigger(name="t", topic="jobs")))
    first = data.send("p", "topic", "jobs", b"1", deduplication="x")
    assert data.send("p", "topic", "jobs", b"2", deduplication="x") == first
    assert [value(event) for event in events(data)] == [1]


def test_delay_priority_and_expiry_go_along(data: Data, clock: Clock) -> None:
    trigger = TopicTrigger(name="t", topic="jobs")
    delivery = Delivery(max_age=100.0)
    data.subscribe("p", [Subscription(function="f", trigger=trigger, delivery=delivery)])
    late = NewMessage(body=b"1", delay=50.0, priority=3, expires_at=clock.now + 70)
    data.send_many("p", "topic", "jobs", [late, NewMessage(body=b"2")])
    [found] = lease(data)
    assert found.expires_at == clock.now + 100
    assert data.next_due("p", "inbox", "f") == clock.now + 50
    clock.pass_(50)
    [found] = lease(data)
    assert (found.priority, found.expires_at) == (3, clock.now + 20)


# Buckets


def test_a_bucket_tells_of_what_is_written_and_deleted(data: Data) -> None:
    watch = BucketTrigger(
        name="b", bucket="files", events=("created", "deleted"), prefix="in/", suffix=".png"
    )
    subscribe(data, ("f", watch), ("g", BucketTrigger(name="c", bucket="files")))
    small = data.put_object("p", "files", "in/a.png", b"small", labels=b"l")
    data.put_object("p", "files", "in/a.txt", b"other end")
    data.put_object("p", "files", "a.png", b"other start")
    large = data.put_object("p", "files", "in/b.png", b"x" * 100_000)
    upload = data.begin_object("p", "files", "in/c.png", content_type="image/png", metadata={})
    data.add_part("p", "files", upload, b"part")
    assert len(lease(data, "g")) == 4
    data.commit_object("p", "files", upload)
    data.delete_object("p", "files", "in/a.png")
    data.delete_object("p", "files", "in/a.png")
    data.put_object("p", "other", "in/a.png", b"other bucket")
    with pytest.raises(ConflictError):
        data.put_object("p", "files", "in/b.png", b"", if_revision=7)
    assert [m.labels for m in data.lease("p", "inbox", "f", limit=1, lease=0.0)] == [b"l"]
    got = events(data)
    assert [(e.type, e.subject) for e in got] == [
        ("casemate.bucket.created", "in/a.png"),
        ("casemate.bucket.created", "in/b.png"),
        ("casemate.bucket.created", "in/c.png"),
        ("casemate.bucket.deleted", "in/a.png"),
    ]
    assert got[0].detail == {
        "bucket": "files",
        "key": "in/a.png",
        "revision": small.revision,
        "size": 5,
        "content_type": "application/octet-stream",
        "sha256": small.sha256,
    }
    assert got[1].detail["sha256"] == large.sha256
    assert got[2].detail["content_type"] == "image/png"
    assert len(events(data, "g")) == 1


# Tables


def test_a_table_tells_of_each_change_with_both_images(data: Data, clock: Clock) -> None:
    subscribe(data, ("f", TableTrigger(name="t", table="sorted")))
    until = clock.now + 5
    first = {"id": "a", "at": 1, "until": until}
    second = {"id": "a", "at": 1.0, "until": until, "colour": "red"}
    data.put_item("p", "sorted", first, labels=b"one")
    data.put_item("p", "sorted", second, labels=b"two")
    assert data.get_item("p", "sorted", "a", 1).labels == b"two"
    assert data.query_items("p", "sorted", key="a").items[0].labels == b"two"
    [head] = lease(data)
    assert (head.labels, lease(data)) == (b"one", ()), "the second waits for the first"
    data.settle("p", "inbox", "f", [end_of(head, fate=Fate.RETRY)])
    clock.pass_(6)
    third = {"id": "a", "at": 1, "colour": "blue"}
    data.put_item("p", "sorted", third)
    data.delete_item("p", "sorted", "a", 1)
    data.delete_item("p", "sorted", "a", 1)
    got = events(data)
    assert [(e.type.rpartition(".")[2], value(e)) for e in got] == [
        ("inserted", {"old": None, "new": first}),
        ("updated", {"old": first, "new": second}),
        ("expired", {"old": second, "new": None}),
        ("inserted", {"old": None, "new": third}),
        ("deleted", {"old": third, "new": None}),
    ]
    assert got[1].detail == {
        "table": "sorted",
        "key": "a",
        "sort": 1.0,
        "keys": {"id": "a", "at": 1.0},
        "revision": 2,
        "old": first,
        "new": second,
    }
    assert len({event.id for event in got}) == 5


def test_what_expires_is_told_of_by_the_sweep(data: Data, clock: Clock) -> None:
    subscribe(data, ("f", TableTrigger(name="t", table="sorted", events=("expired",))))
    gone = {"id": "a", "at": "x", "until": clock.now + 5}
    data.put_item("p", "sorted", gone)
    data.put_item("p", "sorted", {"id": "b", "at": "x"})
    clock.pass_(6)
    data.sweep()
    data.sweep()
    assert [value(event)["old"] for event in events(data)] == [gone]


def test_other_items_do_not_wait(data: Data) -> None:
    subscribe(data, ("f", TableTrigger(name="t", table="sorted")))
    for at in (1, 2):
        for _ in range(2):
            data.put_item("p", "sorted", {"id": "a", "at": at})
    assert len(lease(data)) == 2


def test_the_order_is_that_of_commits(data: Data) -> None:
    subscribe(data, ("f", TableTrigger(name="t", table="plain")))

    async def race() -> None:
        await asyncio.gather(
            *(data.port.put_item("p", "plain", {"id": n % 3, "n": n}) for n in range(60))
        )

    data.run(race())
    got = events(data)
    assert len(got) == 60
    for key in range(3):
        mine = [event for event in got if event.detail["key"] == key]
        assert [event.detail["revision"] for event in mine] == list(range(1, 21))
        images = [value(event) for event in mine]
        assert [i["old"] for i in images[1:]] == [i["new"] for i in images[:-1]]


# All of it


def test_a_full_inbox_refuses_the_change_and_keeps_nothing_of_it(data: Data, monkeypatch) -> None:
    subscribe(
        data,
        ("f", TableTrigger(name="t", table="plain")),
        ("f", BucketTrigger(name="b", bucket="files")),
        ("f", TopicTrigger(name="c", topic="jobs")),
    )
    monkeypatch.setattr(messages, "MAX_MESSAGES", 2)
    data.put_item("p", "plain", {"id": 1})
    data.put_item("p", "plain", {"id": 2})
    with pytest.raises(LimitError):
        data.put_item("p", "plain", {"id": 3})
    with pytest.raises(LimitError):
        data.delete_item("p", "plain", 1)
    with pytest.raises(LimitError):
        data.put_object("p", "files", "k", b"x" * 100_000)
    with pytest.raises(LimitError):
        data.send("p", "topic", "jobs", b"1", deduplication="x")
    with pytest.raises(NotFoundError):
        data.get_item("p", "plain", 3)
    assert data.get_item("p", "plain", 1).revision == 1
    assert data.list_objects("p", "files").objects == ()
    assert data.files() == []
    assert len(events(data)) == 2
    data.send("p", "topic", "jobs", b"1", deduplication="x")
    assert len(events(data)) == 1


def test_what_expires_waits_for_a_full_inbox(data: Data, clock: Clock, monkeypatch) -> None:
    subscribe(data, ("f", TableTrigger(name="t", table="sorted", events=("expired",))))
    for at in (1, 2, 3):
        data.put_item("p", "sorted", {"id": "a", "at": at, "until": clock.now + 5})
    clock.pass_(6)
    monkeypatch.setattr(messages, "MAX_MESSAGES", 2)
    data.sweep()
    assert len(events(data)) == 2
    data.sweep()
    assert len(events(data)) == 1


def test_subscriptions_outlive_a_restart_and_end_when_replaced(data: Data) -> None:
    subscribe(data, ("f", BucketTrigger(name="b", bucket="files", contract='{"type":"object"}')))
    data.reopen()
    data.put_object("p", "files", "k", b"1")
    subscribe(data, ("g", None))
    data.put_object("p", "files", "k", b"2")
    assert [event.detail["revision"] for event in events(data)] == [1]
    assert events(data, "g") == []
    assert "inbox" not in str(data.resources("p"))
    with pytest.raises(NotFoundError):
        data.send_many("p", "inbox", "nobody", [NewMessage(body=b"1")])


def test_who_watches_is_told_after_the_commit_once_for_many(data: Data) -> None:
    told: list[tuple[str, str, str]] = []

    async def begin() -> None:
        data.port.watch(lambda *place: told.append(place))

    data.run(begin())
    subscribe(data, ("f", TopicTrigger(name="t", topic="jobs")))
    new = [NewMessage(body=b"1"), NewMessage(body=b"2", delay=5.0)]
    data.send_many("p", "inbox", "f", new)
    data.send_many("p", "queue", "rest", new)
    data.send("p", "topic", "jobs", b"1")
    assert told == [("p", "inbox", "f"), ("p", "queue", "rest"), ("p", "inbox", "f")]
    told.clear()
    with pytest.raises(LimitError):
        data.send_many("p", "queue", "jobs", [NewMessage(body=b'"%s"' % (b"x" * 300))])
    data.put_object("p", "files", "k", b"1")
    assert told == []
