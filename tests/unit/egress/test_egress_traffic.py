"""What passes is counted to the byte, told once, and ended where nothing may go any more."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from casemate.egress import protocol
from casemate.egress.cut import Cut
from casemate.egress.errors import DeniedError
from casemate.egress.interface import PROXY_PORT
from casemate.egress.target import parse_authority
from casemate.egress.traffic import MOST_UNTOLD, Traffic
from support.egress import (
    HOST,
    HttpOrigin,
    LoopbackConnector,
    Origin,
    RunningProxy,
    echo,
    egress,
    read_all,
)
from support.waiting import wait_for


class Told:
    """Takes what is told, unless it is told not to."""

    def __init__(self) -> None:
        self.takes = True
        self.all: list[tuple[int, int]] = []

    def __call__(self, zygote: int, came_in: int, went_out: int) -> bool:
        if self.takes:
            assert zygote == 7
            self.all.append((came_in, went_out))
        return self.takes


def test_what_is_counted_is_told_once_and_kept_until_it_is_taken() -> None:
    told = Told()
    traffic = Traffic(7, told)
    assert traffic.flush() and told.all == []
    traffic.read(10)
    traffic.sent(3)
    told.takes = False
    assert not traffic.flush()
    traffic.sent(4)
    told.takes = True
    assert traffic.flush() and traffic.flush() and told.all == [(10, 7)]


def test_much_is_told_at_once_so_that_a_kill_takes_little_along() -> None:
    told = Told()
    traffic = Traffic(7, told)
    for _ in range(10):
        traffic.sent(MOST_UNTOLD // 2)
    assert told.all == [(0, MOST_UNTOLD)] * 5
    told.takes = False
    for _ in range(10):
        traffic.read(MOST_UNTOLD)
    assert traffic.came_in == 10 * MOST_UNTOLD


def test_many_short_connections_are_not_told_one_by_one() -> None:
    told = Told()
    traffic = Traffic(7, told)
    for _ in range(1000):
        traffic.sent(1)
        traffic.ended()
    assert len(told.all) < 100
    traffic.flush()
    assert sum(out for _, out in told.all) == 1000


class Counting:
    """A server that counts what it reads, and then answers with so much."""

    def __init__(self, answers: int) -> None:
        self.read = 0
        self._answers = answers

    def __call__(self, sock: socket.socket) -> None:
        while data := sock.recv(1 << 16):
            self.read += len(data)
        sock.sendall(b"a" * self._answers)


@contextmanager
def forwarding(handler: Callable[[socket.socket], None]) -> Iterator[RunningProxy]:
    with (
        Origin(handler) as origin,
        RunningProxy(
            egress(f"{HOST}:5432", forward=5432), connector=LoopbackConnector({5432: origin.port})
        ) as proxy,
    ):
        yield proxy


@pytest.mark.parametrize("size", [1, 70_000, 3_000_000])
def test_a_forward_counts_what_really_passes(size: int) -> None:
    server = Counting(answers=size // 2 + 5)
    with forwarding(server) as proxy:
        with socket.create_connection((proxy.address, 5432)) as sock:
            sock.sendall(b"q" * size)
            sock.shutdown(socket.SHUT_WR)
            answer = read_all(sock)
        assert (server.read, len(answer)) == (size, size // 2 + 5)
        wait_for(lambda: proxy.carried.get(1) == (size // 2 + 5, size))


def test_plain_http_counts_heads_and_bodies_to_the_host_alone() -> None:
    with (
        HttpOrigin() as origin,
        RunningProxy(egress(f"{HOST}:80"), connector=LoopbackConnector({80: origin.port})) as proxy,
    ):
        with socket.create_connection((proxy.address, PROXY_PORT)) as sock:
            sock.sendall(
                f"POST http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 50000\r\n"
                "Connection: close\r\n\r\n".encode()
                + b"x" * 50_000
            )
            answer = read_all(sock)
        assert b"200 OK" in answer
        wait_for(lambda: proxy.carried.get(1, (0, 0))[1] >= 50_000)
        came_in, went_out = proxy.carried[1]
        assert 50_000 < went_out < 50_500 and 50_000 < came_in < 51_000
        # What is refused goes to nobody.
        with socket.create_connection((proxy.address, PROXY_PORT)) as sock:
            sock.sendall(b"GET http://evil.com/ HTTP/1.1\r\nHost: evil.com\r\n\r\n")
            assert b"403" in read_all(sock)
        time.sleep(1.2)
        assert proxy.carried[1] == (came_in, went_out)


def test_what_a_zygote_that_ends_has_carried_is_told() -> None:
    with forwarding(echo) as proxy, socket.create_connection((proxy.address, 5432)) as sock:
        sock.sendall(b"x" * 1000)
        assert len(sock.recv(1000, socket.MSG_WAITALL)) == 1000
        proxy.call(lambda: proxy.proxy.close(1))
        wait_for(lambda: proxy.carried.get(1) == (1000, 1000))
        assert sock.recv(1) == b""


# -- cutting off -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "covered"),
    [
        (("*",), True),
        (("api.example.com",), True),
        (("*.example.com",), True),
        (("*.com",), True),
        (("example.com",), False),
        (("*.api.example.com",), False),
        (("xapi.example.com", "*.ample.com"), False),
        ((), False),
    ],
)
def test_what_is_covered(hosts: tuple[str, ...], covered: bool) -> None:
    target = parse_authority("API.example.com.:443")
    assert Cut(hosts).covers(target) is covered
    if covered:
        with pytest.raises(DeniedError, match="cut off"):
            Cut(hosts).require_not(target)


@pytest.mark.parametrize("hosts", [("*",), (HOST,)])
def test_connections_there_are_ended_and_no_more_are_made(hosts: tuple[str, ...]) -> None:
    with forwarding(echo) as proxy:
        with socket.create_connection((proxy.address, 5432)) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
            proxy.call(lambda: proxy.proxy.cut(1, hosts))
            sock.settimeout(5)
            assert ended(sock)
        with socket.create_connection((proxy.address, 5432)) as sock:
            assert ended(sock)
        wait_for(lambda: [e.reason for e in proxy.events if not e.allowed] == ["cut off"])
        # Taken back, it works again.
        proxy.call(lambda: proxy.proxy.cut(1, ()))
        with socket.create_connection((proxy.address, 5432)) as sock:
            sock.sendall(b"y")
            assert sock.recv(1) == b"y"


def ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def test_connections_elsewhere_stay() -> None:
    with forwarding(echo) as proxy, socket.create_connection((proxy.address, 5432)) as sock:
        proxy.call(lambda: proxy.proxy.cut(1, ("other.example.com",)))
        sock.sendall(b"x")
        assert sock.recv(1) == b"x"
        proxy.call(lambda: proxy.proxy.cut(99, ("*",)))  # a zygote that has ended


def test_one_that_is_being_made_is_ended_as_well() -> None:
    """Cut off between its decision and its connection, it must not come about."""
    begun, goes_on = threading.Event(), threading.Event()

    class Slow(LoopbackConnector):
        async def connect(self, address: Any, port: int) -> socket.socket:
            begun.set()
            await asyncio.to_thread(goes_on.wait, 5)
            return await super().connect(address, port)

    with (
        Origin(echo) as origin,
        RunningProxy(
            egress(f"{HOST}:5432", forward=5432), connector=Slow({5432: origin.port})
        ) as proxy,
        socket.create_connection((proxy.address, 5432)) as sock,
    ):
        assert begun.wait(5)
        proxy.call(lambda: proxy.proxy.cut(1, (HOST,)))
        goes_on.set()
        sock.settimeout(5)
        assert ended(sock)


def test_what_is_cut_off_fits_into_one_message_with_all_grants() -> None:
    permit = protocol.Permit("h" * 250 + ":443", 65535, True)
    hosts = tuple("c" * 250 for _ in range(protocol.MAX_CUT))
    message = protocol.Open(1, (1,), (permit,) * protocol.MAX_GRANTS, hosts)
    assert len(protocol.encode(message)) < protocol.BOUNDS.frame
    protocol.decode_request(protocol.encode(message))
