"""A server whose connections a worker has, as `casemate.http_workers`, both ends in one process."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from casemate.child.channel import FrameSocket
from casemate.http_workers import protocol
from casemate.http_workers.asking import BrokenAnswerError, Gateway
from casemate.http_workers.deciding import Connections
from casemate.model.errors import CasemateError
from casemate.model.http import HttpHead, HttpResponse
from casemate.model.trusted_proxies import TrustedProxies
from casemate.triggers.http_server import HttpLimits, HttpServer, server_problem
from casemate.triggers.http_server.context import ServerContext
from casemate.triggers.http_server.handshake_rate import HandshakeRate


def undecided(_head: HttpHead) -> HttpResponse:
    raise CasemateError("nobody was asked")


class Link:
    """What a gateway sends a worker by; `sent` are the frames so far."""

    def __init__(self) -> None:
        self.socket: FrameSocket | None = None
        self.sent: list[bytes] = []

    def send(self, body: bytes) -> None:
        self.sent.append(body)
        if self.socket is not None:
            self.socket.send(body)

    async def settled(self) -> None:
        if self.socket is not None:
            await self.socket.settled(protocol.SETTLED_BYTES)


class FarServer:
    """As `HttpServer`, with one worker."""

    def __init__(
        self,
        route: Any,
        limits: HttpLimits | None = None,
        *,
        on_error: Any,
        problem: Any = server_problem,
        proxies: TrustedProxies | None = None,
    ) -> None:
        self._arguments = (route, limits or HttpLimits(), on_error, problem)
        self._proxies = proxies or TrustedProxies()
        self._context: ServerContext | None = None
        self._ended = ""

    async def start(self, **options: Any) -> None:
        route, limits, on_error, problem = self._arguments
        loop = asyncio.get_running_loop()
        self._context = context = ServerContext(route, limits, on_error, problem, self._proxies)
        ours, theirs = protocol.GATEWAY_BOUNDS.pair()
        link = Link()
        self.connections = Connections(context, link, HandshakeRate())
        link.socket = FrameSocket(
            ours,
            loop,
            protocol.GATEWAY_BOUNDS,
            received=lambda body: self.connections.take(*protocol.read(body)),
            ended=self._lost,
        )
        self.link = link
        self.gateway = Gateway(theirs, loop, told=lambda *_: None, ended=lambda _: None)
        self.worker = HttpServer(
            undecided,
            limits,
            on_error=lambda error: "" if isinstance(error, BrokenAnswerError) else on_error(error),
            problem=self.gateway.problem,
            proxies=self._proxies,
            admit=self.gateway.admit,
        )
        await self.worker.start(**options)

    def _lost(self, why: str) -> None:
        self._ended = why
        self.connections.lose()

    @property
    def port(self) -> int:
        return self.worker.port

    @property
    def open_connections(self) -> int:
        # A worker's own are told of after they are gone.
        counted = self._context.counter.open if self._context is not None else 0
        return max(self.worker.open_connections, counted)

    async def drain(self, timeout: float | None = None) -> int:
        assert self._context is not None
        left = await self.worker.drain(timeout)
        for _ in range(1000):
            if not (self._context.tasks or self._context.driven):
                break
            await asyncio.sleep(0.001)
        await self.close()
        return left

    async def close(self) -> None:
        await self.worker.close()
        context = self._context
        if context is None:
            return
        for _ in range(200):
            if context.counter.open == 0:
                break
            await asyncio.sleep(0.001)
        context.closed = True
        assert self._ended in ("",), self._ended  # neither end has sent what is not due
        tasks = tuple(context.tasks)
        for each in (*tasks, *context.driven):
            each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        context.tasks.difference_update(tasks)
