"""A node, or something in front of it, that answers the command line with its worst.

Whatever is sent: the command ends within its time, holds no more than its bounds, says what to do,
and gives its token to nobody else.
"""

from __future__ import annotations

import gzip
import resource
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from casemate.cli import client as client_module
from casemate.cli.client import NodeClient
from casemate.cli.credentials import Credentials
from casemate.cli.errors import CommandError, UnreachableError
from casemate.operations.login import Whoami
from casemate.operations.records import ReadLogs
from support.hostile_http import HostileServer, Script, forever, once

KEY = "cm_" + "k" * 40
SECONDS = 0.4
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
MIB = 1 << 20


def nested(levels: int) -> bytes:
    """Return bytes that are unpacked `levels` times to nothing at all: a name without an end."""
    packed = b"\x1f\x8b\x08\x08" + bytes(4) + b"\0\x03" + b"n" * (8 * MIB)
    for _ in range(levels):
        packed = gzip.compress(packed)
    return packed


def packed(coding: bytes, content: bytes) -> Script:
    head = OK + b"content-encoding: %s\r\ncontent-length: %d\r\n\r\n" % (coding, len(content))
    return once(head, content)


def answered(body: bytes, status: bytes = b"200 OK", *more: bytes) -> Script:
    lines = [b"HTTP/1.1 " + status, b"content-type: application/json", *more]
    return once(b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body]))


def many(count: int) -> bytes:
    return b"".join(b"x-%d: y\r\n" % number for number in range(count))


