"""Messages: order, leases, delays, deduplication, retention, and what is no message."""

from __future__ import annotations

import asyncio

import pytest
from data_support import Clock, Data, end_of

from casemate.data import LimitError, leasing, messages
from casemate.data.errors import ForgottenError
from casemate.data.interface import Fate, Lease, NewMessage, Subscription
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.function import Delivery

FOR_SQLITE_ALONE: frozenset[str] = frozenset()


def send(data: Data, body: bytes, **options) -> str:
    return data.send("p", "queue", "jobs", body, **options)


def receive(data: Data, limit: int = 10, lease: float = 30.0):
    return data.receive("p", "queue", "jobs", limit=limit, lease=lease)


def bodies(messages) -> list[bytes]:
    return [message.body for message in messages]


def waiting(data: Data) -> int:
    return data.queue_info("p", "queue", "jobs").waiting


def test_first_in_first_out(data: Data) -> None:
    sent = [send(data, b"%d" % number) for number in range(5)]
    found = receive(data, limit=3)
    assert bodies(found) == [b"0", b"1", b"2"]
    assert [message.id for message in found] == sent[:3]
    assert [message.attempts for message in found] == [1, 1, 1]
    assert bodies(receive(data)) == [b"3", b"4"]
    assert receive(data) == ()
    assert waiting(data) == 5
    leases = [Lease(identity, 1) for identity in sent]
    assert data.acknowledge("p", "queue", "jobs", leases) == 5
    assert data.acknowledge("p", "queue", "jobs", leases) == 0
    assert waiting(data) == 0
    assert data.queue_info("p", "queue", "jobs").oldest_at is None


def test_attributes_outlive_a_dead_letter(data: Data) -> None:
    attributes = {"trace": "a-1", "n_1.x": "ü" * 9}
    send(data, b"1", attributes=attributes)
    send(data, b"2")
    first, second = data.lease("p", "queue", "jobs", limit=9, lease=60.0)
    assert (first.attributes, second.attributes) == (attributes, {})
    dead = end_of(first, fate=Fate.DEAD, reason="handler-error")
    assert data.settle("p", "queue", "jobs", [dead]) == 1
    assert data.redrive("p", "queue", "jobs", None) == 1
    [again] = data.lease("p", "queue", "jobs", limit=9, lease=60.0)
    assert (again.body, again.attributes) == (b"1", attributes)


def test_attributes_count_as_bytes_that_are_kept(data: Data) -> None:
    send(data, b"1", attributes={"a": "b" * 4000})

    async def kept() -> int:
        return await data.opened().read(
            lambda c: c.execute(
                "SELECT bytes FROM resource WHERE name = 'jobs' AND kind = 'queue'"
            ).fetchone()[0]
        )

    assert data.run(kept()) > 4000
    data.purge("p", "queue", "jobs")
    assert data.run(kept()) == 0


@pytest.mark.parametrize(
    "attributes",
    [
        {f"n{number}": "x" for number in range(11)},
        {"n": "x" * 4096},
        {"n": "ü" * 2048},
        {"n" * 257: "x"},
        {"": "x"},
        {"a b": "x"},
        {"a\n": "x"},
        {"n": 1},
        {"n": "\ud800"},
        {1: "x"},
        ["n"],
    ],
)
def test_attributes_are_few_and_small(data: Data, attributes: object) -> None:
    with pytest.raises(InvalidInputError):
        send(data, b"1", attributes=attributes)
    assert waiting(data) == 0


def test_a_lease_ends(data: Data, clock: Clock) -> None:
    for number in range(3):
        send(data, b"%d" % number)
    receive(data, limit=2, lease=10)
    clock.pass_(9.9)
    assert bodies(receive(data, limit=1)) == [b"2"]
    clock.pass_(0.1)
    again = receive(data)
    assert bodies(again) == [b"0", b"1"]
    assert [message.attempts for message in again] == [2, 2]


def test_a_delay(data: Data, clock: Clock) -> None:
    send(data, b"1", delay=5)
    send(data, b"2")
    assert bodies(receive(data)) == [b"2"]
    clock.pass_(5)
    assert bodies(receive(data)) == [b"1"]


def test_deduplication(data: Data, clock: Clock) -> None:
    first = send(data, b"1", deduplication="x'; DROP TABLE message; --")
    assert send(data, b"2", deduplication="x'; DROP TABLE message; --") == first
    assert data.send("p", "queue", "rest", b"3", deduplication="x") != first
    assert waiting(data) == 1
    data.acknowledge("p", "queue", "jobs", [Lease(first, 0)])
    clock.pass_(3599)
    assert send(data, b"2", deduplication="x'; DROP TABLE message; --") == first
    clock.pass_(2)
    assert send(data, b"2", deduplication="x'; DROP TABLE message; --") != first
    data.sweep()
    assert waiting(data) == 1


