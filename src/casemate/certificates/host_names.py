"""What this host is called and which addresses it has, for its certificate."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from casemate.certificates.issuing import Names
from casemate.certificates.key_pair import CertificateError

_LOCAL_IPV4 = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
"""How /proc/net/fib_trie shows an address of an interface."""


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def parse_addresses(fib_trie: str, if_inet6: str) -> set[str]:
    """Return the addresses in the two files of /proc/net, without IPv6 link-local ones.

    Those need a zone, which a certificate cannot name.
    """
    found = {str(ipaddress.ip_address(a)) for a in _LOCAL_IPV4.findall(fib_trie)}
    for line in if_inet6.splitlines():
        address = ipaddress.IPv6Address(int(line[:32], 16))
        if not address.is_link_local:
            found.add(str(address))
    return found


def host_names(listening_on: str) -> Names:
    """Return the names and addresses by which clients may reach what listens on an address.

    On all addresses that is each of this host's; on one it is that one. `localhost` and the
    host's own name are always among them, loopback addresses too.
    """
    texts = {"localhost", "127.0.0.1", "::1", socket.gethostname()}
    if _is_any(listening_on):
        texts |= parse_addresses(_read("/proc/net/fib_trie"), _read("/proc/net/if_inet6"))
    else:
        texts.add(listening_on.partition("%")[0])
    return _usable(texts)


def _is_any(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _usable(texts: Iterable[str]) -> Names:
    """Leave out what cannot be in a certificate, such as a host name with a character too many."""
    usable = []
    for text in texts:
        try:
            Names.of((text,))
        except CertificateError:
            continue
        usable.append(text)
    return Names.of(usable)
