"""The ASGI bridge, with plain applications and with Starlette."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from triggers_server import GET, run, serving

from casemate.model.http import HttpHead, HttpRequest
from casemate.triggers.http_server import AsgiProtocolError, asgi_handler

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]}


def part(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def starlette_app() -> tuple[Starlette, list[str]]:
    notes: list[str] = []

    async def show(request: Request) -> Response:
        return JSONResponse(
            {
                "path": request.url.path,
                "item": request.path_params["item"],
                "query": dict(request.query_params),
                "body": (await request.body()).decode(),
                "agent": request.headers.get("user-agent"),
                "client": request.client.host if request.client else None,
            }
        )

    async def numbers() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d," % number
            await asyncio.sleep(0)

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.001)
        finally:
            notes.append("endless ended")

    async def stream(_request: Request) -> Response:
        return StreamingResponse(numbers())

    async def never(_request: Request) -> Response:
        return StreamingResponse(endless())

    async def later(_request: Request) -> Response:
        return PlainTextResponse("now", background=BackgroundTask(work))

    async def work() -> None:
        await asyncio.sleep(0.02)
        notes.append("worked")

    async def fails(_request: Request) -> Response:
        raise RuntimeError("secret")

    async def passes(request: Request, call_next: Any) -> Response:
        return await call_next(request)

    routes = [
        Route("/items/{item}", show, methods=["GET", "PUT"]),
        Route("/stream", stream),
        Route("/never", never),
        Route("/later", later),
        Route("/fails", fails),
    ]
    middleware = [Middleware(BaseHTTPMiddleware, dispatch=passes)]
    return Starlette(routes=routes, middleware=middleware), notes


def test_starlette_works_over_a_real_connection() -> None:
    app, notes = starlette_app()

    async def main() -> None:
        async with serving(asgi_handler(app)) as served:
            client = await served.connect()
            response = await client.get(
                b"PUT /items/a%20%E2%82%AC?q=1%2B1 HTTP/1.1\r\nHost: a\r\nUser-Agent: t\r\n"
                b"Content-Length: 4\r\n\r\nbody"
            )
            assert response.status == 200
            assert response.headers["content-type"] == "application/json"
            for expected in ('"item":"a €"', '{"q":"1+1"}', '"body":"body"', "127.0.0.1"):
                assert expected in response.body.decode()
            response = await client.get(GET.replace(b"/x", b"/stream"))
            assert response.body == b"".join(b"%d," % n for n in range(100))
            assert (await client.get(GET.replace(b"/x", b"/none"))).status == 404
            await client.send(b"HEAD" + GET[3:].replace(b"/x", b"/later"))
            assert (await client.response(bodiless=True)).headers["content-length"] == "3"
            assert (await client.get(GET.replace(b"/x", b"/later"))).body == b"now"
            response = await client.get(GET.replace(b"/x", b"/fails"))
            assert response.status == 500
            assert b"secret" not in response.body
            assert await asyncio.wait_for(_noted(notes, "worked"), 5)
            client.close()

    run(main())


async def _noted(notes: list[str], text: str) -> bool:
    while text not in notes:
        await asyncio.sleep(0.005)
    return True


def test_a_disconnect_ends_a_starlette_stream() -> None:
    app, notes = starlette_app()

    async def main() -> None:
        async with serving(asgi_handler(app)) as served:
            client = await served.connect()
            await client.send(GET.replace(b"/x", b"/never"))
            await client.reader.readexactly(5000)
            client.close()
            assert await asyncio.wait_for(_noted(notes, "endless ended"), 5)
            await served.settled()

    run(main())


def request(method: str = "GET", body: bytes = b"") -> HttpRequest:
    return HttpRequest(HttpHead(method, "/a%2Fb", "q", ((b"h", b"v"),), "1.2.3.4"), body)


def test_the_scope_and_the_messages_are_those_of_the_specification() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        assert await receive() == {"type": "http.request", "body": b"in", "more_body": False}
        await send(START)
        await send(part(b"out"))
        assert await receive() == {"type": "http.disconnect"}

    async def main() -> None:
        response = await asgi_handler(app)(request(body=b"in"))
        assert (response.status, response.headers) == (200, ((b"x-a", b"b"),))
        assert response.body == b"out"

    run(main())
    assert seen["path"] == "/a/b"
    assert seen["raw_path"] == b"/a%2Fb"
    assert seen["query_string"] == b"q"
    assert seen["client"] == ("1.2.3.4", 0)
    assert seen["asgi"]["version"] == "3.0"


def test_parts_sent_at_once_become_one_body() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        for _ in range(5):
            await send(part(b"ab", more=True))
        await send(part(b"."))

    async def main() -> None:
        assert (await asgi_handler(app)(request())).body == b"ab" * 5 + b"."

    run(main())


@pytest.mark.parametrize(("size", "most"), [(0, 300), (1, 300), (1000, 80), (1 << 20, 1)])
def test_an_application_is_only_some_bytes_ahead_of_its_client(size: int, most: int) -> None:
    sent = 0

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        nonlocal sent
        await send(START)
        for _ in range(1000):
            sent += 1
            await send(part(b"x" * size, more=True))
        await send(part(b""))

    async def main() -> None:
        response = await asgi_handler(app)(request())
        body: Any = response.body
        await asyncio.sleep(0.01)
        assert 0 < sent <= most
        for taken in range(20):
            # What is being written counts until another part is asked for.
            assert len(await anext(body)) == size
            await asyncio.sleep(0)
            assert sent <= taken + most
        assert sum([len(piece) async for piece in body]) == 980 * size

    run(main())


@pytest.mark.parametrize("read", [0, 1, 3])
def test_nothing_of_an_abandoned_stream_waits_for_a_collection(read: int) -> None:
    async def stream(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for n in range(10):
                yield bytes([n]) * (1 << 20)

        request.state.request = request  # which refers to what it is received by
        return StreamingResponse(parts())

    app = asgi_handler(Starlette(routes=[Route("/{rest:path}", stream, methods=["PUT"])]))

    async def once() -> None:
        response = await app(request("PUT", b"b" * (1 << 20)))
        body: Any = response.body
        for _ in range(read):
            await anext(body)
        await body.aclose()
        await asyncio.sleep(0.01)

    async def main() -> None:
        await once()
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            for _ in range(10):
                await once()
            assert tracemalloc.get_traced_memory()[0] < 1 << 20
        finally:
            tracemalloc.stop()
            gc.enable()

    run(main())


def test_nothing_of_a_stream_that_is_cut_waits_for_a_collection() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        while True:
            await send(part(b"x" * (8 << 20), more=True))

    async def once(served: Any) -> None:
        client = await served.connect()
        await client.send(GET)
        await client.reader.readexactly(1000)
        client.writer.transport.abort()
        await served.settled()

    async def main() -> None:
        async with serving(asgi_handler(app)) as served:
            await once(served)
            gc.collect()
            gc.disable()
            tracemalloc.start()
            try:
                for _ in range(5):
                    await once(served)
                assert tracemalloc.get_traced_memory()[0] < 4 << 20
            finally:
                tracemalloc.stop()
                gc.enable()

    run(main())


async def _sends_nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    return


async def _starts_only(_scope: Any, _receive: Any, send: Any) -> None:
    await send(START)


async def _starts_twice(_scope: Any, _receive: Any, send: Any) -> None:
    await send(START)
    await send(START)


async def _body_first(_scope: Any, _receive: Any, send: Any) -> None:
    await send(part(b"x"))


async def _unknown(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})


async def _cancels(_scope: Any, _receive: Any, _send: Any) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "app", [_sends_nothing, _starts_only, _starts_twice, _body_first, _unknown, _cancels]
)
def test_applications_that_break_the_protocol_raise(app: Any) -> None:
    async def main() -> None:
        with pytest.raises(AsgiProtocolError):
            await asgi_handler(app)(request())

    run(main())


@pytest.mark.parametrize("error", [ValueError("x"), None, asyncio.CancelledError()])
def test_a_failure_within_the_stream_is_raised_by_the_body(error: BaseException | None) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        await send(part(b"a", more=True))
        await asyncio.sleep(0.01)
        if error is not None:
            raise error

    async def main() -> None:
        response = await asgi_handler(app)(request())
        assert not isinstance(response.body, bytes)
        with pytest.raises((ValueError, AsgiProtocolError)):
            async for _ in response.body:
                pass

    run(main())


def test_what_is_raised_after_the_response_goes_to_on_error() -> None:
    errors: list[Exception] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        await send(part(b"fine"))
        await asyncio.sleep(0)
        raise ValueError("late")

    async def main() -> None:
        response = await asgi_handler(app, on_error=errors.append)(request())
        assert response.body == b"fine"
        await asyncio.sleep(0.02)
        assert [str(error) for error in errors] == ["late"]

    run(main())


@pytest.mark.parametrize("read", [0, 1, 3])
def test_an_abandoned_body_disconnects_the_application(read: int) -> None:
    ended: list[str] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        try:
            while True:
                await send(part(b"x", more=True))
        except OSError:
            ended.append((await receive())["type"])
            raise

    async def main() -> None:
        response = await asgi_handler(app)(request())
        body: Any = response.body
        await asyncio.sleep(0.01)
        for _ in range(read):
            assert await anext(body) == b"x"
        await body.aclose()
        await body.aclose()
        await asyncio.sleep(0.02)
        assert ended == ["http.disconnect"]

    run(main())


def test_an_application_that_ignores_the_disconnect_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("casemate.triggers.http_server.asgi._CLOSE_SECONDS", 0.05)
    ended: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(START)
        await send(part(b"x", more=True))
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def main() -> None:
        response = await asgi_handler(app)(request())
        await response.body.aclose()  # type: ignore[union-attr]
        await asyncio.sleep(0.15)
        assert ended == ["cancelled"]

    run(main())


def test_cancelling_the_handler_cancels_the_application() -> None:
    ended: list[str] = []

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def main() -> None:
        task = asyncio.ensure_future(asgi_handler(app)(request()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)
        assert ended == ["cancelled"]

    run(main())
