"""One end of a connection: bytes with back-pressure, and a head of bounded size."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from casemate.egress.errors import RequestRefusedError
from casemate.egress.traffic import Traffic

READ_SIZE = 64 * 1024
_LINGER_BYTES = 1 << 20
_LINGER_SECONDS = 1.0
_END_OF_HEAD = b"\r\n\r\n"


class Channel:
    """A connected TCP socket. Its errors are OSError; `read` returns nothing at the end."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        touched: Callable[[], None],
        traffic: Traffic | None,
    ) -> None:
        """Made by `Channel.over` only."""
        self._reader = reader
        self._writer = writer
        self._touched = touched
        self._traffic = traffic

    @classmethod
    async def over(
        cls,
        sock: socket.socket,
        touched: Callable[[], None],
        *,
        limit: int = READ_SIZE,
        traffic: Traffic | None = None,
    ) -> Channel:
        """Take over a connected socket. `touched` is called for every read; `limit` is a head's.

        What passes counts as `traffic`.
        """
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader, writer = await asyncio.open_connection(sock=sock, limit=limit)
        except BaseException:
            sock.close()
            raise
        writer.transport.set_write_buffer_limits(high=READ_SIZE)
        return cls(reader, writer, touched, traffic)

    async def read(self, size: int = READ_SIZE) -> bytes:
        """Return up to `size` bytes, none at the end."""
        data = await self._reader.read(size)
        self._came(data)
        return data

    def _came(self, data: bytes) -> None:
        self._touched()
        if self._traffic is not None:
            self._traffic.read(len(data))

    async def read_head(self) -> bytes:
        """Return all up to the first empty line, with it; nothing if the peer ended before.

        Raises RequestRefusedError for a head over the limit or one that breaks off.
        """
        try:
            head = await self._reader.readuntil(_END_OF_HEAD)
        except asyncio.LimitOverrunError:
            raise RequestRefusedError("The head is too long.", status=431) from None
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise RequestRefusedError("The head breaks off.") from None
            return b""
        self._came(head)
        return head

    async def read_line(self) -> bytes:
        """Return a line without its CRLF. Raises RequestRefusedError for one without or too long.

        A line may not hold a bare CR or LF.
        """
        try:
            whole = await self._reader.readuntil(b"\n")
        except (asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            raise RequestRefusedError("A line of the body has no end.") from None
        self._came(whole)
        line = whole[:-1]
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise RequestRefusedError("A line of the body does not end with CRLF.")
        return line[:-1]

    async def send(self, data: bytes) -> None:
        """Send bytes; return once the peer takes them fast enough."""
        self._writer.write(data)
        if self._traffic is not None:
            self._traffic.sent(len(data))
        await self._writer.drain()
        self._touched()

    def end(self) -> None:
        """Close for writing; reading goes on."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()

    async def flush(self) -> None:
        """Return once the kernel has taken all that was sent. For the end: it slows later sends."""
        self._writer.transport.set_write_buffer_limits(high=0)
        await self._writer.drain()

    async def finish(self) -> None:
        """Close so that the peer still reads what was sent: for a second unread input is dropped.

        Closing with unread input would reset the connection, and the answer with it.
        """
        self.end()
        await self.flush()
        dropped = 0
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while dropped < _LINGER_BYTES and (data := await self._reader.read(READ_SIZE)):
                    dropped += len(data)
        self.abort()

    @property
    def ended(self) -> bool:
        """Tell whether the peer has closed for writing and all it sent was read."""
        return self._reader.at_eof()

    def abort(self) -> None:
        """Close at once; what the kernel has not taken yet is lost."""
        self._writer.transport.abort()


async def pump(source: Channel, sink: Channel) -> None:
    """Pass bytes on until the source ends, then end the sink for writing."""
    while data := await source.read():
        await sink.send(data)
    sink.end()
    await sink.flush()


async def stop(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait for its end; what it raised is dropped."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()


async def relay(one: Channel, other: Channel) -> None:
    """Pass bytes in both directions until both have ended. Raises OSError if one breaks."""
    pumps = (
        asyncio.ensure_future(pump(one, other)),
        asyncio.ensure_future(pump(other, one)),
    )
    try:
        await asyncio.gather(*pumps)
    finally:
        for task in pumps:
            await stop(task)
