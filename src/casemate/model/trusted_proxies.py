"""Reverse proxies that may say for whom they ask, and how their word is read.

Only X-Forwarded-For is read: it is the one field that common proxies set or append to by default.
Others would reach us as a client sent them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec

from casemate.model.errors import InvalidInputError
from casemate.model.http import HttpHead

FORWARDED_FOR = b"x-forwarded-for"
MOST_HOPS = 32
"""Addresses that are looked at, from the nearest on."""
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TrustedProxies:
    """Networks of proxies. Without any, the peer of a connection is who asks."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Trust addresses and networks such as `10.0.0.0/8`. Raises InvalidInputError."""
        try:
            self._networks = tuple(ipaddress.ip_network(text) for text in networks)
        except ValueError as error:
            raise InvalidInputError(
                f"A trusted proxy is no address or network: {error}.",
                next_step="Give an address such as 127.0.0.1 or a network such as 10.0.0.0/8.",
            ) from error
        if self._is_nearly_everybody():
            raise InvalidInputError(
                "Every address, or half of all there are, is trusted as a proxy, so every caller "
                "could say who it is.",
                next_step="Give the addresses of the proxies only.",
            )

    def _is_nearly_everybody(self) -> bool:
        """Tell whether the networks, put together, hold more than an eighth of a kind's addresses.

        Two halves are as much as one whole, so the sum decides.
        """
        four = [n for n in self._networks if isinstance(n, ipaddress.IPv4Network)]
        six = [n for n in self._networks if isinstance(n, ipaddress.IPv6Network)]
        of_four = sum(n.num_addresses for n in ipaddress.collapse_addresses(four))
        of_six = sum(n.num_addresses for n in ipaddress.collapse_addresses(six))
        return of_four > 1 << (32 - 3) or of_six > 1 << (128 - 3)

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        """Tell whether an address is one of a proxy."""
        if not self._networks:
            return False
        parsed = _parse(address)
        return parsed is not None and self._holds(parsed)

    def _holds(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)

    def resolve(self, head: HttpHead) -> HttpHead:
        """Return a head whose peer is who asked the proxies.

        That is the nearest address that is none of theirs; where the chain is not readable, the
        nearest that was. What stands before it was said by a client, and means nothing.
        """
        if not self._networks or not self.trusts(head.peer):
            return head
        peer = head.peer
        for text in self._chain(head):
            parsed = _parse(text)
            if parsed is None:
                break
            peer = str(parsed)
            if not self._holds(parsed):
                break
        return msgspec.structs.replace(head, peer=peer) if peer != head.peer else head

    @staticmethod
    def _chain(head: HttpHead) -> list[str]:
        """Return the addresses that were named, the nearest first."""
        named = b",".join(value for name, value in head.headers if name == FORWARDED_FOR)
        if not named:
            return []
        parts = named.decode("latin-1").rsplit(",", MOST_HOPS)[-MOST_HOPS:]
        return [part.strip() for part in reversed(parts)]


def _parse(text: str) -> _Address | None:
    """Return an address, with a port or brackets around it or not; an IPv4-mapped one as IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
