"""Whether a host is this machine itself: the one answer that all of Casemate gives.

Whoever takes a host for loopback sends secrets to it in clear, or listens without TLS. So it is
strict: what some resolvers would lead here (`a.localhost`, `127.1`, `localhost.`) is not meant.
"""

from __future__ import annotations

import ipaddress

_NETWORKS = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))


def is_loopback(host: str) -> bool:
    """Tell whether a host is a literal loopback address, or the very name `localhost`.

    Addresses are 127.0.0.0/8 and ::1, and the former as IPv6 writes them (::ffff:127.0.0.1), all
    without brackets or zone.
    """
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        address = address.ipv4_mapped or address
    return any(address in network for network in _NETWORKS)
