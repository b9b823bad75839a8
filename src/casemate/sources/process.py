"""The sources process: `python -m casemate.sources.process CONFIG`, started by the supervisor.

It ends with the gateway: when the other end of its socket is closed.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import os
import resource
import signal
import socket
import ssl
import sys
from typing import NoReturn

import msgspec

from casemate.child.channel import FrameSocket
from casemate.child.heartbeat import Heart
from casemate.egress.access import Access
from casemate.egress.config import EgressLimits
from casemate.egress.confinement import confine
from casemate.egress.connector import Connector
from casemate.egress.resolver import Resolver
from casemate.egress.routes import OwnAddresses
from casemate.sources import postgres_framing, protocol
from casemate.sources.config import SourcesConfig
from casemate.sources.connections import RuledLoop
from casemate.sources.connectors import CONNECTORS
from casemate.sources.errors import SourceError
from casemate.sources.source import Source

_CODECS = ("ascii", "latin-1", "idna")
"""Modules that the standard library loads on first use, when they may be out of reach."""
_SILENT = ("asyncio", "aiormq", "asyncpg")
"""Loggers of libraries: what they write could hold what a server sent."""
_BUFFER = 4 << 20
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

    def __init__(self, config: SourcesConfig, tls: ssl.SSLContext, access: Access) -> None:
        """Serve the gateway on the socket of `config`; `ended` is done when it is gone."""
        loop = asyncio.get_running_loop()
        self._limits = config.limits
        self._tls = tls
        self._access = access
        self._sources: dict[int, Source] = {}
        self._readings: set[asyncio.Task[None]] = set()
        self.ended: asyncio.Future[None] = loop.create_future()
        sock = socket.socket(fileno=config.control)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._socket = FrameSocket(sock, loop, self._received, self._gone)
        self._socket.start()

    def _gone(self, _why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _send(self, report: protocol.Report) -> None:
        self._socket.send(protocol.encode(report))

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
                    next_step="remove triggers of servers outside, or start another node",
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


async def _serve(config: SourcesConfig, tls: ssl.SSLContext, access: Access) -> None:
    watch_over(asyncio.get_running_loop())
    Heart(config.heart).beat_in(asyncio.get_running_loop())
    sources = Sources(config, tls, access)
    await sources.ended
    sources.close()


def trusted() -> ssl.SSLContext:
    """Return what servers' certificates and names are verified with: the host's authorities."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def run(config: SourcesConfig) -> int:
    """Serve until the gateway is gone; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for codec in _CODECS:
        codecs.lookup(codec)
    postgres_framing.install()
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (config.memory, config.memory))
        # Before the filter, which lets no socket of this kind be made; as are the authorities
        # read, which the operator may keep where this process can read nothing afterwards.
        is_own = OwnAddresses(config.own_addresses)
        tls = trusted()
        confine(config.uid)
        loop = RuledLoop()
        limits = EgressLimits(connect_time=config.limits.connect_time)
        loop.access = Access(Resolver(limits), Connector(), is_own, limits)
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(_serve(config, tls, loop.access))
    except (OSError, ValueError) as error:
        print(f"casemate sources: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def main() -> NoReturn:
    """Run the sources process and end it."""
    try:
        config = msgspec.json.decode(sys.argv[1], type=SourcesConfig)
    except (IndexError, msgspec.MsgspecError):
        print("casemate sources: expected a configuration as JSON", file=sys.stderr, flush=True)
        sys.exit(2)
    code = run(config)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # A thread may be waiting for a server of names that never answers; nobody waits for it.
    os._exit(code)


if __name__ == "__main__":
    main()
