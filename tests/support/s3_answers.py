"""A server that answers what a test says, byte for byte, to what is asked in S3's terms."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

NAME = "ab" * 16


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Say = Callable[[Asked, socket.socket], None]


def plain(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer with its length, and a time: always the same, as it is in names of tests."""
    fields = {"content-length": str(len(body)), "date": "Fri, 27 Nov 2026 20:00:00 GMT"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


class Answers:
    """What was asked so far, and where."""

    def __init__(self, say: Say, tls: ssl.SSLContext | None = None) -> None:
        self.say = say
        self.tls = tls
        self.asked: list[Asked] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"s3://bucket/at/?endpoint=http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), connection:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            file = connection.makefile("rb")
            while line := file.readline():
                method, target, _ = line.decode().split()
                headers = {}
                while (field := file.readline().decode().strip()) != "":
                    name, _, value = field.partition(":")
                    headers[name.lower()] = value.strip()
                body = file.read(int(headers.get("content-length", "0")))
                asked = Asked(method, target, headers, body)
                self.asked.append(asked)
                self.say(asked, connection)

    def close(self) -> None:
        self._server.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


@contextlib.contextmanager
def answering(say: Say, tls: ssl.SSLContext | None = None) -> Iterator[Answers]:
    """Yield a server whose answers are sent by `say`."""
    server = Answers(say, tls)
    try:
        yield server
    finally:
        server.close()


def always(data: bytes) -> Say:
    """Send the same to everybody."""
    return lambda _asked, connection: connection.sendall(data)


def listing(*keys: str, token: str = "", modified: str = "2020-01-01T00:00:00.000Z") -> bytes:
    """Return a page of a list."""
    contents = "".join(
        f"<Contents><Key>{key}</Key><LastModified>{modified}</LastModified></Contents>"
        for key in keys
    )
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        "<?xml version='1.0'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
        f"<IsTruncated>{'true' if token else 'false'}</IsTruncated>{following}{contents}"
        "</ListBucketResult>"
    ).encode()
