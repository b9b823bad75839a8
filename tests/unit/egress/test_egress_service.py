"""What fails within the proxy is a denial, and the node's log holds nothing of what was sent."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from casemate.egress.connector import Connector
from casemate.egress.interface import PROXY_PORT
from support.egress import RunningProxy, egress, read_all

SENT = "planted-by-the-function"


class Broken(Connector):
    """One with a fault of its own, whose message quotes what it was given."""

    async def connect(self, address: Any, port: int) -> socket.socket:
        raise RuntimeError(f"{SENT} at {address}:{port}")


def test_a_fault_is_told_by_its_kind_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with RunningProxy(egress("api.example.com:443"), connector=Broken()) as proxy:
        with socket.create_connection((proxy.address, PROXY_PORT)) as sock:
            sock.sendall(
                b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n"
            )
            assert read_all(sock) == b""
        assert [event.reason for event in proxy.events if not event.allowed] == ["internal error"]
    assert "RuntimeError" in caplog.text
    assert SENT not in caplog.text
