"""The server: listens, looks after deadlines, drains and closes."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket

from casemate.model.http import AskedRoute
from casemate.model.trusted_proxies import TrustedProxies
from casemate.triggers.http_server.accepting import Accepting, Tls
from casemate.triggers.http_server.connection import Connection
from casemate.triggers.http_server.context import (
    OnError,
    Problem,
    ServerContext,
)
from casemate.triggers.http_server.limits import HttpLimits
from casemate.triggers.http_server.listen import (
    BACKLOG,
    ListenError,
    accept_waiting,
    open_listeners,
)
from casemate.triggers.http_server.peers import Admit, Leave
from casemate.triggers.http_server.problem import server_problem

_POLL_SECONDS = 0.01
_HSTS = b"strict-transport-security: max-age=2592000\r\n"
"""RFC 6797: 30 days. Browsers heed it only where they trust the certificate anyway."""


class HttpServer:
    """An HTTP/1.1 server on the running event loop.

    `route` is called once for each request, when its head is complete and before its body is read:
    it returns the most bytes the body may have and who answers, or a response to give at once. Who
    answers gets the whole request; it is never cancelled because a client went away. `on_error`
    gets whatever these raise and returns the id put into the fixed 500 answer.
    """

    def __init__(
        self,
        route: AskedRoute,
        limits: HttpLimits | None = None,
        *,
        on_error: OnError,
        problem: Problem = server_problem,
        proxies: TrustedProxies | None = None,
        admit: Admit | None = None,
        leave: Leave | None = None,
    ) -> None:
        """Keep the callbacks; nothing is opened before `start`.

        `proxies` may say for whom they ask; nobody else may. `admit` is asked for each connection
        where those of other servers count as well; None: they count here alone. `leave` is given
        those of which nobody decides any more.
        """
        self._admit = admit
        self._leave = leave
        self._proxies = proxies or TrustedProxies()
        self._route = route
        self._limits = limits or HttpLimits()
        self._on_error = on_error
        self._problem = problem
        self._context: ServerContext | None = None
        self._listeners: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._accepting: Accepting | None = None
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._address: tuple[str, int] = ("", 0)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first listening socket; a Unix socket has its path and 0."""
        return self._address

    @property
    def port(self) -> int:
        """Port of the first listening socket."""
        return self._address[1]

    @property
    def open_connections(self) -> int:
        """Connections open now, refused ones and those in their handshake included."""
        pending = self._accepting.pending if self._accepting else 0
        return pending + (len(self._context.connections) if self._context else 0)

    @property
    def failed_handshakes(self) -> int:
        """TLS handshakes that failed or took too long since the start."""
        return self._accepting.failed_handshakes if self._accepting else 0

    async def start(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        sock: socket.socket | None = None,
        tls: Tls | None = None,
    ) -> None:
        """Listen on `host` and `port` (0: any free one), or on `sock`, a bound stream socket.

        The server owns `sock` from here on; a caller that keeps a duplicate of it keeps its
        queue of connections across a restart. With `tls` everything is TLS, and each new
        connection gets the context that it returns then. Raises ListenError.
        """
        if self._context is not None:
            raise ListenError(
                "The server was started before.", next_step="Make a new HttpServer for each start."
            )
        if sock is None:
            self._listeners = await open_listeners(host, port)
        else:
            sock.setblocking(False)
            self._listeners = [sock]
        name = self._listeners[0].getsockname()
        self._address = (name[0], name[1]) if isinstance(name, tuple) else (str(name), 0)
        self._context = context = ServerContext(
            self._route,
            self._limits,
            self._on_error,
            self._problem,
            self._proxies,
        )
        try:
            if tls is None and self._admit is None:
                await self._listen_plain(context)
            else:
                self._accept(context, tls)
        except (OSError, ValueError) as error:
            await self.close()
            raise ListenError(f"Cannot listen on the socket: {error}.") from error
        self._sweep()

    async def _listen_plain(self, context: ServerContext) -> None:
        loop = context.loop
        for listener in self._listeners:
            listener.listen(BACKLOG)  # uvloop does not tell where it cannot
            create = (
                loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
            )
            self._servers.append(
                await create(lambda: Connection(context), sock=listener, backlog=BACKLOG)
            )

    def _accept(self, context: ServerContext, tls: Tls | None) -> None:
        if tls is not None:
            context.always = _HSTS
            context.refresh()
        self._accepting = Accepting(context, tls, self._admit, self._leave)
        for listener in self._listeners:
            self._accepting.listen(listener, BACKLOG)

    def take(self, connection: socket.socket) -> None:
        """Take over a connection that another server has accepted, and read nothing of."""
        if self._accepting is None:
            connection.close()
        else:
            self._accepting.take(connection)

    async def drain(self, timeout: float | None = None) -> int:  # noqa: ASYNC109
        """Stop accepting, answer every request that has begun, then close.

        Connections that were already queued in the listening socket are still served. Answers
        carry `Connection: close`; kept-alive connections close once silent for
        `drain_idle_seconds`. After `timeout` seconds (default: `drain_seconds`) the rest is cut
        off. Returns how many connections and handlers that was; 0 means nothing was dropped.
        """
        context = self._context
        if context is None:
            return 0
        deadline = context.loop.time() + (
            self._limits.drain_seconds if timeout is None else timeout
        )
        context.draining = True
        waiting = [c for listener in self._listeners for c in accept_waiting(listener)]
        self.stop_accepting()
        for connection in waiting:
            if self._accepting is not None:
                self._accepting.take(connection)
                continue
            with contextlib.suppress(OSError):  # reset by its client in the meantime
                await context.loop.connect_accepted_socket(lambda: Connection(context), connection)
        now = context.loop.time()
        for open_connection in tuple(context.connections):
            open_connection.begin_drain(now)
        self._sweep()
        await asyncio.sleep(_POLL_SECONDS)  # the loop may be about to announce a connection
        await self._wait(deadline)
        left = self.open_connections + context.under_way
        await self.close()
        return left

    async def close(self) -> None:
        """Cut all connections, cancel running handlers, wait for both. Closing twice is fine."""
        self.stop_accepting()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        context = self._context
        if context is None:
            return
        context.draining = context.closed = True
        if self._accepting is not None:
            self._accepting.abort()
        for connection in tuple(context.connections):
            connection.abort()
        await context.cancel_all()
        await self._wait(math.inf)

    async def _wait(self, deadline: float) -> None:
        """Wait until no connection and no handler is left, or for `deadline` (loop time)."""
        context = self._context
        while context is not None and (self.open_connections or context.tasks or context.driven):
            if context.loop.time() >= deadline:
                break
            # Polled, so that the hot path has nothing to signal.
            await asyncio.sleep(_POLL_SECONDS)

    def stop_accepting(self) -> None:
        """Leave to whoever has a copy of the socket what waits in it from now on."""
        if self._accepting is not None:
            self._accepting.stop()
        for server in self._servers:
            server.close()
        self._servers = []
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    def _sweep(self) -> None:
        """Look at all deadlines; the one timer of the server."""
        context = self._context
        if context is None:
            return
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        pause = self._limits.sweep_seconds()
        if context.draining:
            pause = min(pause, max(_POLL_SECONDS, self._limits.drain_idle_seconds / 4))
        self._sweep_timer = context.loop.call_later(pause, self._sweep)
        context.refresh()
        now = context.loop.time()
        context.buffers.look(now)
        due = [c for c in context.connections if c.deadline <= now or c.writer.deadline <= now]
        for connection in due:
            connection.expire(now)
