"""The gateway's end of one worker: decides of its connections, and answers its requests.

As for connections of the gateway's own: the same counter, the same turns of large bodies and of
refusals, the same budget of memory. What a worker says is not believed beyond what any client could
say: addresses apart, of which it alone knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any, Protocol, cast

from casemate.child.frames import FrameError
from casemate.http_workers import protocol
from casemate.http_workers.protocol import Kind
from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse
from casemate.triggers.http_server.buffers import HeldBody
from casemate.triggers.http_server.context import ServerContext
from casemate.triggers.http_server.driven import Driven
from casemate.triggers.http_server.handshake_rate import HandshakeRate
from casemate.triggers.http_server.large_bodies import LARGE_BYTES
from casemate.triggers.http_server.request_head import RequestRefusedError, too_large
from casemate.triggers.http_server.response_head import InvalidResponseError
from casemate.triggers.http_server.response_writer import close_iterator, iterator_of

_Route = Callable[[], Destination | HttpResponse]


class Link(Protocol):
    """The connection to a worker."""

    def send(self, body: bytes) -> None:
        """Send a frame."""
        ...

    async def settled(self) -> None:
        """Wait for as long as much waits to be sent."""
        ...


class Connections:
    """All connections of one worker. On the gateway's event loop."""

    def __init__(self, context: ServerContext, link: Link, handshakes: HandshakeRate) -> None:
        """Answer over `link`, with what all workers share."""
        self.context = context
        self.link = link
        self._handshakes = handshakes
        self._open: dict[int, FarConnection] = {}
        self._left = 0
        """Of these, how many are gone."""
        self.failed_handshakes = 0

    def take(self, kind: Kind, number: int, content: bytes) -> None:
        """Do what a worker wants. Raises FrameError for what is not due."""
        if kind is Kind.ADMIT:
            self._admit(number, protocol.read_address(content))
        elif kind is Kind.REFUSED:
            # Its own answer has left; this one is made for what is recorded with it.
            self.context.problem(*protocol.read_refused(content))
        elif kind is Kind.COUNTED:
            failed = protocol.read_count(content)
            if failed < self.failed_handshakes:
                raise FrameError("fewer handshakes than there were")
            self.failed_handshakes = failed
        else:
            connection = self._open.get(number)
            if connection is not None:
                self._serve(connection, kind, content)
            elif kind not in (Kind.RELEASE, Kind.STOP):  # which both ends may say at once
                raise FrameError("a message about no connection")

    def _serve(self, connection: FarConnection, kind: Kind, content: bytes) -> None:
        match kind:
            case Kind.CALL:
                head, body = protocol.read_head(content, self.context.limits)
                connection.call(head, body)
            case Kind.AGAIN:
                connection.call_again(content)
            case Kind.ASK:
                head, rest = protocol.read_head(content, self.context.limits)
                if rest:
                    raise FrameError("a head with something after it")
                connection.ask(head)
            case Kind.BODY:
                connection.take_piece(*protocol.read_piece(content))
                self._drop(connection)
            case Kind.PULL:
                connection.pull()
            case Kind.STOP:
                connection.stop()
            case Kind.RELEASE:
                self._release(connection, protocol.read_released(content))
            case _:
                raise FrameError("no message of a worker")

    def _admit(self, number: int, peer: str) -> None:
        context = self.context
        if number == 0 or number in self._open:
            raise FrameError("a connection that there is")
        status = 503 if context.closed else context.counter.admit(peer)
        pause = 0.0
        if status == 0:
            self._open[number] = FarConnection(self, number, peer)
            if not context.proxies.trusts(peer):
                pause = self._handshakes.delay(peer, context.loop.time())
        self.link.send(protocol.admitted(number, status, pause))

    def _release(self, connection: FarConnection, follows: bool) -> None:
        if connection.gone:
            raise FrameError("a connection that is gone")
        if follows and not connection.receives:
            raise FrameError("a body that was not asked for")
        self.context.counter.release(connection.peer)
        connection.leave()
        if not follows:
            connection.drop_body()
        self._left += 1
        if self._left > self.context.limits.connections:
            raise FrameError("too many requests without their bodies")
        self._drop(connection)

    def _drop(self, connection: FarConnection) -> None:
        """Forget a connection that is gone, unless the body of its request is still to come."""
        if connection.gone and not connection.receives:
            self._left -= 1
            del self._open[connection.number]

    def lose(self) -> None:
        """The worker has ended: so have its connections. What runs for them goes on."""
        connections, self._open = self._open, {}
        for connection in connections.values():
            if not connection.gone:
                self.context.counter.release(connection.peer)
            connection.leave()
            connection.drop_body()


