"""The protocol of Valkey and Redis (RESP2), as far as a reader of streams needs it, within bounds.

https://valkey.io/topics/protocol/
"""

from __future__ import annotations

import asyncio

from casemate.sources.errors import SourceError, SourceProtocolError
from casemate.sources.turns import Turns

_MAX_DEPTH = 8
_MAX_ELEMENTS = 100_000
"""Parts of an array that is held: whoever adds an entry chooses how many fields it has."""
_PART = 64
"""Bytes that a part of a reply counts beside its own."""
_SHORT_ARRAY = 64
"""Parts of an array that is held whatever is held already: larger ones are then read past."""
_MAX_BEYOND = 10_000
"""Parts that may be held beyond what a reply may hold."""
_DISCARD = 64 * 1024
_MAX_LINE = 16 * 1024


class Oversized:
    """Stands for a value that was read past: it was too large, or a reply held too much."""

    def __init__(self, size: int) -> None:
        """Know its size in bytes; of an array, that of its parts."""
        self.size = size


def size_of(value: object) -> int:
    """Return the bytes of a reply, or of a part of it."""
    if isinstance(value, list):
        return sum(map(size_of, value))
    if isinstance(value, Oversized):
        return value.size
    return len(value) if isinstance(value, bytes) else 0


class CommandError(SourceError):
    """The server answered with an error."""

    @property
    def code(self) -> str:
        """Return its first word, such as `BUSYGROUP`."""
        return self.message.partition(" ")[0]


class RespReader:
    """Reads replies."""

    def __init__(self, reader: asyncio.StreamReader, most: int, held: int = 0) -> None:
        """Take values of up to `most` bytes, and `held` bytes of a reply, or a single value.

        What is larger, or comes when a reply holds that much, becomes `Oversized`.
        """
        self._reader = reader
        self._most = most
        self._held = max(held, most)
        self._left = self._beyond = 0
        self._turns = Turns()

    async def read(self) -> object:
        """Return one reply: bytes, int, None, Oversized, CommandError, or a list of such.

        Raises SourceProtocolError for what is none, EOFError and OSError at the end.
        """
        self._left, self._beyond = self._held, _MAX_BEYOND
        return await self._value(0)

    async def _line(self) -> bytes:
        try:
            line = await self._reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as error:
            raise SourceProtocolError("A reply's line has no end.") from error
        if len(line) > _MAX_LINE or len(line) < 3:
            raise SourceProtocolError(f"A reply's line has {len(line)} bytes.")
        return line[:-2]

    async def _value(self, depth: int) -> object:
        await self._turns.give()
        self._left -= _PART
        line = await self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            # Codes and texts are the server's own, not of messages; cut all the same.
            return CommandError(rest[:200].decode("ascii", "replace"))
        if kind == b":":
            return _number(rest)
        if kind == b"$":
            return await self._bulk(_number(rest))
        if kind == b"*":
            return await self._array(_number(rest), depth)
        raise SourceProtocolError("A reply starts with what is no type of RESP2.")

    async def _bulk(self, size: int) -> object:
        if size == -1:
            return None
        if size < 0:
            raise SourceProtocolError("A reply has a negative length.")
        if size > min(self._most, max(self._left, _PART)):
            left = size + 2
            while left:
                data = await self._reader.read(min(left, _DISCARD))
                if not data:
                    raise EOFError
                left -= len(data)
            return Oversized(size)
        self._left -= size
        data = await self._reader.readexactly(size + 2)
        if not data.endswith(b"\r\n"):
            raise SourceProtocolError("A reply is longer than its length says.")
        return data[:-2]

    async def _array(self, count: int, depth: int) -> object:
        if count == -1:
            return None
        if count < 0 or depth >= _MAX_DEPTH:
            raise SourceProtocolError("A reply has too many parts.")
        if count > _MAX_ELEMENTS:
            return await self._past(count, depth)
        found: list[object] = []
        past = 0
        for _ in range(count):
            value = await self._value(depth + 1)
            if past or (self._left < 0 and count > _SHORT_ARRAY):
                past += size_of(value) + 1
                continue
            if self._left < 0:
                self._beyond -= 1
                if self._beyond < 0:
                    raise SourceProtocolError("A reply has too many parts.")
            found.append(value)
        return Oversized(size_of(found) + past) if past else found

    async def _past(self, count: int, depth: int) -> Oversized:
        """Read past an array."""
        size = count
        try:
            for _ in range(count):
                size += size_of(await self._value(depth + 1))
        except EOFError:
            raise SourceProtocolError("A reply has too many parts.") from None
        return Oversized(size)


def _number(text: bytes) -> int:
    digits = text.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 19:
        raise SourceProtocolError("A reply's number is none.")
    return int(text)


def command(*words: str | bytes | int) -> bytes:
    """Return a command as the server takes it."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(p), p) for p in parts)


class RespConnection:
    """Commands and their replies, one after the other."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int, held: int = 0
    ) -> None:
        """Speak over a connection, taking what `RespReader` takes with these bounds."""
        self._replies = RespReader(reader, most, held)
        self._writer = writer

    async def ask(self, *words: str | bytes | int, seconds: float) -> object:
        """Return a command's reply. Raises CommandError, TimeoutError, and as `RespReader.read`."""
        async with asyncio.timeout(seconds):
            self._writer.write(command(*words))
            await self._writer.drain()
            reply = await self._replies.read()
        if isinstance(reply, CommandError):
            raise reply
        return reply

    def tell(self, *words: str | bytes | int) -> None:
        """Send a command whose reply is read with `next`, as what comes some time."""
        self._writer.write(command(*words))

    async def next(self, seconds: float | None) -> object:
        """Return what comes next. Raises TimeoutError, and as `RespReader.read`.

        After a TimeoutError the connection is of no use any more.
        """
        async with asyncio.timeout(seconds):
            return await self._replies.read()

    def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()
