"""What a gateway that was broken into sends its supervisor ends the gateway, and nothing else."""

from __future__ import annotations

import os
import socket

import msgspec
import pytest

from casemate.sandbox import protocol
from casemate.sandbox.protocol import MAX_PACKET
from casemate.supervisor.inbox import GatewayViolationError, Inbox
from support.descriptors import descriptors_held, require_none_left


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"type":"nothing"}',
        b"[" * (MAX_PACKET - 1),
        b'{"x":' + b"[" * (MAX_PACKET - 5),
        b'{"type":"kill","x":' + b"[" * (MAX_PACKET - 19),
        b'{"x":' + b'{"x":' * 10_000,
    ],
)
def test_what_is_no_request_ends_the_gateway(data: bytes) -> None:
    served: list[object] = []
    told: list[str] = []
    inbox = Inbox(lambda request, _: served.append(request), told.append)
    gateway, supervisor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with gateway, supervisor:
        supervisor.setblocking(False)
        gateway.send(data)
        assert inbox.read(supervisor) is False
    assert not served
    assert told and told[0].startswith("the gateway broke the protocol")


def test_what_came_with_a_request_that_breaks_the_protocol_is_closed() -> None:
    """Each time another gateway is started, and this process has what all of them left."""

    def refuse(_request: protocol.Request, _descriptors: list[int]) -> None:
        raise GatewayViolationError("zygote 1 is open")

    inbox = Inbox(refuse, lambda _: None)
    gateway, supervisor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with gateway, supervisor:
        before = descriptors_held()
        spawn = protocol.Spawn(1, 7)
        files = [os.open("/dev/null", os.O_RDONLY)] * protocol.descriptors_of(spawn)
        socket.send_fds(gateway, [msgspec.json.encode(spawn)], files)
        os.close(files[0])
        assert inbox.read(supervisor) is False
        require_none_left(before)
