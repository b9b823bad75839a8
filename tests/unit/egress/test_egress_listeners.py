"""Descriptors are looked at before they are used, and never leak."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from casemate.egress.errors import ListenerError
from casemate.egress.listeners import take_listeners
from support.descriptors import descriptors_held
from support.egress import listener, loopback_address


@pytest.fixture
def address() -> str:
    return loopback_address()


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    before = descriptors_held()
    yield
    assert descriptors_held() == before


def detached(sock: socket.socket) -> int:
    return sock.detach()


def test_listeners_by_port(address: str) -> None:
    one, two = listener(address, 3128), listener(address, 5000)
    taken = take_listeners([3128, 5000], [detached(one), detached(two)])
    assert {port: sock.getsockname() for port, sock in taken.items()} == {
        3128: (address, 3128),
        5000: (address, 5000),
    }
    for sock in taken.values():
        assert not sock.getblocking()
        sock.close()


def connected(address: str) -> int:
    with listener(address, 3128) as server:
        return socket.create_connection((address, 3128)).detach() if server else -1


def unlistening(address: str) -> int:
    sock = socket.socket()
    sock.bind((address, 3128))
    return sock.detach()


def datagrams(address: str) -> int:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 3128))
    return sock.detach()


def unix(_address: str) -> int:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind("")
    sock.listen()
    return sock.detach()


def elsewhere(address: str) -> int:
    return listener(address, 3129).detach()


def everywhere(_address: str) -> int:
    """Any interface, at a port that happens to be free."""
    return listener("0.0.0.0", 0).detach()


def a_file(_address: str) -> int:
    return os.open("/etc/passwd", os.O_RDONLY)


def a_folder(_address: str) -> int:
    return os.open("/", os.O_PATH)


def a_pipe(_address: str) -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


NOT_LISTENERS = [
    *(connected, unlistening, datagrams, unix, elsewhere, everywhere, a_file, a_folder, a_pipe)
]


@pytest.mark.parametrize("make", NOT_LISTENERS)
def test_what_is_no_listener_there_is_refused(address: str, make: Callable[[str], int]) -> None:
    good = listener(address, 5000)
    with pytest.raises(ListenerError):
        take_listeners([5000, 3128], [good.detach(), make(address)])


def test_as_many_descriptors_as_ports(address: str) -> None:
    with pytest.raises(ListenerError):
        take_listeners([3128], [])
    with pytest.raises(ListenerError):
        take_listeners([], [listener(address, 3128).detach()])


def test_one_port_or_socket_does_not_come_twice(address: str) -> None:
    sock = listener(address, 3128)
    with pytest.raises(ListenerError):
        take_listeners([3128, 3128], [os.dup(sock.fileno()), sock.detach()])


def test_a_closed_descriptor(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.close(descriptor)
    with pytest.raises(ListenerError):
        take_listeners([3128], [descriptor])
