"""HTTP spoken byte by byte, for what no client library would send or tell."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One whole response."""

    status: int
    headers: dict[str, str]
    body: bytes
    close: bool


def connect(port: int, seconds: float = 20.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=seconds)


def request(
    target: str | bytes,
    body: bytes = b"",
    *,
    method: str = "POST",
    key: str | None = None,
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),),
) -> bytes:
    """Return the bytes of a request."""
    raw = target if isinstance(target, bytes) else target.encode("latin-1")
    lines = [method.encode() + b" " + raw + b" HTTP/1.1", b"Host: node"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}".encode())
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers]
    if body:
        lines.append(f"Content-Length: {len(body)}".encode())
    return b"\r\n".join([*lines, b"", b""]) + body


def read_answer(sock: socket.socket, method: str = "POST") -> Answer:
    """Read one response to its end. Raises HTTPException or OSError if there is none."""
    response = http.client.HTTPResponse(sock, method=method)
    response.begin()
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, body, response.will_close)


def exchange(port: int, raw: bytes, method: str = "POST") -> Answer:
    """Send bytes on a connection of their own and read the answer."""
    with connect(port) as sock:
        sock.sendall(raw)
        return read_answer(sock, method)
