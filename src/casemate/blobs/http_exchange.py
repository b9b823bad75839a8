"""One request over one connection, and no more of its answer, or time, than is wanted.

HTTP/1.1. Every read and write is bounded by one deadline, so that an answer that comes a byte at a
time ends when it ends. Redirects are not followed, proxies are not asked. The body of an answer is
read up to a bound, whatever it says of its length.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from typing import NamedTuple

from casemate.blobs.errors import BlobsUnreachableError

_SEND_BYTES = 1 << 16


class Answer(NamedTuple):
    """What was answered. Names of headers are as `http.client` finds them: in any case."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    """At most one byte more than was wanted: then there is more."""


class Connection:
    """A connection that may be used again while `reusable`. Belongs to one thread at a time."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        deadline: float,
        seconds: float,
        silence: float,
    ) -> None:
        """Connect within `seconds`, before `deadline` (monotonic). Raises OSError.

        `silence`: seconds for which nothing may be taken or come, at most.
        """
        self.deadline = deadline
        self.reusable = True
        self._silence = silence
        plain = socket.create_connection((host, port), min(seconds, self._left()))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(min(seconds, self._left()))
            self._socket = plain if tls is None else tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, most: int
    ) -> Answer:
        """Return the answer with at most `most` + 1 bytes of its body.

        Raises OSError, BlobsUnreachableError for what is no answer.
        """
        self.reusable = False
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in headers.items()
        )
        self._send(f"{head}content-length: {len(body)}\r\n\r\n".encode("ascii"))
        self._send(body)
        answer = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]
        try:
            answer.begin()
            content = answer.read(most + 1)
            whole = answer.isclosed()
        except (http.client.HTTPException, ValueError) as error:
            raise BlobsUnreachableError(
                f"The object store's answer is no HTTP: {type(error).__name__}."
            ) from error
        finally:
            answer.close()
        if not whole and len(content) <= most:
            raise BlobsUnreachableError("The object store's answer was cut.")
        self.reusable = whole and not answer.will_close
        return Answer(answer.status, answer.headers, content)

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._socket.settimeout(min(self._silence, self._left()))
            view = view[self._socket.send(view[:_SEND_BYTES]) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what `http.client` reads from."""
        return io.BufferedReader(_Reader(self))

    def receive_into(self, buffer: memoryview) -> int:
        """Read what is there, before the deadline."""
        self._socket.settimeout(min(self._silence, self._left()))
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class _Reader(io.RawIOBase):
    """The bytes of a connection, as a file that can be closed without it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._connection.receive_into(buffer)
