"""A check of what a PostgreSQL server sends before asyncpg reads it.

asyncpg takes a message's length as the server says it. One that is shorter than itself makes it
read the same bytes for ever, without giving anything else a turn; one that is very long makes it
gather as much. One that says how often the password is hashed (SCRAM, RFC 5802, section 5.1)
makes it hash, without giving anything else a turn, for hours. Servers outside may be hostile, so
each head, and each message that asks for proof, is looked at here first.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import asyncpg.protocol  # type: ignore[import-untyped]

from casemate.sources.errors import SourceProtocolError

_HEAD = 5
_LENGTH_ITSELF = 4
_HELD = 512
"""Bytes that a message counts beside its own."""
MOST = 16 << 20
"""Bytes of one message: more than a row of the largest message allowed."""
MOST_ANSWER = 64 << 20
"""Bytes of one answer, which asyncpg holds: more than a batch of the largest rows allowed."""
_MOST_PARAMETERS = 1 << 20
"""Bytes of parameters that a server may tell, each of which asyncpg keeps."""
_MAX_DESCRIPTION = 32 * 1024
"""Bytes of a message that describes columns: of each type that it does not know asyncpg asks."""
_READY, _NOTIFICATION, _PARAMETER = b"ZAS"
_DESCRIPTIONS = frozenset(b"Tt")
MAX_ITERATIONS = 65_536
"""How often a server may have the password hashed, once a connection: 0.2 s of the process, which
all sources share. PostgreSQL's own default is 4096."""
_PROOF = ord("R")
_MAX_PROOF = 2000
"""Bytes of a message that asks for proof, as PostgreSQL's own client bounds it."""
_DIGITS = 9
_HASH = (11).to_bytes(4, "big")
"""What such a message begins with that says how to hash."""


class Framing:
    """Follows a stream of messages from head to head."""

    def __init__(self, most: int = MOST, most_answer: int = MOST_ANSWER) -> None:
        """Allow messages of `most` bytes, and answers of `most_answer`."""
        self._most = most
        self._most_answer = most_answer
        self._answer = self._parameters = 0
        self._head = b""
        self._left = 0
        self._proof: bytearray | None = None
        self._has_hashed = False

    def feed(self, data: bytes) -> None:
        """Look at what came next. Raises SourceProtocolError for what is no message."""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                if self._proof is not None:
                    self._proof += data[at : at + step]
                    self._look_at_proof()
                at += step
                continue
            wanted = _HEAD - len(self._head)
            self._head += data[at : at + wanted]
            at += wanted
            if len(self._head) == _HEAD:
                length = int.from_bytes(self._head[1:], "big")
                if not self._head[0] or length < _LENGTH_ITSELF:
                    raise SourceProtocolError("PostgreSQL sent what is no message.")
                if length > self._most:
                    raise SourceProtocolError(
                        f"PostgreSQL sends a message of {length} bytes, expected at most "
                        f"{self._most}."
                    )
                self._left = length - _LENGTH_ITSELF
                self._count(self._head[0], length)
                if self._head[0] == _PROOF:
                    if self._left > _MAX_PROOF:
                        raise SourceProtocolError(
                            f"PostgreSQL asks for proof in {self._left} bytes, expected at most "
                            f"{_MAX_PROOF}."
                        )
                    self._proof = bytearray()
                self._head = b""

    def _count(self, kind: int, length: int) -> None:
        """Count what asyncpg holds until an answer ends, or for as long as the connection lasts."""
        if kind == _READY:
            self._answer = 0
        elif kind != _NOTIFICATION:
            self._answer += length + _HELD
        if kind == _PARAMETER:
            self._parameters += length + _HELD
        if kind in _DESCRIPTIONS and length > _MAX_DESCRIPTION:
            raise SourceProtocolError(
                f"PostgreSQL describes columns in {length} bytes, which is more than were asked "
                f"for: expected at most {_MAX_DESCRIPTION}."
            )
        if self._answer > self._most_answer:
            raise SourceProtocolError(
                f"PostgreSQL answers with more than {self._most_answer} bytes, which is more than "
                "was asked for."
            )
        if self._parameters > _MOST_PARAMETERS:
            raise SourceProtocolError(
                f"PostgreSQL tells of parameters in more than {_MOST_PARAMETERS} bytes."
            )

    def _look_at_proof(self) -> None:
        """Refuse a whole message that would have the password hashed too often, or once more."""
        if self._left or self._proof is None:
            return
        asked, self._proof = bytes(self._proof), None
        if not asked.startswith(_HASH):
            return
        # asyncpg takes the first that it finds, other readers the third field: all are bounded.
        said = [part[2:] for part in asked[len(_HASH) :].split(b",") if part.startswith(b"i=")]
        if self._has_hashed or not said:
            raise SourceProtocolError("PostgreSQL asks for proof in a way that is no SCRAM.")
        self._has_hashed = True
        for each in said:
            if not each.isdigit() or len(each) > _DIGITS or int(each) > MAX_ITERATIONS:
                raise SourceProtocolError(
                    f"PostgreSQL wants the password hashed more than {MAX_ITERATIONS} times.",
                    next_step="At the server, set scram_iterations lower for this user, and set "
                    "its password once more.",
                )


class Refused(NamedTuple):
    """What was refused of a server, in words."""

    message: str
    next_step: str | None


_refused: ContextVar[list[Refused] | None] = ContextVar("_refused", default=None)
"""Where connections that are made in a context put what was refused on them."""


@contextmanager
def refusals() -> Iterator[list[Refused]]:
    """Give what is refused on connections made within the block.

    asyncpg only notices that such a connection is gone, and says no more than that.
    """
    found: list[Refused] = []
    token = _refused.set(found)
    try:
        yield found
    finally:
        _refused.reset(token)


class FramedProtocol(asyncpg.protocol.Protocol):  # type: ignore[misc]
    """asyncpg's protocol behind the check."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Take what asyncpg gives its protocol."""
        super().__init__(*arguments, **named)
        self._framing = Framing()
        self._refused = _refused.get()

    def data_received(self, data: bytes) -> None:
        """Check and pass on. What is raised closes the connection."""
        try:
            self._framing.feed(data)
        except SourceProtocolError as error:
            if self._refused is not None and not self._refused:
                # Not the error: its trace holds the connection, and all that was answered.
                self._refused.append(Refused(error.message, error.next_step))
            raise
        super().data_received(data)


def install() -> None:
    """Have every connection of this process checked: asyncpg has no other place to say so."""
    asyncpg.protocol.Protocol = FramedProtocol
