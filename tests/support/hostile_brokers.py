"""Servers that speak the protocols of sources as a hostile one would, and one that is none."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

Serve = Callable[[socket.socket], None]
Flow = Callable[[], Iterable[bytes]]
MIB = b"x" * (1 << 20)


class Broker:
    """A server on loopback that serves each connection in a thread."""

    def __init__(self, serve: Serve) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.connections = 0
        self._serve = serve
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._server.accept()
                self.connections += 1
                self._open.append(sock)
                threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError, EOFError, ValueError):
            self._serve(sock)

    def close(self) -> None:
        self._server.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _send(sock: socket.socket, flow: Iterable[bytes]) -> None:
    """Send it all; then stay, and read nothing."""
    for part in flow:
        sock.sendall(part)
    threading.Event().wait(600)


# -- Valkey ----------------------------------------------------------------------------------


def _words(file: BinaryIO) -> list[bytes]:
    def line() -> bytes:
        found = file.readline().strip()
        if not found:
            raise EOFError
        return found

    return [file.read(int(line()[1:]) + 2)[:-2] for _ in range(int(line()[1:]))]


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(data), data)


def entries(*found: bytes) -> bytes:
    """Return an answer to XREADGROUP."""
    return b"*1\r\n*2\r\n$1\r\ns\r\n*%d\r\n" % len(found) + b"".join(found)


def entry(name: bytes, *fields: bytes) -> bytes:
    return b"*2\r\n" + bulk(name) + b"*%d\r\n" % len(fields) + b"".join(map(bulk, fields))


def valkey(read: Callable[[bytes], Iterable[bytes]]) -> Serve:
    """Return a server whose streams have what `read` tells for an id, as bytes of its answer."""

    def serve(sock: socket.socket) -> None:
        file = sock.makefile("rb")
        fixed = {b"XAUTOCLAIM": b"*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n", b"XINFO": b"*0\r\n"}
        fixed[b"XACK"] = b":1\r\n"
        while True:
            words = _words(file)
            if words[0] == b"XREADGROUP":
                for part in read(words[-1]):
                    sock.sendall(part)
            else:
                sock.sendall(fixed.get(words[0], b"+OK\r\n"))

    return serve


def good() -> Serve:
    """Return a Valkey with an entry every 50 ms."""
    numbers = itertools.count(1)

    def read(after: bytes) -> Iterator[bytes]:
        if after != b">":
            yield entries()
            return
        time.sleep(0.05)
        yield entries(entry(b"%d-1" % next(numbers), b"a", b"1"))

    return valkey(read)


# -- MQTT ------------------------------------------------------------------------------------


def _varying(value: int) -> bytes:
    data = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        data.append(byte | 0x80 if value else byte)
        if not value:
            return bytes(data)


def packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _varying(len(body)) + body


def published(payload: bytes, properties: bytes = b"") -> bytes:
    return packet(0x30, b"\0\1a" + _varying(len(properties)) + properties + payload)


SUBACK = packet(0x90, b"\0\1\0\1")


def mqtt(flow: Flow) -> Serve:
    """Return a broker that sends `flow` after SUBSCRIBE."""

    def serve(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(packet(0x20, b"\0\0\0"))
        sock.recv(4096)
        _send(sock, flow())

    return serve


# -- NATS ------------------------------------------------------------------------------------


def nats(flow: Flow) -> Serve:
    """Return a server that sends `flow` after the subscription, whose number is 1."""

    def serve(sock: socket.socket) -> None:
        sock.sendall(b'INFO {"headers":true}\r\n')
        sock.recv(4096)
        sock.sendall(b"PONG\r\n")
        sock.recv(4096)
        _send(sock, flow())

    return serve


def jetstream(pending: int) -> Serve:
    """Return a server whose consumer says that so much waits."""

    def serve(sock: socket.socket) -> None:
        file = sock.makefile("rb")
        sock.sendall(b'INFO {"headers":true}\r\n')
        inbox: list[bytes] = []
        while line := file.readline():
            words = line.split()
            if words[0] == b"PING":
                sock.sendall(b"PONG\r\n")
            elif words[0] == b"SUB":
                inbox = inbox or words[1:3]
            elif words[0] == b"PUB":
                file.read(int(words[-1]) + 2)
                told = {"config": {"ack_policy": "explicit"}, "num_pending": pending}
                body = json.dumps(told).encode()
                place = b" ".join((b"MSG", *inbox, b"%d" % len(body)))
                sock.sendall(place + b"\r\n" + body + b"\r\n")

    return serve


# -- RabbitMQ --------------------------------------------------------------------------------


def long_text(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def short_text(data: bytes) -> bytes:
    return bytes((len(data),)) + data


def _frame(kind: int, channel: int, body: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(body)) + body + b"\xce"


def _method(channel: int, kind: int, number: int, body: bytes = b"") -> bytes:
    return _frame(1, channel, struct.pack(">HH", kind, number) + body)


def delivered(
    tag: bytes, number: int, body: bytes, flags: int = 0, properties: bytes = b""
) -> bytes:
    """Return a message on channel 1 for the consumer `tag`."""
    head = struct.pack(">HHQH", 60, 0, len(body), flags) + properties
    parts = [_frame(3, 1, body[at : at + 131_000]) for at in range(0, len(body), 131_000)]
    place = short_text(tag) + struct.pack(">QB", number, 0) + short_text(b"") + short_text(b"q")
    return _method(1, 60, 60, place) + _frame(2, 1, head) + b"".join(parts)


def rabbitmq(
    flow: Callable[[bytes], Iterable[bytes]] = lambda _: (), properties: bytes = b""
) -> Serve:
    """Return a server that tells `properties` of itself, and sends `flow` for its consumer."""
    mine = short_text(b"capabilities") + b"F" + long_text(b"") + properties
    greeting = _method(0, 10, 10, b"\0\x09" + long_text(mine) + long_text(b"PLAIN") * 2)
    answers = {
        (10, 11): _method(0, 10, 30, struct.pack(">HIH", 2047, 131_072, 0)),
        (10, 40): _method(0, 10, 41, b"\0"),
        (20, 10): _method(1, 20, 11, long_text(b"")),
        (50, 10): _method(1, 50, 11, short_text(b"q") + struct.pack(">II", 7, 1)),
        (60, 10): _method(1, 60, 11),
    }

    def serve(sock: socket.socket) -> None:
        file = sock.makefile("rb")
        file.read(8)
        sock.sendall(greeting)
        while head := file.read(7):
            kind, channel, size = struct.unpack(">BHI", head)
            body = file.read(size + 1)
            method = struct.unpack(">HH", body[:4]) if kind == 1 else ()
            if method in answers:
                sock.sendall(answers[method])
            elif method == (60, 20):
                said = body[7 + body[6] :]
                tag = said[1 : 1 + said[0]]
                sock.sendall(_method(channel, 60, 21, short_text(tag)))
                for part in flow(tag):
                    sock.sendall(part)

    return serve


# -- PostgreSQL ------------------------------------------------------------------------------


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


def row(*fields: bytes) -> bytes:
    told = b"".join(struct.pack(">i", len(each)) + each for each in fields)
    return message(b"D", struct.pack(">h", len(fields)) + told)


def described(*columns: tuple[bytes, int]) -> bytes:
    told = [name + b"\0" + struct.pack(">IhIhih", 0, 0, oid, -1, -1, 0) for name, oid in columns]
    return message(b"T", struct.pack(">h", len(columns)) + b"".join(told))


OUTBOX = ((b"id", 20), (b"topic", 25), (b"created", 701), (b"size", 23), (b"payload", 25))
"""Columns of the query for rows, with the ids of their types."""


def outbox_row(number: bytes, payload: bytes, created: bytes = bytes(8)) -> bytes:
    return row(number, b"t", created, struct.pack(">i", len(payload)), payload)


def postgresql(
    rows: Flow = tuple, start: Flow = tuple, columns: tuple[tuple[bytes, int], ...] = OUTBOX
) -> Serve:
    """Return a server whose outbox has `rows`, and which sends `start` before it is ready."""
    told = {"server_version": "16.0", "client_encoding": "UTF8", "integer_datetimes": "on"}
    settings = [message(b"S", f"{name}\0{value}\0".encode()) for name, value in told.items()]
    parameters = message(b"t", struct.pack(">hIII", 3, 23, 1028, 20))
    answers = {
        b"P": message(b"1"),
        b"D": parameters + described(*columns),
        b"B": message(b"2"),
        b"C": message(b"3"),
        b"S": message(b"Z", b"T"),
    }

    def serve(sock: socket.socket) -> None:
        file = sock.makefile("rb")
        file.read(struct.unpack(">I", file.read(4))[0] - 4)
        sock.sendall(message(b"R", bytes(4)))
        for part in start():
            sock.sendall(part)
        sock.sendall(b"".join(settings) + message(b"K", bytes(8)) + message(b"Z", b"I"))
        while kind := file.read(1):
            body = file.read(struct.unpack(">I", file.read(4))[0] - 4)
            if kind == b"Q":
                state = b"T" if b"BEGIN" in body else b"I"
                sock.sendall(message(b"C", b"OK\0") + message(b"Z", state))
            elif kind == b"E":
                for part in rows():
                    sock.sendall(part)
                sock.sendall(message(b"C", b"SELECT 1\0"))
            else:
                sock.sendall(answers.get(kind, b""))

    return serve
