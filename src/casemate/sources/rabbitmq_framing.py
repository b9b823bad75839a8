"""A check of what an AMQP 0-9-1 server sends before aiormq reads it.

aiormq gathers a frame, and a message of several frames, as long as the server says they are.
Servers outside may be hostile, so each head is looked at here first.
https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, section 4.2.3
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiormq.connection import TransportFactory
from yarl import URL

from casemate.sources.errors import SourceError, SourceProtocolError
from casemate.sources.interface import MAX_BODY, Session, bound_unsent
from casemate.sources.turns import Turns

_HEAD = 7
"""Type, channel, and size."""
_METHOD, _HEADER, _BODY, _HEARTBEAT = 1, 2, 3, 8
_CONTENT = 12
"""Of a content header: class, weight, and size of the message."""
_END = 0xCE
_MOST_FRAME = 2 << 20


class Framing:
    """Follows a stream of frames from head to head."""

    def __init__(self, most: int = MAX_BODY, most_frame: int = _MOST_FRAME) -> None:
        """Allow messages of `most` bytes in frames of `most_frame`."""
        self._most = most
        self._most_frame = most_frame
        self._head = bytearray()
        self._left = 0
        """Of the frame's content, and then its last byte."""

    def feed(self, data: bytes) -> None:
        """Look at what came next. Raises SourceProtocolError, SourceError for what is too large."""
        at, end = 0, len(data)
        while at < end:
            if self._left > 1:
                step = min(self._left - 1, end - at)
                self._left -= step
                at += step
            elif self._left == 1:
                if data[at] != _END:
                    raise SourceProtocolError("A frame of AMQP does not end where it says.")
                self._left = 0
                at += 1
            else:
                wanted = self._wanted() - len(self._head)
                self._head += data[at : at + wanted]
                at += wanted
                if len(self._head) == self._wanted():
                    self._begin()

    def _wanted(self) -> int:
        """Return how much of a frame has to be seen: more of one that begins a message."""
        is_header = len(self._head) >= _HEAD and self._head[0] == _HEADER
        return _HEAD + _CONTENT if is_header else _HEAD

    def _begin(self) -> None:
        kind, size = self._head[0], int.from_bytes(self._head[3:7], "big")
        if kind not in (_METHOD, _HEADER, _BODY, _HEARTBEAT) or size > self._most_frame:
            raise SourceProtocolError("The server sent what is no frame of AMQP.")
        self._left = size + 1
        if kind == _HEADER:
            if size < _CONTENT:
                raise SourceProtocolError("A message's header of AMQP is too short.")
            self._left -= _CONTENT
            length = int.from_bytes(self._head[_HEAD + 4 :], "big")
            if length > self._most:
                raise SourceError(
                    f"A message of the queue has {length} bytes, expected {self._most} at most.",
                    next_step="Take it out of the queue by other means.",
                )
        self._head.clear()


class Hold:
    """What was delivered and is not done with yet. While it is much nothing more is read.

    aiormq starts a task for whatever is delivered, also beyond what was asked for.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        """Hold `most` messages of `most_bytes`."""
        self._most, self._most_bytes = most, most_bytes
        self._count = self._bytes = 0
        self._free = asyncio.Event()
        self._free.set()

    @property
    def is_full(self) -> bool:
        """Tell whether nothing is read."""
        return not self._free.is_set()

    def take(self, size: int) -> None:
        """Take a message."""
        self._count += 1
        self._bytes += size
        self._look()

    def release(self, count: int, size: int) -> None:
        """Be done with messages."""
        self._count -= count
        self._bytes -= size
        self._look()

    def _look(self) -> None:
        if self._count > self._most or self._bytes > self._most_bytes:
            self._free.clear()
        else:
            self._free.set()

    async def wait(self) -> None:
        """Return once there is room for more."""
        await self._free.wait()


class _FramedReader(asyncio.StreamReader):
    """Gives on what passes the check, while there is room for it."""

    def __init__(self, hold: Hold, **named: Any) -> None:
        super().__init__(**named)
        self._framing = Framing()
        self._hold = hold
        self._turns = Turns()

    async def readexactly(self, n: int) -> bytes:
        await self._turns.give()
        await self._hold.wait()
        return await super().readexactly(n)

    def feed_data(self, data: Any) -> None:
        if self.exception() is not None:
            return
        try:
            self._framing.feed(data)
        except SourceError as error:
            self.set_exception(error)
        else:
            super().feed_data(data)


class FramedTransport(TransportFactory):
    """Connects for aiormq, with the check in between."""

    def __init__(self, session: Session, hold: Hold, *, tls: bool) -> None:
        """Verify the server by what `session` has, if TLS is spoken."""
        self._hold = hold
        self._tls = session.tls if tls else None

    async def create(self, url: URL, **_: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection. Raises OSError, SourceError."""
        loop = asyncio.get_running_loop()
        reader = _FramedReader(self._hold, limit=64 * 1024, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport, _protocol = await loop.create_connection(
            lambda: protocol, str(url.host), int(url.port or 0), ssl=self._tls
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        bound_unsent(writer)
        return reader, writer
