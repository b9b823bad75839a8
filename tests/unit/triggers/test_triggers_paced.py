"""Clients that send or read a little at a time: with others beside them they may be late."""

from __future__ import annotations

import asyncio
import time

import pytest
from triggers_server import GET, Client, run, serving

from casemate.model.http import HttpRequest, HttpResponse
from casemate.triggers.http_server import HttpLimits

pytestmark = pytest.mark.alone

HEAD = b"POST /p HTTP/1.1\r\nHost: a\r\n"


async def trickle(client: Client, data: bytes, seconds: float) -> None:
    for byte in data:
        if client.writer.is_closing():
            return
        await client.send(bytes([byte]))
        await asyncio.sleep(seconds)


def test_a_head_that_trickles_is_timed_out() -> None:
    async def main() -> None:
        async with serving(limits=HttpLimits(header_seconds=0.3)) as served:
            client = await served.connect()
            begun = time.monotonic()
            sender = asyncio.create_task(trickle(client, GET[:-2] + b"X-Y: z\r\n" * 50, 0.02))
            response = await client.response()
            assert response.status == 408
            assert 0.25 < time.monotonic() - begun < 1.5
            sender.cancel()
            assert await client.closed()
            client.close()
            await served.settled()
            assert served.requests == []

    run(main())


def test_an_idle_connection_is_closed_after_the_keep_alive_time() -> None:
    async def main() -> None:
        async with serving(limits=HttpLimits(keep_alive_seconds=0.1)) as served:
            client = await served.connect()
            for _ in range(5):
                assert (await client.get()).status == 200
                await asyncio.sleep(0.04)
            assert await client.closed()
            client.close()

    run(main())


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_trickles_is_timed_out_after_its_grace(framing: str) -> None:
    limits = HttpLimits(body_seconds_idle=0.3, body_grace_seconds=0.3, body_min_rate=1000)

    async def main() -> None:
        async with serving(limits=limits) as served:
            client = await served.connect()
            if framing == "length":
                data = b"x" * 500
                await client.send(HEAD + b"Content-Length: 500\r\n\r\n")
            else:
                data = b"1\r\nx\r\n" * 100
                await client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            begun = time.monotonic()
            sender = asyncio.create_task(trickle(client, data, 0.01))
            assert (await client.response()).status == 408
            assert 0.25 < time.monotonic() - begun < 1.5
            sender.cancel()
            client.close()
            await served.settled()

    run(main())


def test_a_steady_body_may_take_longer_than_any_silence() -> None:
    limits = HttpLimits(body_seconds_idle=0.1, body_grace_seconds=0.1, body_min_rate=500)

    async def main() -> None:
        async with serving(limits=limits) as served:
            client = await served.connect()
            await client.send(HEAD + b"Content-Length: 1000\r\n\r\n")
            for _ in range(20):
                await client.send(b"x" * 50)
                await asyncio.sleep(0.02)
            assert len((await client.response()).body) == 1000
            client.close()

    run(main())


def test_a_slow_reader_that_makes_progress_gets_all_of_it() -> None:
    size = 8_000_000

    async def big(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, (), b"x" * size, close=True)

    async def main() -> None:
        limits = HttpLimits(write_seconds=0.1, body_min_rate=1000, linger_seconds=0.02)
        async with serving(big, limits=limits) as served:
            client = await served.connect()
            await client.send(GET)
            received = 0
            while piece := await client.reader.read(65536):
                received += len(piece)
                await asyncio.sleep(0.005)
            assert received > size
            client.close()

    run(main())
