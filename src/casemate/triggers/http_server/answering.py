"""How one connection's requests are answered: with or without a task, in order, in full or not at
all. What is read and when is `connection`'s.
"""

from __future__ import annotations

import asyncio
import math
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, cast

from casemate.model.http import Handler, HttpRequest, HttpResponse
from casemate.triggers.http_server.buffers import HeldBody
from casemate.triggers.http_server.context import ServerContext
from casemate.triggers.http_server.driven import Driven
from casemate.triggers.http_server.kernel_queue import bytes_received
from casemate.triggers.http_server.request_head import RequestHead
from casemate.triggers.http_server.request_reader import RequestReader
from casemate.triggers.http_server.response_head import asks_to_close
from casemate.triggers.http_server.response_writer import ResponseWriter, close_iterator

IDLE, HEAD, BODY, HANDLING, STREAMING, LINGERING, CLOSING, CLOSED = range(8)
NEVER = math.inf
_Run = Callable[[Any], Awaitable[HttpResponse]]


async def _ready(response: HttpResponse) -> HttpResponse:
    return response


class Answering(asyncio.Protocol):
    """The answering half of a connection."""

    __slots__ = (
        "_context",
        "_driven",
        "_eof",
        "_held",
        "_paused",
        "_reader",
        "_request",
        "_state",
        "_task",
        "_transport",
        "deadline",
        "writer",
    )
    _transport: asyncio.Transport
    _held: HeldBody
    writer: ResponseWriter
    """The writing side; its `deadline` counts as well."""

    def __init__(self, context: ServerContext) -> None:
        """Wait for `connection_made`."""
        self._context = context
        self._reader = RequestReader(context.limits)
        self._request: RequestHead | None = None
        self._driven: Driven | None = None
        """The present answer, if it is made without a task."""
        self._task: asyncio.Task[None] | None = None
        self._paused = False
        self._eof = False
        self._state = IDLE
        self.deadline = NEVER
        """Loop time at which `expire` must be called."""

    @abstractmethod
    def _continue(self) -> None:
        """Go on with what was read meanwhile."""

    @abstractmethod
    def _set_reading(self, reading: bool) -> None:
        """Read, or leave to the kernel what comes."""

    def abort(self) -> None:
        """Cut the connection. What its handler does goes on."""
        if self._state not in (STREAMING, CLOSED):
            self._state = CLOSING
        self.deadline = NEVER
        self._transport.abort()

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
        if self._state < CLOSING:  # else nobody is there any more, and the task cleans up
            self._state = HANDLING
        self.deadline = NEVER
        self._task = self._context.loop.create_task(self._serve(handler, argument, cut))
        self._context.tasks.add(self._task)

    def _drive(self, handler: Handler, request: HttpRequest) -> None:
        """Have a plain answer made, without a task."""
        self._state = HANDLING
        self.deadline = NEVER
        self._driven = driven = Driven(handler(request), self._driven_to_its_end)
        self._context.driven.add(driven)
        driven.start()

    def _driven_to_its_end(
        self, response: HttpResponse | None, error: BaseException | None
    ) -> None:
        driven, self._driven = cast(Driven, self._driven), None
        self._context.driven.discard(driven)
        if response is not None and (response.paced or not isinstance(response.body, bytes)):
            self._start(_ready, response, cut=False)
            return
        if response is not None:
            try:
                self._write(response, cut=False)
            except Exception as fault:  # noqa: BLE001 - a response that cannot be sent
                self._fail(fault, cut=False)
        elif driven.cancelled:  # by the server's close
            self.abort()
        else:
            self._fail(cast(BaseException, error), cut=False)
        self._held.release()
        if driven.waited and (self._reader.waiting or self._paused or self._eof):
            self._continue()

    async def _serve(self, handler: _Run, argument: object, cut: bool) -> None:
        """Run one handler and send what it returns; the task of one request."""
        task = cast("asyncio.Task[None]", self._task)
        try:
            response = await handler(argument)
            if response.paced:
                self._held.release()
                request = self._request
                peer = "" if request is None else request.head.peer
                await self._context.pace.turn(peer, self._context.loop.time())
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
            # A task that is cancelled keeps its frames: with itself among what they name, it and
            # the answer would stay until garbage is collected.
            del task
            self._held.release()
        if self._reader.waiting or self._paused or self._eof:
            self._continue()

    def _write(self, response: HttpResponse, *, cut: bool) -> None:
        """Send a whole response, unless nobody is there."""
        if self._state >= CLOSING:
            return
        request = self._request
        close = (
            cut or (request is not None and not request.keep_alive) or self._ends_after(response)
        )
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
        self.deadline = NEVER
        self._reader.clear()
        self.writer.flush()
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
