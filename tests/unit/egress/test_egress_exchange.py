"""What is granted gets through as it was meant: plain HTTP, tunnels, forwards."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest

from casemate.egress.config import EgressLimits
from support.egress import (
    HOST,
    HttpOrigin,
    LoopbackConnector,
    Names,
    Origin,
    RunningProxy,
    TestAuthority,
    client_hello,
    echo,
    egress,
    read_all,
)

GET = f"GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n".encode()
ELSEWHERE = b"GET http://other.example.com/ HTTP/1.1\r\nHost: other.example.com\r\n\r\n"
HANDLER = Callable[[socket.socket], None]


@pytest.fixture
def origin() -> Iterator[HttpOrigin]:
    with HttpOrigin() as server:
        yield server


@pytest.fixture
def proxy(origin: HttpOrigin) -> Iterator[RunningProxy]:
    with RunningProxy(egress(f"{HOST}:80"), connector=LoopbackConnector({80: origin.port})) as p:
        yield p


def saying(answer: bytes) -> HANDLER:
    """Return an origin that reads a head and says something."""

    def handle(sock: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(65536)
        sock.sendall(answer)

    return handle


def answer_of(origin_says: bytes, request: bytes = GET + b"\r\n") -> tuple[bytes, RunningProxy]:
    """Return what a client gets when an origin says something."""
    with Origin(saying(origin_says)) as server:
        connector = LoopbackConnector({80: server.port})
        with RunningProxy(egress(f"{HOST}:80"), connector=connector) as running:
            return running.exchange(request, end=True), running


def test_the_origin_gets_a_request_of_its_own_form(proxy: RunningProxy, origin: HttpOrigin) -> None:
    proxy.exchange(
        f"PUT http://{HOST.upper()}.:80/a?b=c HTTP/1.1\r\nHost: {HOST}\r\nX-A: 1\r\n"
        "Proxy-Authorization: Basic x\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n"
        "Content-Length: 5\r\n\r\nhello".encode()
    )
    line, fields, body = origin.requests[0]
    assert line == "PUT /a?b=c HTTP/1.1"
    assert body == b"hello"
    assert fields == {
        "Host": HOST,
        "X-A": "1",
        "Content-Length": "5",
        "Via": "1.1 casemate",
        "Connection": "close",
    }


@pytest.mark.parametrize(
    ("method", "url", "line"),
    [
        ("GET", f"http://{HOST}", "GET / HTTP/1.1"),
        ("GET", f"HTTP://{HOST}?a", "GET /?a HTTP/1.1"),
        ("OPTIONS", f"http://{HOST}", "OPTIONS * HTTP/1.1"),
    ],
)
def test_paths(proxy: RunningProxy, origin: HttpOrigin, method: str, url: str, line: str) -> None:
    proxy.exchange(f"{method} {url} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    assert origin.requests[0][0] == line


def test_a_client_keeps_its_connection(proxy: RunningProxy, origin: HttpOrigin) -> None:
    one = httpx2.Limits(max_connections=1)
    with httpx2.Client(proxy=proxy.url, limits=one, trust_env=False) as client:
        for number in range(20):
            assert client.post(f"http://{HOST}/", content=str(number)).text == f"hello {number}"
        assert client.head(f"http://{HOST}/").status_code == 200
        assert client.post(f"http://{HOST}/", content=iter([b"a", b"b"])).text == "hello ab"
    assert len(origin.requests) == 22
    assert proxy.denials == []


def test_pipelined_requests_are_answered_in_order(proxy: RunningProxy) -> None:
    raw = b"".join(
        f"POST http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1\r\n\r\n{n}".encode()
        for n in range(3)
    )
    answer = proxy.exchange(raw, end=True)
    assert [answer.index(f"hello {n}".encode()) for n in range(3)] == sorted(
        answer.index(f"hello {n}".encode()) for n in range(3)
    )


def test_http_1_0(proxy: RunningProxy) -> None:
    answer = proxy.exchange(f"GET http://{HOST}/ HTTP/1.0\r\n\r\n".encode())
    assert answer.endswith(b"Connection: close\r\n\r\nhello ")


def test_a_body_that_ends_with_the_connection() -> None:
    answer, _ = answer_of(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
    assert answer.endswith(b"Connection: close\r\n\r\nuntil the end")


def test_interim_answers_are_passed_on() -> None:
    answer, _ = answer_of(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n")
    assert b"HTTP/1.1 204 No Content\r\n" in answer
    assert b"Content-Length" not in answer


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_answers_that_are_not_http_become_502(said: bytes) -> None:
    answer, running = answer_of(said)
    assert b"HTTP/1.1 502 Bad Gateway" in answer
    line = answer[answer.index(b"HTTP/1.1 502") :].partition(b"\r\n")[0]
    assert line.endswith(b" Next: Try again; see whether the host is up.")
    assert running.denials == []


def test_an_answer_that_breaks_off_is_not_passed_for_a_whole_one() -> None:
    answer, _ = answer_of(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    assert not answer.endswith(b"0\r\n\r\n")


def test_an_answer_before_the_end_of_the_request() -> None:
    request = (
        f"POST http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\nxx".encode()
    )
    with Origin(saying(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")) as server:
        connector = LoopbackConnector({80: server.port})
        with RunningProxy(egress(f"{HOST}:80"), connector=connector) as running:
            answer = running.exchange(request)
    assert answer.startswith(b"HTTP/1.1 413")
    assert answer.endswith(b"no")


def test_a_refusal_names_the_table_of_the_function_that_asks() -> None:
    for function, table in (("report", "[function.report.grants]"), ("", "[function.NAME.grants]")):
        with RunningProxy(egress(f"{HOST}:80"), function=function) as running:
            answer = running.exchange(ELSEWHERE).decode()
        assert answer.startswith("HTTP/1.1 403 Forbidden: This function is not granted egress")
        assert f"Next: Under {table} in casemate.toml add to egress: {{ host = " in answer


def test_what_cannot_be_reached() -> None:
    with RunningProxy(egress(f"{HOST}:80"), connector=LoopbackConnector({})) as running:
        assert running.exchange(GET + b"\r\n").startswith(b"HTTP/1.1 502")
    with RunningProxy(egress(f"{HOST}:80"), lookup=Names()) as running:
        assert running.exchange(GET + b"\r\n").startswith(b"HTTP/1.1 502")


def test_an_address_that_does_not_answer_leaves_time_for_the_next(origin: HttpOrigin) -> None:
    class Half(LoopbackConnector):
        async def connect(self, address: object, port: int) -> socket.socket:
            if str(address) == "8.8.8.8":
                import asyncio

                await asyncio.sleep(60)
            return await super().connect(address, port)

    with RunningProxy(
        egress(f"{HOST}:80"),
        lookup=Names(api_example_com=["8.8.8.8", "8.8.4.4"]),
        connector=Half({80: origin.port}),
        limits=EgressLimits(connect_time=1.0),
    ) as running:
        assert b"200 OK" in running.exchange(GET + b"Connection: close\r\n\r\n")


@pytest.mark.parametrize("port", [443, 8443])
def test_tls_through_a_tunnel(port: int) -> None:
    authority = TestAuthority()
    with Origin(echo, authority.context(HOST)) as server:
        connector = LoopbackConnector({port: server.port})
        with RunningProxy(egress(f"{HOST}:{port}"), connector=connector) as running:
            sock, _ = running.tunnel(f"{HOST}:{port}")
            context = ssl.create_default_context(cafile=str(authority.path))
            with context.wrap_socket(sock, server_hostname=HOST) as tls:
                for size in (1, 100_000):
                    tls.sendall(b"x" * size)
                    got = 0
                    while got < size:
                        got += len(tls.recv(65536))
            assert running.events[0].grant == f"egress {HOST}:{port}"
            assert running.denials == []


def test_a_server_may_speak_first_where_tls_is_not_required() -> None:
    def handle(sock: socket.socket) -> None:
        sock.sendall(b"220 ready\r\n")
        echo(sock)

    with Origin(handle) as server:
        connector = LoopbackConnector({25: server.port})
        with RunningProxy(egress(f"{HOST}:25"), connector=connector) as running:
            sock, _ = running.tunnel(f"{HOST}:25")
            with sock:
                assert sock.recv(100) == b"220 ready\r\n"
                sock.sendall(b"EHLO x\r\n")
                sock.shutdown(socket.SHUT_WR)
                assert read_all(sock) == b"EHLO x\r\n<end>"


def test_tls_on_another_port_must_be_for_the_host_too() -> None:
    with Origin(echo) as server:
        connector = LoopbackConnector({8443: server.port})
        with RunningProxy(egress(f"{HOST}:8443"), connector=connector) as running:
            sock, _ = running.tunnel(f"{HOST}:8443")
            with sock:
                sock.sendall(client_hello("evil.com"))
                assert b"evil.com" not in read_all(sock)
            assert "SNI" in running.denial().reason


@pytest.fixture
def forwarded() -> Iterator[RunningProxy]:
    with Origin(echo) as server:
        connector = LoopbackConnector({5432: server.port})
        grant = egress(f"{HOST}:5432", forward=15432)
        with RunningProxy(grant, connector=connector) as running:
            yield running


def test_a_forward_carries_both_directions_and_half_closes(forwarded: RunningProxy) -> None:
    data = bytes(range(256)) * 20_000
    with forwarded.dial(15432) as sock:
        sender = threading.Thread(
            target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR))
        )
        sender.start()
        received = read_all(sock)
        sender.join()
    assert hashlib.sha256(received).digest() == hashlib.sha256(data + b"<end>").digest()


def test_a_reader_that_stops_stops_the_sender() -> None:
    """Back-pressure: the proxy holds little, whatever one side sends and the other leaves."""
    sent = []

    def flood(sock: socket.socket) -> None:
        sock.settimeout(2)
        try:
            while len(sent) < 4096:
                sock.sendall(bytes(65536))
                sent.append(65536)
        except TimeoutError:
            pass

    with Origin(flood) as server:
        connector = LoopbackConnector({5432: server.port})
        grant = egress(f"{HOST}:5432", forward=15432)
        with RunningProxy(grant, connector=connector) as running, running.dial(15432):
            time.sleep(0.5)
            before = len(sent)
            time.sleep(0.3)
            assert len(sent) == before < 4096


def test_what_is_idle_ends() -> None:
    with Origin(echo) as server:
        connector = LoopbackConnector({5432: server.port})
        grant = egress(f"{HOST}:5432", forward=15432)
        limits = EgressLimits(idle=0.3)
        with (
            RunningProxy(grant, connector=connector, limits=limits) as running,
            running.dial(15432) as sock,
        ):
            started = time.monotonic()
            assert read_all(sock) == b""
            assert time.monotonic() - started < 60


def test_a_caller_that_is_gone_does_not_hold_its_place() -> None:
    def silent(sock: socket.socket) -> None:
        time.sleep(8)

    with Origin(silent) as server:
        connector = LoopbackConnector({80: server.port})
        limits = EgressLimits(half_closed=0.2, connections=1)
        with RunningProxy(egress(f"{HOST}:80"), connector=connector, limits=limits) as running:
            sock = running.dial()
            sock.sendall(GET + b"\r\n")
            assert running.wait(lambda: connector.dialled)
            sock.close()
            assert b"403" in running.exchange(b"CONNECT evil.com:1 HTTP/1.1\r\n\r\n")


def test_connections_beyond_the_limit_wait_their_turn(origin: HttpOrigin) -> None:
    limits = EgressLimits(connections=2)
    connector = LoopbackConnector({80: origin.port})
    with RunningProxy(egress(f"{HOST}:80"), connector=connector, limits=limits) as running:
        results: list[bytes] = []
        raw = GET + b"Connection: close\r\n\r\n"
        threads = [
            threading.Thread(target=lambda: results.append(running.exchange(raw)))
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(b"200 OK" in result for result in results) and len(results) == 20
