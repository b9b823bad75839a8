"""A worker: takes connections, speaks TLS and HTTP, and has the gateway decide and answer.

Started by the supervisor with `python -m casemate.http_workers.process CONFIG`. It ends with the
gateway: when the other end of its connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
import traceback
from collections.abc import Callable

import uvloop

from casemate.certificates.tls_settings import tls_context
from casemate.child.channel import ENDED
from casemate.child.collecting import spare_collections
from casemate.child.heartbeat import Heart
from casemate.child.process import Supervised, main
from casemate.http_workers import protocol
from casemate.http_workers.asking import BrokenAnswerError, Gateway
from casemate.http_workers.config import HttpWorkerConfig
from casemate.http_workers.confinement import HTTP_WORKER
from casemate.http_workers.handed_on import HandedOn
from casemate.http_workers.protocol import Kind
from casemate.model.errors import CasemateError, UnavailableError
from casemate.model.http import HttpHead, HttpResponse
from casemate.model.trusted_proxies import TrustedProxies
from casemate.triggers.http_server import HttpServer

_log = logging.getLogger(__name__)
_LAST_SECONDS = 1.0
"""For which answers may still leave once the gateway is gone."""
_COUNT_SECONDS = 1.0


class Worker:
    """One worker, from its settings to its end."""

    def __init__(
        self, connection: socket.socket, listener: socket.socket, handed_on: HandedOn
    ) -> None:
        """Do what the gateway says on a connected socket."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._handed_on = handed_on
        self._take_no_more: Callable[[], None] = lambda: None
        self._server: HttpServer | None = None
        self._tls: ssl.SSLContext | None = None
        self._doing: set[asyncio.Task[None]] = set()
        self._counted = 0
        self.ended: asyncio.Future[str] = self._loop.create_future()
        """Done with why there is nothing more to do."""
        self._gateway = Gateway(connection, self._loop, told=self._told, ended=self._end)

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)

    def _told(self, kind: Kind, content: bytes) -> None:
        match kind:
            case Kind.LISTEN:
                self._do(self._listen(protocol.read_settings(content)))
            case Kind.CERTIFICATE:
                self._tls = tls_context(protocol.read_certificate(content))
            case Kind.DRAIN:
                self._do(self._drain(protocol.read_seconds(content)))
            case _:
                raise ValueError("no message of a gateway")

    def _do(self, work: asyncio._CoroutineLike[None]) -> None:
        task = self._loop.create_task(work)
        self._doing.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._doing.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._end(f"{error}" if isinstance(error, CasemateError) else type(error).__name__)

    async def _listen(self, settings: protocol.Settings) -> None:
        self._tls = None if settings.pair is None else tls_context(settings.pair)
        self._server = HttpServer(
            _undecided,
            settings.limits,
            on_error=_report,
            problem=self._gateway.problem,
            proxies=TrustedProxies(settings.proxies),
            admit=self._gateway.admit,
            leave=self._handed_on.give,
        )
        await self._server.start(
            sock=self._listener, tls=None if self._tls is None else self._present
        )
        self._take_no_more = self._handed_on.take(self._loop, self._server.take)
        self._count()
        self._gateway.send(protocol.frame(Kind.LISTENING))

    def _present(self) -> ssl.SSLContext:
        if self._tls is None:
            raise CasemateError("There is no certificate.")
        return self._tls

    def _count(self) -> None:
        """Tell how many handshakes have failed, if more have."""
        if self._server is not None and self._server.failed_handshakes != self._counted:
            self._counted = self._server.failed_handshakes
            self._gateway.send(protocol.count(Kind.COUNTED, self._counted))
        self._loop.call_later(_COUNT_SECONDS, self._count)

    async def _drain(self, seconds: float) -> None:
        self._take_no_more()
        if self._server is not None:
            await self._server.drain(seconds)
        self._gateway.send(protocol.frame(Kind.DRAINED))

    async def close(self) -> None:
        """Let what was answered leave, and cut the rest but what another worker can have."""
        self._take_no_more()
        if self._server is not None:
            self._server.stop_accepting()  # the next worker takes those, which has a gateway
            await self._server.drain(_LAST_SECONDS)


def _undecided(head: HttpHead) -> HttpResponse:
    """Lead nowhere: the gateway finds out for each connection by itself."""
    raise CasemateError("No connection is without a gateway.")


def _report(error: BaseException) -> str:
    """Log a fault of ours in full, and return the id by which a caller can name it."""
    error_id = "err_" + secrets.token_hex(12)
    if isinstance(error, (BrokenAnswerError, UnavailableError)):
        _log.warning("%s %s", error_id, error)  # the gateway has logged why, or is gone
    else:
        _log.error("%s %s", error_id, "".join(traceback.format_exception(error)))
    return error_id


async def _serve(
    connection: socket.socket, listener: socket.socket, handed_on: HandedOn, heart: Heart
) -> None:
    worker = Worker(connection, listener, handed_on)
    heart.beat_in(asyncio.get_running_loop())
    spare_collections()
    why = await worker.ended
    if why != ENDED:
        _log.error("a process that takes connections ends: %s", why)
    await worker.close()


def run(config: HttpWorkerConfig) -> int:
    """Serve until the gateway is gone; return the exit code."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    supervised = Supervised(config)
    listener = socket.socket(fileno=config.listener)
    left = HandedOn(socket.socket(fileno=config.into), socket.socket(fileno=config.out))
    supervised.ready(supervised.confine(HTTP_WORKER))
    uvloop.run(_serve(supervised.connection(), listener, left, supervised.heart))
    return 0


if __name__ == "__main__":
    main("http-worker", HttpWorkerConfig, run)
