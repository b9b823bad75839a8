"""One connection: requests in, one handler at a time, responses out in order.

While a request is handled, what else arrives stays unparsed and reading pauses; so pipelining is
bounded by one read. There are no timers here: the server's sweep looks at `deadline` and
`writer.deadline` and calls `expire`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, cast

from casemate.model.http import Handler, HttpRequest, HttpResponse
from casemate.triggers.http_server.buffers import HeldBody
from casemate.triggers.http_server.context import ServerContext
from casemate.triggers.http_server.kernel_queue import bytes_received
from casemate.triggers.http_server.large_bodies import LARGE_BYTES
from casemate.triggers.http_server.peers import REFUSED_CONNECTIONS, REFUSED_TEXTS, peer_address
from casemate.triggers.http_server.refusal_pace import READ_PAST_BYTES
from casemate.triggers.http_server.request_head import METHODS, RequestHead, RequestRefusedError
from casemate.triggers.http_server.request_reader import RequestReader
from casemate.triggers.http_server.response_head import CONTINUE, asks_to_close
from casemate.triggers.http_server.response_writer import ResponseWriter, close_iterator

IDLE, HEAD, BODY, HANDLING, STREAMING, LINGERING, CLOSING, CLOSED = range(8)
_NEVER = math.inf
_SERVER_OPTIONS = HttpResponse(204, ((b"allow", b", ".join(METHODS)),))
_Run = Callable[[Any], Awaitable[HttpResponse]]


async def _ready(response: HttpResponse) -> HttpResponse:
    return response


class Connection(asyncio.Protocol):
    """Protocol of one accepted socket."""

    __slots__ = (
        "_admitted",
        "_context",
        "_early",
        "_eof",
        "_handler",
        "_held",
        "_paused",
        "_peer",
        "_reader",
        "_request",
        "_started",
        "_state",
        "_task",
        "_transport",
        "deadline",
        "made",
        "writer",
    )
    _transport: asyncio.Transport
    writer: ResponseWriter
    """The writing side; its `deadline` counts as well."""

    def __init__(self, context: ServerContext, *, admitted: bool = False) -> None:
        """Wait for `connection_made`. `admitted`: it was counted when it was accepted."""
        self._context = context
        self._reader = RequestReader(context.limits)
        self._admitted = admitted
        self.made = False
        """True once the connection is there, which then ends with `connection_lost`."""
        self._request: RequestHead | None = None
        self._handler: Handler | None = None
        """Who answers the present request."""
        self._early: HttpResponse | None = None
        """The answer to the present request that its head alone called for."""
        self._started = 0.0
        self._paused = False
        self._eof = False
        self._task: asyncio.Task[None] | None = None
        self._state = IDLE
        self.deadline = _NEVER
        """Loop time at which `expire` must be called."""

    # --- what the transport calls ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection and refuse it if there are too many."""
        context = self._context
        self._transport = cast(asyncio.Transport, transport)
        self._peer = peer_address(transport.get_extra_info("peername"))
        self._held = HeldBody(context.buffers, self._peer)
        self.writer = ResponseWriter(context, self._transport, self._peer)
        self.writer.begin()
        self.made = True
        context.connections.add(self)
        status = 0 if self._admitted else context.counter.admit(self._peer)
        self._admitted = status == 0
        if self._admitted and context.closed:
            self.abort()
        elif self._admitted:
            limits = context.limits
            patience = limits.drain_idle_seconds if context.draining else limits.header_seconds
            self.deadline = context.loop.time() + patience
        else:
            context.counter.refused += 1
            if context.counter.refused > REFUSED_CONNECTIONS:
                self.abort()
            else:
                self._refuse(status, REFUSED_TEXTS[status])

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        if self._state < LINGERING:
            self._reader.feed(data)
            self._continue()

    def eof_received(self) -> bool:
        """Keep a half-closed connection open while its request is being handled.

        TLS has no such half: its transport closes.
        """
        self._eof = True
        return self._state == HANDLING and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection. A running handler goes on; a body being streamed does not."""
        context = self._context
        state, self._state = self._state, CLOSED
        self.deadline = _NEVER
        self._reader.clear()
        context.connections.discard(self)
        if self._admitted:
            context.counter.release(self._peer)
        else:
            context.counter.refused -= 1
        self.writer.connection_lost()
        if self._task is None:
            self._held.release()
        elif state == STREAMING:
            self._task.cancel()

    def pause_writing(self) -> None:
        """The client does not read: no further request until it does."""
        self.writer.pause()

    def resume_writing(self) -> None:
        """Everything was sent: go on with what is pipelined."""
        self.writer.resume()
        self._continue()

    # --- what the server calls ------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Do what a passed deadline calls for."""
        try:
            if self.writer.deadline <= now:
                self.writer.check_progress(now)
            if self.deadline <= now:
                self._expire_state(now)
        except Exception as error:  # noqa: BLE001 - a fault of ours
            self._give_up(error)

    def _expire_state(self, now: float) -> None:
        limits = self._context.limits
        if self._state == IDLE:
            if self._paused or bytes_received(self._transport):
                self.deadline = now + limits.header_seconds
            else:
                self._close()
        elif self._state == HEAD:
            self._refuse(408, "The request head did not arrive in time.")
        elif self._state == BODY:
            self._refuse(408, "The request body did not arrive in time.")
        elif self.writer.paused:  # lingering, and the answer is still being read
            self.deadline = now + limits.linger_seconds
        else:
            self.abort()

    def begin_drain(self, now: float) -> None:
        """Close soon if no request has begun; answer the one that has."""
        if self._state == IDLE and not self._paused and not bytes_received(self._transport):
            self.deadline = min(self.deadline, now + self._context.limits.drain_idle_seconds)

    def abort(self) -> None:
        """Cut the connection. What its handler does goes on."""
        if self._state not in (STREAMING, CLOSED):
            self._state = CLOSING
        self.deadline = _NEVER
        self._transport.abort()

    # --- reading --------------------------------------------------------------------------

    def _continue(self) -> None:
        """Go on; whatever goes wrong ends this connection, never the server."""
        try:
            self._advance()
        except RequestRefusedError as refusal:
            self._refuse(refusal.status, refusal.message)
        except Exception as error:  # noqa: BLE001 - a fault of ours
            self._give_up(error)

    def _advance(self) -> None:
        """Go as far as the bytes at hand allow, then read on or wait for the handler."""
        for _turn in range(self._context.limits.pipelined):
            if self._state > BODY or self.writer.paused:
                self._set_reading(self._state >= LINGERING or not self._reader.waiting)
                return
            if not (self._step_body() if self._state == BODY else self._step_head()):
                if self._eof:
                    self._close()
                else:
                    self._set_reading(True)
                return
        self._set_reading(not self._reader.waiting)
        self._context.loop.call_soon(self._continue)

    def _step_head(self) -> bool:
        """Begin the next request; False if more bytes are needed for that."""
        context = self._context
        request = self._reader.read_head(self._peer)
        if request is None:
            if self._state == IDLE and self._reader.begun:
                self._state = HEAD
                self.deadline = context.loop.time() + context.limits.header_seconds
            return False
        self._request = request = context.resolve(request)
        found = _SERVER_OPTIONS if request.asterisk else context.find(request.head)
        if isinstance(found, HttpResponse):
            small = 0 < request.length <= READ_PAST_BYTES and not request.expects_continue
            if not (small and found.paced):
                self._answer(found, cut=request.length != 0)
                return True
            self._early, allowed = found, READ_PAST_BYTES
        else:
            allowed, self._handler = found
        self._reader.begin_body(request.length, allowed)
        body = self._reader.read_pieces()
        self._held.grow(self._reader.received, context.loop.time())
        if body is not None:
            self._handle(request, body)
            return True
        self._state = BODY
        self._started = context.loop.time()
        self._extend_body_deadline()
        if request.expects_continue and not self._reader.received and not self._reader.waiting:
            self._transport.write(CONTINUE)
        return False

    def _step_body(self) -> bool:
        """Go on with the body; False if more bytes are needed."""
        body = self._reader.read_pieces()
        self._held.grow(self._reader.received, self._context.loop.time())
        if body is None:
            self._extend_body_deadline()
            return False
        self._handle(cast(RequestHead, self._request), body)
        return True

    def _extend_body_deadline(self) -> None:
        now = self._context.loop.time()
        self.deadline = self._context.limits.body_deadline(
            self._started, self._reader.received, now
        )

    def _set_reading(self, reading: bool) -> None:
        if reading == self._paused and not self._transport.is_closing():
            self._paused = not reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    # --- answering ------------------------------------------------------------------------

    def _handle(self, request: RequestHead, pieces: list[bytes]) -> None:
        handler, self._handler = self._handler, None
        if handler is None:
            early, self._early = cast(HttpResponse, self._early), None
            self._held.release()
            self._answer(early, cut=False)
        elif self._held.size > LARGE_BYTES:
            self._start(self._context.handle_large, (handler, request.head, pieces), cut=False)
        else:
            self._start(handler, HttpRequest(request.head, b"".join(pieces)), cut=False)

    def _answer(self, response: HttpResponse, *, cut: bool) -> None:
        """Answer without a handler. `cut` ends the connection, as its input is not usable."""
        if isinstance(response.body, bytes) and not response.paced:
            try:
                self._write(response, cut=cut)
            except Exception as error:  # noqa: BLE001 - a response that cannot be sent
                self._fail(error, cut=cut)
        else:
            self._start(_ready, response, cut=cut)

    def _refuse(self, status: int, detail: str) -> None:
        """Answer with a problem and end the connection."""
        self._held.release()
        self._answer(self._context.problem(status, detail), cut=True)

    def _start(self, handler: _Run, argument: object, *, cut: bool) -> None:
        self._state = HANDLING
        self.deadline = _NEVER
        self._task = self._context.loop.create_task(self._serve(handler, argument, cut))
        self._context.tasks.add(self._task)

    async def _serve(self, handler: _Run, argument: object, cut: bool) -> None:
        """Run one handler and send what it returns; the task of one request."""
        task = cast("asyncio.Task[None]", self._task)
        try:
            response = await handler(argument)
            if response.paced:
                self._held.release()
                await self._context.pace.turn(self._context.loop.time())
            if isinstance(response.body, bytes):
                self._write(response, cut=cut)
            else:
                await self._stream(response, cut=cut)
        except asyncio.CancelledError as error:
            if task.cancelling():  # by a disconnect while streaming, or by the server's close
                self.abort()
                raise
            self._fail(error, cut=cut)
        except Exception as error:  # noqa: BLE001 - the caller gets an id, the owner the error
            self._fail(error, cut=cut)
        finally:
            self._task = None
            self._context.tasks.discard(task)
            self._held.release()
        if self._reader.waiting or self._paused or self._eof:
            self._continue()

    def _write(self, response: HttpResponse, *, cut: bool) -> None:
        """Send a whole response, unless nobody is there."""
        if self._state >= CLOSING:
            return
        request = self._request
        close = cut or (request is not None and not request.keep_alive)
        close = close or self._ends_after(response)
        self.writer.whole(request, response, close)
        self._end_response(close)

    async def _stream(self, response: HttpResponse, *, cut: bool) -> None:
        if self._state >= CLOSING:
            await close_iterator(response.body)
            return
        request = cast(RequestHead, self._request)
        close = cut or request.http10 or not request.keep_alive or self._ends_after(response)
        self._state = STREAMING
        await self.writer.stream(request, response, close)
        if self._state == STREAMING:
            self._end_response(close)

    def _ends_after(self, response: HttpResponse) -> bool:
        return asks_to_close(response) or (
            self._context.draining
            and not self._reader.waiting
            and not bytes_received(self._transport)
        )

    def _end_response(self, close: bool) -> None:
        """Go back to idle, or say that nothing follows and wait for the client to close.

        Closing while the client still sends would reset the connection, and with it the answer.
        """
        limits = self._context.limits
        self._request = None
        if not close:
            self._state = IDLE
            draining = self._context.draining  # since a streamed head promised to keep alive
            patience = limits.drain_idle_seconds if draining else limits.keep_alive_seconds
            self.deadline = self._context.loop.time() + patience
        elif self._eof or not limits.linger_seconds or not self._transport.can_write_eof():
            # A TLS transport says so itself (close_notify), and waits for the client's.
            self._close()
        else:
            self._state = LINGERING
            self.deadline = self._context.loop.time() + limits.linger_seconds
            self._reader.clear()
            self._set_reading(True)
            self._transport.write_eof()

    def _close(self) -> None:
        """Close once what was written is sent; the writer's deadline goes on."""
        self._state = CLOSING
        self.deadline = _NEVER
        self._reader.clear()
        self._transport.close()

    def _fail(self, error: BaseException, *, cut: bool) -> None:
        """Answer 500 for `error`, if that is still possible."""
        response = self._context.failure(error)
        if self._transport.is_closing():
            return
        try:
            self._write(response, cut=cut)
        except Exception as second:  # noqa: BLE001 - not even the problem can be sent
            self._give_up(second)

    def _give_up(self, error: BaseException) -> None:
        self._context.report(error)
        self.abort()
