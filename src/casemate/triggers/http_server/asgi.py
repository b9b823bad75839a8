"""Bridge from the HTTP server to an ASGI 3 application (Starlette and the like).

Source: ASGI specification 3.0, HTTP message format 2.4. No lifespan, no WebSocket, no extensions.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
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
_AHEAD_BYTES = 64 * 1024
"""So much an application may have sent that its client was not sent yet, or one part if that is
larger. What the client was sent and has not taken counts as its connection's."""
_PART_BYTES = 256
"""What a part counts besides its own bytes, of which there may be none."""
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
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the first part of the body is there; what the response waits for."""
        self.finished = False
        """True once the application sent the last part of the body."""
        self._body: bytes | None = request.body
        self._parts: deque[bytes] = deque()
        self._ahead = 0
        """What these count, and the one that the server writes."""
        self._written = 0
        """What that one counts."""
        self._moved = asyncio.Event()
        """Set when there is another part, or room for one, or none will come."""
        self._over = asyncio.Event()
        self._gone = False
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
        finally:
            # An application's objects refer to us, as a cancelled task does: what is garbage in a
            # circle stays until that is collected.
            self.scope = {}
            self._body = self._task = None

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
            self._moved.set()

    def _drop_parts(self) -> None:
        self._parts.clear()
        self._ahead = self._written = 0

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
        self._parts.append(body)
        self._ahead += len(body) + _PART_BYTES
        self.finished = not more
        if not more:
            self._over.set()
        if not self.first.done():
            self.first.set_result(None)
        self._moved.set()
        while more and self._ahead > _AHEAD_BYTES and not self._gone:
            self._moved.clear()
            await self._moved.wait()
        if self._gone:
            raise AsgiDisconnectedError

    # --- the server's side ----------------------------------------------------------------

    def whole(self) -> bytes:
        """Return the body, all of which was sent (`finished`)."""
        whole = b"".join(self._parts) if len(self._parts) > 1 else self._parts[0]
        self._drop_parts()
        return whole

    def __aiter__(self) -> _Exchange:
        return self

    async def __anext__(self) -> bytes:
        """Return the next part: the one before was written, and what waits has room."""
        self._ahead -= self._written
        self._written = 0
        self._moved.set()
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self.finished or self._gone:
                raise StopAsyncIteration
            self._moved.clear()
            await self._moved.wait()
        part = self._parts.popleft()
        self._written = len(part) + _PART_BYTES
        return part

    async def aclose(self) -> None:
        """Tell the application that nobody reads on; cancel it if it does not end by itself."""
        self._drop_parts()
        if self.finished or self._gone:
            return
        self._gone = True
        self._over.set()
        self._moved.set()
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
    length, another one is streamed, `app` waiting while its client does not take what it sent. What
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
            await exchange.first
        except asyncio.CancelledError:
            task.cancel()
            raise
        if exchange.finished:
            return HttpResponse(exchange.status, exchange.headers, exchange.whole())
        return HttpResponse(exchange.status, exchange.headers, exchange)

    return handle
