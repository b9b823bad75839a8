"""The writing side of a connection: whole and streamed responses, flow control."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

from casemate.model.http import HttpResponse
from casemate.triggers.http_server.buffers import Answer
from casemate.triggers.http_server.context import ServerContext
from casemate.triggers.http_server.kernel_queue import bytes_unacknowledged
from casemate.triggers.http_server.request_head import RequestHead
from casemate.triggers.http_server.response_head import (
    BODILESS,
    LAST_CHUNK,
    InvalidResponseError,
    encode_head,
    has_body,
)

_COPY_BYTES = 64 * 1024
"""Bodies up to this are joined with their head, which is cheaper than a vectored write."""
_LENGTH, _MOST_DIGITS = b"content-length", 18
_CLOSE = b"connection: close\r\n"
_KEEP_ALIVE = b"connection: keep-alive\r\n"


async def close_iterator(body: object) -> None:
    """Close an async generator (or what offers `aclose`) that will not be read to its end."""
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()


class ResponseWriter:
    """Writes to one transport, whose high-water mark is 0: `paused` means bytes are unsent."""

    __slots__ = (
        "_context",
        "_held",
        "_peer",
        "_ready",
        "_streams",
        "_transport",
        "_unread",
        "_waiter",
        "_whole",
        "deadline",
        "lost",
        "paused",
    )

    def __init__(self, context: ServerContext, transport: asyncio.Transport, peer: str) -> None:
        """Write to `transport`, which leads to `peer`."""
        self._peer = peer
        self._whole = 0
        """Bytes of the answer that is being written: its memory is held until all were taken."""
        self._held: Answer | None = None
        self._context = context
        self._transport = transport
        self._waiter: asyncio.Future[None] | None = None
        self._ready = b""
        """An answer that is written at the end of the loop's turn."""
        self._unread = 0
        self._streams = False
        """Whether what was written last was streamed."""
        self.paused = False
        self.lost = False
        self.deadline = math.inf
        """Loop time at which `check_progress` must be called."""

    def begin(self) -> None:
        """Have the transport tell of unsent bytes: of TLS it may have some already."""
        # TLS pauses at its mark, and not beyond it as TCP does: at 0 with nothing unsent, too.
        tls = self._transport.get_extra_info("sslcontext") is not None
        self._transport.set_write_buffer_limits(high=1 if tls else 0, low=0)

    def whole(self, request: RequestHead | None, response: HttpResponse, close: bool) -> None:
        """Write a response whose body is bytes. Raises InvalidResponseError, nothing written."""
        self._streams = False
        body = response.body
        if not isinstance(body, bytes):
            raise InvalidResponseError(
                f"The response body is {type(body).__name__}, expected bytes or an async iterator."
            )
        framing = _connection_line(request, close)
        if response.status not in BODILESS:
            length = len(body)
            if request is not None and request.head.method == "HEAD":
                # Of an answer that is streamed to GET there is nothing here but what is declared.
                length = length or declared_length(response) or 0
                body = b""
            framing = b"content-length: %d\r\n%b" % (length, framing)
        else:
            body = b""
        head = encode_head(response, self._context.date, framing)
        if len(body) <= _COPY_BYTES:
            # Alone it gains nothing; and nothing may come before it, or hide that it is not read.
            if close or self._ready or not self._context.driven:
                self.write(head + body)
            else:
                self._ready = head + body
                self._context.turn_end.put(self.flush)
        else:
            self.flush()
            self._whole = len(body)
            self._transport.writelines((head, body))
            self._whole = 0

    def write(self, data: bytes) -> None:
        """Write something at once, behind what is ready."""
        self.flush()
        self._transport.write(data)

    def flush(self) -> None:
        """Write what is ready. To be called before the transport is told anything else."""
        ready, self._ready = self._ready, b""
        if ready and not self._transport.is_closing():
            self._transport.write(ready)

    async def stream(self, request: RequestHead, response: HttpResponse, close: bool) -> None:
        """Write a response as its iterator yields, and close the iterator in any case.

        Raises what the iterator raises, and InvalidResponseError. Once the head is out an error
        cuts the connection, which is how a client sees that the body is incomplete.
        """
        started = False
        try:
            body = iterator_of(response)
            bodiless = not has_body(response.status) or request.head.method == "HEAD"
            framing = _connection_line(request, close)
            length = declared_length(response) if has_body(response.status) else None
            chunked = length is None and not bodiless and not request.http10
            if length is not None:
                framing = b"content-length: %d\r\n%b" % (length, framing)
            elif chunked:
                framing = b"transfer-encoding: chunked\r\n" + framing
            head = encode_head(response, self._context.date, framing)
            if self.lost:
                return
            started = self._streams = True
            self.write(head)
            if not bodiless:
                await self._write_parts(body, length, chunked=chunked)
        except BaseException:
            if started:
                self._transport.abort()
            raise
        finally:
            await close_iterator(response.body)

    async def _write_parts(
        self, body: AsyncIterator[bytes], length: int | None, *, chunked: bool
    ) -> None:
        """Write what the iterator yields; of a `length` that was declared not one byte more.

        The part that makes it whole waits until the iterator has ended: a client that has all goes
        away, and what fails behind the last part would be told to nobody.
        """
        sent, last = 0, b""
        async for chunk in body:
            if not isinstance(chunk, bytes):
                raise InvalidResponseError(
                    f"The response body yielded {type(chunk).__name__}, expected bytes."
                )
            if not chunk:
                continue
            sent += len(chunk)
            if length is not None and sent > length:
                raise InvalidResponseError(f"The response body is longer than its {length} bytes.")
            if sent == length:
                last = chunk
                continue
            self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            if self.paused:
                self._waiter = self._context.loop.create_future()
                await self._waiter
            if self.lost:
                return
        if chunked:
            self._transport.write(LAST_CHUNK)
        elif length is not None and sent < length:
            raise InvalidResponseError(f"The response body ended at {sent} of {length} bytes.")
        else:
            self._transport.write(last)

    def pause(self) -> None:
        """Note that the client reads more slowly than we write."""
        context = self._context
        now = context.loop.time()
        self.paused = True
        self._unread = begun = self._measure()
        self.deadline = now + self._patience
        size = max(self._whole, self._transport.get_write_buffer_size())
        if self._held is None:
            self._held = context.buffers.hold(
                self._peer, size, now, lambda: begun - self._measure(), self._cut_soon
            )

    def resume(self) -> None:
        """Note that all was sent."""
        self.paused = False
        self.deadline = math.inf
        self._let_go()
        self._wake()

    def _cut_soon(self) -> None:
        """Cut the connection, which may be in the middle of writing."""
        self._context.loop.call_soon(self._transport.abort)

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._context.buffers.drop(held)

    def check_progress(self, now: float) -> None:
        """Cut a client off that read too little since the last look, else look again later."""
        unread = self._measure()
        if self._unread - unread < self._context.limits.body_min_rate * self._patience:
            self._transport.abort()
        self._unread = unread
        self.deadline = now + self._patience

    def begin_drain(self, now: float) -> None:
        """Give a client that does not read what is streamed less time from now on."""
        if self.paused and self._streams:
            self._unread = self._measure()
            self.deadline = min(self.deadline, now + self._patience)

    @property
    def _patience(self) -> float:
        """How long a client may read too little."""
        limits = self._context.limits
        hurries = self._streams and self._context.draining
        return limits.drain_stall_seconds if hurries else limits.write_seconds

    def _measure(self) -> int:
        """Return the bytes the client has not taken, those in the kernel included.

        The transport alone would show progress only in steps of a third of the send buffer.
        """
        return self._transport.get_write_buffer_size() + bytes_unacknowledged(self._transport)

    def connection_lost(self) -> None:
        """Release a waiting stream; nothing more is written."""
        self.lost = True
        self.deadline = math.inf
        self._let_go()
        self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def iterator_of(response: HttpResponse) -> AsyncIterator[bytes]:
    """Return the body of a response that is streamed. Raises InvalidResponseError for another."""
    body = response.body
    if isinstance(body, bytes) or not hasattr(body, "__aiter__"):
        raise InvalidResponseError(
            f"The response body is {type(body).__name__}, expected bytes or an async iterator."
        )
    return body


def declared_length(response: HttpResponse) -> int | None:
    """Return how long a streamed body is by the response's own field; None if nobody knows."""
    values = [value for name, value in response.headers if name.lower() == _LENGTH]
    if len(values) != 1 or not values[0].isdigit() or len(values[0]) > _MOST_DIGITS:
        return None
    return int(values[0])


def _connection_line(request: RequestHead | None, close: bool) -> bytes:
    if close:
        return _CLOSE
    return _KEEP_ALIVE if request is not None and request.http10 else b""
