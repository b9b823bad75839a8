"""The workers of one gateway: a server that has others take its connections."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Sequence

from msgspec.structs import replace

from casemate.certificates.key_pair import KeyPair
from casemate.child.channel import FrameSocket
from casemate.child.frames import FrameError
from casemate.child.restart import Backoff, KeptProcess
from casemate.http_workers import protocol
from casemate.http_workers.deciding import Connections
from casemate.http_workers.protocol import Kind
from casemate.model.http import Route
from casemate.model.trusted_proxies import TrustedProxies
from casemate.triggers.http_server import HttpLimits, ListenError, server_problem
from casemate.triggers.http_server.context import OnError, Problem, ServerContext
from casemate.triggers.http_server.handshake_rate import HandshakeRate

_START_SECONDS = 60.0
_POLL_SECONDS = 0.01
_SWEEP_SECONDS = 0.5


class _Worker:
    """One worker, whichever process it is at the time."""

    def __init__(self, number: int, starter: socket.socket, of: HttpWorkers) -> None:
        self._of = of
        self._connections: Connections | None = None
        self.listening = False
        self.process = KeptProcess(
            f"HTTP worker {number}",
            starter,
            of.context.loop,
            bounds=protocol.GATEWAY_BOUNDS,
            backoff=Backoff(longest=2.0),
            started=self._started,
            received=self._received,
            lost=self._lost,
        )

    @property
    def failed_handshakes(self) -> int:
        """Those of the process that is there."""
        return 0 if self._connections is None else self._connections.failed_handshakes

    def _started(self) -> None:
        link = self.process.connection
        if link is not None:
            self._connections = Connections(self._of.context, _Link(link), self._of.handshakes)
            link.send(protocol.settings(self._of.settings()))

    def _received(self, body: bytes) -> None:
        kind, number, content = protocol.read(body)
        if kind is Kind.LISTENING:
            self.listening = True
        elif kind is Kind.DRAINED:
            if not self._of.context.draining:
                raise FrameError("the end of a drain that was not asked for")
            self._lost()
            self.process.close()
        elif self._connections is not None:
            self._connections.take(kind, number, content)

    def _lost(self) -> None:
        lost, self._connections = self._connections, None
        if lost is not None:
            self._of.lost_handshakes += lost.failed_handshakes
            lost.lose()
        if self._of.context.draining:
            self.process.close()  # and no other


class _Link:
    """A connection to a worker, as answers need it."""

    __slots__ = ("_socket", "send")

    def __init__(self, sock: FrameSocket) -> None:
        self._socket = sock
        self.send = sock.send

    async def settled(self) -> None:
        await self._socket.settled(protocol.SETTLED_BYTES)


class HttpWorkers:
    """A server as `HttpServer` is one, whose connections other processes have.

    `route` and the other callbacks are asked as there. On the running event loop.
    """

    def __init__(
        self,
        route: Route,
        starters: Sequence[socket.socket],
        *,
        on_error: OnError,
        problem: Problem = server_problem,
        proxies: Sequence[str] = (),
    ) -> None:
        """Have a worker for each of `starters`, the gateway's ends of `HttpWorkerStarter`s."""
        whole = HttpLimits()
        # What is in memory here and in all workers together is as much as one server may have.
        self._limits = _share(whole, 2)
        self._theirs = _share(whole, 2 * len(starters))
        self._proxies = tuple(proxies)
        self._pair: KeyPair | None = None
        self.context = ServerContext(
            route, self._limits, on_error, problem, TrustedProxies(self._proxies)
        )
        self.handshakes = HandshakeRate()
        self.lost_handshakes = 0
        """Handshakes that failed in workers that are gone."""
        self._workers = [_Worker(n, each, self) for n, each in enumerate(starters, 1)]
        self._sweep_timer: asyncio.TimerHandle | None = None
        self.gone = asyncio.ensure_future(self._any_gone())
        """Done when a worker can be had no more."""

    async def _any_gone(self) -> None:
        await asyncio.wait(
            [each.process.gone for each in self._workers], return_when=asyncio.FIRST_COMPLETED
        )

    @property
    def open_connections(self) -> int:
        """Connections open now."""
        return self.context.counter.open

    @property
    def failed_handshakes(self) -> int:
        """TLS handshakes that failed or took too long since the start."""
        return self.lost_handshakes + sum(each.failed_handshakes for each in self._workers)

    @property
    def starts(self) -> int:
        """How many processes there were."""
        return sum(each.process.starts for each in self._workers)

    def settings(self) -> protocol.Settings:
        """Return what a worker listens with."""
        return protocol.Settings(limits=self._theirs, proxies=self._proxies, pair=self._pair)

    async def start(self, pair: KeyPair | None) -> None:
        """Have the workers listen; with a certificate they speak TLS. Raises ListenError."""
        self._pair = pair
        for each in self._workers:
            each.process.start()
        self._sweep()
        deadline = self.context.loop.time() + _START_SECONDS
        while not all(each.listening for each in self._workers):
            if self.gone.done() or self.context.loop.time() > deadline:
                await self.close()
                raise ListenError(
                    "Processes that take connections do not start.",
                    next_step="See what they have written above, or serve with --gateways 1.",
                )
            await asyncio.sleep(_POLL_SECONDS)

    def renew(self, pair: KeyPair) -> None:
        """Have new connections get another certificate."""
        self._pair = pair
        for each in self._workers:
            each.process.send(protocol.certificate(pair))

    async def drain(self, timeout: float) -> int:  # noqa: ASYNC109
        """Accept no more, answer what has begun, then close; see `HttpServer.drain`."""
        loop = self.context.loop
        deadline = loop.time() + timeout
        self.context.draining = True
        for each in self._workers:
            if each.process.connection is None:
                each.process.close()  # it has just ended, and no other comes
            each.process.send(protocol.drain(timeout))
        while any(each.process.connection is not None for each in self._workers):
            if loop.time() >= deadline:
                break
            await asyncio.sleep(_POLL_SECONDS)
        await self._wait(deadline)
        left = self.open_connections + self.context.under_way
        await self.close()
        return left

    async def close(self) -> None:
        """End the workers, cancel running handlers, wait for these. Closing twice is fine."""
        context = self.context
        context.draining = context.closed = True
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        for each in self._workers:
            each.process.close()
        self.gone.cancel()
        await context.cancel_all()
        await self._wait(math.inf)

    async def _wait(self, deadline: float) -> None:
        context = self.context
        while context.tasks or context.driven:
            if context.loop.time() >= deadline:
                break
            # Polled, so that the hot path has nothing to signal.
            await asyncio.sleep(_POLL_SECONDS)

    def _sweep(self) -> None:
        """Measure how fast answers are read; the one timer of the server."""
        self.context.buffers.look(self.context.loop.time())
        self._sweep_timer = self.context.loop.call_later(_SWEEP_SECONDS, self._sweep)


def _share(limits: HttpLimits, parts: int) -> HttpLimits:
    """Return limits with a part of the memory."""
    return replace(
        limits,
        buffered_bytes=limits.buffered_bytes // parts,
        buffered_bytes_per_peer=limits.buffered_bytes_per_peer // parts,
    )
