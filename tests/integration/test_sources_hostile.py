"""Servers outside that speak their protocol, and mean harm: to the node, and to whose else is near.

All sources of a node share a process. Beside each of these is a good one, which goes on.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count, repeat
from pathlib import Path
from typing import Any

import pytest

from casemate.model.trigger import (
    MqttTrigger,
    NatsTrigger,
    OutsideTrigger,
    PostgresTrigger,
    RabbitmqTrigger,
    ValkeyTrigger,
)
from casemate.sources import Received, SourceKey
from casemate.sources.config import SourceLimits
from support import hostile_brokers as hostile
from support.sources import LOCAL, Harness, sources

LIMITS = SourceLimits(first_pause=0.05, longest_pause=0.2, full_longest=0.2, silence=5)
SECONDS = 2.5
SLOW_SECONDS = 12.0
"""Until what costs the square of what was sent would be felt."""
MOST_RESIDENT = 200_000
"""Kilobytes; with nothing to do it has 40,000."""
MOST_GAP = 2.0
MIB = hostile.MIB


def resident(harness: Harness) -> int:
    status = Path(f"/proc/{harness.starter.pid}/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmRSS")).split()[1])


async def beside(
    serve: hostile.Serve,
    *bad: Callable[[int], OutsideTrigger],
    full: bool = False,
    seconds: float = SECONDS,
) -> None:
    """Follow a hostile server for a while beside a good one."""
    evil, nice = hostile.Broker(serve), hostile.Broker(hostile.good())
    try:
        async with sources({}, LIMITS) as harness:
            keep = harness.inbox.keep

            async def kept(key: SourceKey, events: Any) -> bool:
                return False if full and key.trigger != "good" else await keep(key, events)

            harness.inbox.keep = kept  # type: ignore[method-assign]
            own = ValkeyTrigger(**LOCAL, name="good", port=nice.port, stream="s")
            harness.follow(own)
            await harness.until(lambda: harness.inbox.kept)
            pid = harness.starter.pid
            harness.follow(own, *(make(evil.port) for make in bad))
            begun = last = time.monotonic()
            seen = 0
            while time.monotonic() < begun + seconds:
                await asyncio.sleep(0.05)
                found = sum(event.subject == "s" for event in harness.inbox.kept)
                last, seen = (time.monotonic(), found) if found > seen else (last, seen)
                assert harness.starter.pid == pid, "all sources were ended"
                assert time.monotonic() - last < MOST_GAP, "others get no turn"
                assert resident(harness) < MOST_RESIDENT, "it holds too much"
            assert evil.connections
    finally:
        evil.close()
        nice.close()


def valkey(port: int) -> ValkeyTrigger:
    return ValkeyTrigger(**LOCAL, name="bad", port=port, stream="t")


def mqtt(port: int) -> MqttTrigger:
    return MqttTrigger(**LOCAL, name="bad", port=port, topic="a")


def nats(port: int) -> NatsTrigger:
    return NatsTrigger(**LOCAL, name="bad", port=port, subject="a")


def jetstream(port: int) -> NatsTrigger:
    return NatsTrigger(**LOCAL, name="bad", port=port, subject="a", stream="s", durable="d")


def rabbitmq(port: int) -> RabbitmqTrigger:
    return RabbitmqTrigger(**LOCAL, name="bad", port=port, queue="q")


def postgresql(port: int) -> PostgresTrigger:
    return PostgresTrigger(**LOCAL, name="bad", port=port, database="d")


def many_nats(number: int) -> Callable[[int], NatsTrigger]:
    return lambda port: NatsTrigger(**LOCAL, name=f"bad{number}", port=port, subject="a")


def many_mqtt(number: int) -> Callable[[int], MqttTrigger]:
    return lambda port: MqttTrigger(**LOCAL, name=f"bad{number}", port=port, topic="a")


def endless_reply(_: bytes) -> Iterator[bytes]:
    yield b"*1\r\n*2\r\n$1\r\ns\r\n*90000\r\n"
    yield from repeat(hostile.bulk(MIB))


def long_ids(_: bytes) -> Iterable[bytes]:
    return [hostile.entries(*repeat(hostile.entry(b"9" * 1_000_000, b"a", b"1"), 50))]


def deliveries(body: bytes, flags: int = 0, properties: bytes = b"") -> Any:
    return lambda tag: (hostile.delivered(tag, n, body, flags, properties) for n in count(1))


def broken_then_good(flags: int, properties: bytes) -> hostile.Serve:
    return hostile.rabbitmq(
        lambda tag: [
            hostile.delivered(tag, 1, b"1", flags, properties),
            hostile.delivered(tag, 2, b'{"ok":"1"}'),
        ]
    )


def nested(depth: int) -> bytes:
    inner = hostile.long_text(b"")
    for _ in range(depth):
        inner = hostile.long_text(b"A" + inner)
    return inner


def rows(number: bytes) -> hostile.Flow:
    return lambda: [hostile.outbox_row(number, b"1")]


def parameters() -> Iterator[bytes]:
    for number in count():
        yield hostile.message(b"S", b"n%d\0%b\0" % (number, MIB[:50_000]))


NUMBER = struct.pack(">q", 7)
TEXT_ID = ((b"id", 1009), *hostile.OUTBOX[1:])
TEXT_TIME = (*hostile.OUTBOX[:2], (b"created", 25), *hostile.OUTBOX[3:])
ARRAY = struct.pack(">iiIii", 1, 0, 25, 1, 1) + struct.pack(">i", 1) + b"x"
UNKNOWN = tuple((b"c", 600_000 + number) for number in range(32_000))
EVIL: dict[str, tuple[Any, ...]] = {
    "valkey: a reply without end": (valkey, hostile.valkey(endless_reply)),
    "valkey: ids that are long": (valkey, hostile.valkey(long_ids)),
    "mqtt: messages before the subscription": (
        mqtt,
        hostile.mqtt(lambda: repeat(hostile.published(MIB), 1000)),
    ),
    "mqtt: releases whose answers are not read": (
        mqtt,
        hostile.mqtt(lambda: [hostile.SUBACK, *repeat(hostile.packet(0x62, b"\0\1") * 4000, 900)]),
    ),
    "mqtt: half a million properties": (
        mqtt,
        hostile.mqtt(
            lambda: [hostile.SUBACK, *repeat(hostile.published(b"x", b"\x24\1" * 500_000), 30)]
        ),
    ),
    "nats: pings whose answers are not read": (
        nats,
        hostile.nats(lambda: repeat(b"PING\r\n" * 4000)),
    ),
    "nats: less than nothing waits": (jetstream, hostile.jetstream(-5)),
    "rabbitmq: a long greeting": (rabbitmq, hostile.rabbitmq(properties=b"\1aV" * 600_000)),
    "rabbitmq: a deep greeting": (
        rabbitmq,
        hostile.rabbitmq(properties=b"\1aA" + nested(10_000)),
    ),
    "rabbitmq: headers of a message": (
        rabbitmq,
        hostile.rabbitmq(
            deliveries(
                b"1",
                1 << 13,
                hostile.long_text(b"\1aA" + hostile.long_text(b"V" * 120_000)),
            )
        ),
    ),
    "postgresql: rows without end": (
        postgresql,
        hostile.postgresql(lambda: repeat(hostile.outbox_row(NUMBER, MIB))),
    ),
    "postgresql: an id that is an array": (
        postgresql,
        hostile.postgresql(rows(ARRAY), columns=TEXT_ID),
    ),
    "postgresql: a time that is a text": (
        postgresql,
        hostile.postgresql(lambda: [hostile.outbox_row(NUMBER, b"1", b"noon")], columns=TEXT_TIME),
    ),
    "postgresql: parameters without end": (postgresql, hostile.postgresql(start=parameters)),
    "postgresql: columns of unknown types": (postgresql, hostile.postgresql(columns=UNKNOWN)),
}


SLOW = ("mqtt: half a million properties", "nats: pings whose answers are not read")


@pytest.mark.parametrize("name", EVIL)
def test_no_server_harms_sources_of_others(name: str) -> None:
    make, serve = EVIL[name]
    asyncio.run(beside(serve, make, seconds=SLOW_SECONDS if name in SLOW else SECONDS))


LARGE: dict[str, tuple[list[Callable[[int], OutsideTrigger]], hostile.Serve]] = {
    "mqtt": (
        [many_mqtt(number) for number in range(8)],
        hostile.mqtt(lambda: [hostile.SUBACK, *repeat(hostile.published(MIB), 900)]),
    ),
    "nats": (
        [many_nats(number) for number in range(8)],
        hostile.nats(lambda: repeat(b"MSG a 1 1048576\r\n" + MIB + b"\r\n")),
    ),
    "rabbitmq": ([rabbitmq], hostile.rabbitmq(deliveries(MIB))),
}


@pytest.mark.parametrize("kind", LARGE)
def test_what_finds_no_room_is_not_held(kind: str) -> None:
    """Messages of the largest size, without end, for functions that do not keep up."""
    makers, serve = LARGE[kind]
    asyncio.run(beside(serve, *makers, full=True))


REFUSED = {
    "rows": (
        hostile.postgresql(lambda: repeat(hostile.outbox_row(NUMBER, MIB))),
        "answers with more than 67108864 bytes",
    ),
    "a long message": (
        hostile.postgresql(lambda: [b"D" + struct.pack(">I", 1 << 30)]),
        "a message of 1073741824 bytes, expected at most 16777216",
    ),
    "parameters": (hostile.postgresql(start=parameters), "of parameters in more than 1048576"),
    "columns": (hostile.postgresql(columns=UNKNOWN), "expected at most 32768"),
    "proof": (
        hostile.postgresql(start=lambda: [hostile.message(b"R", bytes(3000))]),
        "asks for proof in 3000 bytes, expected at most 2000",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_was_refused_of_a_server_is_told_and_the_limit(what: str) -> None:
    """It was told as `ConnectionDoesNotExistError`."""
    serve, said = REFUSED[what]

    async def run() -> None:
        evil = hostile.Broker(serve)
        try:
            async with sources({}, LIMITS) as harness:
                harness.follow(postgresql(evil.port))
                await harness.until(lambda: said in harness.status.error)
                assert "DoesNotExist" not in harness.status.error
        finally:
            evil.close()

    asyncio.run(run())


def one_then_good(first: bytes, then: bytes) -> hostile.Flow:
    return lambda: [first, then]


def fields_then_good() -> hostile.Serve:
    """Return a Valkey whose first entry has more fields than are held, until acknowledged."""
    seen: list[bytes] = []

    def read(after: bytes) -> Iterator[bytes]:
        if not seen:
            many = hostile.entry(b"1-1", *repeat(b"a", 200_000))
            seen.append(after)
            yield hostile.entries(many)
        elif after == b">":
            time.sleep(0.05)
            yield hostile.entries(hostile.entry(b"2-1", b"ok", b"1"))
        else:
            yield hostile.entries()

    return hostile.valkey(read)


HEADERS = b"NATS/1.0\r\n" + b"a" * 70_000 + b"\r\n\r\n"
POISON: dict[str, tuple[Any, hostile.Serve]] = {
    "rabbitmq: a time": (rabbitmq, broken_then_good(1 << 6, struct.pack(">Q", 1 << 62))),
    "rabbitmq: a content type": (rabbitmq, broken_then_good(1 << 15, b"\2\xff\xfe")),
    "rabbitmq: a table": (rabbitmq, broken_then_good(1 << 13, hostile.long_text(b"\1aZ"))),
    "nats: headers": (
        nats,
        hostile.nats(
            one_then_good(
                b"HMSG a 1 %d %d\r\n%b\r\n" % (len(HEADERS), len(HEADERS), HEADERS),
                b'MSG a 1 10\r\n{"ok":"1"}\r\n',
            )
        ),
    ),
    "mqtt: properties": (
        mqtt,
        hostile.mqtt(
            lambda: [
                hostile.SUBACK,
                hostile.published(b"x", b"\x24\1" * 40_000),
                hostile.published(b'{"ok":"1"}'),
            ]
        ),
    ),
    "valkey: fields": (valkey, fields_then_good()),
}


@pytest.mark.parametrize("name", POISON)
def test_a_message_that_cannot_be_taken_is_given_up_and_the_next_one_comes(name: str) -> None:
    """Whoever may publish would else end the source for good."""
    make, serve = POISON[name]

    async def run() -> None:
        evil = hostile.Broker(serve)
        try:
            async with sources({}, LIMITS) as harness:
                harness.follow(make(evil.port))
                await harness.until(lambda: {"ok": "1"} in harness.inbox.bodies)
                assert evil.connections == 1
        finally:
            evil.close()

    asyncio.run(run())


def test_entries_that_find_no_room_in_a_reply_come_after_it() -> None:
    """More of them at once than a reply may hold: all of them come, each once, in order."""
    waiting = {
        number: hostile.entry(b"%d-1" % number, b"a", MIB[:900_000]) for number in range(1, 41)
    }
    given: set[int] = set()
    kept: list[Received] = []

    def read(after: bytes) -> Iterator[bytes]:
        if after == b">":
            new = [number for number in waiting if number not in given]
            given.update(new)
            yield hostile.entries(*(waiting[number] for number in new))
            time.sleep(0.05)
        else:
            above = int(after.partition(b"-")[0])
            done = {int(event.id.partition("-")[0]) for event in kept}
            left = [number for number in sorted(given - done) if number > above]
            yield hostile.entries(*(waiting[number] for number in left[:50]))

    async def run() -> None:
        server = hostile.Broker(hostile.valkey(read))
        try:
            async with sources({}, LIMITS) as harness:
                harness.inbox.kept = kept
                harness.follow(valkey(server.port))
                await harness.until(lambda: len(kept) >= 40)
                assert [event.id for event in kept] == [f"{number}-1" for number in waiting]
                assert resident(harness) < MOST_RESIDENT
        finally:
            server.close()

    asyncio.run(run())
