"""Connecting to an address, never to a name."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, ip_address

from casemate.egress.target import Address

_UNSENT_BYTES = 128 * 1024
"""Beyond what the network carries, which the kernel bounds by what arrives: a host that takes
nothing had it keep 4 MB for each connection."""


class Connector:
    """Makes TCP connections in the network namespace of this process."""

    async def connect(self, address: Address, port: int) -> socket.socket:
        """Return a socket connected to exactly this address. Raises OSError."""
        family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
            await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
            peer = ip_address(sock.getpeername()[0])
            if peer != address:
                raise OSError("the connection leads to another address than the one checked")
        except BaseException:
            sock.close()
            raise
        return sock
