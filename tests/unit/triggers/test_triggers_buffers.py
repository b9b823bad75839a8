"""One budget of memory: who does not read is cut, who sends too much is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from triggers_server import GET, Client, Served, run, serving

from casemate.model.http import HttpRequest, HttpResponse
from casemate.model.trusted_proxies import TrustedProxies
from casemate.triggers.http_server import HttpLimits
from casemate.triggers.http_server.buffers import (
    SLOW_RATE,
    WINDOW_SECONDS,
    Answer,
    Buffers,
    HeldBody,
)
from casemate.triggers.http_server.large_bodies import LARGE_BYTES, LargeBodies
from casemate.triggers.http_server.request_head import RequestRefusedError

LIMITS = HttpLimits(buffered_bytes=1000, buffered_bytes_per_peer=600)
MIB = 1 << 20


class Readers:
    """Answers of which each has taken so much."""

    def __init__(self, limits: HttpLimits = LIMITS) -> None:
        self.buffers = Buffers(limits, lambda peer: peer == "10.0.0.1")
        self.taken: dict[str, int] = {}
        self.cut: list[str] = []

    def hold(self, name: str, size: int, *, peer: str = "1.1.1.1", now: float = 100.0) -> Answer:
        self.taken[name] = 0
        return self.buffers.hold(
            peer, size, now, lambda: self.taken[name], lambda: self.cut.append(name)
        )


def test_the_slowest_readers_are_cut_until_the_rest_fits() -> None:
    readers = Readers()
    readers.hold("slow", 400, peer="1.1.1.1")
    readers.hold("stalled", 300, peer="2.2.2.2")
    readers.hold("fast", 200, peer="3.3.3.3")
    readers.taken |= {"slow": 10, "fast": 10 * SLOW_RATE}
    readers.hold("new", 200, peer="4.4.4.4", now=105.0)
    assert readers.cut == ["stalled"]
    readers.hold("newer", 500, peer="5.5.5.5", now=105.0)
    assert readers.cut == ["stalled", "slow"]
    assert readers.buffers.used == 900
    assert readers.buffers.cut == 2


def test_the_speed_is_that_of_the_last_moment() -> None:
    readers = Readers()
    first = readers.hold("first", 400)
    readers.taken["first"] = 10**6  # by kernels on the way
    readers.buffers.look(100.0 + WINDOW_SECONDS)
    assert first.speed == 10**6 / WINDOW_SECONDS
    readers.buffers.look(100.0 + 2 * WINDOW_SECONDS)
    assert first.speed == 0


def test_who_has_not_had_the_time_goes_after_the_slow_and_before_the_fast() -> None:
    readers = Readers()
    readers.hold("slow", 300, peer="1.1.1.1")
    readers.hold("fast", 300, peer="2.2.2.2")
    readers.taken["fast"] = 10 * SLOW_RATE
    later = 100.0 + WINDOW_SECONDS
    readers.hold("young", 300, peer="3.3.3.3", now=later)
    readers.hold("last", 300, peer="4.4.4.4", now=later + 0.05)
    assert readers.cut == ["slow"]
    readers.hold("more", 300, peer="5.5.5.5", now=later + 0.1)
    assert readers.cut == ["slow", "young"]


def test_an_answer_larger_than_all_is_cut_itself() -> None:
    readers = Readers()
    readers.hold("huge", 5000)
    assert readers.cut == ["huge"]
    assert readers.buffers.used == 0


def test_one_peer_cannot_have_it_all_but_a_proxy_can() -> None:
    readers = Readers()
    readers.hold("a", 400)
    readers.hold("b", 400)
    assert len(readers.cut) == 1
    readers = Readers()
    readers.hold("a", 400, peer="10.0.0.1")
    readers.hold("b", 400, peer="10.0.0.1")
    assert readers.cut == []


def test_bodies_push_slow_readers_out_and_are_refused_then() -> None:
    readers = Readers()
    readers.hold("stalled", 500)
    assert readers.buffers.take("2.2.2.2", 550, 101.0)
    assert readers.cut == ["stalled"]
    assert not readers.buffers.take("2.2.2.2", 100, 101.0)  # more than one peer has
    body = HeldBody(readers.buffers, "3.3.3.3")
    body.grow(100, 101.0)
    body.grow(300, 101.0)
    with pytest.raises(RequestRefusedError):
        body.grow(500, 101.0)
    body.release()
    body.release()
    readers.buffers.give_back("2.2.2.2", 650)
    assert readers.buffers.used == 0
    assert readers.buffers._groups == {}


@given(st.lists(st.tuples(st.sampled_from(["1.1.1.1", "2.2.2.2", "10.0.0.1"]),
                          st.integers(1, 700), st.booleans()), max_size=30))  # fmt: skip
def test_what_is_held_never_exceeds_the_budget(steps: list[tuple[str, int, bool]]) -> None:
    readers = Readers()
    held: list[Answer] = []
    for number, (peer, size, ends) in enumerate(steps):
        held.append(readers.hold(str(number), size, peer=peer, now=100.0 + number))
        assert readers.buffers.used <= 1000
        assert all(size <= 600 for size in readers.buffers._groups.values())
        if ends:
            readers.buffers.drop(held.pop(0))
    for answer in held:
        readers.buffers.drop(answer)
        readers.buffers.drop(answer)
    assert readers.buffers.used == 0
    assert readers.buffers._groups == {}


# -- in a server ---------------------------------------------------------------------------------


def answering(size: int) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    async def answer(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, (), bytes(size))

    return answer


async def stall(served: Served, count: int) -> list[Client]:
    before = len(served.requests)
    clients = [await served.connect() for _ in range(count)]
    for client in clients:
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(GET)
    async with asyncio.timeout(60):
        while len(served.requests) < before + count or served.running:
            await asyncio.sleep(0.01)
    return clients


def test_stalled_readers_cannot_take_more_than_the_budget() -> None:
    limits = HttpLimits(buffered_bytes=64 * MIB, buffered_bytes_per_peer=64 * MIB)

    async def main() -> None:
        async with serving(answering(16 * MIB), limits=limits) as served:
            clients = await stall(served, 20)
            context = served.writing
            assert context is not None
            async with asyncio.timeout(60):
                while context.buffers.cut < 14 or len(context.connections) > 6:
                    await asyncio.sleep(0.05)
            assert 32 * MIB <= context.buffered <= 64 * MIB
            other = await served.connect()
            assert len((await other.get()).body) == 16 * MIB
            other.close()
            for client in clients:
                client.close()
            await served.settled()
            assert context.buffered == 0
            assert served.errors == []

    run(main())


def test_a_reader_that_goes_on_is_not_cut_for_those_that_do_not() -> None:
    limits = HttpLimits(buffered_bytes=40 * MIB, buffered_bytes_per_peer=40 * MIB)

    async def main() -> None:
        async with serving(answering(16 * MIB), limits=limits) as served:
            reader = await served.connect()
            await reader.send(GET)
            stalled = await stall(served, 1)
            async with asyncio.timeout(60):
                while len(served.writing.buffers._answers) < 2:
                    await asyncio.sleep(0.01)
            taken = b""
            while served.writing.buffers._answers and len(taken) < 8 * MIB:
                # Steadily, until the first window of the other, which kernels fill, is over.
                taken += await reader.reader.read(256 * 1024)
                await asyncio.sleep(WINDOW_SECONDS / 8)
            for _ in range(4):
                stalled += await stall(served, 1)
                taken += await reader.reader.read(MIB)
            while len(taken) < 16 * MIB:
                piece = await reader.reader.read(MIB)
                assert piece, "the reader was cut"
                taken += piece
            for client in [reader, *stalled]:
                client.close()
            await served.settled()

    run(main())


def test_a_proxy_that_is_trusted_may_have_many_connections() -> None:
    limits = HttpLimits(connections_per_peer=2)

    async def peer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, (), request.head.peer.encode())

    async def main() -> None:
        proxies = TrustedProxies(["127.0.0.1"])
        async with serving(peer, limits=limits, proxies=proxies) as served:
            clients = [await served.connect() for _ in range(6)]
            for number, client in enumerate(clients):
                asking = GET[:-2] + b"X-Forwarded-For: 6.6.6.6, 198.51.100.%d\r\n\r\n" % number
                assert (await client.get(asking)).body == b"198.51.100.%d" % number
                assert (await client.get()).body == b"127.0.0.1"
                client.close()
            await served.settled()
        async with serving(peer) as served:
            client = await served.connect()
            asking = GET[:-2] + b"X-Forwarded-For: 6.6.6.6\r\n\r\n"
            assert (await client.get(asking)).body == b"127.0.0.1"
            client.close()

    run(main())


# -- large bodies --------------------------------------------------------------------------------


def test_large_bodies_take_turns_with_time_for_others_in_between() -> None:
    async def main() -> None:
        turns = LargeBodies(asyncio.get_running_loop())
        ended: list[tuple[str, float]] = []

        async def work(name: str) -> None:
            await turns.turn()
            time.sleep(0.03)
            ended.append((name, time.monotonic()))

        async def small() -> None:
            for _ in range(100):
                await asyncio.sleep(0)
                small_turns.append(time.monotonic())
                await asyncio.sleep(0.001)

        small_turns: list[float] = []
        await asyncio.gather(*(work(str(n)) for n in range(5)), small())
        assert [name for name, _ in ended] == list("01234")
        for (_, first), (_, second) in pairwise(ended):
            assert any(first < moment < second for moment in small_turns)

    run(main())


def test_a_turn_that_is_given_up_goes_to_the_next() -> None:
    async def main() -> None:
        turns = LargeBodies(asyncio.get_running_loop())
        await turns.turn()
        waiting = [asyncio.ensure_future(turns.turn()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60)
        assert waiting[0].cancelled()
        assert not waiting[1].cancelled()
        await asyncio.wait_for(turns.turn(), 60)

    run(main())


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_arrives_whole(chunked: bool) -> None:
    body = bytes(range(256)) * (4 * LARGE_BYTES // 256)
    head = b"POST / HTTP/1.1\r\nHost: a\r\n"
    if chunked:
        pieces = [body[i : i + 40_000] for i in range(0, len(body), 40_000)]
        sent = head + b"Transfer-Encoding: chunked\r\n\r\n"
        sent += b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
    else:
        sent = head + b"Content-Length: %d\r\n\r\n" % len(body) + body

    async def main() -> None:
        async with serving(body_limit=lambda _h: len(body)) as served:
            client = await served.connect()
            for _ in range(2):
                await client.send(sent)
                assert (await client.response()).body == body
            client.close()
            await served.settled()
            assert served.server._context is not None
            assert served.server._context.buffered == 0

    run(main())
