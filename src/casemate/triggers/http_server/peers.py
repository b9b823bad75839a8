"""Who is connected, and how often: the limits on connections, in total and for each peer."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Protocol

from casemate.model.addresses import address_group
from casemate.model.http import AskedRoute
from casemate.model.loopback import is_loopback
from casemate.triggers.http_server.limits import HttpLimits

REFUSED_CONNECTIONS = 64
"""Refused connections that may wait for their answer to be read; beyond it they are just cut."""

REFUSED_TEXTS = {
    429: "Too many connections from this address.",
    503: "The server has no room for another connection.",
}


def peer_address(peername: object) -> str:
    """Return the address in a transport's peer name; an IPv4-mapped one as IPv4.

    Unix sockets have none: the result is then empty.
    """
    if not isinstance(peername, tuple) or not peername:
        return ""
    address = str(peername[0]).partition("%")[0]
    if ":" not in address:
        return address
    mapped = ipaddress.IPv6Address(address).ipv4_mapped
    return str(mapped) if mapped is not None else address


def is_local(address: str) -> bool:
    """Tell whether the peer is on this host (Unix sockets included)."""
    return not address or is_loopback(address)


class Admitted(Protocol):
    """What was decided of one connection. It counts until it is released."""

    status: int
    """0, or what to refuse it with: 503 or 429. One that is refused is not released."""
    pause: float
    """Seconds that its TLS handshake has to wait for its turn."""

    @property
    def route(self) -> AskedRoute | None:
        """Who finds out where its requests lead; None: as for all connections."""
        ...

    def release(self, *, handled: bool = False) -> None:
        """Count it no more. `handled`: its request was whole, and goes on to who answers it."""
        ...


Admit = Callable[[str], Awaitable[Admitted]]
"""Asks whether a connection from an address may be, where others count as well. Raises
UnavailableError once nobody decides any more."""
Leave = Callable[[socket.socket], bool]
"""Leaves a copy of a connection to another server, if there is room for it."""


class Counted:
    """What this server's own counter has decided of a connection."""

    __slots__ = ("_counter", "_peer", "status")
    pause = 0.0
    route: AskedRoute | None = None

    def __init__(self, counter: ConnectionCounter, peer: str, status: int) -> None:
        """Count for `peer` until it is released, unless it was refused."""
        self._counter = counter
        self._peer = peer
        self.status = status

    def release(self, *, handled: bool = False) -> None:
        """Count it no more."""
        self._counter.release(self._peer)


class ConnectionCounter:
    """Counts open connections against the limits."""

    def __init__(self, limits: HttpLimits, is_proxy: Callable[[str], bool]) -> None:
        """Start at none. What proxies bring counts in total only: it is of many clients."""
        self._is_proxy = is_proxy
        self._limits = limits
        self._cap = limits.connection_cap()
        self._groups: dict[str, int] = {}
        self.open = 0
        """Connections admitted and not released."""
        self.refused = 0
        """Refused connections that are still open."""

    def admit(self, address: str) -> int:
        """Count a connection and return 0, or the status to refuse it with: 503 or 429."""
        if self.open >= self._cap:
            return 503
        exempt = self._limits.exempt_loopback and is_local(address)
        if not exempt and not self._is_proxy(address):
            group = address_group(address)
            held = self._groups.get(group, 0)
            if held >= self._limits.connections_per_peer:
                return 429
            self._groups[group] = held + 1
        self.open += 1
        return 0

    def counted(self, address: str) -> Counted:
        """Count a connection, and return what was decided of it."""
        return Counted(self, address, self.admit(address))

    def release(self, address: str) -> None:
        """Forget a connection that was admitted."""
        self.open -= 1
        group = address_group(address)
        held = self._groups.get(group, 0)
        if held > 1:
            self._groups[group] = held - 1
        else:
            self._groups.pop(group, None)
