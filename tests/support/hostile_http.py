"""A server that sends what a test says, byte by byte if it likes, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Self

Script = Callable[[], Iterator[bytes | float]]
"""What is sent to each connection: bytes, and pauses in seconds."""


def once(*parts: bytes | float) -> Script:
    """Send these."""
    return lambda: iter(parts)


def forever(piece: bytes, *, first: bytes = b"", pause: float = 0.0) -> Script:
    """Send a piece again and again, for as long as somebody takes it."""

    def script() -> Iterator[bytes | float]:
        yield first
        while True:
            yield piece
            if pause:
                yield pause

    return script


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


ANSWERS: dict[str, Script] = {
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
    "HTTP/0.9": once(b"{}"),
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
"""What no client may believe, wait for without end, or take the room of."""


class HostileServer:
    """Reads one request of each connection, then does as the script says."""

    def __init__(self, script: Script, *, wait: bool = True) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self._wait = wait
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            if self._wait:
                self.requests.append(connection.recv(65536))
            for part in self.script():
                if self._closed:
                    return
                if isinstance(part, float):
                    time.sleep(part)
                else:
                    connection.sendall(part)
