"""Answers that are ready in one turn of the loop are written at its end, and no later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from triggers_server import GET, GET_CLOSE, Client, Served, run, serving

from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse
from casemate.triggers.http_server.response_writer import ResponseWriter


def get(path: str) -> bytes:
    return GET.replace(b"/x", path.encode())


class Held:
    """Plain answers that wait until the test lets them go."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, asyncio.Future[bytes]]] = []

    def route(self, head: HttpHead) -> Destination | HttpResponse:
        if head.path == "/nowhere":
            return HttpResponse(404, (), b"nowhere")
        if head.path == "/stream":
            return Destination(1000, self.stream)
        return Destination(1000, self.answer, plain=True)

    async def stream(self, _request: HttpRequest) -> HttpResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"streamed"

        return HttpResponse(200, (), parts())

    async def answer(self, request: HttpRequest) -> HttpResponse:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.waiting.append((request.head.path, future))
        return HttpResponse(200, (), await future)

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.waiting) < count:
                await asyncio.sleep(0.001)

    async def let_go(self, but: int = 0) -> None:
        """Answer all in one turn, but so many; those keep others from being alone."""
        waiting, self.waiting = self.waiting[but:], self.waiting[:but]
        for path, future in waiting:
            future.set_result(path.encode())


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What happened: `ready` for an answer that waits for the turn's end, `written` for its end."""
    found: list[str] = []
    whole, flush = ResponseWriter.whole, ResponseWriter.flush

    def seen_whole(writer: Any, *told: Any) -> None:
        whole(writer, *told)
        found.append("ready" if writer._ready else "at once")

    def seen_flush(writer: Any) -> None:
        if writer._ready:
            found.append("written")
        flush(writer)

    monkeypatch.setattr(ResponseWriter, "whole", seen_whole)
    monkeypatch.setattr(ResponseWriter, "flush", seen_flush)
    yield found


async def asked(served: Served, held: Held, count: int) -> list[Client]:
    clients = [await served.connect() for _ in range(count)]
    for number, client in enumerate(clients):
        await client.send(get(f"/{number}"))
        await held.wait(number + 1)
    return clients


def test_answers_of_one_turn_are_written_at_its_end(written: list[str]) -> None:
    async def main() -> None:
        held = Held()
        async with serving(route=held.route) as served:
            clients = await asked(served, held, 5)
            await held.let_go(but=1)
            for number, client in enumerate(clients[1:], 1):
                assert (await client.response()).body == f"/{number}".encode()
            assert written == 4 * ["ready"] + 4 * ["written"]
            await held.let_go()
            assert (await clients[0].response()).body == b"/0"
            assert written[8:] == ["at once"], "it was alone"

    run(main())


def test_answers_to_one_connection_keep_their_order(written: list[str]) -> None:
    async def main() -> None:
        held = Held()
        async with serving(route=held.route) as served:
            clients = await asked(served, held, 2)
            await clients[1].send(get("/2") + get("/3"))
            await held.let_go(but=1)
            for turn in range(3):
                assert (await clients[1].response()).body == f"/{turn + 1}".encode()
                if turn < 2:
                    await held.wait(2)
                    await held.let_go(but=1)
            assert written.count("ready") == 3
            await held.let_go()
            await clients[0].response()

    run(main())


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (get("/nowhere"), b"nowhere"),
        (get("/stream"), b"8\r\nstreamed\r\n0\r\n\r\n"),
        (
            b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
        ),
    ],
)
def test_what_is_written_at_once_comes_behind_what_is_ready(then: bytes, expected: bytes) -> None:
    async def main() -> None:
        held = Held()
        async with serving(route=held.route) as served:
            clients = await asked(served, held, 2)
            await clients[1].send(then)
            await asyncio.sleep(0.02)
            await held.let_go(but=1)
            assert (await clients[1].response()).body == b"/1"
            async with asyncio.timeout(20):
                assert (await clients[1].reader.readuntil(expected)).startswith(b"HTTP/1.1 ")
            await held.let_go()
            await clients[0].response()

    run(main())


def test_what_closes_behind_it_does_not_overtake_it(written: list[str]) -> None:
    async def main() -> None:
        held = Held()
        async with serving(route=held.route) as served:
            clients = await asked(served, held, 2)
            await clients[1].send(GET_CLOSE)
            await held.let_go(but=1)
            assert (await clients[1].response()).body == b"/1"
            await held.wait(2)
            await held.let_go(but=1)
            last = await clients[1].response()
            assert (last.body, last.headers["connection"]) == (b"/x", "close")
            assert await clients[1].closed()
            assert written == ["ready", "written", "at once"]
            await held.let_go()
            await clients[0].response()

    run(main())


def test_a_client_that_sends_nothing_more_gets_its_answer(written: list[str]) -> None:
    """Its end is read in the very turn in which the answer is ready, or in the one before."""

    async def main() -> None:
        held = Held()
        async with serving(route=held.route) as served:
            for waits in (False, True):
                clients = await asked(served, held, 2)
                await clients[1].end()
                if waits:
                    await asyncio.sleep(0.05)
                await held.let_go(but=1)
                assert (await clients[1].rest()).endswith(b"\r\n\r\n/1")
                await held.let_go()
                await clients[0].response()
                for client in clients:
                    client.close()
                await served.settled()
                del held.waiting[:]
        assert written.count("ready") == 2

    run(main())


def test_the_end_of_a_connection_in_between_takes_no_answer_from_it() -> None:
    """The transport says that the client sends nothing more, and closes unless told otherwise."""

    async def main() -> None:
        held = Held()
        async with serving(route=held.route) as served:
            clients = await asked(served, held, 2)
            [(_, other), (_, future)] = held.waiting
            connections = served.writing.connections
            [connection] = [one for one in connections if one._driven and _waits(one, future)]
            future.set_result(b"answer")
            await asyncio.sleep(0)
            assert connection.writer._ready, "written at the end of this turn"
            if not connection.eof_received():
                connection._transport.close()
            assert (await clients[1].rest()).endswith(b"answer")
            other.set_result(b"")
            await clients[0].response()

    def _waits(connection: Any, future: asyncio.Future[bytes]) -> bool:
        return connection._driven._waits_for is future

    run(main())


def test_what_is_ready_for_a_connection_that_was_cut_goes_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        held = Held()
        async with serving(route=held.route) as served:
            clients = await asked(served, held, 3)
            futures = [future for _, future in held.waiting]
            [cut] = [
                one for one in served.writing.connections if one._driven._waits_for is futures[1]
            ]
            for future in futures[1:]:
                future.set_result(b"answer")
            await asyncio.sleep(0)
            assert cut.writer._ready
            cut.abort()
            assert (await clients[2].response()).body == b"answer"
            assert b"answer" not in await clients[1].rest()
            futures[0].set_result(b"")
            await clients[0].response()
            assert served.errors == []

    run(main())
    assert not caplog.records
