"""Which addresses a grant may lead to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.egress.addresses import METADATA, AddressKind, classify, refused_kind
from casemate.egress.rules import parse_rule
from support.egress import egress

PUBLIC_RULE = parse_rule(egress("api.example.com:443"))
PRIVATE_RULE = parse_rule(egress("db.internal:5432", private=True))

KINDS = {
    AddressKind.GLOBAL: ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808"],
    AddressKind.PRIVATE: ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1"],
    AddressKind.SHARED: ["100.64.0.1", "100.127.255.255"],
    AddressKind.LOOPBACK: ["127.0.0.1", "127.255.255.255", "::1"],
    AddressKind.LINK_LOCAL: ["169.254.1.1", "fe80::1", "febf::1"],
    AddressKind.METADATA: sorted(str(address) for address in METADATA),
    AddressKind.MULTICAST: ["224.0.0.1", "239.255.255.255", "ff02::1"],
    AddressKind.RESERVED: [
        "0.1.2.3",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.88.99.1",
        "2001:db8::1",
        "2001:2::1",
        "3fff::1",
        "4000::1",
        "fec0::1",
        "100::1",
        "fe80::1%lo",
    ],
    AddressKind.UNSPECIFIED: ["0.0.0.0", "::"],
    AddressKind.EMBEDDED: [
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:7f00:1::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::a00:1",
        "64:ff9b:1::808:808",
        "2606:4700::5efe:a00:1",
        "fe80::200:5efe:127.0.0.1",
    ],
}
CASES = [(kind, text) for kind, texts in KINDS.items() for text in texts]


def never_own(_address: object) -> bool:
    return False


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_kinds(kind: AddressKind, text: str) -> None:
    assert classify(ip_address(text)) is kind


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_without_private_only_global_addresses(kind: AddressKind, text: str) -> None:
    refused = refused_kind(ip_address(text), PUBLIC_RULE, never_own)
    assert refused is (None if kind is AddressKind.GLOBAL else kind)


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_private_allows_a_network_of_ones_own_and_nothing_odd(kind: AddressKind, text: str) -> None:
    refused = refused_kind(ip_address(text), PRIVATE_RULE, never_own)
    allowed = {"global", "private", "shared", "loopback", "link-local"}
    assert (refused is None) == (kind.value in allowed)


@pytest.mark.parametrize("address", sorted(METADATA, key=str), ids=str)
def test_metadata_needs_a_private_grant_of_that_address(
    address: IPv4Address | IPv6Address,
) -> None:
    text = f"[{address}]:80" if address.version == 6 else f"{address}:80"
    assert refused_kind(address, parse_rule(egress(text, private=True)), never_own) is None
    assert refused_kind(address, parse_rule(egress(text)), never_own) is AddressKind.METADATA
    other = parse_rule(egress("169.254.1.1:80", private=True))
    assert refused_kind(address, other, never_own) is AddressKind.METADATA


def test_this_hosts_own_public_address_is_refused_unless_private() -> None:
    address = ip_address("93.184.216.34")
    assert refused_kind(address, PUBLIC_RULE, lambda a: a == address) is AddressKind.OWN
    assert refused_kind(address, PRIVATE_RULE, lambda a: a == address) is None
    translated = ip_address("64:ff9b::5db8:d822")
    assert refused_kind(translated, PUBLIC_RULE, never_own) is None
    assert refused_kind(translated, PUBLIC_RULE, lambda a: a == address) is AddressKind.OWN


@given(st.ip_addresses(v=4))
def test_no_other_address_than_the_standard_library_calls_global(address: IPv4Address) -> None:
    if classify(address) is AddressKind.GLOBAL:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_global_ipv6_is_global_unicast(address: IPv6Address) -> None:
    if classify(address) is AddressKind.GLOBAL:
        assert address in KNOWN_GLOBAL or int(address) >> 32 == 0x64FF9B << 64


class _Prefix:
    def __contains__(self, address: IPv6Address) -> bool:
        return int(address) >> 125 == 1


KNOWN_GLOBAL = _Prefix()


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "::", "64:ff9b:1::", "2002::"]))
def test_no_form_of_an_ipv4_address_is_a_way_around(address: IPv4Address, prefix: str) -> None:
    base = int(IPv6Address(prefix))
    shift = 80 if prefix == "2002::" else 0
    disguised = IPv6Address(base | int(address) << shift)
    for rule in (PUBLIC_RULE, PRIVATE_RULE):
        if disguised != IPv6Address("::1"):
            assert refused_kind(disguised, rule, never_own) is not None
