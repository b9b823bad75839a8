"""Whether an address is this host's own, as the kernel routes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from casemate.egress.routes import OwnAddresses


@pytest.fixture
def is_own() -> Iterator[OwnAddresses]:
    own = OwnAddresses(["198.51.100.7"])
    yield own
    own.close()


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "127.77.1.2", "::1", "0.0.0.0", "255.255.255.255", "::ffff:127.0.0.1"]
)
def test_loopback_and_broadcast_stay_here(is_own: OwnAddresses, text: str) -> None:
    assert is_own(ip_address(text))


def test_every_address_of_an_interface_is_own(is_own: OwnAddresses) -> None:
    lines = Path("/proc/net/if_inet6").read_text().split("\n")
    addresses = [
        socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line[:32])) for line in lines if line
    ]
    scoped = [text for text in addresses if not text.startswith("fe80")]
    assert all(is_own(ip_address(text)) for text in scoped)


def test_an_address_behind_nat_is_own_when_told(is_own: OwnAddresses) -> None:
    assert is_own(ip_address("198.51.100.7"))
    assert is_own(ip_address("::ffff:198.51.100.7"))
    assert not is_own(ip_address("198.51.100.8"))


def test_answers_do_not_get_mixed_up(is_own: OwnAddresses) -> None:
    asked = ["127.0.0.1", "8.8.8.8", "::1", "2606:4700::1"] * 20
    assert [is_own(ip_address(text)) for text in asked] == [True, False, True, False] * 20


def test_a_question_that_cannot_be_asked_is_no_answer(is_own: OwnAddresses) -> None:
    is_own.close()
    with pytest.raises(OSError):
        is_own(ip_address("8.8.8.8"))


def test_an_address_that_is_told_in_its_mapped_form_is_the_same() -> None:
    """It was taken, and compared with nothing that anybody connects to."""
    own = OwnAddresses(["::ffff:198.51.100.7"])
    try:
        assert own(ip_address("198.51.100.7")) and own(ip_address("::ffff:198.51.100.7"))
    finally:
        own.close()
