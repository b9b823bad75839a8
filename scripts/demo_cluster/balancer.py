"""A load balancer as small as one can be: connections in turn, to nodes that say they are ready.

It looks at the connections alone. A node that dies takes those that it has with it; who asked asks
again, as behind any other balancer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

_LOOK_SECONDS, _ANSWER_SECONDS = 0.5, 2.0
_CHUNK = 64 * 1024
_MAX_CONNECTIONS = 256


@dataclass
class Backend:
    """A node, as the balancer sees it."""

    host: str
    port: int
    ready: bool = False
    served: int = 0
    """Connections that it was given."""


@dataclass
class Balancer:
    """Listens on loopback and hands connections on."""

    backends: list[Backend]
    port: int = 0
    _turn: itertools.count[int] = field(default_factory=itertools.count)
    _open: int = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Balancer]:
        """Serve for as long as the block runs."""
        await asyncio.gather(*(self._look(one) for one in self.backends))
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        looking = asyncio.create_task(self._look_always())
        try:
            yield self
        finally:
            looking.cancel()
            server.close()

    async def _look_always(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await asyncio.gather(*(self._look(one) for one in self.backends))

    async def _look(self, one: Backend) -> None:
        """Ask a node whether it is ready; whatever goes wrong means that it is not."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(one.host, one.port)
                with contextlib.closing(writer):
                    writer.write(
                        b"GET /api/v1/ready HTTP/1.1\r\nhost: balancer\r\nconnection: close\r\n\r\n"
                    )
                    one.ready = (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        except (OSError, TimeoutError):
            one.ready = False

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in self.backends:
            ready = [one for one in self.backends if one.ready]
            if not ready:
                return None
            one = ready[next(self._turn) % len(ready)]
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    connection = await asyncio.open_connection(one.host, one.port)
            except (OSError, TimeoutError):
                one.ready = False
            else:
                one.served += 1
                return connection
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = await self._connect() if self._open < _MAX_CONNECTIONS else None
        if connection is None:
            writer.close()
            return
        self._open += 1
        try:
            # Nothing but the end of the balancer cancels it.
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.TaskGroup() as both:
                    both.create_task(_copy(reader, connection[1]))
                    both.create_task(_copy(connection[0], writer))
        finally:
            self._open -= 1


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes until one side ends; then the other is told."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
