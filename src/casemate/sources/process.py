"""The sources process: `python -m casemate.sources.process CONFIG`, started by the supervisor.

It ends with the gateway: when the other end of its connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl

from casemate.child.channel import FrameSocket
from casemate.child.heartbeat import Heart
from casemate.child.process import Supervised, main
from casemate.egress.access import Access
from casemate.egress.config import EgressLimits
from casemate.egress.connector import Connector
from casemate.egress.resolver import Resolver
from casemate.egress.routes import OwnAddresses
from casemate.sources import postgres_framing, protocol, rabbitmq_decoding
from casemate.sources.config import SourcesConfig
from casemate.sources.confinement import SOURCES
from casemate.sources.connections import RuledLoop
from casemate.sources.connectors import CONNECTORS
from casemate.sources.errors import SourceError
from casemate.sources.source import Source

_SILENT = ("asyncio", "aiormq", "asyncpg")
"""Loggers of libraries: what they write could hold what a server sent."""
MAX_SOURCES = 256
STUCK_SECONDS = 20.0
_PASSWORD_BYTES = 64 * 1024
_PASSWORD_SECONDS = 5.0


async def read_pipe(descriptor: int) -> str:
    """Return what comes through a pipe until its end, and close it. Raises SourceError, OSError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_PASSWORD_BYTES)
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        async with asyncio.timeout(_PASSWORD_SECONDS):
            data = await reader.read(_PASSWORD_BYTES)
            while more := await reader.read(_PASSWORD_BYTES):
                data += more
                if len(data) > _PASSWORD_BYTES:
                    raise SourceError(f"The password has more than {_PASSWORD_BYTES} bytes.")
    finally:
        transport.close()
    try:
        return data.decode()
    except UnicodeDecodeError:
        # Not `from`: the error holds the bytes.
        raise SourceError("The password is not text in UTF-8.") from None


class Sources:
    """All sources of a node, as the gateway asks for them."""

    def __init__(
        self, sock: socket.socket, config: SourcesConfig, tls: ssl.SSLContext, access: Access
    ) -> None:
        """Serve the gateway on the connected socket `sock`; `ended` is done when it is gone."""
        loop = asyncio.get_running_loop()
        self._limits = config.limits
        self._tls = tls
        self._access = access
        self._sources: dict[int, Source] = {}
        self._readings: set[asyncio.Task[None]] = set()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._socket = FrameSocket(
            sock, loop, protocol.BOUNDS, received=self._received, ended=self._gone
        )

    def _gone(self, _why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self, report: protocol.Report) -> None:
        self._socket.send(protocol.encode_report(report))

    def _received(self, body: bytes) -> None:
        request = protocol.decode_request(body)
        source = self._sources.get(request.n)
        match request:
            case protocol.Start():
                self._start(request)
            case protocol.Stop() if source is not None:
                del self._sources[request.n]
                source.stop()
                self._access.resolver.forget(request.n)
            case protocol.Secret():
                # The descriptor comes for a source that was stopped meanwhile, too.
                descriptor = -1 if request.problem else self._socket.take_descriptor()
                if source is None:
                    _close(descriptor)
                elif request.problem:
                    source.give("", request.problem)
                else:
                    self._read_password(source, descriptor)
            case protocol.Kept() if source is not None:
                source.answered(request.batch, request.outcome)

    def _start(self, request: protocol.Start) -> None:
        try:
            if len(self._sources) >= MAX_SOURCES:
                raise SourceError(
                    f"A node has {MAX_SOURCES} sources at most.",
                    next_step="Remove triggers of servers outside, or start another node.",
                )
            make = CONNECTORS[type(request.trigger)]
            source = Source(request, make, limits=self._limits, tls=self._tls, send=self._send)
        except SourceError as error:
            self._send(protocol.State(request.n, connected=False, error=str(error), waiting=None))
            return
        self._sources[request.n] = source
        source.begin()

    def _read_password(self, source: Source, descriptor: int) -> None:
        async def read() -> None:
            try:
                password = await read_pipe(descriptor)
                source.give(password, "" if password else "The secret is empty.")
            except SourceError as error:
                source.give("", str(error))
            except OSError:
                source.give("", "The password did not come from the vault.")

        task = asyncio.get_running_loop().create_task(read())
        self._readings.add(task)
        task.add_done_callback(self._readings.discard)

    def close(self) -> None:
        """End every source."""
        for source in self._sources.values():
            source.stop()
        self._socket.close()


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def watch_over(loop: asyncio.AbstractEventLoop) -> None:
    """End this process, by the kernel, if something keeps everything else from its turn.

    Whatever made it do so, the gateway starts it again.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, STUCK_SECONDS)
    loop.call_later(1.0, watch_over, loop)


async def _serve(
    sock: socket.socket, config: SourcesConfig, tls: ssl.SSLContext, access: Access, heart: Heart
) -> None:
    watch_over(asyncio.get_running_loop())
    heart.beat_in(asyncio.get_running_loop())
    sources = Sources(sock, config, tls, access)
    await sources.ended
    sources.close()


def trusted() -> ssl.SSLContext:
    """Return what servers' certificates and names are verified with: the host's authorities."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def run(config: SourcesConfig) -> int:
    """Serve until the gateway is gone; return the exit code."""
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    postgres_framing.install()
    rabbitmq_decoding.install()
    supervised = Supervised(config)
    # Before the filter, which lets no socket of this kind be made; as are the authorities
    # read, which the operator may keep where this process can read nothing afterwards.
    is_own = OwnAddresses(config.own_addresses)
    tls = trusted()
    held = supervised.confine(SOURCES)
    loop = RuledLoop()
    limits = EgressLimits(connect_time=config.limits.connect_time)
    loop.access = Access(Resolver(limits), Connector(), is_own, limits)
    supervised.ready(held)
    sock = supervised.connection()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(_serve(sock, config, tls, loop.access, supervised.heart))
    return 0


if __name__ == "__main__":
    main("sources", SourcesConfig, run)
