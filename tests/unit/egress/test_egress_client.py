"""The gateway's end: it never blocks, never raises, and never lets a descriptor go astray."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from casemate.child.frames import FrameBuffer, frame
from casemate.egress import protocol
from casemate.egress.client import EgressClient
from casemate.egress.events import event_now
from casemate.egress.interface import PROXY_PORT, EgressEvent
from casemate.model.grant import Grant, GrantKind
from support.descriptors import descriptors_held, require_none_left
from support.egress import egress, listener, loopback_address, read_all

GRANT = egress("api.example.com:443")
BUCKET = Grant(kind=GrantKind.BUCKET, name="b", actions=("read",))


class Reading:
    """What comes on a connection of the client's."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.setblocking(False)
        self.frames = FrameBuffer(protocol.BOUNDS.frame)
        self.descriptors: list[int] = []

    def received(self) -> list[tuple[protocol.Request, int]]:
        """Return each request that came, with the number of its descriptors."""
        found = []
        while True:
            try:
                data, more, _, _ = socket.recv_fds(self.sock, 256 * 1024, 64)
            except BlockingIOError:
                break
            if not data:
                break
            self.descriptors += more
            for body in self.frames.feed(data):
                request = msgspec.json.decode(body, type=protocol.Request)
                count = len(request.ports) if isinstance(request, protocol.Open) else 0
                mine, self.descriptors = self.descriptors[:count], self.descriptors[count:]
                for descriptor in mine:
                    os.close(descriptor)
                found.append((request, len(mine)))
        assert not self.descriptors or not self.frames.between_frames
        return found


class Other:
    """A client and the other end of its socket."""

    def __init__(self) -> None:
        ours, self.sock = protocol.BOUNDS.pair()
        self.received = Reading(self.sock).received
        self.events: list[EgressEvent] = []
        self.client = EgressClient(ours, asyncio.get_running_loop(), on_event=self.events.append)
        self.address = ""

    def open(self, zygote: int = 1, grants: tuple[Grant, ...] = ()) -> None:
        self.address = loopback_address()
        with listener(self.address, PROXY_PORT) as sock:
            self.client.open(zygote, {PROXY_PORT: sock.fileno()}, grants)

    def close(self) -> None:
        self.client.shut_down()
        self.sock.close()


def run(test: Callable[[Other], Awaitable[None]]) -> None:
    async def main() -> None:
        before = descriptors_held()
        other = Other()
        await test(other)
        other.close()
        require_none_left(before)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_nothing_is_handed_over_before_there_are_grants() -> None:
    async def test(other: Other) -> None:
        other.open()
        assert other.received() == []
        other.client.grant(1, (GRANT, BUCKET))
        request = protocol.Open(1, (PROXY_PORT,), (protocol.Permit(GRANT.name),))
        assert other.received() == [(request, 1)]
        other.client.grant(1, (egress("evil.com:443"),))
        other.client.close(1)
        other.client.close(1)
        assert other.received() == [(protocol.Close(1), 0)]

    run(test)


def test_whose_grants_they_are_is_told_beside_them() -> None:
    async def test(other: Other) -> None:
        other.open()
        other.client.grant(1, (GRANT,), "report")
        [(request, _)] = other.received()
        assert isinstance(request, protocol.Open) and request.function == "report"
        other.client.close(1)

    run(test)


def test_a_zygote_without_listeners_needs_no_proxy() -> None:
    async def test(other: Other) -> None:
        other.client.grant(1, ())
        other.client.close(1)
        assert other.received() == []
        assert other.events == []

    run(test)


def test_what_connects_at_import_is_told_and_ended() -> None:
    async def test(other: Other) -> None:
        other.open()
        socks = [socket.create_connection((other.address, PROXY_PORT)) for _ in range(3)]
        for sock in socks:
            sock.sendall(b"CONNECT api.example.com:443 HTTP/1.1\r\n\r\n")
            answer = await asyncio.to_thread(read_all, sock)
            assert answer.startswith(b"HTTP/1.1 403 Forbidden: A function reaches the network")
        late = socket.create_connection((other.address, PROXY_PORT))
        other.client.grant(1, (GRANT,))
        assert await asyncio.to_thread(read_all, late) == b""
        assert [event.reason for event in other.events] == ["connected during import"] * 4
        for sock in (*socks, late):
            sock.close()

    run(test)


def test_a_flood_at_import_is_bounded() -> None:
    async def test(other: Other) -> None:
        other.open()
        socks = [socket.create_connection((other.address, PROXY_PORT)) for _ in range(100)]
        await asyncio.sleep(0.1)
        assert len(other.events) == 64
        other.client.grant(1, (GRANT,))
        assert len(other.events) == 100
        for sock in socks:
            sock.close()

    run(test)


def test_what_connects_after_the_grant_is_the_proxys() -> None:
    async def test(other: Other) -> None:
        other.open()
        other.client.grant(1, (GRANT,))
        sock = socket.create_connection((other.address, PROXY_PORT))
        await asyncio.sleep(0.05)
        assert other.events == []
        _, descriptors, _, _ = socket.recv_fds(other.sock, 256 * 1024, 1)
        with socket.socket(fileno=descriptors[0]) as waiting:
            waiting.accept()[0].close()
        sock.close()

    run(test)


def test_a_zygote_that_ends_during_import() -> None:
    async def test(other: Other) -> None:
        other.open()
        other.client.close(1)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((other.address, PROXY_PORT))
        other.client.grant(1, (GRANT,))
        assert other.received() == []

    run(test)


