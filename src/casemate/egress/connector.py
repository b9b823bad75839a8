"""Connecting to an address, never to a name."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, ip_address

from casemate.egress.target import Address


class Connector:
    """Makes TCP connections in the network namespace of this process."""

    async def connect(self, address: Address, port: int) -> socket.socket:
        """Return a socket connected to exactly this address. Raises OSError."""
        family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
            peer = ip_address(sock.getpeername()[0])
            if peer != address:
                raise OSError("the connection leads to another address than the one checked")
        except BaseException:
            sock.close()
            raise
        return sock
