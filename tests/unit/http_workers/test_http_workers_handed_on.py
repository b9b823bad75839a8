"""Connections that nobody decides of any more: another worker takes them, unread."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import uvloop

from casemate.http_workers.handed_on import HandedOn, make_pair
from casemate.model.errors import UnavailableError
from casemate.model.http import HttpResponse
from casemate.triggers.http_server import HttpLimits, HttpServer

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def connection() -> tuple[socket.socket, socket.socket]:
    """Return a client's end and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), 10)
        return client, listener.accept()[0]


async def taken_from(left: HandedOn) -> list[socket.socket]:
    found: list[socket.socket] = []
    stop = left.take(asyncio.get_running_loop(), found.append)
    await asyncio.sleep(0.05)
    stop()
    return found


def test_another_one_reads_what_its_client_has_sent() -> None:
    client, server = connection()
    client.sendall(b"hello")
    left = HandedOn(*make_pair())
    assert left.give(server)
    server.close()
    (taken,) = uvloop.run(taken_from(left))
    assert taken.recv(10) == b"hello" and not taken.getblocking()
    taken.sendall(b"back")
    assert client.recv(10) == b"back"


def test_what_is_no_connection_is_closed() -> None:
    """Whoever has the other end may have been taken over."""
    into, out = make_pair()
    left = HandedOn(into, out)
    pair = socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    read, write = os.pipe()
    gone, server = connection()
    for descriptor in (pair[0].fileno(), listener.fileno(), read, write, out.fileno()):
        socket.send_fds(into, [b"c"], [descriptor])
    into.send(b"c")
    into.send(b"more than one byte")
    assert left.give(server)
    before = len(os.listdir("/proc/self/fd"))
    found = uvloop.run(taken_from(left))
    assert [each.getpeername() for each in found] == [gone.getsockname()]
    assert len(os.listdir("/proc/self/fd")) == before + 1
    into.shutdown(socket.SHUT_WR)  # nothing can be left any more, and nothing spins
    assert uvloop.run(taken_from(left)) == []
    assert not left.give(server)


def test_who_takes_never_waits_whatever_the_others_do() -> None:
    """All have one socket, which another one can make blocking: only a flag of each call holds."""
    into, out = make_pair()
    left = HandedOn(into, out)
    _, server = connection()

    async def taken() -> list[socket.socket]:
        found: list[socket.socket] = []
        stop = left.take(asyncio.get_running_loop(), found.append)
        out.setblocking(True)
        assert left.give(server)
        await asyncio.sleep(0.05)
        stop()
        return found

    (one,) = uvloop.run(taken())
    assert not one.get_inheritable()


def test_who_gives_never_waits() -> None:
    _, server = connection()
    left = HandedOn(*make_pair())
    given = 0
    while given < 100_000 and left.give(server):
        given += 1
    assert 256 <= given < 100_000
    assert len(uvloop.run(taken_from(left))) >= 64


def test_one_that_waits_longer_than_a_head_may_take_is_left_when_nobody_decides() -> None:
    """As where the gateway hangs: 5 s later all that waited were cut."""

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        limits = HttpLimits(header_seconds=0.05)
        nobody: asyncio.Future[Any] = loop.create_future()
        left = HandedOn(*make_pair())

        async def admit(_peer: str) -> Any:
            return await asyncio.shield(nobody)

        def server(**options: Any) -> HttpServer:
            answer = HttpResponse(204)
            return HttpServer(lambda _: answer, limits, on_error=lambda _: "", **options)

        first = server(admit=admit, leave=left.give)
        await first.start()
        client = socket.create_connection(("127.0.0.1", first.port), 10)
        client.sendall(GET)
        await asyncio.sleep(0.3)
        assert first.open_connections == 1
        nobody.set_exception(UnavailableError("The gateway is gone."))
        await asyncio.sleep(0.05)
        await first.close()

        class Admitted:
            status, pause, route = 0, 0.0, None

            def release(self, *, handled: bool = False) -> None:
                """Nothing counts."""

        async def at_once(_peer: str) -> Any:
            return Admitted()

        second = server(admit=at_once)
        await second.start()
        stop = left.take(loop, second.take)
        client.setblocking(False)
        answer = await asyncio.wait_for(loop.sock_recv(client, 1000), 10)
        stop()
        await second.close()
        return answer

    assert uvloop.run(main()).startswith(b"HTTP/1.1 204 ")
