"""Takes connections that speak TLS: counts them, tells plain HTTP apart, bounds the handshake.

Connections are counted before the handshake, which costs the server more than the client. The
first byte is looked at, not taken, so that a client that speaks plain HTTP gets an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable
from typing import cast

from casemate.triggers.http_server.connection import Connection
from casemate.triggers.http_server.context import ServerContext
from casemate.triggers.http_server.handshake_rate import HandshakeRate
from casemate.triggers.http_server.listen import accept_one
from casemate.triggers.http_server.peers import peer_address
from casemate.triggers.http_server.problem import server_problem
from casemate.triggers.http_server.response_head import encode_head

Tls = Callable[[], ssl.SSLContext]
"""Returns the context for a new connection; asked each time, so that certificates can change."""

_TLS_HANDSHAKE = 0x16
"""Content type of a record with a ClientHello, the first byte of any TLS (RFC 8446, 5.1)."""
_ACCEPTED_PER_TURN = 64
_PAUSE_SECONDS = 0.5
"""Pause before accepting again when there are no descriptors or no memory."""
_SHORT_OF = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


def _not_tls() -> bytes:
    """Return the answer to plain HTTP, whole."""
    response = server_problem(400, "This port speaks TLS: use https:// instead of http://.")
    body = cast(bytes, response.body)
    return (
        encode_head(response, b"", b"content-length: %d\r\nconnection: close\r\n" % len(body))
        + body
    )


class TlsListener:
    """Accepts on listening sockets and hands connections on once their handshake is done."""

    def __init__(self, context: ServerContext, tls: Tls) -> None:
        """Serve connections of `context` with the contexts that `tls` returns."""
        self._context = context
        self._tls = tls
        self._rate = HandshakeRate()
        self._listening: set[socket.socket] = set()
        self._greeting: set[asyncio.Task[None]] = set()
        self.failed_handshakes = 0

    @property
    def pending(self) -> int:
        """Connections whose handshake is not done."""
        return len(self._greeting)

    def listen(self, listener: socket.socket, backlog: int) -> None:
        """Listen on a bound socket and accept. Raises OSError."""
        listener.listen(backlog)
        self._listening.add(listener)
        self._resume(listener)

    def stop(self) -> None:
        """Accept no more; what was accepted goes on. The sockets stay their owner's."""
        for listener in self._listening:
            self._context.loop.remove_reader(listener)
        self._listening.clear()

    def abort(self) -> None:
        """Cut every connection whose handshake is not done."""
        for task in self._greeting:
            task.cancel()

    def _resume(self, listener: socket.socket) -> None:
        if listener in self._listening:
            self._context.loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTED_PER_TURN):
            try:
                accepted = accept_one(listener)
            except OSError as error:
                if error.errno in _SHORT_OF:
                    self._context.loop.remove_reader(listener)
                    self._context.loop.call_later(_PAUSE_SECONDS, self._resume, listener)
                return
            self.take(accepted)

    def take(self, sock: socket.socket) -> None:
        """Take an accepted connection over. One that is too many is cut: an answer would cost."""
        context = self._context
        try:
            peer = peer_address(sock.getpeername())
        except OSError:
            sock.close()
            return
        if context.closed or context.counter.admit(peer):
            sock.close()
            return
        task = context.loop.create_task(self._greet(sock, peer))
        self._greeting.add(task)
        task.add_done_callback(self._greeting.discard)

    async def _greet(self, sock: socket.socket, peer: str) -> None:
        """Do the handshake within the time for a request's head."""
        context = self._context
        connection = Connection(context, admitted=True)
        try:
            async with asyncio.timeout(context.limits.header_seconds):
                first = await self._first_byte(sock)
                if first == _TLS_HANDSHAKE:
                    if not context.proxies.trusts(peer):
                        await self._rate.turn(peer)
                    await self._shake_hands(sock, connection)
                elif first is not None and chr(first).isalpha():
                    await self._answer_plain(sock)
        except (OSError, ssl.SSLError, TimeoutError):
            self.failed_handshakes += 1
        finally:
            if not connection.made:
                sock.close()
                context.counter.release(peer)

    async def _shake_hands(self, sock: socket.socket, connection: Connection) -> None:
        limits = self._context.limits
        await self._context.loop.connect_accepted_socket(
            lambda: connection,
            sock,
            ssl=self._tls(),
            ssl_handshake_timeout=limits.header_seconds,
            ssl_shutdown_timeout=max(limits.linger_seconds, 0.1),
        )

    async def _first_byte(self, sock: socket.socket) -> int | None:
        """Return the first byte, which stays in the socket; None at the end of the stream."""
        while True:
            try:
                data = sock.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                await self._readable(sock)
            else:
                return data[0] if data else None

    async def _readable(self, sock: socket.socket) -> None:
        loop = self._context.loop
        ready = asyncio.Event()
        loop.add_reader(sock, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(sock)

    async def _answer_plain(self, sock: socket.socket) -> None:
        """Tell a client that speaks plain HTTP what to do, and wait until it has read it."""
        with contextlib.suppress(BlockingIOError):
            sock.recv(65536)
        sock.send(_not_tls())
        sock.shutdown(socket.SHUT_WR)
        await self._readable(sock)
