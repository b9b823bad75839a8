"""A small HTTP/1.1 client on a bare socket, and the question that all targets are asked.

It does no more than these measurements need, so that it costs the machine it shares with the
target as little as possible.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

import msgspec

VALUES = (3, 1, 4, 1, 5, 9, 2, 6)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how to invoke a function."""

    host: str = "127.0.0.1"
    port: int
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Return the address as a URL."""
        return f"{self.scheme}://{self.host}:{self.port}{self.path}"


class Reply(msgspec.Struct, frozen=True):
    """Status, body and whether the server keeps the connection."""

    status: int
    body: bytes
    keep: bool


def event(number: int) -> dict[str, Any]:
    """Return the event with this number; the number comes back in the right answer."""
    return {"n": number, "name": "ada", "values": list(VALUES)}


def answer(number: int) -> dict[str, Any]:
    """Return the right answer to `event(number)`, keys sorted as the handlers give them."""
    return {"largest": max(VALUES), "n": number, "name": "ADA", "total": sum(VALUES)}


def is_right(reply: Reply, number: int) -> bool:
    """Tell whether a reply is a 200 with the right answer to `event(number)`."""
    if reply.status != 200:
        return False
    try:
        return bool(json.loads(reply.body) == answer(number))
    except ValueError:
        return False


def encode(endpoint: Endpoint, content: Mapping[str, Any]) -> bytes:
    """Return a whole POST request with a JSON body."""
    body = json.dumps(content, separators=(",", ":")).encode()
    lines = [
        f"POST {endpoint.path} HTTP/1.1",
        f"Host: {endpoint.host}:{endpoint.port}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in endpoint.headers),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Connection:
    """One keep-alive connection. Raises OSError or ValueError on anything but a whole reply."""

    def __init__(self, endpoint: Endpoint, timeout: float = 10.0) -> None:
        """Connect, waiting at most `timeout` seconds here and in each read."""
        self._socket = socket.create_connection((endpoint.host, endpoint.port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def exchange(self, request: bytes) -> Reply:
        """Send one request and read its whole reply."""
        self._socket.sendall(request)
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._more()
        head, self._buffer = self._buffer[:end].lower(), self._buffer[end + 4 :]
        start, *lines = head.split(b"\r\n")
        if not start.startswith(b"http/1.1 "):
            raise ValueError(f"a reply beginning with {start[:40]!r} was received")
        pairs = (line.split(b":", 1) for line in lines if b":" in line)
        fields = {name: value.strip() for name, value in pairs}
        if fields.get(b"transfer-encoding") == b"chunked":
            body = self._chunks()
        elif b"content-length" in fields:
            body = self._take(int(fields[b"content-length"]))
        else:
            raise ValueError("a reply with neither Content-Length nor chunks was received")
        keep = fields.get(b"connection") != b"close"
        return Reply(int(start[9:12]), body, keep)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError("the server closed the connection in a reply")
        self._buffer += data

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while (end := self._buffer.find(b"\r\n")) < 0:
                self._more()
            size = int(self._take(end + 2)[:-2].split(b";")[0], 16)
            body += self._take(size + 2)[:-2]
            if size == 0:
                return body
