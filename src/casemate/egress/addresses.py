"""Which addresses a grant may lead to.

The tables are those of the IANA special-purpose registries (RFC 6890 and its successors), written
out because `ipaddress` of different Python releases disagrees about them.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from casemate.egress.rules import Rule
from casemate.egress.target import Address


class AddressKind(StrEnum):
    """What an address is. The value goes into records."""

    GLOBAL = "global"
    PRIVATE = "private"
    SHARED = "shared"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    METADATA = "metadata"
    OWN = "own"
    MULTICAST = "multicast"
    RESERVED = "reserved"
    UNSPECIFIED = "unspecified"
    EMBEDDED = "embedded"
    """An IPv6 form of an IPv4 address through which another host would be reached."""


INSIDE = frozenset(
    (
        AddressKind.PRIVATE,
        AddressKind.SHARED,
        AddressKind.LOOPBACK,
        AddressKind.LINK_LOCAL,
    )
)
"""What an address says by itself that only `private` lets reach."""
_WITH_PRIVATE = INSIDE | {AddressKind.GLOBAL, AddressKind.OWN}

METADATA = frozenset(
    (
        IPv4Address("169.254.169.254"),  # AWS, Azure, Google, OpenStack and most others
        IPv4Address("169.254.170.2"),  # AWS, credentials of containers
        IPv4Address("169.254.170.23"),  # AWS, credentials of pods
        IPv4Address("169.254.0.23"),  # Tencent
        IPv4Address("100.100.100.200"),  # Alibaba
        IPv4Address("168.63.129.16"),  # Azure, a public address
        IPv4Address("192.0.0.192"),  # Oracle
        IPv6Address("fd00:ec2::254"),  # AWS
        IPv6Address("fd00:ec2::23"),  # AWS, credentials of pods
        IPv6Address("fd20:ce::254"),  # Google
    )
)
"""Addresses at which clouds hand out credentials of the machine."""

_IPV4: tuple[tuple[IPv4Network, AddressKind], ...] = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/32", AddressKind.UNSPECIFIED),
        ("0.0.0.0/8", AddressKind.RESERVED),
        ("10.0.0.0/8", AddressKind.PRIVATE),
        ("100.64.0.0/10", AddressKind.SHARED),
        ("127.0.0.0/8", AddressKind.LOOPBACK),
        ("169.254.0.0/16", AddressKind.LINK_LOCAL),
        ("172.16.0.0/12", AddressKind.PRIVATE),
        ("192.0.0.0/24", AddressKind.RESERVED),
        ("192.0.2.0/24", AddressKind.RESERVED),
        ("192.88.99.0/24", AddressKind.RESERVED),
        ("192.168.0.0/16", AddressKind.PRIVATE),
        ("198.18.0.0/15", AddressKind.RESERVED),
        ("198.51.100.0/24", AddressKind.RESERVED),
        ("203.0.113.0/24", AddressKind.RESERVED),
        ("224.0.0.0/4", AddressKind.MULTICAST),
        ("240.0.0.0/4", AddressKind.RESERVED),
    )
)
_IPV6: tuple[tuple[IPv6Network, AddressKind], ...] = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", AddressKind.UNSPECIFIED),
        ("::1/128", AddressKind.LOOPBACK),
        ("::/96", AddressKind.EMBEDDED),  # IPv4-compatible
        ("::ffff:0:0/96", AddressKind.EMBEDDED),  # IPv4-mapped
        ("::ffff:0:0:0/96", AddressKind.EMBEDDED),  # IPv4-translated (SIIT)
        ("64:ff9b:1::/48", AddressKind.EMBEDDED),  # NAT64 of local use
        ("2001::/32", AddressKind.EMBEDDED),  # Teredo
        ("2001::/23", AddressKind.RESERVED),
        ("2001:db8::/32", AddressKind.RESERVED),
        ("2002::/16", AddressKind.EMBEDDED),  # 6to4
        ("3fff::/20", AddressKind.RESERVED),
        ("2000::/3", AddressKind.GLOBAL),
        ("fc00::/7", AddressKind.PRIVATE),
        ("fe80::/10", AddressKind.LINK_LOCAL),
        ("ff00::/8", AddressKind.MULTICAST),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


def classify(address: Address) -> AddressKind:
    """Return what an address is, by itself: `OWN` is not among the answers."""
    if address in METADATA:
        return AddressKind.METADATA
    if isinstance(address, IPv4Address):
        return next((kind for net, kind in _IPV4 if address in net), AddressKind.GLOBAL)
    if address.scope_id is not None:
        return AddressKind.RESERVED
    if address in _NAT64:
        inner = classify(_behind_nat64(address))
        return inner if inner is AddressKind.GLOBAL else AddressKind.EMBEDDED
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return AddressKind.EMBEDDED
    return next((kind for net, kind in _IPV6 if address in net), AddressKind.RESERVED)


def _behind_nat64(address: Address) -> Address:
    """Return the IPv4 address that a translator of NAT64 leads to, else the address itself."""
    if isinstance(address, IPv6Address) and address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def refused_kind(
    address: Address, rule: Rule, is_own: Callable[[Address], bool]
) -> AddressKind | None:
    """Return why a grant does not lead to an address, None if it does.

    Metadata addresses need a grant of that very address, with `private`. Whatever goes wrong in
    `is_own` is raised and must be taken for a refusal.
    """
    kind = classify(address)
    if kind is AddressKind.METADATA:
        granted = rule.private and not rule.wildcard and rule.target.address == address
        return None if granted else kind
    if rule.private:
        return None if kind in _WITH_PRIVATE else kind
    if kind is not AddressKind.GLOBAL:
        return kind
    ways = {address, _behind_nat64(address)}
    return AddressKind.OWN if any(map(is_own, ways)) else None
