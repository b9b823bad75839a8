"""Connections to hosts outside."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

from casemate.egress.connector import Connector


def test_a_host_that_takes_nothing_has_little_kept_for_it() -> None:
    """The kernel kept 4 MB for each connection, of what TCP of the whole machine may have."""

    async def kept(port: int) -> int:
        sock = await Connector().connect(ip_address("127.0.0.1"), port)
        sent = 0
        try:
            while True:
                sent += sock.send(bytes(1 << 16))
        except BlockingIOError:
            return sent
        finally:
            sock.close()

    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        assert asyncio.run(kept(listener.getsockname()[1])) < 1 << 20
