"""The one test for loopback: literal addresses and one name."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.model.loopback import is_loopback

LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1",
        "127.8.8.8",
        "127.0.0.0",
        "127.255.255.254",
        "127.255.255.255",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
    ],
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", "0.0.0.0", "::", "::2", "10.0.0.1", "192.168.0.1", "169.254.169.254"),
        *("128.0.0.1", "126.255.255.255", "1.0.0.127", "::ffff:10.0.0.1", "::127.0.0.1"),
        *("fe80::1", "fe80::1%eth0", "fe80::1%lo", "::1%lo", "[::1]", "127.0.0.1:80"),
        *("a.localhost", "localhost.", ".localhost", "LOCALHOST", "Localhost", "localhost.a"),
        *("localhost ", "localhost\n", "localhost\0", "localhost4", "ip6-localhost"),
        *("127.0.0.1.example.com", "127.1", "127.0.1", "0177.0.0.1", "127.0.0.01", "2130706433"),
        *(
            "0x7f.0.0.1",
            "127.0.0.1 ",
            "127.0.0.1\n",
            "\uff11\uff12\uff17.0.0.1",
            "127\u30020\u30020\u30021",
            "/run/socket",
        ),
    ],
)
def test_everything_else_is_not(host: str) -> None:
    assert not is_loopback(host)


@given(st.ip_addresses(v=4))
def test_of_ipv4_one_network_and_no_other(address: ipaddress.IPv4Address) -> None:
    assert is_loopback(str(address)) is (address in LOOPBACK)
    assert is_loopback(f"::ffff:{address}") is (address in LOOPBACK)


@given(st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_all_of_that_network(address: ipaddress.IPv4Address) -> None:
    assert is_loopback(str(address))
    assert is_loopback(f"::ffff:{address}")


@given(st.ip_addresses(v=6))
def test_of_ipv6_one_address_and_what_stands_for_ipv4(address: ipaddress.IPv6Address) -> None:
    mapped = address.ipv4_mapped
    expected = int(address) == 1 or (mapped is not None and mapped in LOOPBACK)
    assert is_loopback(str(address)) is expected


@given(st.text(min_size=1))
def test_no_name_but_one(text: str) -> None:
    for host in (f"{text}.localhost", f"localhost{text}", f"{text}localhost"):
        assert not is_loopback(host)


@given(st.text() | st.from_regex(r"[0-9a-fx.:%\[\]]{1,20}", fullmatch=True))
def test_what_is_loopback_leads_to_it(host: str) -> None:
    """The kernel's own reading of what is accepted is loopback, too."""
    if not is_loopback(host) or host == "localhost":
        return
    (*_, (found, *_rest)), *_more = socket.getaddrinfo(host, 1, flags=socket.AI_NUMERICHOST)
    assert found == "::1" or found.removeprefix("::ffff:").startswith("127.")
