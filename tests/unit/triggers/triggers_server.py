"""A running server and a plain socket client for the tests of the HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import uvloop

from casemate.model.http import HttpHead, HttpRequest, HttpResponse, Route
from casemate.triggers.http_server import HttpLimits, HttpServer
from support.destinations import leading_to

kind: type[Any] = HttpServer
"""What is served by: this, or a `FarServer`."""
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
GET_CLOSE = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run on uvloop; fail if anything reached the loop's exception handler."""
    stray: list[dict[str, Any]] = []

    async def watched() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, what: stray.append(what))
        return await asyncio.wait_for(main, 120)

    result = uvloop.run(watched())
    assert stray == []
    return result


@dataclass
class Served:
    """What a server under test has seen."""

    server: HttpServer
    requests: list[HttpRequest] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port

    async def connect(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))

    async def talk(self, *pieces: bytes) -> bytes:
        """Send and return all that comes until the server closes."""
        client = await self.connect()
        try:
            for piece in pieces:
                await client.send(piece)
            return await client.rest()
        finally:
            client.close()

    @property
    def running(self) -> int:
        """Requests whose handler or streamed body is not finished."""
        context = self.server._context
        return len(context.tasks) + len(context.driven) if context else 0

    @property
    def writing(self) -> Any:
        """The context of whoever writes answers to clients."""
        return getattr(self.server, "worker", self.server)._context

    async def settled(self) -> None:
        """Wait until no connection and no handler is left."""
        async with asyncio.timeout(60):
            while self.server.open_connections or self.running:
                await asyncio.sleep(0.005)


async def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(200, ((b"content-type", b"text/plain"),), request.body or b"ok")


@contextlib.asynccontextmanager
async def serving(
    handler: Callable[[HttpRequest], Awaitable[HttpResponse]] = echo,
    body_limit: Callable[[HttpHead], Any] = lambda _head: 100_000,
    limits: HttpLimits | None = None,
    route: Route | None = None,
    tls: Callable[[], Any] | None = None,
    **options: Any,
) -> AsyncIterator[Served]:
    async def recorded(request: HttpRequest) -> HttpResponse:
        served.requests.append(request)
        return await handler(request)

    def on_error(error: BaseException) -> str:
        served.errors.append(error)
        return f"e{len(served.errors)}"

    served = Served(
        kind(route or leading_to(recorded, body_limit), limits, on_error=on_error, **options)
    )
    await served.server.start(**({} if tls is None else {"tls": tls}))
    try:
        yield served
    finally:
        await served.server.close()
        assert served.server.open_connections == 0
        assert served.running == 0


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):  # closed by the server
            self.writer.write(data)
            await self.writer.drain()

    async def end(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.write_eof()

    async def response(self, *, bodiless: bool = False) -> Response:
        """Read one response; fails the test if it is not well formed."""
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
            line, *fields = head[:-4].decode("latin-1").split("\r\n")
            headers = {}
            for one in fields:
                name, _, value = one.partition(": ")
                assert name not in headers
                headers[name] = value
            version, status, _reason = line.split(" ", 2)
            assert version == "HTTP/1.1"
            body = b"" if bodiless else await self._body(headers)
        return Response(int(status), headers, body)

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        if "transfer-encoding" not in headers:
            return await self.reader.read() if headers.get("connection") == "close" else b""
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return body

    async def get(self, request: bytes = GET) -> Response:
        await self.send(request)
        return await self.response()

    async def rest(self) -> bytes:
        """Read until the server closes."""
        data = b""
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionResetError):
                while piece := await self.reader.read(65536):
                    data += piece
        return data

    async def closed(self) -> bool:
        """Tell that the server closes without another byte."""
        return await self.rest() == b""

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
