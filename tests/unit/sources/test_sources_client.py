"""The gateway's end: which sources there are, a process that ends, and one that lies."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest

from casemate.child.channel import FrameSocket
from casemate.model.errors import NotFoundError
from casemate.model.trigger import OutsideTrigger, ValkeyTrigger
from casemate.sources import Received, SourceKey, SourcesClient, SourceStatus
from casemate.sources.client import _identity
from casemate.sources.protocol import (
    BOUNDS,
    Ask,
    Handed,
    Kept,
    Outcome,
    Refused,
    Secret,
    Start,
    State,
    Stop,
    decode_request,
    encode,
)
from support.waiting import until

KEY = SourceKey("p", "f", "orders")


def trigger(name: str = "orders", **more: Any) -> ValkeyTrigger:
    return ValkeyTrigger(
        **{
            "name": name,
            "host": "h.example.org",
            "port": 1,
            "stream": "s",
            "password": "pw",
            **more,
        }
    )


class Process:
    """The other end, as a test plays it."""

    def __init__(self, sock: socket.socket) -> None:
        self.requests: list[Any] = []
        self.passwords: list[bytes] = []
        self.why = ""
        self.socket = FrameSocket(
            *(sock, asyncio.get_running_loop(), BOUNDS), received=self.received, ended=self.ended
        )

    def received(self, body: bytes) -> None:
        request = decode_request(body)
        self.requests.append(request)
        if isinstance(request, Secret) and not request.problem:
            descriptor = self.socket.take_descriptor()
            self.passwords.append(os.read(descriptor, 100))
            os.close(descriptor)

    def ended(self, why: str) -> None:
        self.why = why

    def say(self, report: msgspec.Struct) -> None:
        self.socket.send(encode(report))


class World:
    """A client, what it keeps, and the processes that were started for it."""

    def __init__(self) -> None:
        self.supervisor, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.supervisor.setblocking(False)
        self.kept: list[Received] = []
        self.refusals: list[tuple[str, bool, int]] = []
        self.changes: list[SourceStatus] = []
        self.room = True
        self.client = SourcesClient(
            end, asyncio.get_running_loop(), deliver=self.deliver, receiver=self
        )

    async def deliver(self, project: str, secret: str, descriptor: int) -> None:
        if secret == "gone":
            raise NotFoundError("There is no secret gone.")
        os.write(descriptor, b"the password")

    async def keep(self, key: SourceKey, events: Sequence[Received]) -> bool:
        if self.room:
            self.kept += events
        return self.room

    def refused(self, key: SourceKey, reason: str, *, denied: bool, count: int) -> None:
        self.refusals.append((reason, denied, count))

    def changed(self, status: SourceStatus) -> None:
        self.changes.append(status)

    async def process(self) -> Process:
        """Return the process that is asked for next."""
        for _ in range(1000):
            try:
                data, descriptors, _, _ = socket.recv_fds(self.supervisor, 16, 1)
            except BlockingIOError:
                await asyncio.sleep(0.005)
                continue
            assert data == b"start"
            return Process(socket.socket(fileno=descriptors[0]))
        raise AssertionError("no process was asked for")

    def follow(self, *triggers: OutsideTrigger) -> None:
        self.client.replace({SourceKey("p", "f", t.name): t for t in triggers})

    @property
    def status(self) -> SourceStatus:
        return self.client.statuses()[0]


def in_world(work: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        world = World()
        try:
            await work(world)
        finally:
            await world.client.close()
            world.supervisor.close()

    asyncio.run(run())


def test_only_what_changed_is_started_and_stopped() -> None:
    async def work(world: World) -> None:
        world.follow(trigger(), trigger("other"))
        process = await world.process()
        await until(lambda: len(process.requests) == 2)
        assert [r.trigger.name for r in process.requests] == ["orders", "other"]
        world.follow(trigger(), trigger("other", stream="elsewhere"))
        await until(lambda: len(process.requests) == 4)
        stop, start = process.requests[2:]
        assert isinstance(stop, Stop) and stop.n == process.requests[1].n
        assert isinstance(start, Start) and start.n not in (1, 2)
        world.follow()
        await until(lambda: process.why)

    in_world(work)


def test_no_process_is_asked_for_without_sources() -> None:
    async def work(world: World) -> None:
        world.follow()
        await asyncio.sleep(0.05)
        with pytest.raises(BlockingIOError):
            world.supervisor.recv(16)

    in_world(work)


def test_events_are_kept_or_told_that_there_is_no_room() -> None:
    async def work(world: World) -> None:
        world.follow(trigger())
        process = await world.process()
        await until(lambda: process.requests)
        process.say(Handed(1, 5, (Received(body=b"1"),)))
        await until(lambda: len(process.requests) == 2)
        world.room = False
        process.say(Handed(1, 6, (Received(body=b"2"),)))
        await until(lambda: len(process.requests) == 3)
        assert process.requests[1:] == [Kept(1, 5, Outcome.KEPT), Kept(1, 6, Outcome.FULL)]
        assert [r.body for r in world.kept] == [b"1"]
        assert world.status.events == 1 and world.status.last_event_at is not None
        # Of a source that there is not: kept by nobody, answered to nobody.
        process.say(Handed(99, 7, (Received(body=b"3"),)))
        process.say(State(1, connected=True, error="", waiting=7))
        await until(lambda: world.status.connected)
        assert len(process.requests) == 3 and world.status.waiting == 7

    in_world(work)


def test_the_password_goes_by_a_pipe_and_its_lack_is_told() -> None:
    async def work(world: World) -> None:
        world.follow(trigger(), trigger("without", password="gone"))
        process = await world.process()
        await until(lambda: len(process.requests) == 2)
        for start in list(process.requests):
            process.say(Ask(start.n))
        await until(lambda: len(process.requests) == 4)
        problems = {r.n: r.problem for r in process.requests[2:]}
        assert problems[1] == "" and "no secret" in problems[2]
        assert process.passwords == [b"the password"]

    in_world(work)


def test_a_process_that_ends_is_started_again_with_all_sources() -> None:
    async def work(world: World) -> None:
        world.follow(trigger())
        process = await world.process()
        process.say(State(1, connected=True, error="", waiting=None))
        await until(lambda: world.status.connected)
        since = world.status.since
        process.socket.close()
        await until(lambda: not world.status.connected)
        assert (world.status.losses, world.status.since > since) == (1, True)
        assert "ended" in world.status.error
        again = await world.process()
        await until(lambda: again.requests)
        assert again.requests[0].trigger == trigger()
        assert [change.connected for change in world.changes] == [True, False]

    in_world(work)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        encode(Stop(1)),  # no report
        msgspec.msgpack.encode([6, 1, 5, []]),  # a batch of nothing
        msgspec.msgpack.encode([7, 1, True, "x" * 601, None]),
        msgspec.msgpack.encode([8, 1, "x", False, 0]),
        msgspec.msgpack.encode([5, -1]),
    ],
)
def test_a_process_that_sends_what_is_no_report_is_ended(body: bytes) -> None:
    async def work(world: World) -> None:
        world.follow(trigger())
        process = await world.process()
        process.socket.send(body)
        await until(lambda: process.why)
        assert world.kept == [] and world.refusals == []
        await world.process()

    in_world(work)


def test_refusals_are_counted_and_passed_on() -> None:
    async def work(world: World) -> None:
        world.follow(trigger())
        process = await world.process()
        process.say(Refused(1, "too large", denied=False, count=3))
        process.say(Refused(1, "private address 10.0.0.1", denied=True, count=1))
        await until(lambda: len(world.refusals) == 2)
        assert world.status.refused == 3
        assert world.refusals[1] == ("private address 10.0.0.1", True, 1)

    in_world(work)


def test_identities_differ_and_stay() -> None:
    keys = [
        KEY,
        SourceKey("p", "f", "x"),
        SourceKey("p2", "f", "orders"),
        SourceKey("p", "g" * 63, "x"),
    ]
    names = [_identity(key) for key in keys]
    assert len(set(names)) == 4 and names == [_identity(key) for key in keys]
    assert all(len(name) <= 64 for name in names)
