"""The egress process: resolves and connects for functions, and can do little else.

Started by the supervisor with `python -m casemate.egress.process CONFIG`. It ends with the
gateway: when the other end of its control socket is closed.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import os
import resource
import socket
import sys
from typing import NoReturn

import msgspec
import uvloop

from casemate.child.heartbeat import Heart
from casemate.egress import protocol
from casemate.egress.access import Access
from casemate.egress.config import EgressConfig
from casemate.egress.confinement import confine
from casemate.egress.connector import Connector
from casemate.egress.interface import EgressEvent
from casemate.egress.proxy import EgressProxy
from casemate.egress.resolver import Resolver
from casemate.egress.routes import OwnAddresses

_log = logging.getLogger(__name__)
_CODECS = ("ascii", "latin-1", "idna")
"""Modules that the standard library loads on first use, when they may be out of reach."""
_BUFFER = 4 << 20
_REQUESTS_PER_TURN = 16
_CUT_SHORT = socket.MSG_TRUNC | socket.MSG_CTRUNC
_decode_request = msgspec.json.Decoder(protocol.Request).decode


class ControlSocket:
    """The egress process's end of the socket to the gateway."""

    def __init__(self, sock: socket.socket) -> None:
        """Take a connected SOCK_SEQPACKET socket; see `attach`."""
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._sock = sock
        self.ended = asyncio.get_running_loop().create_future()

    def send(self, event: EgressEvent) -> bool:
        """Send an event; return whether the socket took it."""
        try:
            self._sock.send(msgspec.json.encode(protocol.observed(event)))
        except OSError:
            return False
        return True

    def attach(self, proxy: EgressProxy) -> None:
        """Have the proxy do what the gateway asks for."""
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._readable, proxy)

    def _readable(self, proxy: EgressProxy) -> None:
        for _ in range(_REQUESTS_PER_TURN):
            try:
                data, descriptors, flags, _ = socket.recv_fds(
                    self._sock,
                    protocol.MAX_PACKET,
                    protocol.MAX_LISTENERS,
                    socket.MSG_CMSG_CLOEXEC,
                )
            except BlockingIOError:
                return
            except OSError:
                data, descriptors, flags = b"", [], 0
            if not data or not self._handle(proxy, data, descriptors, flags):
                self._end()
                return

    def _handle(self, proxy: EgressProxy, data: bytes, descriptors: list[int], flags: int) -> bool:
        """Do one request; return False for what is none."""
        try:
            request = None if flags & _CUT_SHORT else _decode_request(data)
        except msgspec.MsgspecError:
            request = None
        match request:
            case protocol.Open():
                grants = [permit.grant() for permit in request.grants]
                proxy.open(request.z, request.ports, grants, descriptors)
                return True
            case protocol.Close() if not descriptors:
                proxy.close(request.z)
                return True
        for descriptor in descriptors:
            os.close(descriptor)
        _log.error("the gateway sent what is no request; egress ends")
        return False

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        if not self.ended.done():
            self.ended.set_result(None)


async def _serve(config: EgressConfig, is_own: OwnAddresses) -> None:
    control = ControlSocket(socket.socket(fileno=config.control))
    access = Access(Resolver(config.limits), Connector(), is_own, config.limits, learn=config.learn)
    proxy = EgressProxy(access, config.limits, control.send)
    control.attach(proxy)
    Heart(config.heart).beat_in(asyncio.get_running_loop())
    running = asyncio.ensure_future(proxy.run())
    await asyncio.wait((running, control.ended), return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    await proxy.shut_down()


def run(config: EgressConfig) -> int:
    """Serve until the gateway is gone; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for codec in _CODECS:
        codecs.lookup(codec)
    try:
        # Before the filter, which lets no socket of this kind be made.
        is_own = OwnAddresses(config.own_addresses)
        confine(config.uid)
        uvloop.run(_serve(config, is_own))
    except (OSError, ValueError) as error:
        print(f"casemate egress: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def main() -> NoReturn:
    """Run the egress process and end it."""
    try:
        config = msgspec.json.decode(sys.argv[1], type=EgressConfig)
    except (IndexError, msgspec.MsgspecError):
        print("casemate egress: expected a configuration as JSON", file=sys.stderr, flush=True)
        sys.exit(2)
    code = run(config)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # A thread may be waiting for a server of names that never answers; nobody waits for it.
    os._exit(code)


if __name__ == "__main__":
    main()