def test_what_an_inbox_was_sent_is_remembered_for_a_day_and_longer(
    data: Data, clock: Clock
) -> None:
    subscribed = Subscription(function="f", trigger=None, delivery=Delivery())
    data.subscribe("p", [subscribed])
    again = NewMessage(body=b"1", deduplication="signature")
    (first,) = data.send_many("p", "inbox", "f", [again])
    clock.pass_(24 * 3600)
    data.sweep()
    assert data.send_many("p", "inbox", "f", [again]) == (first,)
    assert data.queue_info("p", "inbox", "f").waiting == 1
    clock.pass_(3601)
    assert data.send_many("p", "inbox", "f", [again]) != (first,)


@pytest.mark.parametrize("swept", [True, False])
def test_what_is_forgotten_cannot_come_again_once_the_clock_is_set_back(
    data: Data, clock: Clock, swept: bool
) -> None:
    """Set forward by more than a day it had tokens forgotten that were needed a moment later."""
    data.subscribe("p", [Subscription(function="f", trigger=None, delivery=Delivery())])

    def send(token: str, made_after: float | None) -> str:
        new = NewMessage(body=b"1", deduplication=token, made_after=made_after)
        (number,) = data.send_many("p", "inbox", "f", [new])
        return number

    first = send("one", clock.now - 300)
    plain = send("unsigned", None)
    clock.pass_(26 * 3600)
    if swept:
        data.sweep()
    with pytest.raises(ForgottenError):
        send("one", clock.now - 26 * 3600 - 300)
    assert send("later", clock.now - 300)
    clock.pass_(-26 * 3600)
    data.sweep()
    if swept:
        with pytest.raises(ForgottenError):
            send("one", clock.now - 300)
        assert send("unsigned", None) != plain  # of these nothing tells when they were made
    else:
        assert send("one", clock.now - 300) == first
    clock.pass_(301)
    assert send("new", clock.now - 300)
    for _ in range(3):  # what is kept of it does not grow
        clock.pass_(26 * 3600)
        data.sweep()
        assert send("new", clock.now - 300)
    assert data.queue_info("p", "inbox", "f").waiting >= 4


def test_what_may_come_again_is_refused_alone(data: Data, clock: Clock) -> None:
    data.subscribe("p", [Subscription(function="f", trigger=None, delivery=Delivery())])
    old = NewMessage(body=b"1", deduplication="a", made_after=clock.now - 26 * 3600)
    new = NewMessage(body=b"2", deduplication="b", made_after=clock.now - 300)

    async def both() -> list[object]:
        sends = (data.port.send_many("p", "inbox", "f", [each]) for each in (old, new))
        return list(await asyncio.gather(*sends, return_exceptions=True))

    refused, kept = data.run(both())
    assert isinstance(refused, ForgottenError) and isinstance(kept, tuple)
    with pytest.raises(ForgottenError):
        data.send_many("p", "inbox", "f", [new, old])
    assert data.queue_info("p", "inbox", "f").waiting == 1


def test_retention(data: Data, clock: Clock) -> None:
    send(data, b"1")
    send(data, b"2", delay=900)
    clock.pass_(500)
    send(data, b"3")
    clock.pass_(500)
    assert waiting(data) == 1
    assert bodies(receive(data)) == [b"3"]
    data.sweep()
    assert waiting(data) == 1
    assert data.queue_info("p", "queue", "jobs").oldest_at == clock.now - 500


def test_purge(data: Data) -> None:
    for number in range(4):
        send(data, b"%d" % number, delay=number)
    receive(data)
    data.send("p", "queue", "rest", b"1")
    assert data.purge("p", "queue", "jobs") == 4
    assert data.purge("p", "queue", "jobs") == 0
    assert waiting(data) == 0
    assert data.queue_info("p", "queue", "rest").waiting == 1


def test_a_topic_is_not_the_queue_of_that_name(data: Data) -> None:
    queued = send(data, b"1")
    data.send("p", "topic", "jobs", b"2")
    assert bodies(data.receive("p", "topic", "jobs", limit=9)) == [b"2"]
    assert data.acknowledge("p", "topic", "jobs", [Lease(queued, 0)]) == 0
    assert waiting(data) == 1
    with pytest.raises(NotFoundError):
        data.send("p", "topic", "rest", b"1")


def test_many_at_once_get_each_message_once(data: Data) -> None:
    async def race() -> list[bytes]:
        await asyncio.gather(*(data.port.send("p", "queue", "jobs", b"%d" % n) for n in range(60)))
        found = await asyncio.gather(
            *(data.port.receive("p", "queue", "jobs", limit=5) for _ in range(20))
        )
        return [message.body for messages in found for message in messages]

    assert sorted(data.run(race()), key=int) == [b"%d" % n for n in range(60)]


def test_limits(data: Data, monkeypatch) -> None:
    with pytest.raises(LimitError):
        send(data, b'"' + b"x" * 200 + b'"')
    monkeypatch.setattr(messages, "MAX_MESSAGES", 2)
    send(data, b"1")
    send(data, b"2")
    with pytest.raises(LimitError):
        send(data, b"3")
    assert waiting(data) == 2
    data.acknowledge("p", "queue", "jobs", [receive(data)[0].lease])
    send(data, b"3")


