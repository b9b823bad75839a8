"""A worker's end: what clients get while the gateway is slow, gone or wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from casemate.child.channel import FrameSocket
from casemate.http_workers import protocol
from casemate.http_workers.asking import Gateway
from casemate.http_workers.protocol import Kind
from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse, Undecided
from casemate.triggers.http_server import HttpLimits, HttpServer, accepting
from casemate.triggers.http_server.accepting import _MOST_UNDECIDED
from support.far_server import undecided

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
Answer = Callable[["Peer", Kind, int, bytes], None]


class Peer:
    """The gateway as a test plays it."""

    def __init__(self, sock: socket.socket, answer: Answer) -> None:
        self.said: list[tuple[Kind, int, bytes]] = []
        self._answer = answer
        self.ended = ""
        self.socket = FrameSocket(
            sock,
            asyncio.get_running_loop(),
            protocol.GATEWAY_BOUNDS,
            received=self._received,
            ended=self._over,
        )

    def _received(self, body: bytes) -> None:
        said = protocol.read(body)
        self.said.append(said)
        self._answer(self, *said)

    def _over(self, why: str) -> None:
        self.ended = why

    def count(self, kind: Kind) -> int:
        return sum(said[0] is kind for said in self.said)


@contextlib.asynccontextmanager
async def serving(answer: Answer, **limits: Any) -> AsyncIterator[tuple[Peer, HttpServer]]:
    ours, theirs = protocol.GATEWAY_BOUNDS.pair()
    peer = Peer(ours, answer)
    ends: list[str] = []
    gateway = Gateway(theirs, asyncio.get_running_loop(), told=lambda *_: None, ended=ends.append)
    server = HttpServer(
        undecided,
        HttpLimits(**limits),
        on_error=lambda _: "e1",
        problem=gateway.problem,
        admit=gateway.admit,
    )
    await server.start()
    try:
        yield peer, server
    finally:
        await server.close()


def run(main: Callable[[], Any]) -> None:
    uvloop.run(asyncio.wait_for(main(), 20))


def admitting(peer: Peer, kind: Kind, number: int, _content: bytes) -> None:
    if kind is Kind.ADMIT:
        peer.socket.send(protocol.admitted(number, 0, 0.0))


async def asked(server: HttpServer, request: bytes = GET) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(request)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_what_waits_for_a_gateway_that_ends_is_told_to_come_again() -> None:
    def ending(peer: Peer, kind: Kind, number: int, content: bytes) -> None:
        admitting(peer, kind, number, content)
        if kind in (Kind.CALL, Kind.ASK):
            peer.socket.close()

    async def main() -> None:
        for request in (GET, GET[:-2] + b"Content-Length: 100000\r\n\r\n"):
            async with serving(ending) as (_peer, server):
                answer = await asked(server, request)
                assert answer.startswith(b"HTTP/1.1 503 ")
                assert b"retry-after: 2\r\n" in answer
                assert b"connection: close\r\n" in answer
                # Nobody decides of another one.
                assert await asked(server) == b""

    run(main)


def test_a_gateway_that_decides_of_nothing_holds_a_bounded_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accepting, "_UNDECIDED_SECONDS", 1.0)
    count = _MOST_UNDECIDED + 100

    async def main() -> None:
        async with serving(lambda *_: None) as (peer, server):
            clients = [
                await asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)
            ]
            await asyncio.sleep(0.3)
            assert peer.count(Kind.ADMIT) == _MOST_UNDECIDED
            assert server.open_connections == _MOST_UNDECIDED
            # Those nobody decides of in time are let go of, and make room.
            async with asyncio.timeout(10):
                while peer.count(Kind.ADMIT) < count:
                    await asyncio.sleep(0.05)
            assert peer.count(Kind.RELEASE) >= count - _MOST_UNDECIDED
            for _, writer in clients:
                writer.close()

    run(main)


@pytest.mark.parametrize("status", [429, 503])
def test_a_connection_that_is_refused_gets_an_answer(status: int) -> None:
    def refusing(peer: Peer, kind: Kind, number: int, _content: bytes) -> None:
        if kind is Kind.ADMIT:
            peer.socket.send(protocol.admitted(number, status, 0.0))

    async def main() -> None:
        async with serving(refusing) as (peer, server):
            assert (await asked(server)).startswith(b"HTTP/1.1 %d " % status)
            await asyncio.sleep(0.05)
            assert [peer.count(kind) for kind in (Kind.CALL, Kind.RELEASE)] == [0, 0]

    run(main)


def test_a_head_is_sent_once_and_its_body_each_time() -> None:
    def echoing(peer: Peer, kind: Kind, number: int, content: bytes) -> None:
        admitting(peer, kind, number, content)
        if kind in (Kind.CALL, Kind.AGAIN):
            body = protocol.read_head(content, HttpLimits())[1] if kind is Kind.CALL else content
            peer.socket.send(protocol.answer(number, HttpResponse(200), body))

    async def main() -> None:
        async with serving(echoing) as (peer, server):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            for number, path in enumerate((b"/a", b"/a", b"/a", b"/b", b"/a")):
                head = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n" % path
                writer.write(head + b"%d" % number)
                answer = await reader.readuntil(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200 ")
                assert await reader.readexactly(1) == b"%d" % number
            writer.close()
            kinds = [kind for kind, _, _ in peer.said if kind in (Kind.CALL, Kind.AGAIN)]
            assert kinds == [Kind.CALL, Kind.AGAIN, Kind.AGAIN, Kind.CALL, Kind.CALL]

    run(main)


@pytest.mark.parametrize(
    "sent",
    [
        protocol.frame(Kind.ANSWER, 1, b"\xc8"),
        protocol.frame(Kind.ALLOWED, 1, b"1"),
        protocol.frame(Kind.CALL, 1, b""),
        b"\xff",
    ],
)
def test_a_gateway_that_makes_no_sense_is_believed_nothing(sent: bytes) -> None:
    def senseless(peer: Peer, kind: Kind, number: int, content: bytes) -> None:
        admitting(peer, kind, number, content)
        if kind is Kind.CALL:
            peer.socket.send(sent)

    async def main() -> None:
        async with serving(senseless) as (_peer, server):
            assert (await asked(server)).startswith(b"HTTP/1.1 503 ")

    run(main)


def test_what_is_no_request_is_told_of_without_what_it_was() -> None:
    async def main() -> None:
        async with serving(admitting) as (peer, server):
            assert (await asked(server, b"G\0T /secret\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
            told = [content for kind, _, content in peer.said if kind is Kind.REFUSED]
            assert len(told) == 1
            assert protocol.read_refused(told[0])[0] == 400
            assert b"secret" not in told[0]

    run(main)


def test_of_a_client_that_is_gone_it_says_that_no_body_follows() -> None:
    """Else the gateway would wait for it: a worker was ended for 1,025 of them."""

    def allowing(peer: Peer, kind: Kind, number: int, content: bytes) -> None:
        admitting(peer, kind, number, content)
        if kind is Kind.ASK:
            peer.socket.send(protocol.allowed(number, 1 << 20))

    async def main() -> None:
        async with serving(allowing) as (peer, server):
            for sent in (b"", bytes(99_999)):
                _reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(GET[:-2] + b"Content-Length: 100000\r\n\r\n" + sent)
                await asyncio.sleep(0.1)
                writer.close()
            async with asyncio.timeout(5):
                while peer.count(Kind.RELEASE) < 2:
                    await asyncio.sleep(0.01)
            assert peer.count(Kind.ASK) == 2
            assert {content for kind, _, content in peer.said if kind is Kind.RELEASE} == {b"\0"}
            assert peer.count(Kind.BODY) == 0

    run(main)


def test_a_body_that_was_whole_follows_its_client() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = protocol.GATEWAY_BOUNDS.pair()
        peer = Peer(ours, admitting)
        gateway = Gateway(theirs, loop, told=lambda *_: None, ended=lambda _: None)
        asked = await gateway.admit("192.0.2.1")
        route = asked.route(HttpHead("POST", "/x", "", ((b"transfer-encoding", b"chunked"),), ""))
        assert isinstance(route, Undecided)
        found = asyncio.ensure_future(route.found)
        await asyncio.sleep(0.05)
        peer.socket.send(protocol.allowed(asked.number, 100))
        destination = await found
        assert isinstance(destination, Destination)
        asked.release(handled=True)
        answer = await destination.answer(HttpRequest(HttpHead("POST", "/x", "", (), ""), b"all"))
        assert answer.status == 503  # nobody is there to be told
        await asyncio.sleep(0.05)
        kinds = [(kind, content) for kind, _, content in peer.said]
        assert kinds[-2:] == [(Kind.RELEASE, b"\1"), (Kind.BODY, b"\1all")]
        peer.socket.close()

    run(main)


def test_of_a_connection_that_is_gone_nothing_is_asked() -> None:
    """A request may be on its way to the gateway, in a task, as its client goes."""

    async def main() -> None:
        ours, theirs = protocol.GATEWAY_BOUNDS.pair()
        peer = Peer(ours, admitting)
        gateway = Gateway(
            theirs, asyncio.get_running_loop(), told=lambda *_: None, ended=lambda _: None
        )
        asked = await gateway.admit("192.0.2.1")
        route = asked.route(HttpHead("POST", "/x", "", ((b"transfer-encoding", b"chunked"),), ""))
        assert isinstance(route, Undecided)
        asked.release(handled=True)
        found = await route.found
        assert isinstance(found, HttpResponse)
        assert found.status == 503
        await asyncio.sleep(0.05)
        assert [kind for kind, _, _ in peer.said] == [Kind.ADMIT, Kind.RELEASE]
        peer.socket.close()

    run(main)
