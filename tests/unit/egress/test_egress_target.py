"""Hosts and ports: one strict form, nothing that another parser reads differently."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.egress.target import Target, TargetError, parse_authority, parse_host


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.com", "example.com"),
        ("API.Example.COM.", "api.example.com"),
        ("localhost", "localhost"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("1and1.com", "1and1.com"),
        ("93.184.216.34", "93.184.216.34"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("a" * 63 + ".de", "a" * 63 + ".de"),
    ],
)
def test_valid_hosts_have_one_form(text: str, host: str) -> None:
    assert parse_host(text)[0] == host


BAD_HOSTS = [
    "",
    ".",
    "example..com",
    "example.com..",
    ".example.com",
    "-a.com",
    "a-.com",
    "a" * 64 + ".com",
    ".".join(["a" * 60] * 5),
    "under_score.com",
    "exa mple.com",
    "example.com\n",
    "example.com\x00",
    "ex%61mple.com",
    "user@example.com",
    "münchen.de",
    "\u0435xample.com",
    "example\u3002com",
    "2130706433",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "0x",
    "127.1",
    "127.0.1",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "1.2.3.4.",
    "a.1",
    "a.0x1f",
    "127.0.0.1",  # full-width digits
    "[::1",
    "::1",
    "[::1]x",
    "[fe80::1%eth0]",
    "[fe80::1%25eth0]",
    "[::ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[1.2.3.4]",
    "[]",
    "*.example.com",
]


@pytest.mark.parametrize("text", BAD_HOSTS)
def test_other_hosts_are_refused(text: str) -> None:
    if text == "127.0.0.1":
        text = text.translate({ord(d): ord(d) + 0xFEE0 for d in "0127"})
    with pytest.raises(TargetError):
        parse_host(text)


@pytest.mark.parametrize(
    "port", ["", "0", "00", "080", "65536", "+80", "-1", "8 0", "80\n", "http"]
)
def test_other_ports_are_refused(port: str) -> None:
    with pytest.raises(TargetError):
        parse_authority(f"example.com:{port}", default_port=80)


def test_authority() -> None:
    assert parse_authority("Example.com.:443") == Target("example.com", 443)
    assert parse_authority("example.com", default_port=80).text == "example.com:80"
    assert parse_authority("[::1]:8080").text == "[::1]:8080"
    assert parse_authority("[::1]", default_port=80).port == 80
    with pytest.raises(TargetError):
        parse_authority("[::1]")


@given(st.text(max_size=40))
def test_what_passes_is_plain(text: str) -> None:
    try:
        host, address = parse_host(text)
    except TargetError:
        return
    assert host.isascii()
    assert host == host.lower()
    assert not set(host) & set(" /\\@%#?*\r\n\0[]")
    again = f"[{host}]" if ":" in host else host
    assert parse_host(again) == (host, address)


@given(
    st.from_regex(
        r"(0x[0-9a-f]{0,8}|[0-9]{1,10})(\.(0x[0-9a-f]{0,3}|[0-9]{1,4})){0,3}", fullmatch=True
    )
)
def test_no_name_is_an_address_to_the_c_library(text: str) -> None:
    """What inet_aton reads as an address is refused, or the address in its usual form."""
    try:
        packed = socket.inet_aton(text)
    except OSError:
        packed = None
    try:
        _host, address = parse_host(text)
    except TargetError:
        return
    assert address is not None
    assert packed == address.packed
    assert text == socket.inet_ntoa(packed)
