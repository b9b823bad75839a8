"""Who asks, as told by proxies that are trusted and by nobody else."""

from __future__ import annotations

import time

import pytest

from casemate.model.errors import InvalidInputError
from casemate.model.http import HttpHead
from casemate.model.trusted_proxies import MOST_HOPS, TrustedProxies

PROXIES = TrustedProxies(["10.0.0.1", "192.168.0.0/16", "fd00::/8"])


def head(peer: str, *values: str, name: bytes = b"x-forwarded-for") -> HttpHead:
    headers = tuple((name, value.encode("latin-1")) for value in values)
    return HttpHead("GET", "/", "", headers, peer)


@pytest.mark.parametrize(
    ("peer", "values", "expected"),
    [
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("fd00::1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.7, 192.168.3.4"], "198.51.100.7"),
        ("10.0.0.1", ["192.168.3.4"], "192.168.3.4"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, 192.168.1.1\t, nonsense<>, 192.168.3.4"], "192.168.3.4"),
        ("198.51.100.9", ["6.6.6.6"], "198.51.100.9"),
        ("10.0.0.2", ["6.6.6.6"], "10.0.0.2"),
        ("", ["6.6.6.6"], ""),
    ],
)
def test_the_nearest_address_that_is_no_proxys_asks(
    peer: str, values: list[str], expected: str
) -> None:
    assert PROXIES.resolve(head(peer, *values)).peer == expected


def test_no_other_field_is_read() -> None:
    for name in (b"forwarded", b"x-real-ip", b"x-client-ip", b"true-client-ip"):
        assert PROXIES.resolve(head("10.0.0.1", "6.6.6.6", name=name)).peer == "10.0.0.1"


def test_without_a_proxy_nobody_is_believed() -> None:
    none = TrustedProxies()
    assert not none
    given = head("127.0.0.1", "6.6.6.6")
    assert none.resolve(given) is given
    assert not none.trusts("127.0.0.1")


def test_a_long_chain_is_read_from_its_near_end_only() -> None:
    chain = ",".join(["6.6.6.6"] + ["192.168.0.1"] * MOST_HOPS)
    assert PROXIES.resolve(head("10.0.0.1", chain)).peer == "192.168.0.1"
    began = time.process_time()
    PROXIES.resolve(head("10.0.0.1", "," * 30_000))
    PROXIES.resolve(head("10.0.0.1", "9" * 30_000))
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("text", ["example.org", "10.0.0.1/8", "0.0.0.0/0", "::/0", "", "10.0.0"])
def test_what_is_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        TrustedProxies([text])


@pytest.mark.parametrize(
    "networks",
    [
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["0.0.0.0/2"],
        ["::/1"],
        [f"{first}.0.0.0/8" for first in range(40)],
        ["10.0.0.1", "0.0.0.0/3", "32.0.0.0/32"],
    ],
)
def test_everybody_in_pieces_is_everybody(networks: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="every caller"):
        TrustedProxies(networks)


@pytest.mark.parametrize("networks", [["10.0.0.0/8", "172.16.0.0/12"], ["fc00::/7"], ["0.0.0.0/3"]])
def test_networks_of_one_owner_are_not(networks: list[str]) -> None:
    assert TrustedProxies(networks)
