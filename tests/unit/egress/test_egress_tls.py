"""The server name in a ClientHello."""

from __future__ import annotations

import contextlib
import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.egress.target import Target, parse_authority
from casemate.egress.tls import MAX_HELLO, HelloError, is_hello_for, server_name
from support.egress import HOST, client_hello

TARGET = Target(HOST, 443)
HELLO = client_hello(HOST)


def extension(kind: int, content: bytes) -> bytes:
    return struct.pack("!HH", kind, len(content)) + content


def name_extension(*names: bytes, kind: int = 0) -> bytes:
    entries = b"".join(struct.pack("!BH", kind, len(name)) + name for name in names)
    return extension(0, struct.pack("!H", len(entries)) + entries)


def hello(*extensions: bytes, tail: bytes = b"", record_tail: bytes = b"") -> bytes:
    block = b"".join(extensions)
    body = bytes((3, 3)) + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0"
    body += struct.pack("!H", len(block)) + block + tail
    message = b"\1" + len(body).to_bytes(3, "big") + body + record_tail
    return b"\x16\3\1" + struct.pack("!H", len(message)) + message


def in_records(message: bytes, size: int) -> bytes:
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\3\1" + struct.pack("!H", len(part)) + part for part in parts)


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_openssl_sends(maximum: ssl.TLSVersion) -> None:
    assert server_name(client_hello(HOST, maximum=maximum)) == (True, HOST)
    assert server_name(client_hello(None, maximum=maximum)) == (True, None)


def test_the_name_must_be_the_tunnels() -> None:
    assert is_hello_for(TARGET, HELLO)
    assert is_hello_for(TARGET, hello(name_extension(b"API.example.COM")))
    for other in (b"evil.com", b"api.example.com.", b"api.example.com.evil.com", b"example.com"):
        with pytest.raises(HelloError):
            is_hello_for(TARGET, hello(name_extension(other)))


def test_no_name_is_for_addresses_only() -> None:
    address = parse_authority("93.184.216.34:443")
    assert is_hello_for(address, client_hello(None))
    with pytest.raises(HelloError):
        is_hello_for(TARGET, client_hello(None))
    with pytest.raises(HelloError):
        is_hello_for(address, HELLO)


@pytest.mark.parametrize(
    "data",
    [
        hello(name_extension(HOST.encode(), b"evil.com")),
        hello(name_extension(HOST.encode()), name_extension(b"evil.com")),
        hello(name_extension(HOST.encode(), kind=1)),
        hello(name_extension("api.\u0435xample.com".encode())),
        hello(extension(0, b"")),
        hello(extension(0, b"\0\0")),
        hello(name_extension(HOST.encode()), extension(0xFE0D, b"\0" * 40)),
        hello(name_extension(HOST.encode()), extension(0xFFCE, b"\0" * 40)),
        hello(name_extension(HOST.encode()), tail=b"\0"),
        hello(name_extension(HOST.encode()), record_tail=b"\1\0\0\0"),
        b"\x16\3\1\0\0" + HELLO,
        b"\x16\3\1\0\4\2\0\0\0",
        b"\x15\3\1\0\2\2\0" + HELLO,
        b"\x16\2\0\0\5hello",
        b"\x16\3\1\xff\xff" + b"\1" * 100,
        b"\x16\3\1\0\4\1\xff\xff\xff",
        b"\x80\x2e\1\0\2" + bytes(44),
    ],
)
def test_what_hides_its_name_is_refused(data: bytes) -> None:
    with pytest.raises(HelloError):
        server_name(data)


@given(st.integers(1, 700))
def test_it_may_come_in_many_records(size: int) -> None:
    assert is_hello_for(TARGET, in_records(HELLO[5:], size))


@given(st.integers(0, len(HELLO) - 1))
def test_part_of_it_is_never_enough(size: int) -> None:
    assert server_name(HELLO[:size]) == (False, None)


def test_what_follows_it_does_not_matter() -> None:
    assert is_hello_for(TARGET, HELLO + b"\x14\3\3\0\1\1")


def test_it_cannot_go_on_forever() -> None:
    record = b"\x16\3\1\x40\0" + b"\1\0\x7f\0" + bytes(16380)
    with pytest.raises(HelloError):
        server_name(record + (b"\x16\3\1\0\1\0" * MAX_HELLO))


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused_or_incomplete(data: bytes) -> None:
    with contextlib.suppress(HelloError):
        assert server_name(b"\x16\3" + data)[1] is None


@given(st.integers(0, len(HELLO) - 1), st.integers(0, 255))
def test_a_changed_hello_never_passes_for_another_host(at: int, value: int) -> None:
    changed = HELLO[:at] + bytes((value,)) + HELLO[at + 1 :]
    try:
        complete, name = server_name(changed)
    except HelloError:
        return
    assert not complete or name is None or name in str(changed, "latin-1").lower()
