"""A server that sends what a test says, byte by byte if it likes, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
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