@pytest.mark.parametrize("number", [-1, 10_000])
def test_descriptors_that_are_none(number: int) -> None:
    async def test(other: Other) -> None:
        other.client.open(1, {PROXY_PORT: number}, ())
        other.client.open(2, {PROXY_PORT: 0}, ())
        other.client.grant(1, (GRANT,))
        assert other.received() == []
        assert [event.zygote for event in other.events] == [1, 2]

    run(test)


def test_more_than_the_proxy_takes() -> None:
    async def test(other: Other) -> None:
        other.open(1, tuple(egress(f"h{n}.com:443") for n in range(300)))
        other.open(2, (egress("x" * 400 + ".com:443"),))
        assert other.received() == []
        assert [event.zygote for event in other.events] == [1, 2]

    run(test)


def test_a_busy_proxy_gets_everything_later_and_in_order() -> None:
    async def test(other: Other) -> None:
        grants = tuple(egress(f"h{n}.{'x' * 60}.{'y' * 60}.com:443") for n in range(250))
        for number in range(300):
            other.open(number, grants)
            if number % 2:
                other.client.close(number)
        received: list[tuple[protocol.Request, int]] = []
        while len(received) < 450:
            received += other.received()
            await asyncio.sleep(0.01)
        numbers = [(request.z, type(request)) for request, _ in received]
        expected = []
        for number in range(300):
            expected.append((number, protocol.Open))
            if number % 2:
                expected.append((number, protocol.Close))
        assert numbers == expected
        assert other.events == []

    run(test)


def test_a_proxy_that_is_gone() -> None:
    async def test(other: Other) -> None:
        other.open(3)
        other.sock.close()
        await other.client.lost
        other.client.grant(3, (GRANT,))
        other.open(1, (GRANT,))
        other.client.close(1)
        assert [event.reason for event in other.events] == [
            "the egress process is gone or too busy"
        ]

    run(test)


def test_events_come_as_they_were_sent() -> None:
    async def test(other: Other) -> None:
        event = event_now(1, "a.com", 443, allowed=False, reason="not granted")
        other.sock.send(frame(msgspec.json.encode(protocol.observed(event))))
        await asyncio.sleep(0.05)
        assert other.events == [event]

    run(test)


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"{}",
        b'{"type":"observed","z":-1,"at":1,"host":"","port":1,"allowed":true}',
        b'{"type":"observed","z":1,"at":1,"host":"%s","port":1,"allowed":true}' % (b"x" * 300),
    ],
)
def test_a_proxy_that_sends_something_else_is_let_go(data: bytes) -> None:
    async def test(other: Other) -> None:
        other.sock.send(frame(data))
        await other.client.lost
        assert other.events == []

    run(test)


class Starter:
    """What the supervisor does for a client that may have process after process."""

    def __init__(self) -> None:
        ours, self._end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._end.setblocking(False)
        self.client = EgressClient(None, asyncio.get_running_loop(), ours, on_event=lambda _: None)
        self.address = ""

    async def process(self) -> socket.socket:
        """Return the other end of the socket to the process that was asked for."""
        async with asyncio.timeout(10):
            while True:
                try:
                    data, descriptors, _, _ = socket.recv_fds(self._end, 64, 4)
                except BlockingIOError:
                    await asyncio.sleep(0.01)
                    continue
                assert data == b"start"
                sock = socket.socket(fileno=descriptors[0])
                sock.settimeout(10)
                return sock

    def close(self) -> None:
        self.client.shut_down()
        self._end.close()


def test_another_process_serves_what_the_one_that_ended_did() -> None:
    async def main() -> None:
        before = descriptors_held()
        starter = Starter()
        client = starter.client
        assert client.connected
        for zygote in (1, 2, 3):
            with listener(loopback_address(), PROXY_PORT) as sock:
                client.open(zygote, {PROXY_PORT: sock.fileno()}, (GRANT,))
        for round_ in range(3):
            process = await starter.process()
            count = 3 if not round_ else 2
            requests = []
            reading = Reading(process)
            while len(requests) < count:
                requests += reading.received()
                await asyncio.sleep(0.005)
            assert [(r.z, n) for r, n in requests] == [(z, 1) for z in (1, 2, 3)][-len(requests) :]
            if not round_:
                client.close(1)
                assert reading.received() == [(protocol.Close(1), 0)]
            assert client.connected
            process.close()
            await asyncio.sleep(0.01)
            assert not client.connected
            assert not client.lost.done()
        starter.close()
        assert client.lost.done()
        require_none_left(before)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_without_a_supervisor_there_is_no_other_process() -> None:
    async def main() -> None:
        starter = Starter()
        starter._end.close()
        with listener(loopback_address(), PROXY_PORT) as sock:
            starter.client.open(1, {PROXY_PORT: sock.fileno()}, (GRANT,))
        assert starter.client.lost.done()
        assert not starter.client.connected

    asyncio.run(asyncio.wait_for(main(), 20))


def test_listeners_that_cannot_be_handed_over_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the gateway has all the descriptors that it may have: nothing is raised or left."""

    async def test(other: Other) -> None:
        other.open()

        def dup(_descriptor: int) -> int:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        with monkeypatch.context() as patched:
            patched.setattr(os, "dup", dup)
            other.client.grant(1, (GRANT,))
        assert other.received() == []
        [event] = other.events
        assert not event.allowed and "Too many open files" in event.reason
        other.open()
        other.client.grant(1, (GRANT,))
        assert len(other.received()) == 1
        other.client.close(1)

    run(test)
