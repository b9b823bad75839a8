"""Responses whose body is an async iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from triggers_server import GET, run, serving

from casemate.certificates import issuing as certificates
from casemate.certificates.issuing import Names
from casemate.certificates.server_context import server_context
from casemate.cli.authority import client_context
from casemate.model.http import HttpRequest, HttpResponse
from casemate.triggers.http_server import HttpLimits


class Source:
    """An async iterator, not a generator, that notes how it ended."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)
        self.closed = 0

    def __aiter__(self) -> Source:
        return self

    async def __anext__(self) -> Any:
        if not self.items:
            raise StopAsyncIteration
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    async def aclose(self) -> None:
        self.closed += 1


def answering(*bodies: Any, status: int = 200) -> Callable[[HttpRequest], Any]:
    left = list(bodies)

    async def handler(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(status, (), left.pop(0))

    return handler


def test_a_stream_is_chunked_and_the_connection_goes_on() -> None:
    first = Source(b"ab", b"", b"c" * 100_000)

    async def main() -> None:
        async with serving(answering(first, b"next")) as served:
            client = await served.connect()
            await client.send(GET + GET)
            response = await client.response()
            assert response.body == b"ab" + b"c" * 100_000
            assert response.headers["transfer-encoding"] == "chunked"
            assert "content-length" not in response.headers
            assert (await client.response()).body == b"next"
            assert first.closed == 1
            client.close()

    run(main())


def declaring(source: Source, length: bytes) -> Callable[[HttpRequest], Any]:
    async def handler(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, ((b"Content-Length", length),), source)

    return handler


def test_a_stream_whose_length_is_declared_has_that_length() -> None:
    source = Source(b"ab", b"", b"c" * 100_000)

    async def main() -> None:
        async with serving(declaring(source, b"100002")) as served:
            client = await served.connect()
            await client.send(GET)
            response = await client.response()
            assert response.headers["content-length"] == "100002"
            assert "transfer-encoding" not in response.headers
            assert response.body == b"ab" + b"c" * 100_000
            await client.send(b"HEAD" + GET[3:])
            head = await client.response(bodiless=True)
            assert head.headers["content-length"] == "100002", "the connection went on"
            client.close()
            data = await served.talk(b"GET / HTTP/1.0\r\n\r\n")
            assert b"content-length: 100002\r\n" in data.lower()

    run(main())


@pytest.mark.parametrize(("length", "arrives"), [(b"3", b""), (b"7", b"abcdef")])
def test_a_stream_of_another_length_than_was_declared_cuts_the_connection(
    length: bytes, arrives: bytes
) -> None:
    source = Source(b"abcdef", b"")

    async def main() -> None:
        async with serving(declaring(source, length)) as served:
            client = await served.connect()
            await client.send(GET + GET)
            head, _, body = (await client.rest()).partition(b"\r\n\r\n")
            assert body == arrives and b"content-length: %b" % length in head.lower()
            assert len(served.errors) == 1 and source.closed == 1
            client.close()

    run(main())


def test_an_answer_to_head_has_the_length_that_it_declares() -> None:
    async def handler(request: HttpRequest) -> HttpResponse:
        length = b"12" if request.head.method == "HEAD" else b"99"
        return HttpResponse(200, ((b"content-length", length),), b"")

    async def main() -> None:
        async with serving(handler) as served:
            client = await served.connect()
            await client.send(b"HEAD" + GET[3:])
            assert (await client.response(bodiless=True)).headers["content-length"] == "12"
            await client.send(GET)
            response = await client.response()
            assert response.headers["content-length"] == "0", "the length of what there is"
            client.close()

    run(main())


def test_the_last_part_of_a_declared_length_waits_for_the_end_of_its_source() -> None:
    source = Source(b"abc", b"def", ValueError("behind the last part"))

    async def main() -> None:
        async with serving(declaring(source, b"6")) as served:
            client = await served.connect()
            await client.send(GET)
            assert (await client.rest()).endswith(b"\r\n\r\nabc")
            assert len(served.errors) == 1
            client.close()

    run(main())


@pytest.mark.parametrize("length", [b"", b"-1", b"3, 3", b"x", b"9" * 30])
def test_a_length_that_is_none_is_not_taken(length: bytes) -> None:
    async def main() -> None:
        async with serving(declaring(Source(b"abc"), length)) as served:
            client = await served.connect()
            await client.send(GET)
            response = await client.response()
            assert response.body == b"abc"
            assert response.headers["transfer-encoding"] == "chunked"
            client.close()

    run(main())


def test_parts_are_sent_as_they_come() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def parts() -> AsyncIterator[bytes]:
            yield b"now"
            await gate.wait()
            yield b"later"

        async with serving(answering(parts())) as served:
            client = await served.connect()
            await client.send(GET)
            assert (await client.reader.readuntil(b"3\r\nnow\r\n")).startswith(b"HTTP/1.1 200")
            gate.set()
            assert await client.reader.readuntil(b"0\r\n\r\n") == b"5\r\nlater\r\n0\r\n\r\n"
            client.close()

    run(main())


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_parts_are_sent_over_tls_as_they_come(parts: int) -> None:
    """TLS of uvloop says to pause at its mark, and not beyond it as TCP does."""
    names = Names.of(["127.0.0.1"])
    now = datetime.now(UTC)
    authority = certificates.new_authority(names, now)
    own = server_context(certificates.issue(authority, names, now))
    trusting = client_context(authority.certificate.decode())

    async def main() -> None:
        gate = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            for _ in range(parts):
                yield b"now"
            await gate.wait()
            yield b"later"

        async with serving(answering(body()), tls=lambda: own) as served:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=trusting)
            writer.write(GET)
            async with asyncio.timeout(60):
                for _ in range(parts):
                    await reader.readuntil(b"3\r\nnow\r\n")
                gate.set()
                assert await reader.readuntil(b"0\r\n\r\n") == b"5\r\nlater\r\n0\r\n\r\n"
            writer.close()

    run(main())


