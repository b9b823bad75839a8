"""Whether an address is this host's own, asked of the kernel's routing (rtnetlink(7)).

A list of interfaces would miss local routes to whole networks and be out of date; the route look-up
is the very one that a connection would make.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from casemate.egress.target import Address
from casemate.kernel.linux import (
    NETLINK_HEADER,
    NETLINK_ROUTE,
    NLMSG_ERROR,
    RTA_DST,
    RTM_GETROUTE,
    RTM_NEWROUTE,
    netlink_attribute,
)

_NUMBER = struct.Struct("=i")
_NLM_F_REQUEST = 1
_RTN_UNICAST = 1
_NO_ROUTE = frozenset(
    (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
)
"""There is no way there at all: connecting fails by itself."""


def _plain(address: Address) -> Address:
    """Return an address in the one form in which addresses are compared."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class OwnAddresses:
    """Answers for one network namespace: the one it was made in."""

    def __init__(self, outside: Iterable[str] = ()) -> None:
        """Add addresses that lead here from outside only. Raises OSError, ValueError."""
        self._outside = frozenset(_plain(ip_address(text)) for text in outside)
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.setblocking(False)
        self._sequence = 0

    def __call__(self, address: Address) -> bool:
        """Tell whether packets to an address stay on this host. Raises OSError if unknown."""
        address = _plain(address)
        if address in self._outside:
            return True
        self._ask(address)
        while True:
            answer = self._socket.recv(8192)
            _, kind, _, sequence, _ = NETLINK_HEADER.unpack_from(answer)
            # An answer that an earlier call gave up on.
            if sequence == self._sequence:
                break
        if kind == RTM_NEWROUTE:
            route_type: int = NETLINK_ROUTE.unpack_from(answer, NETLINK_HEADER.size)[7]
            return route_type != _RTN_UNICAST
        if kind == NLMSG_ERROR:
            number: int = -_NUMBER.unpack_from(answer, NETLINK_HEADER.size)[0]
            if number in _NO_ROUTE:
                return False
            raise OSError(number, "the kernel does not say where an address leads")
        raise OSError(errno.EPROTO, f"the kernel answered a route look-up with message {kind}")

    def _ask(self, address: Address) -> None:
        family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
        packed = address.packed
        body = NETLINK_ROUTE.pack(family, len(packed) * 8, 0, 0, 0, 0, 0, 0, 0)
        body += netlink_attribute(RTA_DST, packed)
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        size = NETLINK_HEADER.size + len(body)
        head = NETLINK_HEADER.pack(size, RTM_GETROUTE, _NLM_F_REQUEST, self._sequence, 0)
        self._socket.sendto(head + body, (0, 0))

    def close(self) -> None:
        """Close the socket to the kernel."""
        self._socket.close()
