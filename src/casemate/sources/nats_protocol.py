"""The client protocol of NATS, as far as a subscriber needs it, within bounds.

https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.egress.starting_tls import SaidInClearError, start_tls
from casemate.sources.errors import SourceError, SourceProtocolError
from casemate.sources.interface import Session, bound_unsent
from casemate.sources.turns import Turns

_MAX_LINE = 32 * 1024
MAX_HEADERS = 64 * 1024
_DISCARD = 64 * 1024
_PING_SECONDS = 15.0
_HEADER_VERSION = b"NATS/1.0"


class NatsMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message. `payload` is None if it, or its headers, were too large, and were read past."""

    subject: str
    reply: str
    payload: bytes | None
    size: int
    head: int = 0
    """Bytes of its headers."""
    status: int = 0
    """Of messages of the server itself, such as 404; else 0."""
    headers: dict[str, str] = {}


class _Info(msgspec.Struct):
    tls_required: bool = False
    tls_available: bool = False
    headers: bool = False


class NatsConnection:
    """A connection that has logged in. `listen` has to run for anything to come."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int
    ) -> None:
        """Made by `open` only."""
        self._reader = reader
        self._writer = writer
        self._most = most
        self._heard_at = 0.0
        self._handlers: dict[str, Callable[[NatsMessage], Awaitable[None]]] = {}
        self._headers = False
        self._stalled = False
        self._turns = Turns()

    @classmethod
    async def open(cls, session: Session, *, tls: bool, host: str, user: str) -> NatsConnection:
        """Connect, encrypt and log in. Raises SourceError, OSError, EOFError.

        `host` is the name that the server's certificate must have.
        """
        reader, writer = await session.connect(tls=False)
        try:
            connection = cls(reader, writer, session.limits.message)
            async with asyncio.timeout(session.limits.connect_time):
                await connection._greet(session.tls if tls else None, host)
                await connection._log_in(user, session.password, tls=tls)
        except BaseException:
            writer.transport.abort()
            raise
        return connection

    async def _greet(self, tls: ssl.SSLContext | None, host: str) -> None:
        """Take the server's greeting; go over to TLS before anything is told."""
        verb, rest = await self._line()
        try:
            info = msgspec.json.decode(rest, type=decodable(_Info)) if verb == b"INFO" else None
        except DECODING_ERRORS:
            info = None
        if info is None:
            raise SourceProtocolError("The server does not greet as NATS does.")
        if tls is not None:
            if not (info.tls_required or info.tls_available):
                raise SourceError(
                    "The server offers no TLS.",
                    next_step="Set up TLS there; tls = false only within a network of your own.",
                )
            try:
                await start_tls(self._reader, self._writer, tls, host)
            except SaidInClearError as error:
                raise SourceProtocolError(
                    error.message, next_step="Somebody in between may have said it."
                ) from error
            bound_unsent(self._writer)
        elif info.tls_required:
            raise SourceError("The server requires TLS.", next_step="Leave out tls = false.")
        self._headers = info.headers

    async def _log_in(self, user: str, password: str, *, tls: bool) -> None:
        options: dict[str, object] = {
            "verbose": False,
            "pedantic": False,
            "tls_required": tls,
            "lang": "python",
            "version": "1",
            "name": "casemate",
            "protocol": 1,
            "echo": False,
            "headers": self._headers,
            "no_responders": self._headers,
        }
        if user:
            options |= {"user": user, "pass": password}
        self._writer.write(b"CONNECT " + msgspec.json.encode(options) + b"\r\nPING\r\n")
        while True:
            verb, rest = await self._line()
            if verb == b"PONG":
                return
            self._require_no_error(verb, rest)
            if verb == b"PING":
                await self._pong()

    async def _pong(self) -> None:
        """Answer; a server that does not read its answers is not read from either."""
        self._writer.write(b"PONG\r\n")
        await self._writer.drain()

    async def _line(self) -> tuple[bytes, bytes]:
        """Return a line's verb and what follows it."""
        await self._turns.give()
        try:
            line = await self._reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as error:
            raise SourceProtocolError("A line of the server has no end.") from error
        if len(line) > _MAX_LINE:
            raise SourceProtocolError(f"A line of the server has {len(line)} bytes.")
        self._heard_at = asyncio.get_running_loop().time()
        verb, _, rest = line[:-2].partition(b" ")
        return verb.upper(), rest.strip()

    @staticmethod
    def _require_no_error(verb: bytes, rest: bytes) -> None:
        if verb == b"-ERR":
            # The server's own texts: "'Authorization Violation'".
            text = rest[:200].decode("ascii", "replace").strip("'")
            raise SourceError(f"NATS answers: {text}.", next_step="See the server's log.")

    # -- what is said --------------------------------------------------------------------------

    def subscribe(self, subject: str, handler: Callable[[NatsMessage], Awaitable[None]]) -> None:
        """Have messages of a subject handled in `listen`."""
        number = str(len(self._handlers) + 1)
        self._handlers[number] = handler
        self._writer.write(f"SUB {subject} {number}\r\n".encode())

    def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Send a message."""
        head = f"PUB {subject} {reply + ' ' if reply else ''}{len(payload)}\r\n"
        self._writer.write(head.encode() + payload + b"\r\n")

    async def drain(self) -> None:
        """Return once the server takes what was sent fast enough."""
        await self._writer.drain()

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    # -- what is heard -------------------------------------------------------------------------

    async def listen(self) -> None:
        """Handle what comes until the connection ends. Raises SourceError, OSError, EOFError."""
        while True:
            verb, rest = await self._line()
            if verb == b"PING":
                await self._pong()
            elif verb in (b"MSG", b"HMSG"):
                await self._message(rest.decode("utf-8", "replace").split(), verb == b"HMSG")
            elif verb not in (b"PONG", b"+OK", b"INFO"):
                self._require_no_error(verb, rest)
                raise SourceProtocolError("The server sent what is no message of NATS.")

    async def _message(self, words: list[str], has_headers: bool) -> None:
        sizes = 2 if has_headers else 1
        if not 2 + sizes <= len(words) <= 3 + sizes:
            raise SourceProtocolError("A message's head is not as NATS writes it.")
        reply = words[2] if len(words) == 3 + sizes else ""
        try:
            numbers = [int(word) for word in words[-sizes:]]
        except ValueError:
            raise SourceProtocolError("A message's size is no number.") from None
        total, head = numbers[-1], numbers[0] if has_headers else 0
        if not 0 <= head <= total:
            raise SourceProtocolError("A message's sizes contradict each other.")
        headers: dict[str, str] = {}
        status = 0
        payload: bytes | None = None
        if head > MAX_HEADERS:
            # Whoever publishes chooses them: the message is given up, not the connection.
            await self._past(total)
        else:
            if head:
                headers, status = parse_headers(await self._reader.readexactly(head))
            payload = await self._payload(total - head)
        handler = self._handlers.get(words[1])
        if handler is None:
            raise SourceProtocolError("A message came for a subscription that there is not.")
        # Without room nothing is read: the server keeps what it has, or drops it.
        self._stalled = True
        await handler(
            NatsMessage(
                subject=words[0],
                reply=reply,
                payload=payload,
                size=total - head,
                head=head,
                status=status,
                headers=headers,
            )
        )
        self._stalled = False

    async def _payload(self, size: int) -> bytes | None:
        if size <= self._most:
            data = await self._reader.readexactly(size + 2)
            if not data.endswith(b"\r\n"):
                raise SourceProtocolError("A message is longer than its size says.")
            return data[:-2]
        await self._past(size)
        return None

    async def _past(self, size: int) -> None:
        left = size + 2
        while left:
            data = await self._reader.read(min(left, _DISCARD))
            if not data:
                raise EOFError
            left -= len(data)

    async def stay(self) -> None:
        """Say that this client is there, and see that the server is."""
        while True:
            await asyncio.sleep(_PING_SECONDS)
            silent = asyncio.get_running_loop().time() - self._heard_at
            if silent > 3 * _PING_SECONDS and not self._stalled:
                raise TimeoutError
            self._writer.write(b"PING\r\n")


def parse_headers(data: bytes) -> tuple[dict[str, str], int]:
    """Return a message's headers and its status, 0 if it has none. Raises SourceProtocolError."""
    lines = data.split(b"\r\n")
    if not lines[0].startswith(_HEADER_VERSION):
        raise SourceProtocolError("A message's headers are not of NATS/1.0.")
    code = lines[0][len(_HEADER_VERSION) :].split()
    status = int(code[0]) if code and code[0].isdigit() and len(code[0]) == 3 else 0
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.decode("utf-8", "replace").lower()] = value.strip().decode(
                "utf-8", "replace"
            )
    return headers, status


def new_inbox() -> str:
    """Return a subject for answers that nobody else guesses."""
    return f"_INBOX.{secrets.token_hex(12)}"
