"""Takes connections that speak TLS, or that others decide of: counts them, bounds the handshake.

Connections are counted before the handshake, which costs the server more than the client. The
first byte is looked at, not taken, so that a client that speaks plain HTTP gets an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import socket
import ssl
from collections.abc import Callable
from typing import cast

from casemate.model.errors import CasemateError, UnavailableError
from casemate.triggers.http_server.connection import Connection
from casemate.triggers.http_server.context import ServerContext
from casemate.triggers.http_server.handshake_rate import HandshakeRate
from casemate.triggers.http_server.listen import accept_one
from casemate.triggers.http_server.peers import Admit, Admitted, Leave, peer_address
from casemate.triggers.http_server.problem import server_problem
from casemate.triggers.http_server.response_head import encode_head

Tls = Callable[[], ssl.SSLContext]
"""Returns the context for a new connection; asked each time, so that certificates can change."""

_TLS_HANDSHAKE = 0x16
"""Content type of a record with a ClientHello, the first byte of any TLS (RFC 8446, 5.1)."""
_ACCEPTED_PER_TURN = 64
_MOST_UNDECIDED = 256
"""Accepted connections that nobody has decided of yet; others wait in the kernel."""
_UNDECIDED_SECONDS = 60.0
"""Who decides and is stuck for as long is ended before, and another one takes its place."""
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


def _same(connection: Connection) -> Connection:
    return connection


class Accepting:
    """Accepts on listening sockets and hands connections on once they may speak."""

    def __init__(
        self,
        context: ServerContext,
        tls: Tls | None,
        admit: Admit | None,
        leave: Leave | None,
    ) -> None:
        """Serve connections of `context`, with the TLS contexts that `tls` returns.

        `tls` None: they speak plain HTTP. `admit` None: they count here alone. `leave` is given
        those of which nobody decides any more.
        """
        self._context = context
        self._tls = tls
        self._admit = admit
        self._leave = leave
        self._rate = HandshakeRate()
        self._listening: set[socket.socket] = set()
        self._paused: set[socket.socket] = set()
        """Those that wait until fewer connections are undecided."""
        self._undecided = 0
        self._greeting: set[asyncio.Task[None]] = set()
        self.failed_handshakes = 0

    @property
    def pending(self) -> int:
        """Connections that may not speak yet, or whose handshake is not done."""
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
        self._paused.clear()

    def abort(self) -> None:
        """Cut every connection whose handshake is not done."""
        for task in self._greeting:
            task.cancel()

    def _resume(self, listener: socket.socket) -> None:
        if listener in self._listening:
            self._context.loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTED_PER_TURN):
            if self._undecided >= _MOST_UNDECIDED:
                self._context.loop.remove_reader(listener)
                self._paused.add(listener)
                return
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
        admitted: Admitted | None = None
        if self._admit is None and not context.closed:
            admitted = context.counter.counted(peer)
        if context.closed or (admitted is not None and admitted.status):
            sock.close()
            return
        self._undecided += admitted is None
        task = context.loop.create_task(self._greet(sock, peer, admitted))
        self._greeting.add(task)
        task.add_done_callback(self._greeting.discard)

    async def _greet(self, sock: socket.socket, peer: str, admitted: Admitted | None) -> None:
        """Have a connection speak once it is decided of, and greeted, in the time for a head."""
        context = self._context
        connection: Connection | None = None
        try:
            if admitted is None:
                admitted = await self._decided(sock, peer)
            async with asyncio.timeout(context.limits.header_seconds):
                if self._tls is None:
                    connection = Connection(context, admitted=admitted, peer=peer)
                    await context.loop.connect_accepted_socket(
                        functools.partial(_same, connection), sock
                    )
                elif admitted.status == 0:
                    connection = Connection(context, admitted=admitted, peer=peer)
                    await self._greet_by_tls(sock, peer, connection, self._tls, admitted.pause)
        except UnavailableError:
            pass  # nobody decides of it here
        except (OSError, ssl.SSLError, TimeoutError, CasemateError):
            self.failed_handshakes += self._tls is not None
        finally:
            if connection is None or not connection.made:
                sock.close()
                if admitted is not None and admitted.status == 0:
                    admitted.release()

    async def _decided(self, sock: socket.socket, peer: str) -> Admitted:
        """Wait until it is known whether a connection may speak: it waits as in the kernel's queue.

        Where nobody decides any more it is left to another server.
        """
        try:
            async with asyncio.timeout(_UNDECIDED_SECONDS):
                return await cast(Admit, self._admit)(peer)
        except UnavailableError:
            if self._leave is not None:
                self._leave(sock)
            raise
        finally:
            self._undecided -= 1
            while self._paused:
                self._resume(self._paused.pop())

    async def _greet_by_tls(
        self, sock: socket.socket, peer: str, connection: Connection, tls: Tls, pause: float
    ) -> None:
        """Do the handshake, or tell a client that speaks plain HTTP what to do."""
        first = await self._first_byte(sock)
        if first == _TLS_HANDSHAKE:
            if self._admit is not None:
                await asyncio.sleep(pause)
            elif not self._context.proxies.trusts(peer):
                await self._rate.turn(peer)
            await self._shake_hands(sock, connection, tls)
        elif first is not None and chr(first).isalpha():
            await self._answer_plain(sock)

    async def _shake_hands(self, sock: socket.socket, connection: Connection, tls: Tls) -> None:
        limits = self._context.limits
        await self._context.loop.connect_accepted_socket(
            lambda: connection,
            sock,
            ssl=tls(),
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
