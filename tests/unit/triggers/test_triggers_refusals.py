"""Refusals for load: how fast they leave, and what is read of a request that is refused."""

from __future__ import annotations

import asyncio
import time

import pytest
from triggers_server import GET, run, serving

from casemate.model.http import HttpHead, HttpRequest, HttpResponse
from casemate.triggers.http_server.refusal_pace import (
    AT_ONCE,
    FEW_AT_ONCE,
    FEW_PER_SECOND,
    LONGEST_SECONDS,
    READ_PAST_BYTES,
    TURNS_PER_SECOND,
    RefusalPace,
)

BODY = b"x" * 1000
FLOOD, OTHER = "192.0.2.1", "192.0.2.2"
LOCAL = "127.0.0.1"
POST = b"POST /full HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


def full(_head: HttpHead) -> HttpResponse:
    return HttpResponse(429, ((b"retry-after", b"1"),), b"full", paced=True)


def test_a_few_refusals_leave_at_once_and_more_take_turns() -> None:
    pace = RefusalPace()
    delays = [pace.delay(FLOOD, 100.0) for _ in range(FEW_AT_ONCE + AT_ONCE + 20)]
    at_once = FEW_AT_ONCE + AT_ONCE - 2
    assert delays[:at_once] == [0.0] * at_once
    assert delays[-1] == pytest.approx(20 / TURNS_PER_SECOND, abs=0.01)
    assert [pace.delay(FLOOD, 1000.0) for _ in range(10)] == [0.0] * 10


def test_the_few_of_others_do_not_stand_behind_a_flood() -> None:
    pace, now = RefusalPace(), 100.0
    waited = 0.0
    for _ in range(300):
        now += 1 / FEW_PER_SECOND
        for _ in range(100):
            pace.delay(FLOOD, now)
        waited = max(waited, pace.delay(OTHER, now))
    assert pace.delay(FLOOD, now) > LONGEST_SECONDS / 2
    assert waited == 0.0


def test_a_flood_from_many_addresses_is_one() -> None:
    """Each has few, and all of them together no more than any flood."""
    for address in ("192.0.{}.{}", "2001:db8:{:x}:{:x}::1"):
        pace = RefusalPace()
        delays = [pace.delay(address.format(n >> 8, n & 255), 5.0) for n in range(50_000)]
        assert delays.count(0.0) <= AT_ONCE
        assert max(delays) == pytest.approx(LONGEST_SECONDS)
    pace = RefusalPace()
    delays = [pace.delay(f"2001:db8::{n:x}", 5.0) for n in range(1000)]
    assert delays.count(0.0) <= FEW_AT_ONCE + AT_ONCE


def test_no_refusal_waits_for_ever() -> None:
    pace = RefusalPace()
    assert max(pace.delay(FLOOD, 5.0) for _ in range(10_000)) <= LONGEST_SECONDS


def test_a_client_that_asks_again_at_once_is_refused_at_the_servers_pace() -> None:
    async def main() -> None:
        async with serving(body_limit=full) as served:
            client = await served.connect()
            began = time.monotonic()
            count = FEW_AT_ONCE + AT_ONCE + 30
            for _ in range(count):
                assert (await client.get()).status == 429
            assert time.monotonic() - began >= 0.9 * 30 / TURNS_PER_SECOND
            client.close()
            assert served.requests == []

    run(main())


def test_a_small_body_is_read_past_and_the_connection_stays() -> None:
    async def main() -> None:
        async with serving(body_limit=full) as served:
            client = await served.connect()
            for pieces in ([POST % 1000 + BODY], [POST % 1000, BODY[:500], BODY[500:]]):
                for piece in pieces:
                    await client.send(piece)
                    await asyncio.sleep(0.01)
                answer = await client.response()
                assert (answer.status, answer.headers["retry-after"]) == (429, "1")
                assert "connection" not in answer.headers
            await client.send(POST % 1000 + BODY + GET)
            assert [(await client.response()).status for _ in range(2)] == [429, 429]
            client.close()
            await served.settled()
            assert served.requests == []
            assert served.server._context is not None
            assert served.server._context.buffered == 0

    run(main())


@pytest.mark.parametrize(
    "head",
    [
        POST % (READ_PAST_BYTES + 1),
        b"POST /full HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /full HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    ],
)
def test_another_body_is_not_read_and_the_connection_ends(head: bytes) -> None:
    async def main() -> None:
        async with serving(body_limit=full) as served:
            answer = await served.talk(head)
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"connection: close\r\n" in answer

    run(main())


def test_what_waits_for_its_turn_holds_no_body_and_ends_with_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RefusalPace, "delay", lambda _pace, _peer, _now: 60.0)

    async def refuse(_request: HttpRequest) -> HttpResponse:
        return full(_request.head)

    async def main() -> None:
        async with serving(refuse) as served:
            context = served.server._context
            assert context is not None
            client = await served.connect()
            await client.send(POST % 1000 + BODY)
            async with asyncio.timeout(60):
                while not served.requests or context.buffered:
                    await asyncio.sleep(0.005)
            await served.server.close()
            assert await client.closed()

    run(main())


def test_a_functions_own_429_is_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    monkeypatch.setattr(RefusalPace, "delay", lambda _pace, peer, _now: turns.append(peer) or 0.0)

    async def own(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(429, (), b"mine")

    async def main() -> None:
        async with serving(own) as served:
            client = await served.connect()
            assert (await client.get()).status == 429
            assert turns == []
            client.close()
        async with serving(body_limit=full) as served:
            client = await served.connect()
            assert (await client.get()).status == 429
            assert turns == [LOCAL], "a refusal takes one"
            client.close()

    run(main())
