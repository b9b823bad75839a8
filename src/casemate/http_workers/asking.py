"""A worker's end: asks the gateway about each connection and each request, and answers as told."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial

from casemate.child.channel import FrameSocket
from casemate.child.frames import FrameError
from casemate.decoding import DECODING_ERRORS
from casemate.http_workers import protocol
from casemate.http_workers.protocol import Kind
from casemate.model.errors import CasemateError, UnavailableError
from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse, Undecided
from casemate.model.problem import problem_response
from casemate.triggers.http_server import server_problem

_MOST_WAITING_BYTES = 256 << 20
"""What may wait for a gateway that does not read; a further request is refused."""
_RETRY_SECONDS = 2
_Told = HttpResponse | Destination


class BrokenAnswerError(CasemateError):
    """What makes an answer ended before it was whole."""


class Gateway:
    """The gateway, as a worker sees it. On its event loop only."""

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        *,
        told: Callable[[Kind, bytes], None],
        ended: Callable[[str], None],
    ) -> None:
        """Speak over a connected socket; `told` gets what is of no connection."""
        self.loop = loop
        self._told = told
        self._ended = ended
        self._numbers = itertools.count(1)
        self._connections: dict[int, Asked] = {}
        self._socket = FrameSocket(
            sock, loop, protocol.GATEWAY_BOUNDS, received=self._received, ended=self._gone
        )

    def send(self, body: bytes) -> None:
        """Send a frame."""
        self._socket.send(body)

    async def settled(self) -> None:
        """Wait for as long as too much waits for the gateway."""
        await self._socket.settled(protocol.SETTLED_BYTES)

    @property
    def crowded(self) -> bool:
        """Whether nothing more may wait for the gateway."""
        return self._socket.unsent_bytes > _MOST_WAITING_BYTES

    @property
    def closed(self) -> bool:
        """Whether there is no gateway any more."""
        return self._socket.closed

    async def admit(self, peer: str) -> Asked:
        """Ask whether a connection from an address may be. Raises UnavailableError."""
        connection = Asked(self, next(self._numbers))
        self._connections[connection.number] = connection
        try:
            await connection.decided(peer)
        except BaseException:
            connection.release()
            raise
        if connection.status:
            del self._connections[connection.number]
        return connection

    def forget(self, number: int, *, follows: bool) -> None:
        """Tell that a connection is gone, and whether the body of its request still follows."""
        connection = self._connections.pop(number, None)
        if connection is not None:
            self.send(protocol.released(number, follows=follows))
            connection.lose()

    def problem(self, status: int, detail: str, error_id: str | None) -> HttpResponse:
        """Answer what is no request that is taken, and tell of it."""
        self.send(protocol.refused(status, detail))
        return server_problem(status, detail, error_id)

    def _received(self, body: bytes) -> None:
        kind, number, content = protocol.read(body)
        if number == 0:
            self._told(kind, content)
            return
        connection = self._connections.get(number)
        if connection is not None:  # else it is gone, and what was under way for it with it
            connection.told(kind, content)

    def _gone(self, why: str) -> None:
        for connection in tuple(self._connections.values()):
            connection.lose()
        self._ended(why)


class Asked:
    """One connection that the gateway decides of."""

    __slots__ = (
        "_allowed",
        "_future",
        "_gateway",
        "_lost",
        "_parts",
        "_repeated",
        "number",
        "pause",
        "status",
    )

    def __init__(self, gateway: Gateway, number: int) -> None:
        """Nothing is decided yet."""
        self._gateway = gateway
        self.number = number
        self.status = 0
        self.pause = 0.0
        self._parts: list[bytes] = []
        """Of an answer, before its last one."""
        self._future: asyncio.Future[object] | None = None
        """What the gateway is to say next."""
        self._allowed = False
        """Whether the gateway waits for a body, or for the rest of it."""
        self._lost = False
        """Whether it says nothing of this connection any more."""
        self._repeated = Destination(protocol.SMALL_BYTES, self._call_again, plain=True)

    async def decided(self, peer: str) -> None:
        """Wait until it is known whether it may be."""
        await self._asked(protocol.frame(Kind.ADMIT, self.number, peer.encode("ascii")))

    def release(self, *, handled: bool = False) -> None:
        """Count it no more."""
        self._gateway.forget(self.number, follows=handled and self._allowed)

    # -- requests ------------------------------------------------------------------------------

    def route(self, head: HttpHead) -> Destination | HttpResponse | Undecided:
        """Have the gateway find out where a request leads: with its body, if that is small."""
        if self._gateway.crowded:
            return _busy()
        if not _goes_at_once(head):
            return Undecided(self._ask(head))
        answer = partial(self._call, protocol.encode_head(head))
        return Destination(protocol.SMALL_BYTES, answer, again=self._again, plain=True)

    def _again(self) -> Destination | HttpResponse:
        return _busy() if self._gateway.crowded else self._repeated

    async def _call(self, head: bytes, request: HttpRequest) -> HttpResponse:
        return await self._answered(protocol.frame(Kind.CALL, self.number, head + request.body))

    async def _call_again(self, request: HttpRequest) -> HttpResponse:
        return await self._answered(protocol.frame(Kind.AGAIN, self.number, request.body))

    async def _ask(self, head: HttpHead) -> _Told:
        asked = protocol.frame(Kind.ASK, self.number, protocol.encode_head(head))
        try:
            told = await self._asked(asked)
        except UnavailableError:
            return _unavailable()
        if isinstance(told, HttpResponse):
            return told
        if not isinstance(told, int):
            raise FrameError("no answer to a head")
        self._allowed = True
        return Destination(told, self._send_body)

    async def _send_body(self, request: HttpRequest) -> HttpResponse:
        """Send a body that was allowed, in pieces, none before the gateway has taken others."""
        body = request.body
        at = 0
        while len(body) - at > protocol.PIECE_BYTES:
            await self._gateway.settled()
            end = at + protocol.PIECE_BYTES
            self._gateway.send(protocol.piece(self.number, body[at:end], last=False))
            at = end
        await self._gateway.settled()
        self._allowed = False
        last = protocol.piece(self.number, body[at:], last=True)
        return await self._answered(last, promised=True)

    async def _answered(self, said: bytes, *, promised: bool = False) -> HttpResponse:
        try:
            told = await self._asked(said, promised=promised)
        except UnavailableError:
            return _unavailable()
        if not isinstance(told, HttpResponse):
            raise FrameError("no answer to a request")
        return told

    def _asked(self, said: bytes, *, promised: bool = False) -> Awaitable[object]:
        """Say something, and return what is answered, later; UnavailableError where nothing is.

        Once the connection is gone only what was `promised` is said, the rest of a body.
        """
        if promised or not self._lost:
            self._gateway.send(said)
        self._future = future = self._gateway.loop.create_future()
        if self._lost or self._gateway.closed:
            self.lose()
        return future

    # -- parts of a streamed answer ------------------------------------------------------------

    async def pull(self) -> bytes | None:
        """Return the next part, None at the end. Raises BrokenAnswerError."""
        told = await self._asked(protocol.frame(Kind.PULL, self.number))
        if isinstance(told, bytes):
            return told
        if told is not None:
            raise BrokenAnswerError("The answer ended before it was whole.")
        return None

    def stop(self) -> None:
        """Want no further part."""
        self._gateway.send(protocol.frame(Kind.STOP, self.number))

    # -- what the gateway says -----------------------------------------------------------------

    def told(self, kind: Kind, content: bytes) -> None:
        """Take in what the gateway says of this connection. Raises what ends the worker."""
        try:
            self._told(kind, content)
        except (struct.error, *DECODING_ERRORS) as error:
            raise FrameError("no message of a gateway") from error

    def _told(self, kind: Kind, content: bytes) -> None:
        match kind:
            case Kind.ANSWER:
                response = protocol.read_answer(content)
                if self._parts:
                    parts, self._parts = self._parts, []
                    response.body = b"".join((*parts, response.body))  # type: ignore[arg-type]
                self._settle(response)
            case Kind.PART:
                self._parts.append(content)
            case Kind.ADMITTED:
                self.status, self.pause = protocol.read_admitted(content)
                self._settle(None)
            case Kind.ALLOWED:
                self._settle(protocol.read_count(content))
            case Kind.BEGIN:
                response = protocol.read_answer(content)
                response.body = Parts(self)
                self._settle(response)
            case Kind.CHUNK:
                self._settle(content)
            case Kind.END:
                self._settle(None)
            case Kind.BROKEN:
                self._settle(Kind.BROKEN)
            case _:
                raise FrameError("no message of a gateway")

    def _settle(self, told: object) -> None:
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_result(told)

    def lose(self) -> None:
        """Have what waits for the gateway end: that, or this connection, is gone."""
        self._lost = True
        future, self._future = self._future, None
        if future is not None and not future.done():
            future.set_exception(UnavailableError("The gateway is gone."))


class Parts:
    """The parts of a streamed answer, each asked for when it is wanted."""

    __slots__ = ("_connection", "_ended")

    def __init__(self, connection: Asked) -> None:
        """Pull from `connection`."""
        self._connection = connection
        self._ended = False

    def __aiter__(self) -> Parts:
        """Return itself."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next part."""
        try:
            part = await self._connection.pull()
        except (BrokenAnswerError, UnavailableError):
            self._ended = True
            raise
        if part is None:
            self._ended = True
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        """Want no further part. Closing twice is fine."""
        if not self._ended:
            self._ended = True
            self._connection.stop()


def _goes_at_once(head: HttpHead) -> bool:
    """Tell whether a body is small, and comes without being asked for."""
    length = 0
    for name, value in head.headers:
        if name == b"content-length":
            length = int(value)
        elif name in (b"transfer-encoding", b"expect"):
            return False
    return length <= protocol.SMALL_BYTES


def _busy() -> HttpResponse:
    return problem_response(503, "The node is too busy.", retry_after=_RETRY_SECONDS)


def _unavailable() -> HttpResponse:
    """Return the answer where the gateway has ended; the node starts another one."""
    response = problem_response(503, "The node is restarting.", retry_after=_RETRY_SECONDS)
    response.close = True
    return response
