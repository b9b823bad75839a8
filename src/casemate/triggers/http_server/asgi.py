"""Bridge from the HTTP server to an ASGI 3 application (Starlette and the like).

Source: ASGI specification 3.0, HTTP message format 2.4. No lifespan, no WebSocket, no extensions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol
from urllib.parse import unquote

from casemate.model.errors import CasemateError
from casemate.model.http import HttpRequest, HttpResponse

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
AsgiApp = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


class AsgiHandler(Protocol):
    """Answers a request by an application; `more` goes into its scope."""

    def __call__(
        self, request: HttpRequest, more: Mapping[str, object] = ...
    ) -> Awaitable[HttpResponse]:
        """Answer."""
        ...


_NOTHING_MORE: Mapping[str, object] = {}
_QUEUED_CHUNKS = 8
"""Chunks an application may be ahead of its client."""
_CLOSE_SECONDS = 5.0
"""Time an application gets to notice that its client is gone before it is cancelled."""
_logger = logging.getLogger(__name__)


class AsgiProtocolError(CasemateError):
    """The ASGI application did not keep to the protocol."""


class AsgiDisconnectedError(CasemateError, OSError):
    """The client of this response is gone."""


class _Exchange:
    """One request between the application's task and the server; iterates over the body."""

    def __init__(self, request: HttpRequest, scheme: str, more: Mapping[str, object]) -> None:
        self.scope = _scope(request, scheme)
        self.scope.update(more)
        self.status = 0
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        self.first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        """First part of the body; what the response waits for."""
        self.finished = False
        """True once the application sent the last part of the body."""
        self._body: bytes | None = request.body
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUED_CHUNKS)
        """The other parts; None ends them."""
        self._over = asyncio.Event()
        self._gone = False
        self._started = False
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    # --- the application's side -----------------------------------------------------------

    async def run(self, app: AsgiApp, on_error: Callable[[Exception], object]) -> None:
        """Call the application. What it raises goes where it can still be noticed."""
        self._task = asyncio.current_task()
        try:
            await self._call(app)
        except asyncio.CancelledError:
            self._fail(AsgiProtocolError("The application was cancelled within its response."))
            raise
        except Exception as error:  # noqa: BLE001 - reported by the server or on_error
            if self.finished:
                on_error(error)
            else:
                self._fail(error)

    async def _call(self, app: AsgiApp) -> None:
        await app(self.scope, self._receive, self._send)
        if not self.finished and not self._gone:
            raise AsgiProtocolError("The application returned before its response was whole.")

    def _fail(self, error: Exception) -> None:
        """End the response with an error; parts not sent yet are worth nothing any more."""
        if not self.first.done():
            self.first.set_exception(error)
        elif not self.finished and not self._gone:
            self._error = error
            self._drop_parts()
            self._queue.put_nowait(None)

    def _drop_parts(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone:
            raise AsgiDisconnectedError
        kind = message.get("type")
        if kind == "http.response.start" and not self.status:
            self.status = message["status"]
            self.headers = tuple((bytes(n), bytes(v)) for n, v in message.get("headers") or ())
        elif kind == "http.response.body" and self.status and not self.finished:
            await self._send_body(bytes(message.get("body", b"")), message.get("more_body", False))
        else:
            raise AsgiProtocolError(
                f"The application sent {kind!r} where it is not allowed.",
                next_step="Send one http.response.start, then http.response.body messages.",
            )

    async def _send_body(self, body: bytes, more: bool) -> None:
        if self.first.done():
            await self._queue.put(body)
        else:
            self.first.set_result(body)
        if not more:
            await self._queue.put(None)
            self.finished = True
            self._over.set()
        if self._gone:
            raise AsgiDisconnectedError

    # --- the server's side ----------------------------------------------------------------

    def rest(self) -> bytes:
        """Return what follows the first part, all of which was sent (`finished`)."""
        parts = []
        while (part := self._queue.get_nowait()) is not None:
            parts.append(part)
        return b"".join(parts)

    def __aiter__(self) -> _Exchange:
        return self

    async def __anext__(self) -> bytes:
        if not self._started:
            self._started = True
            return self.first.result()
        part = await self._queue.get()
        if part is not None:
            return part
        self._queue.put_nowait(None)
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Tell the application that nobody reads on; cancel it if it does not end by itself."""
        if self.finished or self._gone:
            return
        self._gone = True
        self._over.set()
        self._drop_parts()
        task = self._task
        if task is not None and not task.done():
            timer = asyncio.get_running_loop().call_later(_CLOSE_SECONDS, task.cancel)
            task.add_done_callback(lambda _task: timer.cancel())


def _scope(request: HttpRequest, scheme: str) -> Scope:
    head = request.head
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": head.method,
        "scheme": scheme,
        "path": unquote(head.path),
        "raw_path": head.path.encode("ascii"),
        "query_string": head.query.encode("ascii"),
        "root_path": "",
        "headers": list(head.headers),
        "client": (head.peer, 0) if head.peer else None,
        "server": None,
        "state": {},
    }


def _log_error(error: Exception) -> None:
    _logger.error("error after the response was sent", exc_info=error)


def asgi_handler(
    app: AsgiApp,
    *,
    on_error: Callable[[Exception], object] = _log_error,
    scheme: str = "http",
) -> AsgiHandler:
    """Return what answers requests with what `app` sends.

    The response starts with the first part of the body; a body that is whole by then has a
    length, another one is streamed, `app` being at most a few parts ahead of the client. What
    `app` raises before that is raised by the handler, and later by the body's iterator; what
    it raises after its last part (background tasks) goes to `on_error`. `scheme` is what the
    application is told: `https` if the server speaks TLS. What is given besides a request is put
    into its scope.
    """
    running: set[asyncio.Task[None]] = set()

    async def handle(
        request: HttpRequest, more: Mapping[str, object] = _NOTHING_MORE
    ) -> HttpResponse:
        exchange = _Exchange(request, scheme, more)
        task = asyncio.create_task(exchange.run(app, on_error))
        running.add(task)
        task.add_done_callback(running.discard)
        try:
            first = await exchange.first
        except asyncio.CancelledError:
            task.cancel()
            raise
        if exchange.finished:
            return HttpResponse(exchange.status, exchange.headers, first + exchange.rest())
        return HttpResponse(exchange.status, exchange.headers, exchange)

    return handle
