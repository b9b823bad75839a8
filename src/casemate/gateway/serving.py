"""Builds the table of all that is answered, and the server that asks it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import traceback

from casemate.api import create_app
from casemate.api.service import Service
from casemate.front import (
    API_PREFIX,
    AUTHORITY_PATH,
    DISCOVERY_PATH,
    INVOKE_PREFIX,
    KEYS_PATH,
    METRICS_PATH,
    Authority,
    Calls,
    ControlApi,
    DeclaredRoutes,
    Identity,
    MetricsPage,
    NamedCalls,
    Nowhere,
    OwnNames,
    Place,
    Resting,
    RouteTable,
    WebHooks,
)
from casemate.gateway.call_path import CallPath
from casemate.gateway.foundations import Foundations
from casemate.gateway.observed import Observed
from casemate.http_workers.workers import HttpWorkers
from casemate.model.trusted_proxies import TrustedProxies
from casemate.triggers.hooks import HOOKS_PREFIX, Hooks
from casemate.triggers.http_server import HttpServer, asgi_handler

_logger = logging.getLogger(__name__)


class Serving:
    """Answers on the node's socket: by a server of this process, or by workers."""

    def __init__(
        self,
        base: Foundations,
        path: CallPath,
        nowhere: Nowhere,
        hooks: Hooks,
        observed: Observed,
        service: Service,
        url: str,
    ) -> None:
        """Build; nothing is answered before `start`. `service` is what the API works with."""
        self._base = base
        config = base.config
        calls = Calls(
            base.catalogue, path.dispatcher, path.refusals, base.seal, path.acceptance.take
        )
        identity = Identity(base.vault, url, nowhere)
        api = asgi_handler(create_app(service), scheme="https" if config.tls else "http")
        table = RouteTable(
            base.accounts,
            at={
                KEYS_PATH: identity,
                DISCOVERY_PATH: identity,
                AUTHORITY_PATH: Authority(base.tls, nowhere),
                METRICS_PATH: MetricsPage(
                    base.policy, base.facts.happened, observed.exposition, nowhere
                ),
            },
            below={
                INVOKE_PREFIX: self._resting(NamedCalls(base.catalogue, calls, nowhere)),
                API_PREFIX: ControlApi(api),
                HOOKS_PREFIX: self._resting(WebHooks(hooks.handle)),
            },
            others=self._resting(DeclaredRoutes(base.catalogue, calls, nowhere)),
            on_credential=base.decoys.watch.on_credential,
            names=OwnNames(config.host_names, base.catalogue.has_host, nowhere.malformed)
            if config.host_names
            else None,
        )
        self.server: HttpServer | HttpWorkers
        if config.workers:
            self.server = HttpWorkers(
                table.find,
                [socket.socket(fileno=each) for each in config.workers],
                on_error=report_fault,
                problem=nowhere.malformed,
                proxies=config.trusted_proxies,
            )
        else:
            self.server = HttpServer(
                table.find,
                on_error=report_fault,
                problem=nowhere.malformed,
                proxies=TrustedProxies(config.trusted_proxies),
            )

    async def start(self, listener: socket.socket) -> None:
        """Answer from now on. Raises ListenError."""
        tls = self._base.tls
        if isinstance(self.server, HttpServer):
            await self.server.start(sock=listener, tls=tls.context if tls is not None else None)
            return
        # While it is open here, clients are let in that nobody answers once the workers end.
        listener.close()
        await self.server.start(tls.pair if tls is not None else None)
        if tls is not None:
            tls.changed = self.server.renew

    def children(self) -> dict[str, asyncio.Future[None]]:
        """Return the processes without which nothing is answered; see `Gateway.children`."""
        return {"HTTP worker": self.server.gone} if isinstance(self.server, HttpWorkers) else {}

    def starts(self) -> dict[str, int]:
        """Return how often each of these processes was started."""
        return {"http-worker": self.server.starts} if isinstance(self.server, HttpWorkers) else {}

    def _resting(self, place: Place) -> Resting:
        return Resting(place, self._base.nodes.standing.calls_refusal)


def report_fault(error: BaseException) -> str:
    """Log a fault of ours in full and return the id by which a caller can name it."""
    error_id = "err_" + secrets.token_hex(12)
    trace = "".join(traceback.format_exception(error))
    _logger.error("%s %s", error_id, trace)
    return error_id
