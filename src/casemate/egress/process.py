"""The egress process: resolves and connects for functions, and can do little else.

Started by the supervisor with `python -m casemate.egress.process CONFIG`. It ends with the
gateway: when the other end of its connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
import socket

import uvloop

from casemate.child.channel import ENDED, FrameSocket
from casemate.child.heartbeat import Heart
from casemate.child.process import Supervised, main
from casemate.egress import protocol
from casemate.egress.access import Access
from casemate.egress.config import EgressConfig
from casemate.egress.confinement import EGRESS
from casemate.egress.connector import Connector
from casemate.egress.interface import EgressEvent
from casemate.egress.proxy import EgressProxy
from casemate.egress.resolver import Resolver
from casemate.egress.routes import OwnAddresses

_log = logging.getLogger(__name__)
_MAX_WAITING = 256
"""Events that wait for the gateway to read them; the proxy counts further ones."""


class Requests:
    """The egress process's end of the connection to the gateway."""

    def __init__(self, sock: socket.socket, access: Access, config: EgressConfig) -> None:
        """Have a proxy do what the gateway asks for on the connected socket `sock`."""
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.proxy = EgressProxy(access, config.limits, self._send, self._passed)
        self._socket = FrameSocket(
            sock, loop, protocol.BOUNDS, received=self._received, ended=self._gone
        )

    def _send(self, event: EgressEvent) -> bool:
        """Send an event; return whether the socket took it."""
        return self._tell(protocol.observed(event))

    def _passed(self, zygote: int, came_in: int, went_out: int) -> bool:
        """Send what was carried; return whether the socket took it."""
        return self._tell(protocol.Passed(zygote, came_in, went_out))

    def _tell(self, told: protocol.Observed | protocol.Passed) -> bool:
        if self._socket.closed or self._socket.waiting >= _MAX_WAITING:
            return False
        self._socket.send(protocol.encode(told))
        return True

    def _received(self, body: bytes) -> None:
        match protocol.decode_request(body):
            case protocol.Open() as request:
                descriptors = self._socket.take_descriptors(len(request.ports))
                grants = [permit.grant() for permit in request.grants]
                self.proxy.open(
                    *(request.z, request.ports, grants, descriptors, request.cut),
                    request.function,
                    in_tables=request.in_tables,
                )
            case protocol.CutOff() as request:
                self.proxy.cut(request.z, request.hosts)
            case protocol.Close() as request:
                self.proxy.close(request.z)

    def _gone(self, why: str) -> None:
        if why != ENDED:
            _log.error("the gateway sent what is no request; egress ends: %s", why)
        if not self.ended.done():
            self.ended.set_result(None)


async def _serve(
    sock: socket.socket, config: EgressConfig, is_own: OwnAddresses, heart: Heart
) -> None:
    access = Access(Resolver(config.limits), Connector(), is_own, config.limits, learn=config.learn)
    requests = Requests(sock, access, config)
    heart.beat_in(asyncio.get_running_loop())
    running = asyncio.ensure_future(requests.proxy.run())
    await asyncio.wait((running, requests.ended), return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    await requests.proxy.shut_down()


def run(config: EgressConfig) -> int:
    """Serve until the gateway is gone; return the exit code."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    supervised = Supervised(config)
    # Before the filter, which lets no socket of this kind be made.
    is_own = OwnAddresses(config.own_addresses)
    supervised.ready(supervised.confine(EGRESS))
    uvloop.run(_serve(supervised.connection(), config, is_own, supervised.heart))
    return 0


if __name__ == "__main__":
    main("egress", EgressConfig, run)
