"""A server that speaks just enough of the protocol to answer as it should not."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket, bytes], None]
FIT = (b"f", b"150004", b"UTF8", b"on", b"on", b"on", b"7", b"00000001", b"now", b"0", b"origin")


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def row(*values: bytes | None) -> bytes:
    fields = b"".join(
        struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v for v in values
    )
    return message(b"D", struct.pack("!h", len(values)) + fields)


def columns(*types: int, form: int = 0) -> bytes:
    fields = b"".join(b"c\0" + struct.pack("!ihihih", 0, 0, kind, -1, -1, form) for kind in types)
    return message(b"T", struct.pack("!h", len(types)) + fields)


READY = message(b"Z", b"I")
DONE = message(b"C", b"SELECT 1\0") + READY
WELCOME = message(b"R", struct.pack("!i", 0)) + READY
CLEARTEXT = message(b"R", struct.pack("!i", 3))
BOOL, INTEGER, TEXT, BYTES, LONG = 16, 23, 25, 17, 20


def error(text: str, state: str = "XX000") -> bytes:
    return message(b"E", b"SERROR\0VERROR\0C" + state.encode() + b"\0M" + text.encode() + b"\0\0")


def fit(values: tuple[bytes | None, ...] = FIT) -> bytes:
    kinds = (BOOL, INTEGER, TEXT, TEXT, TEXT, TEXT, LONG, TEXT, TEXT, INTEGER, TEXT)[: len(values)]
    return columns(*kinds) + row(*values) + DONE


class Hostile:
    """Welcomes, is asked what it is, and leaves every other question to `answer`."""

    def __init__(
        self,
        answer: Answer | None = None,
        *,
        welcome: bytes = WELCOME,
        is_what: bytes | None = None,
    ) -> None:
        self._answer = answer
        self._welcome = welcome
        self._is_what = fit() if is_what is None else is_what
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.received = bytearray()
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"postgresql://test@127.0.0.1:{self._socket.getsockname()[1]}/d"

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # else the one that it waits for is taken
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(target=self._speak, args=(peer,), daemon=True).start()

    def _speak(self, peer: socket.socket) -> None:
        with suppress(OSError, struct.error), peer:
            self._read(peer, struct.unpack("!i", self._read(peer, 4))[0] - 4)
            if not self._welcome:
                peer.recv(1)
            peer.sendall(self._welcome)
            while True:
                kind = self._read(peer, 1)
                body = self._read(peer, struct.unpack("!i", self._read(peer, 4))[0] - 4)
                if kind == b"Q" and body.startswith(b"SET"):
                    peer.sendall(message(b"C", b"SET\0") + READY)
                elif kind == b"Q" and b"pg_is_in_recovery" in body:
                    peer.sendall(self._is_what)
                elif kind in b"SQ" and self._answer is not None:
                    self._answer(peer, kind)

    def _read(self, peer: socket.socket, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            part = peer.recv(size - len(got))
            if not part:
                raise OSError("closed")
            got += part
            self.received += part
        return bytes(got)


@contextmanager
def hostile(answer: Answer | None = None, **named: bytes) -> Iterator[Hostile]:
    server = Hostile(answer, **named)
    try:
        yield server
    finally:
        server.close()
