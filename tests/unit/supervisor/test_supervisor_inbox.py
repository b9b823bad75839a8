"""What a gateway that was broken into sends its supervisor ends the gateway, and nothing else."""

from __future__ import annotations

import socket

import pytest

from casemate.sandbox.protocol import MAX_PACKET
from casemate.supervisor.inbox import Inbox


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