def test_http10_gets_a_stream_that_ends_with_the_connection() -> None:
    async def main() -> None:
        async with serving(answering(Source(b"ab", b"c"))) as served:
            data = await served.talk(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head, _, body = data.partition(b"\r\n\r\n")
            assert body == b"abc"
            assert b"connection: close" in head
            assert b"chunked" not in head

    run(main())


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_without_a_body_the_iterator_is_closed_unread(method: bytes, status: int) -> None:
    source = Source(b"abc")

    async def main() -> None:
        async with serving(answering(source, source, status=status)) as served:
            client = await served.connect()
            for _ in range(2):
                await client.send(method + GET[3:])
                response = await client.response(bodiless=True)
                assert "transfer-encoding" not in response.headers
            assert source.items == [b"abc"]
            assert source.closed == 2
            client.close()

    run(main())


@pytest.mark.parametrize("bad", [ValueError("secret"), "text", 5])
def test_an_error_within_a_stream_cuts_the_connection(bad: Any) -> None:
    source = Source(b"part", bad)

    async def main() -> None:
        async with serving(answering(source)) as served:
            client = await served.connect()
            await client.send(GET + GET)
            data = await client.rest()
            assert b"secret" not in data
            assert not data.endswith(b"0\r\n\r\n")
            assert b"500" not in data
            assert len(served.errors) == 1
            assert source.closed == 1
            client.close()
            await served.settled()
            assert len(served.requests) == 1

    run(main())


def test_a_head_that_cannot_be_sent_is_a_500_and_closes_the_iterator() -> None:
    source = Source(b"part")

    async def handler(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(200, ((b"x", b"a\r\nb"),), source)

    async def main() -> None:
        async with serving(handler) as served:
            client = await served.connect()
            assert (await client.get()).status == 500
            assert source.closed == 1
            client.close()

    run(main())


@pytest.mark.parametrize("reset", [False, True])
def test_a_disconnect_closes_the_iterator_at_once(reset: bool) -> None:
    async def main() -> None:
        ended: list[str] = []

        async def parts() -> AsyncIterator[bytes]:
            try:
                yield b"first"
                await asyncio.sleep(3600)
                yield b"never"
            finally:
                ended.append("closed")

        async with serving(answering(parts())) as served:
            client = await served.connect()
            await client.send(GET)
            await client.reader.readuntil(b"first")
            if reset:
                client.reset()
            else:
                client.close()
            await served.settled()
            assert ended == ["closed"]
            assert served.errors == []

    run(main())


def test_a_client_gone_before_the_stream_began_closes_the_iterator() -> None:
    source = Source(b"abc")

    async def main() -> None:
        started, gate = asyncio.Event(), asyncio.Event()

        async def handler(_request: HttpRequest) -> HttpResponse:
            started.set()
            await gate.wait()
            return HttpResponse(200, (), source)

        async with serving(handler) as served:
            client = await served.connect()
            await client.send(GET)
            await started.wait()
            client.reset()
            while served.server.open_connections:
                await asyncio.sleep(0.005)
            gate.set()
            await served.settled()
            assert source.closed == 1
            assert source.items == [b"abc"]

    run(main())


def test_a_producer_waits_for_its_client() -> None:
    produced = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal produced
        for _ in range(200):
            produced += 1
            yield b"x" * 65536

    async def main() -> None:
        async with serving(answering(parts())) as served:
            client = await served.connect()
            await client.send(GET)
            await asyncio.sleep(0.2)
            assert produced < 180
            assert len((await client.response()).body) == 200 * 65536
            client.close()

    run(main())


def test_the_limit_may_answer_with_a_stream() -> None:
    async def main() -> None:
        def limit(_head: object) -> HttpResponse:
            return HttpResponse(403, (), Source(b"no", b"thing"))

        async with serving(body_limit=limit) as served:
            client = await served.connect()
            for _ in range(2):
                response = await client.get()
                assert (response.status, response.body) == (403, b"nothing")
            client.close()
            assert served.requests == []

    run(main())


def test_a_stream_that_ends_while_the_server_drains_holds_it_up_no_longer() -> None:
    """Its head has promised to keep the connection, which the client then leaves open."""

    async def main() -> None:
        gate = asyncio.Event()

        async def parts() -> AsyncIterator[bytes]:
            yield b"now"
            await gate.wait()

        limits = HttpLimits(drain_idle_seconds=0.05, keep_alive_seconds=60)
        async with serving(answering(parts()), limits=limits) as served:
            client = await served.connect()
            await client.send(GET)
            while not served.requests:
                await asyncio.sleep(0.005)
            draining = asyncio.ensure_future(served.server.drain(20))
            await asyncio.sleep(0.05)
            assert not draining.done()
            gate.set()
            assert (await client.response()).body == b"now"
            assert await asyncio.wait_for(draining, 60) == 0
            client.close()

    run(main())


@pytest.mark.parametrize("before", [True, False])
def test_who_reads_no_more_of_a_stream_does_not_hold_up_a_server_that_drains(before: bool) -> None:
    """Before: whoever followed a log and slept held up the end of a node for 30 s."""

    async def main() -> None:
        async def parts() -> AsyncIterator[bytes]:
            if not before:
                await asyncio.sleep(0.3)
            for _ in range(300):
                yield b"x" * 65536

        limits = HttpLimits(drain_stall_seconds=0.3, body_min_rate=100_000)
        async with serving(answering(parts(), parts()), limits=limits) as served:
            stalled, reading = await served.connect(), await served.connect()
            await stalled.send(GET)
            await reading.send(GET)
            await asyncio.sleep(0.15)
            draining = asyncio.ensure_future(served.server.drain(20))
            response = await asyncio.wait_for(reading.response(), 15)
            assert len(response.body) == 300 * 65536, "who reads gets all"
            await asyncio.wait_for(draining, 60)
            stalled.close()
            reading.close()

    run(main())
