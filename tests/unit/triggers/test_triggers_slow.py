"""Clients that are slow, silent, or too many, against shrunk limits."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from triggers_server import GET, Client, Served, run, serving

from casemate.model.http import HttpRequest, HttpResponse
from casemate.triggers.http_server import HttpLimits, HttpServer
from support.destinations import leading_to
from support.waiting import until

HEAD = b"POST /p HTTP/1.1\r\nHost: a\r\n"


def test_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    async def main() -> None:
        async with serving(limits=HttpLimits(header_seconds=0.1)) as served:
            for first in (b"", b"\r", b"\r\n"):
                client = await served.connect()
                await client.send(first)
                assert await client.closed()
                client.close()

    run(main())


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 50\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_a_body_that_stops_is_timed_out(framing: bytes) -> None:
    async def main() -> None:
        async with serving(limits=HttpLimits(body_seconds_idle=0.2)) as served:
            client = await served.connect()
            await client.send(HEAD + framing + b"3\r\nabc")
            assert (await client.response()).status == 408
            assert await client.closed()
            client.close()
            await served.settled()
            assert served.requests == []

    run(main())


def _buffered(served: Served) -> int:
    contexts = (served.server._context, served.writing)  # a worker has bodies before they are whole
    return max(context.buffered for context in contexts if context is not None)


async def _deaf(served_port: int, request: bytes) -> socket.socket:
    """A client with a tiny receive buffer that never reads."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    raw.connect(("127.0.0.1", served_port))
    raw.sendall(request)
    await asyncio.sleep(0.1)
    return raw


@pytest.mark.parametrize("close", [False, True])
def test_a_client_that_never_reads_is_cut_off(close: bool) -> None:
    async def big(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, (), b"x" * 20_000_000, close=close)

    async def main() -> None:
        limits = HttpLimits(write_seconds=0.2, linger_seconds=0.05)
        async with serving(big, limits=limits) as served:
            deaf = await _deaf(served.port, GET + GET)
            await served.settled()
            assert len(served.requests) == 1  # nothing pipelined while it does not read
            deaf.close()

    run(main())


def test_a_client_that_never_reads_a_stream_is_cut_off_and_the_iterator_closed() -> None:
    closed = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            closed.append(True)

    async def stream(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, (), chunks())

    async def main() -> None:
        async with serving(stream, limits=HttpLimits(write_seconds=0.2)) as served:
            deaf = await _deaf(served.port, GET)
            await served.settled()
            assert closed == [True]
            deaf.close()

    run(main())


def test_an_answer_survives_a_client_that_is_still_sending() -> None:
    """Closing at once would reset the connection and lose the 413."""

    async def main() -> None:
        async with serving() as served:
            client = await served.connect()
            client.writer.write(HEAD + b"Content-Length: 50000000\r\n\r\n" + b"x" * 50_000_000)
            response = await client.response()
            assert response.status == 413
            client.writer.transport.abort()
            await served.settled()
            assert served.requests == []

    run(main())


def test_bodies_in_memory_are_bounded_over_all_connections() -> None:
    async def main() -> None:
        limits = HttpLimits(buffered_bytes=100_000)
        async with serving(limits=limits) as served:
            clients = [await served.connect() for _ in range(4)]
            for number, client in enumerate(clients[:3]):
                await client.send(HEAD + b"Content-Length: 40000\r\n\r\n" + b"x" * 30_000)
                await until(lambda number=number: _buffered(served) > 40_000 * number)
            last = clients[3]
            await last.send(HEAD + b"Content-Length: 40000\r\n\r\n" + b"x" * 30_000)
            response = await last.response()
            assert response.status == 503
            assert response.headers["retry-after"] == "1"
            for client in clients[:3]:
                await client.send(b"x" * 2_000)
            for client in clients:
                client.close()
            await served.settled()
            assert served.server._context is not None
            assert served.server._context.buffered == 0
            fresh = await served.connect()
            assert (await fresh.get()).status == 200
            fresh.close()

    run(main())


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        (HttpLimits(connections=3, linger_seconds=0.2), 503),
        (HttpLimits(connections_per_peer=3, linger_seconds=0.2), 429),
    ],
)
def test_too_many_connections_are_refused_with_an_answer(limits: HttpLimits, status: int) -> None:
    async def main() -> None:
        async with serving(limits=limits) as served:
            kept = [await served.connect() for _ in range(3)]
            for client in kept:
                assert (await client.get()).status == 200
            for _ in range(3):
                extra = await served.connect()
                await extra.send(GET)
                response = await extra.response()
                assert (response.status, response.headers["connection"]) == (status, "close")
                assert response.headers["retry-after"] == "1"
                assert await extra.closed()
                extra.close()
            assert len(served.requests) == 3
            kept.pop().close()
            await until(lambda: served.server.open_connections == 2)
            kept.append(await served.connect())
            assert (await kept[-1].get()).status == 200
            for client in kept:
                client.close()
            await served.settled()

    run(main())


def test_a_flood_of_refused_connections_is_just_cut() -> None:
    async def main() -> None:
        async with serving(limits=HttpLimits(connections=1)) as served:
            kept = await served.connect()
            assert (await kept.get()).status == 200
            flood = [await served.connect() for _ in range(120)]
            await asyncio.sleep(0.1)
            assert served.server.open_connections <= 1 + 64
            answers = [await client.rest() for client in flood]
            assert sum(answer.startswith(b"HTTP/1.1 503") for answer in answers) == 64
            assert sum(answer == b"" for answer in answers) == 120 - 64
            for client in flood:
                client.close()
            assert (await kept.get()).status == 200
            kept.close()
            await served.settled()

    run(main())


def test_loopback_can_be_exempt_from_the_limit_per_peer() -> None:
    async def main() -> None:
        limits = HttpLimits(connections_per_peer=1, exempt_loopback=True)
        async with serving(limits=limits) as served:
            clients = [await served.connect() for _ in range(5)]
            for client in clients:
                assert (await client.get()).status == 200
                client.close()
            await served.settled()

    run(main())


def test_ipv6_clients_are_served() -> None:
    async def ok(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, (), request.head.peer.encode())

    async def main() -> None:
        server = HttpServer(leading_to(ok, lambda _h: 0), on_error=str)
        try:
            await server.start("::1", 0)
        except OSError:
            pytest.skip("no IPv6 here")
        client = Client(*await asyncio.open_connection("::1", server.port))
        assert (await client.get()).body == b"::1"
        client.close()
        await server.close()

    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    run(main())
