"""A function tries to reach what it was not granted. The proxy is the only way there is.

Each attack must fail, which is to say that nothing was dialled but what its grants allow, and must
be recorded. Public addresses end at a server on loopback; what would have been dialled is noted.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import httpx2
import pytest

from casemate.egress.config import EgressLimits
from casemate.egress.interface import PROXY_PORT
from support.egress import (
    HOST,
    PUBLIC,
    DnsServer,
    HttpOrigin,
    LoopbackConnector,
    Names,
    RunningProxy,
    client_hello,
    egress,
    listener,
    loopback_address,
    read_all,
)

Start = Callable[..., RunningProxy]
GRANTS = (egress(f"{HOST}:80"), egress(f"{HOST}:443"), egress("*.wild.com:443"))
METADATA = "169.254.169.254"


@pytest.fixture
def origin() -> Iterator[HttpOrigin]:
    with HttpOrigin() as server:
        yield server


@pytest.fixture
def dialled(origin: HttpOrigin) -> LoopbackConnector:
    return LoopbackConnector({80: origin.port, 443: origin.port, 22: origin.port})


@pytest.fixture
def start(dialled: LoopbackConnector) -> Iterator[Start]:
    running: list[RunningProxy] = []

    def run(*grants: Any, **options: Any) -> RunningProxy:
        proxy = RunningProxy(*(grants or GRANTS), **{"connector": dialled, **options})
        running.append(proxy)
        return proxy

    yield run
    for proxy in running:
        proxy.close()


def get(url: str, host: str = "", *fields: str, method: str = "GET") -> bytes:
    host = host or url.split("/")[2]
    lines = [f"{method} {url} HTTP/1.1", f"Host: {host}", *fields, "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def connect(target: str, *fields: str) -> bytes:
    lines = [f"CONNECT {target} HTTP/1.1", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


OTHER_HOSTS = {
    "another host": "evil.com",
    "the wildcard's apex": "wild.com",
    "a name that ends like the wildcard": "evil-wild.com",
    "a name that ends like the wildcard without a dot": "evilwild.com",
    "the wildcard as a prefix": "a.wild.com.evil.com",
    "the granted host as a prefix": f"{HOST}.evil.com",
    "below a host that is no wildcard": f"x.{HOST}",
    "a literal wildcard": "*.wild.com",
    "the granted host's address": PUBLIC,
    "loopback": "127.0.0.1",
    "loopback by name": "localhost",
    "IPv6 loopback": "[::1]",
    "metadata": METADATA,
    "metadata over IPv6": "[fd00:ec2::254]",
    "mapped loopback": "[::ffff:127.0.0.1]",
    "mapped loopback in hexadecimal": "[::ffff:7f00:1]",
    "a decimal address": "2130706433",
    "an octal address": "0177.0.0.1",
    "a hexadecimal address": "0x7f.0.0.1",
    "one hexadecimal number": "0xa9fea9fe",
    "a short address": "127.1",
    "an address with a trailing dot": "127.0.0.1.",
    "the unspecified address": "0.0.0.0",
    "a zone": "[fe80::1%25eth0]",
    "a homograph": "\u00e0pi.example.com",
    "a homograph in punycode": "xn--pi-fia.example.com",
    "user information": f"{HOST}@evil.com",
    "percent-encoding": "api%2eexample.com",
    "two trailing dots": f"{HOST}..",
    "an underscore": "api_.example.com",
    "nothing": "",
}


@pytest.mark.parametrize("host", OTHER_HOSTS.values(), ids=OTHER_HOSTS)
def test_tunnel_to(start: Start, dialled: LoopbackConnector, host: str) -> None:
    proxy = start()
    answer = proxy.exchange(connect(f"{host}:443"))
    assert not answer.startswith(b"HTTP/1.1 2") and not dialled.dialled and proxy.denial()


@pytest.mark.parametrize("host", OTHER_HOSTS.values(), ids=OTHER_HOSTS)
def test_plain_request_to(start: Start, dialled: LoopbackConnector, host: str) -> None:
    proxy = start()
    answer = proxy.exchange(get(f"http://{host}/"))
    assert not answer.startswith(b"HTTP/1.1 2") and not dialled.dialled and proxy.denial()


REQUESTS = {
    "tunnel to another port": connect(f"{HOST}:22"),
    "tunnel to port 0": connect(f"{HOST}:0"),
    "tunnel to a wrapped port": connect(f"{HOST}:65979"),
    "tunnel without a port": connect(HOST),
    "tunnel to the proxy itself": connect(f"127.0.0.1:{PROXY_PORT}"),
    "tunnel with another Host": connect(f"{HOST}:443", "Host: evil.com"),
    "tunnel with another port in Host": connect(f"{HOST}:443", f"Host: {HOST}:22"),
    "tunnel with two Hosts": connect(f"{HOST}:443", f"Host: {HOST}", "Host: evil.com"),
    "tunnel with a body": connect(f"{HOST}:443", "Content-Length: 5") + b"hello",
    "tunnel with chunks": connect(f"{HOST}:443", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "tunnel to a URL": connect(f"https://{HOST}:443/"),
    "plain request to another port": get(f"http://{HOST}:8080/"),
    "plain request to the TLS port by name": get(f"https://{HOST}/"),
    "other scheme": get(f"ftp://{HOST}/"),
    "gopher": get(f"gopher://{HOST}:80/_x"),
    "file": get("file:///etc/passwd", HOST),
    "origin form": get("/", HOST),
    "authority form": get(f"{HOST}:80", HOST),
    "scheme-relative": get(f"//{HOST}/", HOST),
    "Host differs from the URL": get(f"http://{HOST}/", "evil.com"),
    "Host differs in port": get(f"http://{HOST}/", f"{HOST}:8080"),
    "two Hosts": get(f"http://{HOST}/", HOST, "Host: evil.com"),
    "no Host": f"GET http://{HOST}/ HTTP/1.1\r\n\r\n".encode(),
    "Host with user information": get(f"http://{HOST}/", f"x@{HOST}"),
    "user information in the URL": get(f"http://{HOST}@evil.com/", HOST),
    "backslash in the URL": get(f"http://evil.com\\@{HOST}/", HOST),
    "backslash in the path": get(f"http://{HOST}/\\evil.com", HOST),
    "fragment in the URL": get(f"http://{HOST}#@evil.com/", HOST),
    "line end in the URL": get(f"http://{HOST}/\r\nHost: evil.com\r\nX: ", HOST),
    "bare line feed in the URL": get(f"http://{HOST}/\nHost: evil.com\nX: ", HOST),
    "null in the host": get(f"http://{HOST}\0.evil.com/", HOST),
    "line feed in a field": get(f"http://{HOST}/", HOST, "X: a\nY: b"),
    "carriage return in a field": get(f"http://{HOST}/", HOST, "X: a\rY: b"),
    "folded field": get(f"http://{HOST}/", HOST, "X: a\r\n b"),
    "space before the colon": get(f"http://{HOST}/", HOST, "Content-Length : 5"),
    "Connection takes Host away": get(f"http://{HOST}/", HOST, "Connection: Host"),
    "Connection takes the length away": get(f"http://{HOST}/", HOST, "Connection: Content-Length"),
    "length and chunks": get(
        f"http://{HOST}/", HOST, "Content-Length: 4", "Transfer-Encoding: chunked", method="POST"
    )
    + b"0\r\n\r\nGET http://evil.com/ HTTP/1.1\r\n\r\n",
    "two lengths": get(f"http://{HOST}/", HOST, "Content-Length: 0", "Content-Length: 5")
    + b"hello",
    "signed length": get(f"http://{HOST}/", HOST, "Content-Length: +5") + b"hello",
    "chunked twice": get(f"http://{HOST}/", HOST, "Transfer-Encoding: chunked, chunked"),
    "obscured coding": get(f"http://{HOST}/", HOST, "Transfer-Encoding: xchunked"),
    "coding in HTTP/1.0": f"POST http://{HOST}/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
    "0\r\n\r\n".encode(),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": f"GET http://{HOST}/\r\n\r\n".encode(),
    "TLS to the proxy": client_hello(HOST) + b"\r\n\r\n",
    "SOCKS": b"\5\1\0\r\n\r\n",
    "huge field": get(f"http://{HOST}/", HOST, "X: " + "y" * 40_000),
    "huge line": get(f"http://{HOST}/" + "y" * 40_000, HOST),
    "many fields": get(f"http://{HOST}/", HOST, *["X: y"] * 200),
}


@pytest.mark.parametrize("raw", REQUESTS.values(), ids=REQUESTS)
def test_request(start: Start, dialled: LoopbackConnector, raw: bytes) -> None:
    proxy = start()
    answer = proxy.exchange(raw, end=True)
    assert not answer.startswith(b"HTTP/1.1 2") and not dialled.dialled and proxy.denial()


SMUGGLED = f"GET http://{HOST}/smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
BODIES = {
    "extension": b"5;x=y\r\nhello\r\n0\r\n\r\n",
    "length with a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "bare line feeds": b"5\nhello\n0\n\n",
    "longer than said": b"3\r\nhello\r\n0\r\n\r\n" + SMUGGLED,
    "huge length": b"fffffffffffffffff\r\nhello",
    "framing in the trailer": b"0\r\nContent-Length: 90\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_chunks(start: Start, origin: HttpOrigin, body: bytes) -> None:
    proxy = start()
    raw = get(f"http://{HOST}/", HOST, "Transfer-Encoding: chunked", method="POST")
    answer = proxy.exchange(raw + body, end=True)
    assert b"HTTP/1.1 2" not in answer and not origin.requests and proxy.denial()


def test_a_short_body_is_no_request(start: Start, origin: HttpOrigin) -> None:
    proxy = start()
    raw = get(f"http://{HOST}/", HOST, "Content-Length: 100", method="PUT")
    answer = proxy.exchange(raw + b"hello", end=True)
    assert b"HTTP/1.1 2" not in answer and proxy.denial()


def through(proxy: RunningProxy, target: str, first: bytes) -> bytes:
    """Open a tunnel, send bytes, return what comes back through it."""
    sock, head = proxy.tunnel(target)
    assert head.startswith(b"HTTP/1.1 200"), head
    with sock:
        sock.sendall(first)
        return read_all(sock)


FIRST_BYTES = {
    "another server name": client_hello("evil.com"),
    "a name below": client_hello(f"x.{HOST}"),
    "no server name": client_hello(None),
    "plain HTTP": f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(),
    "SSH": b"SSH-2.0-x\r\n",
    "SSL 2": b"\x80\x2e\1\0\2" + bytes(44),
    "an empty record first": b"\x16\3\1\0\0" + client_hello(HOST),
    "an alert first": b"\x15\3\1\0\2\1\0" + client_hello(HOST),
    "another tunnel": connect("evil.com:443"),
    "a hello that is no hello": b"\x16\3\1\0\5\1\0\0\1\0" + client_hello(HOST),
}


@pytest.mark.parametrize("first", FIRST_BYTES.values(), ids=FIRST_BYTES)
def test_in_a_tunnel(start: Start, origin: HttpOrigin, first: bytes) -> None:
    proxy = start()
    answer = through(proxy, f"{HOST}:443", first)
    assert answer in (b"", b"\x15\3\3\0\2\2\x31") and not origin.requests and proxy.denial()


def test_a_hello_encrypted_inside_the_granted_name(start: Start) -> None:
    """The server would go by the name inside (ECH), the outer one is for show."""
    plain = client_hello(HOST)
    extension = struct.pack("!HH", 0xFE0D, 8) + bytes(8)
    at = 5 + 4 + 34
    at += 1 + plain[at]
    at += 2 + int.from_bytes(plain[at : at + 2], "big")
    at += 1 + plain[at]
    block = plain[at + 2 :] + extension
    body = plain[9:at] + struct.pack("!H", len(block)) + block
    message = b"\1" + len(body).to_bytes(3, "big") + body
    proxy = start()
    answer = through(proxy, f"{HOST}:443", b"\x16\3\1" + struct.pack("!H", len(message)) + message)
    assert answer == b"\x15\3\3\0\2\2\x31" and "ECH" in proxy.denial().reason


def test_a_pipelined_tunnel_to_another_host(start: Start, dialled: LoopbackConnector) -> None:
    proxy = start()
    proxy.exchange(connect(f"{HOST}:443") + connect("evil.com:443") + client_hello("evil.com"))
    assert dialled.dialled == [(PUBLIC, 443)] and proxy.denial()


def test_a_tunnel_for_plain_http_on_the_http_port(start: Start, origin: HttpOrigin) -> None:
    """Host would not be checked in there."""
    proxy = start()
    answer = through(proxy, f"{HOST}:80", b"GET / HTTP/1.1\r\nHost: evil.com\r\n\r\n")
    assert b"200" not in answer and not origin.requests and proxy.denial()


def test_a_second_request_on_a_connection_that_was_allowed(
    start: Start, dialled: LoopbackConnector
) -> None:
    proxy = start()
    first = f"GET http://{HOST}/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    answer = proxy.exchange(first + get("http://evil.com/"))
    assert dialled.dialled == [(PUBLIC, 80)] and b"403 Forbidden" in answer and proxy.denial()


@pytest.mark.parametrize(
    "url", [f"http://{METADATA}/latest/", "http://localhost/", "http://[::1]/", "http://evil.com/"]
)
def test_a_redirect_from_a_granted_host(start: Start, dialled: LoopbackConnector, url: str) -> None:
    proxy = start()
    with httpx2.Client(proxy=proxy.url, follow_redirects=True, trust_env=False) as client:
        answer = client.get(f"http://{HOST}/to?{url}")
    assert answer.status_code in (400, 403) and len(dialled.dialled) == 1 and proxy.denial()


RESOLVED = {
    "loopback": ["127.0.0.1"],
    "private": ["10.1.2.3"],
    "link-local": ["169.254.1.1"],
    "metadata": [METADATA],
    "a metadata address that is public": ["168.63.129.16"],
    "shared": ["100.64.0.1"],
    "unspecified": ["0.0.0.0"],
    "multicast": ["224.0.0.1"],
    "reserved": ["240.0.0.1"],
    "unique local": ["fd00::1"],
    "mapped": ["::ffff:127.0.0.1"],
    "compatible": ["::127.0.0.1"],
    "6to4": ["2002:7f00:1::"],
    "Teredo": ["2001:0:7f00:1::1"],
    "NAT64": ["64:ff9b::a9fe:a9fe"],
    "one of several": [PUBLIC, "10.0.0.1"],
}


@pytest.mark.parametrize("addresses", RESOLVED.values(), ids=RESOLVED)
def test_a_granted_name_that_leads_to(
    start: Start, dialled: LoopbackConnector, addresses: list[str]
) -> None:
    proxy = start(lookup=Names(api_example_com=addresses))
    answer = proxy.exchange(connect(f"{HOST}:443"))
    assert b"403" in answer and not dialled.dialled and "address" in proxy.denial().reason


def test_the_answer_to_a_function_tells_no_address(start: Start) -> None:
    proxy = start(lookup=Names(api_example_com="10.1.2.3"))
    answer = proxy.exchange(connect(f"{HOST}:443"))
    assert b"10.1.2.3" not in answer and proxy.denial().reason == "private address 10.1.2.3"


def test_a_granted_name_that_leads_to_this_host(start: Start, dialled: LoopbackConnector) -> None:
    proxy = start(is_own=lambda address: address == ip_address(PUBLIC))
    answer = proxy.exchange(connect(f"{HOST}:443"))
    assert b"403" in answer and not dialled.dialled and "own" in proxy.denial().reason


def test_an_address_that_cannot_be_judged(start: Start, dialled: LoopbackConnector) -> None:
    def broken(_address: object) -> bool:
        raise OSError

    proxy = start(is_own=broken)
    answer = proxy.exchange(connect(f"{HOST}:443"))
    assert b"403" in answer and not dialled.dialled and proxy.denial()


@pytest.mark.parametrize("grant", ["inside.example.com:80", f"{METADATA}:80"])
def test_metadata_by_a_private_grant_of_another_name(
    start: Start, dialled: LoopbackConnector, grant: str
) -> None:
    names = Names(inside_example_com=METADATA, metadata_google_internal=METADATA)
    proxy = start(egress(grant, private=grant.startswith("inside")), lookup=names)
    host = grant.removesuffix(":80")
    answer = proxy.exchange(get(f"http://{host}/"))
    assert b"403" in answer and not dialled.dialled and "metadata" in proxy.denial().reason


def test_rebinding_while_a_name_is_in_use(start: Start, dialled: LoopbackConnector) -> None:
    """A real server of names that flips after its first answer is not asked again so soon."""
    answers = [[PUBLIC], ["127.0.0.1"]]
    server = DnsServer(lambda name: answers.pop(0) if len(answers) > 1 else answers[0])
    proxy = start(lookup=server.lookup)
    for _ in range(5):
        assert b"HTTP/1.1 200" in proxy.exchange(get(f"http://{HOST}/"))
    server.close()
    assert {address for address, _ in dialled.dialled} == {PUBLIC} and server.queries == 1


def test_rebinding_after_a_while(start: Start, dialled: LoopbackConnector) -> None:
    answers = [[PUBLIC], [METADATA]]
    server = DnsServer(lambda name: answers.pop(0) if len(answers) > 1 else answers[0])
    proxy = start(lookup=server.lookup, limits=EgressLimits(cache=0.1))
    assert b"HTTP/1.1 200" in proxy.exchange(get(f"http://{HOST}/"))
    time.sleep(0.2)
    assert b"403" in proxy.exchange(get(f"http://{HOST}/"))
    server.close()
    assert dialled.dialled == [(PUBLIC, 80)] and "metadata" in proxy.denial().reason


def test_a_name_as_a_way_out_of_data(start: Start) -> None:
    """Nothing is resolved for a host that is not granted."""
    lookup = Names(api_example_com=PUBLIC)
    proxy = start(lookup=lookup)
    proxy.exchange(connect("c2VjcmV0.evil.com:443"))
    proxy.exchange(get("http://c2VjcmV0.evil.com/"))
    assert lookup.asked == [] and len(proxy.denials) == 2


def test_slow_heads(start: Start) -> None:
    proxy = start(limits=EgressLimits(head_time=0.5))
    with proxy.dial() as sock:
        answer = b""
        for byte in get(f"http://{HOST}/"):
            try:
                sock.sendall(bytes((byte,)))
                time.sleep(0.05)
            except OSError:
                break
            if proxy.denials:
                break
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 408") and proxy.denial()


def test_a_hello_that_never_comes(start: Start) -> None:
    proxy = start(limits=EgressLimits(hello_time=0.3))
    sock, _ = proxy.tunnel(f"{HOST}:443")
    with sock:
        sock.sendall(client_hello(HOST)[:20])
        answer = read_all(sock)
    assert answer == b"\x15\3\3\0\2\2\x31" and "in time" in proxy.denial().reason


def test_more_connections_than_allowed(start: Start) -> None:
    proxy = start(limits=EgressLimits(connections=8, head_time=30))
    socks = [proxy.dial() for _ in range(40)]
    try:
        assert proxy.wait(lambda: proxy.denials)
        served = 0
        for sock in socks:
            sock.settimeout(0.05)
            try:
                sock.sendall(b"x\r\n\r\n")
                served += bool(sock.recv(1))
            except TimeoutError:
                break
        assert served >= 8 and proxy.denial().reason == "over 8 connections"
    finally:
        for sock in socks:
            sock.close()


def test_a_flood_of_names_in_the_records(start: Start) -> None:
    proxy = start()
    with proxy.dial() as sock:
        sock.close()
    for number in range(100):
        proxy.exchange(connect(f"h{number}.evil.com:443"))
    assert 1 <= len(proxy.denials) <= 100


def test_a_forward_leads_to_its_grant_only(start: Start, dialled: LoopbackConnector) -> None:
    """What is sent to a forward port is data, whatever it looks like."""
    proxy = start(egress(f"{HOST}:22", forward=15022))
    with proxy.dial(15022) as sock:
        sock.sendall(connect("evil.com:443"))
        read_all(sock)
    assert set(dialled.dialled) == {(PUBLIC, 22)}


def test_a_forward_to_a_name_that_turned_private(start: Start, dialled: LoopbackConnector) -> None:
    names = Names(api_example_com="192.168.0.1")
    proxy = start(egress(f"{HOST}:22", forward=15022), lookup=names)
    with proxy.dial(15022) as sock:
        assert read_all(sock) == b""
    assert not dialled.dialled and proxy.denial().reason == "private address 192.168.0.1"


DESCRIPTORS: dict[str, Callable[[str], int]] = {
    "a file": lambda address: os.open("/etc/passwd", os.O_RDONLY),
    "a pipe": lambda address: os.pipe()[0],
    "datagrams": lambda address: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
    "no listener": lambda address: socket.socket().detach(),
    "a unix socket": lambda address: socket.socket(socket.AF_UNIX).detach(),
    "a listener on every interface": lambda address: listener("0.0.0.0", 0).detach(),
    "a listener on another port": lambda address: listener(address, 4000).detach(),
}


@pytest.mark.parametrize("make", DESCRIPTORS.values(), ids=DESCRIPTORS)
def test_a_descriptor_that_is(start: Start, make: Callable[[str], int]) -> None:
    proxy = start()
    descriptor = make(loopback_address())
    proxy.call(lambda: proxy.proxy.open(2, [PROXY_PORT], GRANTS, [descriptor]))
    assert proxy.denial().zygote == 2


def test_a_listener_that_no_grant_has(start: Start) -> None:
    proxy = start()
    address = loopback_address()
    with listener(address, 4000) as sock:
        copy = os.dup(sock.fileno())
        proxy.call(lambda: proxy.proxy.open(2, [4000], GRANTS, [copy]))
    assert "4000" in proxy.denial().reason


def test_one_zygote_takes_over_the_number_of_another(start: Start) -> None:
    proxy = start()
    with listener(loopback_address(), PROXY_PORT) as sock:
        copy = os.dup(sock.fileno())
        everything = (egress("evil.com:443"),)
        proxy.call(lambda: proxy.proxy.open(1, [PROXY_PORT], everything, [copy]))
    answer = proxy.exchange(connect("evil.com:443"))
    assert b"403" in answer and len(proxy.denials) == 2


def test_connections_end_with_the_zygote(start: Start, dialled: LoopbackConnector) -> None:
    proxy = start(egress(f"{HOST}:22", forward=15022))
    with proxy.dial(15022) as sock:
        assert proxy.wait(lambda: dialled.dialled)
        proxy.call(lambda: proxy.proxy.close(1))
        assert read_all(sock) == b""
    with pytest.raises(OSError):
        proxy.dial()


def test_what_is_granted_works_all_the_same(start: Start, origin: HttpOrigin) -> None:
    """Without this the tests above could pass because nothing works."""
    proxy = start()
    assert b"HTTP/1.1 200" in proxy.exchange(get(f"http://{HOST}/"))
    assert proxy.denials == [] and len(origin.requests) == 1