WHOAMI = b'{"principal":"user:ada","roles":[],"bindings":[]}'
ATTEMPTS: dict[str, Script] = {
    # Answers that never begin.
    "100 for ever": forever(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 for ever, slowly": forever(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.05),
    "102 for ever": forever(b"HTTP/1.1 102 Processing\r\n\r\n"),
    "103 with links for ever": forever(
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n", pause=0.01
    ),
    "103 with heads for ever": forever(
        b"HTTP/1.1 103 Early Hints\r\n" + many(500) + b"\r\n", pause=0.02
    ),
    "199 for ever": forever(b"HTTP/1.1 199 What\r\n\r\n", pause=0.02),
    "101 and then anything": once(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n" + b"x" * 65536
    ),
    "a head byte by byte": forever(b"a", first=b"HTTP/1.1 200 OK\r\nx: ", pause=0.05),
    "a status byte by byte": forever(b"0", first=b"HTTP/1.1 2", pause=0.05),
    "silence": once(20.0),
    "a line feed for ever": forever(b"\r\n", pause=0.02),
    # Heads.
    "a head without end": forever(b"x: y\r\n", first=OK),
    "a line without end": forever(b"x" * 4096, first=OK + b"x: "),
    "20,000 fields": once(OK + many(20_000) + b"content-length: 2\r\n\r\n{}"),
    "a field of 1 MiB": once(OK + b"x: " + b"y" * MIB + b"\r\n\r\n{}"),
    "folded fields for ever": forever(b" more\r\n", first=OK + b"x: y\r\n"),
    "no name": once(OK + b": y\r\n\r\n{}"),
    "a null in a field": once(OK + b"x: \0\r\ncontent-length: 2\r\n\r\n{}"),
    "a carriage return in a field": once(OK + b"x: a\rb\r\ncontent-length: 2\r\n\r\n{}"),
    "a status of four digits": once(b"HTTP/1.1 2000 OK\r\n\r\n"),
    "HTTP/0.9": once(WHOAMI),
    "HTTP/2": once(b"\0\0\x12\x04\0\0\0\0\0" + bytes(18)),
    "HTTP/9.9": once(b"HTTP/9.9 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
    "TLS where there is none": once(b"\x15\x03\x01\x00\x02\x02\x46"),
    # Lengths.
    "two lengths": once(OK + b"content-length: 2\r\ncontent-length: 9\r\n\r\n{}"),
    "a length below nothing": once(OK + b"content-length: -1\r\n\r\n{}"),
    "a length with a sign": once(OK + b"content-length: +2\r\n\r\n{}"),
    "a length of many digits": once(OK + b"content-length: " + b"9" * 5000 + b"\r\n\r\n{}"),
    "a length of 1 EiB": once(OK + b"content-length: 1152921504606846976\r\n\r\n{}"),
    "both ways of a length": once(
        OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n{}", 1.0
    ),
    "chunked twice": once(OK + b"transfer-encoding: chunked, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
    "another transfer": once(OK + b"transfer-encoding: gzip\r\n\r\n{}"),
    # Bodies.
    "a body byte by byte": forever(b" ", first=OK + b"content-length: 9999\r\n\r\n", pause=0.05),
    "a body byte by byte to the end of the connection": forever(
        b" ", first=OK + b"\r\n", pause=0.05
    ),
    "a body without end": forever(b" " * 65536, first=OK + b"\r\n"),
    "a body that breaks off": once(OK + b"content-length: 9\r\n\r\n{}"),
    "chunks of a byte, slowly": forever(b"1\r\n \r\n", first=CHUNKED, pause=0.05),
    "chunks without end": forever(b"8000\r\n" + b" " * 0x8000 + b"\r\n", first=CHUNKED),
    "a chunk of 2^80": once(CHUNKED + b"F" * 20 + b"\r\n "),
    "a chunk below nothing": once(CHUNKED + b"-1\r\n "),
    "a size without end": forever(b"0" * 64, first=CHUNKED),
    "an extension without end": forever(b"e" * 4096, first=CHUNKED + b"1;"),
    "an extension byte by byte": forever(b"e", first=CHUNKED + b"1;", pause=0.05),
    "chunks with 60 KiB of extension each": forever(
        b"1;" + b"e" * 61440 + b"\r\n \r\n", first=CHUNKED
    ),
    "quoted extensions": forever(b'1;a="' + b'\\"' * 20000 + b'"\r\n \r\n', first=CHUNKED),
    "trailers without end": forever(b"x: y\r\n", first=CHUNKED + b"0\r\n"),
    "trailers byte by byte": forever(b"x", first=CHUNKED + b"0\r\n", pause=0.05),
    # Packed.
    "a gzip bomb": packed(b"gzip", gzip.compress(bytes(64 * MIB))),
    "a deflate bomb": packed(b"deflate", zlib.compress(bytes(64 * MIB))),
    "a gzip of nothing, three times": packed(b"gzip, gzip, gzip", nested(2)),
    "a gzip of nothing, five times": packed(b"gzip,gzip,gzip,gzip,gzip", nested(4)),
    "a name of a gzip without end": forever(
        b"n" * 65536, first=OK + b"content-encoding: gzip\r\n\r\n\x1f\x8b\x08\x08" + bytes(6)
    ),
    "what follows a gzip, without end": forever(
        b"n" * 65536, first=OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"{}")
    ),
    "six codings": packed(b"gzip," * 5 + b"gzip", gzip.compress(b"{}")),
    "br": packed(b"br", b"\x1b\x00\x00\x00"),
    "zstd": packed(b"zstd", b"\x28\xb5\x2f\xfd"),
    "a coding that nobody knows": packed(b"rot13", b"{}"),
    "a coding of many letters": packed(b"g" * 60000, b"{}"),
    # What is in them.
    "JSON 100,000 deep": answered(b"[" * 100_000),
    "a member 100,000 deep": answered(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "objects 100,000 deep": answered(b'{"a":' * 100_000),
    "a number of a million digits": answered(b'{"expires_at":' + b"1" * MIB + b"}"),
    "an exponent of a million digits": answered(b'{"expires_at":1e' + b"9" * MIB + b"}"),
    "text that is no UTF-8": answered(b'{"principal":"\xff\xfe","roles":[]}'),
    "half a pair": answered(b'{"principal":"\\ud800","roles":[]}'),
    "a list instead": answered(b"[]"),
    "nothing instead": answered(b""),
    "null instead": answered(b"null"),
    "another kind": answered(b'{"principal":5,"roles":"all"}'),
    "UTF-16": answered("{}".encode("utf-16")),
}
LINES = [
    "a head byte by byte",
    "100 for ever",
    "a gzip of nothing, five times",
    "a name of a gzip without end",
    "JSON 100,000 deep",
    "an extension byte by byte",
    "a member 100,000 deep",
    "a gzip bomb",
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "GRACE_SECONDS", SECONDS)
    monkeypatch.setattr(client_module.read_whole, "__defaults__", (16 * MIB,))


@pytest.fixture(params=ATTEMPTS)
def hostile(request: pytest.FixtureRequest) -> Iterator[HostileServer]:
    with HostileServer(ATTEMPTS[request.param]) as server:
        yield server


def client_of(server: HostileServer) -> NodeClient:
    return NodeClient(Credentials(server.url, KEY))


def test_a_command_ends_whatever_is_answered(hostile: HostileServer) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    with client_of(hostile) as client, pytest.raises(CommandError) as refused:
        client.call(Whoami(), seconds=SECONDS)
    used = resource.getrusage(resource.RUSAGE_SELF)
    assert refused.value.next_step
    assert KEY not in str(refused.value)
    assert time.monotonic() - began < 5
    assert used.ru_utime - before.ru_utime < 2
    assert used.ru_maxrss - before.ru_maxrss < 200 * 1024


@pytest.mark.parametrize("name", LINES)
def test_what_is_followed_line_by_line_has_a_beginning_and_is_not_unpacked(name: str) -> None:
    began = time.process_time()
    deadline = time.monotonic() + 3
    logs = ReadLogs(project="shop", function="cart", follow=True)
    with HostileServer(ATTEMPTS[name]) as server, client_of(server) as client:
        try:
            with client.stream(logs, seconds=SECONDS) as lines:
                for _ in lines:
                    # What comes now and then is what is followed; it is for whoever looks to end.
                    if time.monotonic() > deadline:
                        break
        except CommandError as refused:
            assert refused.next_step
    assert time.process_time() - began < 2


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 305])
@pytest.mark.parametrize("where", ["http://localhost:{}/", "//127.0.0.1:{}/api", "https://a@b:{}"])
def test_nobody_else_is_sent_the_token(status: int, where: str) -> None:
    with HostileServer(answered(WHOAMI)) as other:
        to = where.format(other.port).encode()
        more = (b"location: " + to, b"refresh: 0; url=" + to, b'alt-svc: h2="%s"' % to)
        with HostileServer(answered(b"{}", b"%d Go" % status, *more)) as server:
            for _ in range(2):
                with client_of(server) as client, pytest.raises(CommandError):
                    client.call(Whoami(), seconds=2)
            assert len(server.requests) == 2
        assert not other.requests


@pytest.mark.parametrize(
    "challenge",
    [b'Basic realm="x"', b'Digest realm="x", nonce="y"', b"Negotiate", b"NTLM", b"Bearer"],
)
@pytest.mark.parametrize("status", [b"401 No", b"407 No"])
def test_a_challenge_gets_no_password_of_somebody_else(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, challenge: bytes, status: bytes
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ada password hunter2secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    name = b"www-authenticate: " if status.startswith(b"401") else b"proxy-authenticate: "
    with HostileServer(answered(b"{}", status, name + challenge)) as server:
        with client_of(server) as client, pytest.raises(CommandError):
            client.call(Whoami(), seconds=2)
        assert len(server.requests) == 1
        sent = server.requests[0].lower()
    assert sent.count(b"authorization:") == 1
    assert b"hunter2" not in sent and b"basic" not in sent


def test_cookies_of_a_node_go_to_no_other() -> None:
    cookie = b"set-cookie: a=b; domain=127.0.0.1; path=/"
    with HostileServer(answered(WHOAMI, b"200 OK", cookie)) as one, HostileServer(
        answered(WHOAMI)
    ) as other:
        for server in (one, other, other):
            with client_of(server) as client:
                client.exchange("GET", "/api/v1/whoami")
        assert b"cookie" not in other.requests[0].lower()


def test_a_request_after_one_that_took_too_long_is_made_anew() -> None:
    with HostileServer(ATTEMPTS["100 for ever, slowly"]) as server, client_of(server) as client:
        with pytest.raises(UnreachableError, match="too long"):
            client.call(Whoami(), seconds=SECONDS)
        server.script = answered(b'{"principal":"user:ada","roles":[]}')
        assert client.call(Whoami(), seconds=SECONDS).principal == "user:ada"