def test_an_answer_is_bounded_in_bytes(data: Data, monkeypatch) -> None:
    monkeypatch.setattr(leasing, "MAX_RESULT_BYTES", 100)
    for _ in range(5):
        send(data, b'"' + b"x" * 60 + b'"')
    assert len(receive(data)) == 1
    assert len(receive(data)) == 1


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nul", b"{} x", b'"\xff"', b"[" * 20_000 + b"]" * 20_000, "text", None]
)
def test_what_is_no_message(data: Data, body) -> None:
    with pytest.raises(InvalidInputError):
        send(data, body)


@pytest.mark.parametrize(
    "options",
    [
        {"delay": -1},
        {"delay": float("nan")},
        {"delay": float("inf")},
        {"delay": True},
        {"delay": 1e9},
        {"deduplication": ""},
        {"deduplication": "x" * 257},
        {"deduplication": "\ud800"},
        {"deduplication": 5},
    ],
)
def test_options_that_are_none(data: Data, options) -> None:
    with pytest.raises(InvalidInputError):
        send(data, b"1", **options)


@pytest.mark.parametrize(
    "ids",
    ["0000000000000001", ["1"], ["f" * 16], ["0000000000000001\n"], [1], ["' OR 1=1 --  ---"]],
)
def test_ids_that_are_none(data: Data, ids) -> None:
    send(data, b"1")
    with pytest.raises(InvalidInputError):
        data.acknowledge("p", "queue", "jobs", ids)
    with pytest.raises(InvalidInputError):
        data.acknowledge("p", "queue", "jobs", [Lease(identity, 0) for identity in ids])
    with pytest.raises(InvalidInputError):
        data.purge_dead("p", "queue", "jobs", ids)
    assert waiting(data) == 1


@pytest.mark.parametrize("fence", [-1, 2**63, 1.0, True, "1", None])
def test_fences_that_are_none(data: Data, fence) -> None:
    identity = send(data, b"1")
    lease = Lease(identity, fence)
    with pytest.raises(InvalidInputError):
        data.acknowledge("p", "queue", "jobs", [lease])
    with pytest.raises(InvalidInputError):
        data.extend("p", "queue", "jobs", [lease], lease=1.0)
    assert waiting(data) == 1


@pytest.mark.parametrize("seconds", [-1, float("nan"), 1e6])
def test_extensions_that_are_none(data: Data, seconds: float) -> None:
    send(data, b"1")
    [message] = receive(data)
    with pytest.raises(InvalidInputError):
        data.extend("p", "queue", "jobs", [message.lease], lease=seconds)


def test_a_lease_taken_again_has_a_higher_number_and_the_older_no_effect(
    data: Data, clock: Clock
) -> None:
    send(data, b"1")
    [first] = data.lease("p", "queue", "jobs", limit=1, lease=10.0)
    clock.pass_(11)
    [second] = data.lease("p", "queue", "jobs", limit=1, lease=10.0)
    assert second.fence > first.fence
    # An attempt that did not run is taken back, and its number given to the next one.
    back = end_of(second, Fate.RETRY, counted=False)
    assert data.settle("p", "queue", "jobs", [back]) == 1
    [third] = data.lease("p", "queue", "jobs", limit=1, lease=10.0)
    assert (third.attempts, third.fence) == (second.attempts, second.fence + 1)
    for old in (first, second):
        for fate in Fate:
            assert data.settle("p", "queue", "jobs", [end_of(old, fate)]) == 0
        assert data.extend("p", "queue", "jobs", [old.lease], lease=900.0) == 0
        assert data.acknowledge("p", "queue", "jobs", [old.lease]) == 0
    assert waiting(data) == 1
    assert data.extend("p", "queue", "jobs", [third.lease], lease=60.0) == 1
    clock.pass_(59)
    assert receive(data) == ()
    assert data.settle("p", "queue", "jobs", [end_of(third, Fate.DONE)]) == 1
    assert waiting(data) == 0


def test_a_number_is_not_given_again_after_a_restart(data: Data) -> None:
    send(data, b"1")
    [first] = data.lease("p", "queue", "jobs", limit=1, lease=60.0)
    data.reopen()
    data.resume("p")
    assert data.settle("p", "queue", "jobs", [end_of(first, Fate.DONE)]) == 0
    assert data.extend("p", "queue", "jobs", [first.lease], lease=60.0) == 0
    [second] = data.lease("p", "queue", "jobs", limit=1, lease=60.0)
    assert second.fence > first.fence
    assert data.settle("p", "queue", "jobs", [end_of(first, Fate.DONE)]) == 0
    assert data.acknowledge("p", "queue", "jobs", [first.lease]) == 0
    assert data.acknowledge("p", "queue", "jobs", [second.lease]) == 1


@pytest.mark.parametrize("options", [{"limit": 0}, {"limit": 1001}, {"lease": -1}, {"lease": 1e6}])
def test_receiving_that_is_none(data: Data, options) -> None:
    with pytest.raises(InvalidInputError):
        receive(data, **options)


def test_other_kinds(data: Data) -> None:
    for kind in ("bucket", "table", "queues", "", None):
        with pytest.raises(InvalidInputError):
            data.send("p", kind, "jobs", b"1")
