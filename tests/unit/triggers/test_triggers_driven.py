"""Answers that are made without a task: they wait, fail and are cancelled as in one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from triggers_server import GET, run, serving

from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse
from casemate.triggers.http_server.driven import Driven, NotAFutureError

Ended = list[tuple[Any, BaseException | None]]


def drive(coroutine: Coroutine[Any, Any, Any]) -> tuple[Driven, Ended]:
    ended: Ended = []
    driven = Driven(coroutine, lambda result, error: ended.append((result, error)))
    driven.start()
    return driven, ended


def test_what_waits_for_nothing_ends_at_once() -> None:
    async def answer() -> int:
        return 7

    async def scenario() -> None:
        driven, ended = drive(answer())
        assert ended == [(7, None)]
        assert not driven.waited

    asyncio.run(scenario())


def test_it_goes_on_with_what_each_future_brings() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        first, second = loop.create_future(), loop.create_future()

        async def answer() -> list[object]:
            seen: list[object] = [await first]
            try:
                await second
            except ValueError as error:
                seen.append(str(error))
            return seen

        driven, ended = drive(answer())
        assert (ended, driven.waited) == ([], True)
        first.set_result(1)
        await asyncio.sleep(0)
        second.set_exception(ValueError("two"))
        await asyncio.sleep(0)
        assert ended == [([1, "two"], None)]

    asyncio.run(scenario())


def test_what_it_raises_is_told() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async def scenario() -> None:
        _, ended = drive(fail())
        [(result, error)] = ended
        assert result is None and isinstance(error, ValueError)

    asyncio.run(scenario())


def test_cancelled_it_cleans_up_and_is_told_of() -> None:
    async def scenario() -> None:
        future = asyncio.get_running_loop().create_future()
        cleaned = []

        async def answer() -> None:
            try:
                await future
            finally:
                cleaned.append(True)

        driven, ended = drive(answer())
        driven.cancel()
        await asyncio.sleep(0)
        [(result, error)] = ended
        assert result is None and isinstance(error, asyncio.CancelledError)
        assert (cleaned, driven.cancelled, future.cancelled()) == ([True], True, True)

    asyncio.run(scenario())


def test_what_waits_for_anything_else_ends_as_a_fault() -> None:
    async def scenario() -> None:
        cleaned = []

        async def answer() -> None:
            try:
                await asyncio.sleep(0)
            finally:
                cleaned.append(True)

        _, ended = drive(answer())
        [(_, error)] = ended
        assert isinstance(error, NotAFutureError)
        assert cleaned == [True]

    asyncio.run(scenario())


# -- in a server ----------------------------------------------------------------------------------


def plainly(handler: Any) -> Any:
    def route(head: HttpHead) -> Destination:
        return Destination(1000, handler, plain=True)

    return route


def test_a_plain_answer_is_sent_as_any_other_and_makes_no_task() -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        tasks = []

        async def handler(request: HttpRequest) -> HttpResponse:
            tasks.append(asyncio.current_task())
            return HttpResponse(200, (), await future)

        async with serving(route=plainly(handler)) as served:
            client = await served.connect()
            await client.send(GET)
            while not tasks:
                await asyncio.sleep(0.001)
            future.set_result(b"later")
            assert (await client.response()).body == b"later"
            assert tasks == [None]

    run(main())


def test_many_that_come_together_are_answered_in_order_without_depth() -> None:
    async def main() -> None:
        async def handler(request: HttpRequest) -> HttpResponse:
            return HttpResponse(200, (), request.head.query.encode())

        async with serving(route=plainly(handler)) as served:
            client = await served.connect()
            count = 3000
            await client.send(
                b"".join(b"GET /x?%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(count))
            )
            for number in range(count):
                assert (await client.response()).body == b"%d" % number

    run(main())


def test_a_plain_answer_that_fails_is_500_and_the_connection_goes_on() -> None:
    async def main() -> None:
        calls = []

        async def handler(request: HttpRequest) -> HttpResponse:
            calls.append(request)
            if len(calls) == 1:
                raise ValueError("ours")
            return HttpResponse(200, (), b"well")

        async with serving(route=plainly(handler)) as served:
            client = await served.connect()
            await client.send(GET)
            assert (await client.response()).status == 500
            await client.send(GET)
            assert (await client.response()).body == b"well"
            assert [str(error) for error in served.errors] == ["ours"]

    run(main())


@pytest.mark.parametrize("hangs_up", [True, False])
def test_neither_a_client_that_goes_nor_a_close_leaves_anything(hangs_up: bool) -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        begun, ended = asyncio.Event(), []

        async def handler(request: HttpRequest) -> HttpResponse:
            begun.set()
            try:
                return HttpResponse(200, (), await future)
            finally:
                ended.append(True)

        async with serving(route=plainly(handler)) as served:
            client = await served.connect()
            await client.send(GET)
            await begun.wait()
            if hangs_up:
                client.close()
                await asyncio.sleep(0.05)
                assert ended == []  # it goes on, as what it does may have an effect
                future.set_result(b"nobody reads this")
            else:
                await served.server.close()
            await served.settled()
            assert ended == [True]
            assert served.server._context.driven == set()  # type: ignore[union-attr]

    run(main())


@pytest.mark.parametrize("streamed", [True, False])
def test_a_late_answer_for_whoever_is_gone_goes_nowhere_and_is_cleaned_up(streamed: bool) -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        begun, closed = asyncio.Event(), []

        async def chunks() -> AsyncIterator[bytes]:
            try:
                yield b"never read"
            finally:
                closed.append(True)

        async def handler(request: HttpRequest) -> HttpResponse:
            begun.set()
            await future
            if not streamed:
                return HttpResponse(429, paced=True)
            body = chunks()
            assert await anext(body) == b"never read"
            return HttpResponse(200, (), body)

        async with serving(route=plainly(handler)) as served:
            client = await served.connect()
            await client.send(GET)
            await begun.wait()
            client.reset()
            await asyncio.sleep(0.05)
            future.set_result(None)
            await served.settled()
            assert served.errors == []
            assert closed == [True] * streamed

    run(main())


def test_a_plain_answer_may_be_streamed_or_paced() -> None:
    async def main() -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        async def handler(request: HttpRequest) -> HttpResponse:
            if request.head.query:
                return HttpResponse(429, paced=True)
            return HttpResponse(200, (), chunks())

        async with serving(route=plainly(handler)) as served:
            client = await served.connect()
            for _ in range(2):
                await client.send(GET)
                assert (await client.response()).body == b"onetwo"
                await client.send(b"GET /x?paced HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await client.response()).status == 429

    run(main())


# -- the same head again --------------------------------------------------------------------------


class Known:
    """A route that says of each head what to ask when it comes again."""

    def __init__(self) -> None:
        self.heads: list[HttpHead] = []
        self.again = 0
        self.answer: HttpResponse | None = None

    def route(self, head: HttpHead) -> Destination:
        self.heads.append(head)

        async def handler(request: HttpRequest) -> HttpResponse:
            return HttpResponse(200, (), request.head.path.encode() + request.body)

        found = Destination(1000, handler, again=lambda: self._again(found), plain=True)
        return found

    def _again(self, found: Destination) -> Destination | HttpResponse:
        self.again += 1
        return found if self.answer is None else self.answer


POST = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n%b"


def test_the_same_head_is_asked_for_again_without_being_read() -> None:
    async def main() -> None:
        known = Known()
        async with serving(route=known.route) as served:
            client = await served.connect()
            for body in (b"1", b"2", b"3"):
                await client.send(POST % (b"a", body))
                assert (await client.response()).body == b"/a" + body
            assert (len(known.heads), known.again) == (1, 2)
            await client.send(POST % (b"b", b"1"))
            assert (await client.response()).body == b"/b1"
            await client.send(POST % (b"a", b"1"))
            assert (await client.response()).body == b"/a1"
            assert (len(known.heads), known.again) == (3, 2)
            other = await served.connect()
            await other.send(POST % (b"a", b"1"))
            await other.response()
            assert (len(known.heads), known.again) == (4, 2)

    run(main())


def test_what_is_asked_again_may_refuse() -> None:
    async def main() -> None:
        known = Known()
        async with serving(route=known.route) as served:
            client = await served.connect()
            await client.send(POST % (b"a", b"1"))
            await client.response()
            known.answer = HttpResponse(403)
            await client.send(POST % (b"a", b"1"))
            assert (await client.response()).status == 403

    run(main())
