"""A check of what a PostgreSQL server sends before asyncpg reads it.

asyncpg takes a message's length as the server says it. One that is shorter than itself makes it
read the same bytes for ever, without giving anything else a turn; one that is very long makes it
gather as much. Servers outside may be hostile, so each head is looked at here first.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

from typing import Any

import asyncpg.protocol  # type: ignore[import-untyped]

from casemate.sources.errors import SourceProtocolError

_HEAD = 5
_LENGTH_ITSELF = 4
MOST = 16 << 20
"""Bytes of one message: more than a row of the largest message allowed."""


class Framing:
    """Follows a stream of messages from head to head."""

    def __init__(self, most: int = MOST) -> None:
        """Allow messages of `most` bytes."""
        self._most = most
        self._head = b""
        self._left = 0

    def feed(self, data: bytes) -> None:
        """Look at what came next. Raises SourceProtocolError for what is no message."""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
                continue
            wanted = _HEAD - len(self._head)
            self._head += data[at : at + wanted]
            at += wanted
            if len(self._head) == _HEAD:
                length = int.from_bytes(self._head[1:], "big")
                if not self._head[0] or not _LENGTH_ITSELF <= length <= self._most:
                    raise SourceProtocolError("PostgreSQL sent what is no message.")
                self._left = length - _LENGTH_ITSELF
                self._head = b""


class FramedProtocol(asyncpg.protocol.Protocol):  # type: ignore[misc]
    """asyncpg's protocol behind the check."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Take what asyncpg gives its protocol."""
        super().__init__(*arguments, **named)
        self._framing = Framing()

    def data_received(self, data: bytes) -> None:
        """Check and pass on. What is raised closes the connection."""
        self._framing.feed(data)
        super().data_received(data)


def install() -> None:
    """Have every connection of this process checked: asyncpg has no other place to say so."""
    asyncpg.protocol.Protocol = FramedProtocol
