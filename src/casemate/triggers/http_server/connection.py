"""One connection: requests in, one handler at a time, responses out in order.

While a request is handled, what else arrives stays unparsed and reading pauses; so pipelining is
bounded by one read. There are no timers here: the server's sweep looks at `deadline` and
`writer.deadline` and calls `expire`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast

from casemate.model.http import Destination, Handler, HttpRequest, HttpResponse, Undecided
from casemate.triggers.http_server.answering import (
    BODY,
    CLOSED,
    HANDLING,
    HEAD,
    IDLE,
    LINGERING,
    NEVER,
    STREAMING,
    Answering,
)
from casemate.triggers.http_server.buffers import HeldBody
from casemate.triggers.http_server.context import Found, ServerContext
from casemate.triggers.http_server.kernel_queue import bytes_received
from casemate.triggers.http_server.large_bodies import LARGE_BYTES
from casemate.triggers.http_server.peers import (
    REFUSED_CONNECTIONS,
    REFUSED_TEXTS,
    Admitted,
    peer_address,
)
from casemate.triggers.http_server.refusal_pace import READ_PAST_BYTES
from casemate.triggers.http_server.request_head import RequestHead, RequestRefusedError
from casemate.triggers.http_server.response_head import CONTINUE
from casemate.triggers.http_server.response_writer import ResponseWriter


class _Repeatable(NamedTuple):
    """A head whose request may come again."""

    read: RequestHead
    """As the reader returns it, the same object for the same bytes."""
    request: RequestHead
    """With who asks."""
    again: Callable[[], Destination | HttpResponse]
    """What to ask then; see `Destination`."""


class Connection(Answering):
    """Protocol of one accepted socket."""

    __slots__ = (
        "_admitted",
        "_early",
        "_handler",
        "_peer",
        "_plain",
        "_repeatable",
        "_route",
        "_started",
        "made",
    )

    def __init__(
        self, context: ServerContext, *, admitted: Admitted | None = None, peer: str = ""
    ) -> None:
        """Wait for `connection_made`.

        `admitted`: what was decided when it was accepted, and `peer` where it came from.
        """
        super().__init__(context)
        self._peer = peer
        self._admitted = admitted
        self._route = (admitted and admitted.route) or context.route
        self.made = False
        """True once the connection is there, which then ends with `connection_lost`."""
        self._handler: Handler | None = None
        """Who answers the present request."""
        self._plain = False
        """Whether that needs no task."""
        self._repeatable: _Repeatable | None = None
        """The last head, if its request may come again."""
        self._early: HttpResponse | None = None
        """The answer to the present request that its head alone called for."""
        self._started = 0.0

    # --- what the transport calls ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection and refuse it if there are too many."""
        context = self._context
        self._transport = cast(asyncio.Transport, transport)
        nobody = False
        if not self._peer:
            name = transport.get_extra_info("peername")
            # The kernel does not say it of one that was reset, though its request can be read.
            nobody = not name and transport.get_extra_info("socket").family != socket.AF_UNIX
            self._peer = peer_address(name)
        self._held = HeldBody(context.buffers, self._peer)
        self.writer = ResponseWriter(context, self._transport, self._peer)
        self.writer.begin()
        self.made = True
        context.connections.add(self)
        status = 503 if nobody else self._admit()
        if status == 0 and context.closed:
            self.abort()
        elif status == 0:
            limits = context.limits
            patience = limits.drain_idle_seconds if context.draining else limits.header_seconds
            self.deadline = context.loop.time() + patience
        else:
            context.counter.refused += 1
            if nobody or context.counter.refused > REFUSED_CONNECTIONS:
                self.abort()
            else:
                self._refuse(status, REFUSED_TEXTS[status])

    def _admit(self) -> int:
        """Count it, unless that was done; return 0, or the status to refuse it with."""
        admitted = self._admitted or self._context.counter.counted(self._peer)
        self._admitted = None if admitted.status else admitted
        return admitted.status

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        known = self._repeatable
        if known is not None and self._state == IDLE and not self.writer.paused:
            body = self._reader.repeated(data)
            if body is not None:
                self._repeat(known, data, body)
                return
        if self._state < LINGERING:
            self._reader.feed(data)
            self._continue()

    def eof_received(self) -> bool:
        """Keep a half-closed connection open while its request is being handled.

        TLS has no such half: its transport closes.
        """
        self._eof = True
        self.writer.flush()  # the transport may close now
        return self._state == HANDLING and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection. A running handler goes on; a body being streamed does not."""
        context = self._context
        state, self._state = self._state, CLOSED
        self.deadline = NEVER
        self._reader.clear()
        context.connections.discard(self)
        if self._admitted is not None:
            self._admitted.release(handled=self._task is not None or self._driven is not None)
        else:
            context.counter.refused -= 1
        self.writer.connection_lost()
        self._repeatable = None
        if self._task is None and self._driven is None:
            self._held.release()
        elif state == STREAMING and self._task is not None:
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
        self.writer.begin_drain(now)

    # --- reading --------------------------------------------------------------------------

    def _continue(self) -> None:
        """Go on; whatever goes wrong ends this connection, never the server."""
        try:
            self._advance()
        except Exception as error:  # noqa: BLE001 - it ends this connection alone
            self._end_by(error)

    def _end_by(self, error: Exception) -> None:
        """End the connection: with an answer where its request is refused, by a fault without."""
        if isinstance(error, RequestRefusedError):
            self._refuse(error.status, error.message)
        else:
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
        return self._begin(*self._find(request))

    def _begin(self, found: Found, request: RequestHead) -> bool:
        """Go on with a request that leads there, or is answered so; False as above."""
        context = self._context
        self._request = request
        if isinstance(found, Undecided):
            self._state = HANDLING
            self.deadline = NEVER
            self._task = context.loop.create_task(self._decide(found, request))
            context.tasks.add(self._task)
            return True
        if isinstance(found, HttpResponse):
            small = 0 < request.length <= READ_PAST_BYTES and not request.expects_continue
            if not (small and found.paced):
                self._answer(found, cut=request.length != 0)
                return True
            self._early, allowed = found, READ_PAST_BYTES
        else:
            allowed, self._handler, self._plain = found.limit, found.answer, found.plain
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
            self.writer.write(CONTINUE)
        return False

    async def _decide(self, undecided: Undecided, request: RequestHead) -> None:
        """Wait for what another process says of a head; nothing is read meanwhile."""
        task = cast("asyncio.Task[None]", self._task)
        try:
            found = await undecided.found
        except asyncio.CancelledError:
            self.abort()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it raises, nothing is allowed
            found = self._context.failure(error)
        finally:
            self._task = None
            self._context.tasks.discard(task)
            del task  # see `_serve`
        if self._state != HANDLING:  # its client is gone
            return
        try:
            self._begin(found, request)
        except Exception as error:  # noqa: BLE001 - it ends this connection alone
            self._end_by(error)
        else:
            self._continue()

    def _repeat(self, known: _Repeatable, data: bytes, body: bytes) -> None:
        """Take a whole request at once whose head is the one before, such as clients send."""
        try:
            found, request, size = self._context.asked(known.again), known.request, len(body)
            if (
                isinstance(found, Destination)
                and found.plain
                and size <= found.limit
                and size <= LARGE_BYTES
            ):
                self._request = request
                self._held.grow(size, self._context.loop.time())
                self._drive(found.answer, HttpRequest(request.head, body))
                return
            self._reader.feed(data)
            self._reader.read_head(self._peer)
            self._begin(found, request)
        except Exception as error:  # noqa: BLE001 - it ends this connection alone
            self._end_by(error)
        else:
            self._continue()

    def _find(self, read: RequestHead) -> tuple[Found, RequestHead]:
        """Return where a request leads, or its answer, and its head with who asks.

        The reader returns the same object for the same bytes.
        """
        context = self._context
        known = self._repeatable
        if known is not None and known.read is read:
            return context.asked(known.again), known.request
        self._repeatable = None  # or what comes like this one again would be taken for that
        request = context.resolve(read)
        found = context.asked(partial(self._route, request.head))
        if isinstance(found, Destination) and found.again is not None:
            self._repeatable = _Repeatable(read, request, found.again)
        return found, request

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

    def _handle(self, request: RequestHead, pieces: list[bytes]) -> None:
        handler, self._handler = self._handler, None
        if handler is None:
            self._held.release()
            self._answer(cast(HttpResponse, self._early), cut=False)
        elif self._held.size > LARGE_BYTES:
            self._start(self._context.handle_large, (handler, request.head, pieces), cut=False)
        else:
            body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            whole = HttpRequest(request.head, body)
            if self._plain:
                self._drive(handler, whole)
            else:
                self._start(handler, whole, cut=False)