class FarConnection:
    """One connection of a worker, of which one request at a time is under way."""

    __slots__ = (
        "_again",
        "_busy",
        "_connections",
        "_driven",
        "_found",
        "_head",
        "_held",
        "_pieces",
        "_pulled",
        "_received",
        "_refused",
        "_task",
        "gone",
        "number",
        "peer",
    )

    def __init__(self, connections: Connections, number: int, peer: str) -> None:
        """Nothing was asked yet."""
        self._connections = connections
        self.number = number
        self.peer = peer
        self._head: HttpHead | None = None
        """The last one."""
        self._again: _Route | None = None
        """What to ask when it comes again."""
        self._found: Destination | None = None
        """Who gets the body that is received, in pieces."""
        self._pieces: list[bytes] = []
        self._received = 0
        """Bytes of that body so far."""
        self._refused: RequestRefusedError | None = None
        """Why it is dropped as it comes."""
        self._held = HeldBody(connections.context.buffers, peer)
        self._busy = False
        self._driven: Driven | None = None
        self._task: asyncio.Task[None] | None = None
        self._pulled: asyncio.Event | None = None
        """Set while a part of a streamed answer is wanted."""
        self.gone = False

    @property
    def receives(self) -> bool:
        """Whether a body is still to come."""
        return self._found is not None

    # -- requests ------------------------------------------------------------------------------

    def call(self, head: HttpHead, body: bytes) -> None:
        """Answer a request."""
        self._begin()
        if len(body) > protocol.SMALL_BYTES:
            raise FrameError("a body that was not asked for")
        self._handle(self._find(head), head, body)

    def call_again(self, body: bytes) -> None:
        """Answer one with the head of the one before."""
        self._begin()
        head, again = self._head, self._again
        if head is None or len(body) > protocol.SMALL_BYTES:
            raise FrameError("no request that can come again")
        if again is None:
            self._handle(self._find(head), head, body)
        else:
            found = self._connections.context.asked(again)
            self._handle(cast("Destination | HttpResponse", found), head, body)

    def ask(self, head: HttpHead) -> None:
        """Say how long a body may be, or answer by the head alone."""
        self._begin()
        found = self._find(head)
        if isinstance(found, HttpResponse):
            self._answer(found)
        else:
            self._found = found
            self._connections.link.send(protocol.allowed(self.number, found.limit))

    def take_piece(self, data: bytes, last: bool) -> None:
        """Take a piece of a body that was allowed."""
        found = self._found
        if found is None:
            raise FrameError("a body that was not asked for")
        self._received += len(data)
        if self._received > found.limit:
            raise FrameError("a body that is longer than it may be")
        if self._refused is None:
            self._pieces.append(data)
            try:
                self._held.grow(self._received, self._connections.context.loop.time())
            except RequestRefusedError as refusal:
                # Answered after the last piece, when an answer is waited for.
                self._refused = refusal
                self._pieces.clear()
                self._held.release()
        if last:
            self._handle_pieces(found)

    def _handle_pieces(self, found: Destination) -> None:
        self._found = None
        size, self._received = self._received, 0
        pieces, self._pieces = self._pieces, []
        refused, self._refused = self._refused, None
        head = cast(HttpHead, self._head)
        if refused is not None:
            self._refuse(refused)
        elif size > LARGE_BYTES:
            large = (found.answer, head, pieces)
            self._start(self._serve(self._connections.context.handle_large(large)))
        else:
            self._run(found, HttpRequest(head, b"".join(pieces)))

    def _begin(self) -> None:
        if self._busy or self.gone:
            raise FrameError("a request while another one is under way")
        self._busy = True

    def _find(self, head: HttpHead) -> Destination | HttpResponse:
        context = self._connections.context
        if head.peer != self.peer and not (
            context.proxies.trusts(self.peer) and protocol.is_address(head.peer)
        ):
            raise FrameError("a request of somebody else")
        self._head = head
        found = cast("Destination | HttpResponse", context.asked(partial(context.route, head)))
        self._again = found.again if isinstance(found, Destination) else None
        return found

    def _handle(self, found: Destination | HttpResponse, head: HttpHead, body: bytes) -> None:
        if isinstance(found, HttpResponse):
            self._answer(found)
            return
        try:
            if len(body) > found.limit:
                raise too_large(found.limit)
            if body:
                self._held.grow(len(body), self._connections.context.loop.time())
        except RequestRefusedError as refusal:
            self._refuse(refusal)
            return
        self._run(found, HttpRequest(head, body))

    def _run(self, found: Destination, request: HttpRequest) -> None:
        if found.plain:
            self._driven = driven = Driven(found.answer(request), self._driven_to_its_end)
            self._connections.context.driven.add(driven)
            driven.start()
        else:
            self._start(self._serve(found.answer(request)))

    def _refuse(self, refusal: RequestRefusedError) -> None:
        self._answer(self._connections.context.problem(refusal.status, refusal.message))

    # -- answers -------------------------------------------------------------------------------

    def _driven_to_its_end(
        self, response: HttpResponse | None, error: BaseException | None
    ) -> None:
        context = self._connections.context
        driven, self._driven = cast(Driven, self._driven), None
        context.driven.discard(driven)
        if response is None:
            if driven.cancelled:  # by the gateway's end
                self._held.release()
                return
            response = context.failure(cast(BaseException, error))
        self._answer(response)

    def _answer(self, response: HttpResponse) -> None:
        """Send an answer: at once, if nothing has to be waited for."""
        self._held.release()
        try:
            body = response.body
            if isinstance(body, bytes) and not response.paced and len(body) <= protocol.PIECE_BYTES:
                self._send(response, body)
            else:
                self._start(self._send_later(response))
        except Exception as error:  # noqa: BLE001 - a response that cannot be sent
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Answer 500 for what cannot be sent."""
        response = self._connections.context.failure(error)
        self._send(response, cast(bytes, response.body))

    def _send(self, response: HttpResponse, body: bytes) -> None:
        said = protocol.answer(self.number, response, body)
        self._busy = False
        if not self.gone:
            self._connections.link.send(said)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        context = self._connections.context
        self._task = task = context.loop.create_task(work)
        context.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Let go of a task: one that was cancelled keeps its frames, and they name us."""
        self._connections.context.tasks.discard(task)
        if self._task is task:
            self._task = None

    async def _serve(self, answering: Any) -> None:
        """Await an answer, and send it."""
        try:
            response = await answering
        except asyncio.CancelledError as error:
            if cast("asyncio.Task[None]", self._task).cancelling():  # by the gateway's end
                self._held.release()
                raise
            response = self._connections.context.failure(error)
        except Exception as error:  # noqa: BLE001 - the caller gets an id, the owner the error
            response = self._connections.context.failure(error)
        self._held.release()
        try:
            await self._send_later(response)
        except Exception as error:  # noqa: BLE001 - a response that cannot be sent
            self._fail(error)

    async def _send_later(self, response: HttpResponse) -> None:
        """Send an answer in its turn, in pieces, or as it comes."""
        context, link = self._connections.context, self._connections.link
        if response.paced:
            peer = self.peer if self._head is None else self._head.peer
            await context.pace.turn(peer, context.loop.time())
        body = response.body
        if not isinstance(body, bytes):
            await self._stream(response)
            return
        at = 0
        while len(body) - at > protocol.PIECE_BYTES and not self.gone:
            await link.settled()
            part = body[at : at + protocol.PIECE_BYTES]
            link.send(protocol.frame(Kind.PART, self.number, part))
            at += len(part)
        await link.settled()
        self._send(response, body[at:])

    async def _stream(self, response: HttpResponse) -> None:
        """Send the parts of an answer, each when it is wanted, and close what makes them."""
        link = self._connections.link
        self._pulled = pulled = asyncio.Event()
        ended = Kind.BROKEN
        try:
            if self.gone:
                return
            parts = iterator_of(response).__aiter__()
            link.send(protocol.answer(self.number, response, b"", Kind.BEGIN))
            try:
                await self._send_parts(parts, pulled)
                ended = Kind.END
            except Exception as error:  # noqa: BLE001 - the client sees that it is not whole
                self._connections.context.report(error)
                await pulled.wait()
            link.send(protocol.frame(ended, self.number))
        finally:
            if self._pulled is pulled:
                self._pulled = None
                self._busy = False
            await close_iterator(response.body)

    async def _send_parts(self, parts: AsyncIterator[bytes], pulled: asyncio.Event) -> None:
        """Send each part, in pieces, when it is wanted; return when more is than there is."""
        while True:
            await pulled.wait()
            chunk = await anext(parts, None)
            if chunk is None:
                return
            if not isinstance(chunk, bytes):
                raise InvalidResponseError(
                    f"The response body yielded {type(chunk).__name__}, expected bytes."
                )
            for at in range(0, len(chunk), protocol.PIECE_BYTES):
                await pulled.wait()
                pulled.clear()
                part = chunk[at : at + protocol.PIECE_BYTES]
                self._connections.link.send(protocol.frame(Kind.CHUNK, self.number, part))

    def pull(self) -> None:
        """Send a part of the answer, or its end."""
        if self._pulled is None:
            raise FrameError("a part of an answer that has none")
        self._pulled.set()

    def stop(self) -> None:
        """Send no further part: the next request may come."""
        if self._pulled is not None and self._task is not None:
            self._pulled = None
            self._busy = False
            self._task.cancel()

    def leave(self) -> None:
        """Its client is gone. A running handler goes on; an answer that is streamed does not."""
        self.gone = True
        self._again = None
        self.stop()

    def drop_body(self) -> None:
        """Drop a body that will not be whole."""
        if self._found is not None:
            self._found = None
            self._pieces.clear()
            self._held.release()
