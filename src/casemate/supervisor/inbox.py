"""What the gateway asks of the supervisor: typed requests, each with its descriptors."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import CasemateError
from casemate.runner import control
from casemate.sandbox import protocol

_PACKETS_PER_TURN = 32

Serve = Callable[[protocol.Request, list[int]], None]


class GatewayViolationError(CasemateError):
    """The gateway sent something that is not a request."""


class Inbox:
    """Reads requests. What is none of the protocol's ends the gateway."""

    def __init__(self, serve: Serve, report: Callable[[str], None]) -> None:
        """Give each request to `serve`, which takes its descriptors over.

        Unless it raises GatewayViolationError: then it has taken none.
        """
        self._serve = serve
        self._report = report
        self._decoder = msgspec.json.Decoder(decodable(protocol.Request))

    def read(self, gateway: socket.socket) -> bool:
        """Take what has come; False once the gateway is gone or broke the protocol."""
        # Not until there is no more: a gateway that asks without an end keeps zygotes waiting.
        for _ in range(_PACKETS_PER_TURN):
            try:
                data, descriptors, flags = control.receive_packet(gateway, protocol.MAX_PACKET)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            try:
                self._serve(self._decode(data, len(descriptors), flags), descriptors)
            except (GatewayViolationError, *DECODING_ERRORS) as error:
                for descriptor in descriptors:
                    os.close(descriptor)
                self._report(f"the gateway broke the protocol: {error}")
                return False
        return True

    def _decode(self, data: bytes, descriptors: int, flags: int) -> protocol.Request:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise GatewayViolationError("a packet was cut")
        request: protocol.Request = self._decoder.decode(data)
        if descriptors != protocol.descriptors_of(request):
            raise GatewayViolationError(f"wrong number of descriptors: {descriptors}")
        return request
