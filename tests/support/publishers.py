"""Puts messages into the servers that sources read from, by the simplest means there are."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import aiormq
import asyncpg
from pamqp.commands import Basic

from casemate.sources.resp import command
from support.outside_servers import Mosquitto, Nats, Postgres, Rabbitmq, Valkey


@contextlib.contextmanager
def _connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        yield sock


def valkey_do(server: Valkey, *commands: Sequence[str | bytes | int]) -> bytes:
    """Send commands at once; return all answers as they came, up to one to a final ECHO."""
    with _connection(server.port) as sock:
        sent = command("AUTH", server.password) + b"".join(command(*c) for c in commands)
        sock.sendall(sent + command("ECHO", "the-end"))
        answer = b""
        while b"the-end" not in answer:
            data = sock.recv(65536)
            assert data, answer
            answer += data
    return answer


def valkey_add(server: Valkey, stream: str, *entries: dict[str, Any]) -> None:
    """XADD entries."""
    valkey_do(
        server,
        *(["XADD", stream, "*", *(w for pair in entry.items() for w in pair)] for entry in entries),
    )


@contextlib.asynccontextmanager
async def postgres_connection(server: Postgres) -> Any:
    """Yield a connection of the superuser's."""
    connection = await asyncpg.connect(
        host="127.0.0.1", port=server.port, user="test", database="postgres", ssl=False
    )
    try:
        yield connection
    finally:
        await connection.close()


async def postgres_do(server: Postgres, *statements: str) -> list[Any]:
    """Run statements; return the rows of the last."""
    async with postgres_connection(server) as connection:
        rows: list[Any] = []
        for statement in statements:
            rows = await connection.fetch(statement)
        return rows


OUTBOX = """CREATE TABLE {name} (id bigserial PRIMARY KEY, topic text, payload jsonb,
    created_at timestamptz DEFAULT now())"""


@contextlib.asynccontextmanager
async def rabbitmq_channel(server: Rabbitmq) -> Any:
    """Yield a channel with confirms."""
    connection = await aiormq.connect(f"amqp://casemate:{server.password}@127.0.0.1:{server.port}/")
    try:
        yield await connection.channel()
    finally:
        await connection.close()


async def rabbitmq_publish(
    server: Rabbitmq, queue: str, *bodies: bytes, properties: dict[str, Any] | None = None
) -> None:
    """Publish to a queue by the default exchange; returns once all are confirmed."""
    async with rabbitmq_channel(server) as channel:
        await asyncio.gather(
            *(
                channel.basic_publish(
                    body,
                    routing_key=queue,
                    properties=Basic.Properties(delivery_mode=2, **(properties or {})),
                )
                for body in bodies
            )
        )


def mqtt_publish(
    server: Mosquitto, topic: str, *bodies: bytes, qos: int = 1, properties: bytes = b""
) -> None:
    """Publish with MQTT 5, and wait for every acknowledgement."""

    def text(value: str) -> bytes:
        return struct.pack("!H", len(value.encode())) + value.encode()

    def packet(first: int, body: bytes) -> bytes:
        length, size = b"", len(body)
        while True:
            size, byte = divmod(size, 128)
            length += bytes((byte | (0x80 if size else 0),))
            if not size:
                return bytes((first,)) + length + body

    with _connection(server.port) as sock:
        stream = sock.makefile("rb")

        def read() -> tuple[int, bytes]:
            first = stream.read(1)[0]
            size = shift = 0
            while True:
                byte = stream.read(1)[0]
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    return first >> 4, stream.read(size)

        name = f"publisher-{sock.getsockname()[1]}"
        sock.sendall(packet(0x10, text("MQTT") + b"\x05\x02\x00\x3c\x00" + text(name)))
        assert read()[1][1] == 0
        window = 20  # what a broker takes without acknowledgement, at the least
        for start in range(0, len(bodies), window):
            part = bodies[start : start + window]
            for number, body in enumerate(part, start=1):
                identified = struct.pack("!H", number) if qos else b""
                head = text(topic) + identified + bytes((len(properties),)) + properties
                sock.sendall(packet(0x30 | qos << 1, head + body))
            waiting = len(part) if qos else 0
            while waiting:
                kind, body = read()
                if kind == 5:
                    sock.sendall(packet(0x62, body[:2]))
                waiting -= kind in (4, 7)
        sock.sendall(b"\xe0\x00")


class NatsPublisher:
    """A connection that publishes and asks."""

    def __init__(self, server: Nats, context: ssl.SSLContext | None = None) -> None:
        sock = socket.create_connection(("127.0.0.1", server.port), 10)
        self._stream = sock.makefile("rb")
        assert self._stream.readline().startswith(b"INFO")
        if context is not None:
            sock = context.wrap_socket(sock, server_hostname="localhost")
            self._stream = sock.makefile("rb")
        self._sock = sock
        login = f'{{"verbose":false,"user":"casemate","pass":"{server.password}","headers":true}}'
        sock.sendall(f"CONNECT {login}\r\nSUB _INBOX.test 1\r\nPING\r\n".encode())
        self._until(b"PONG")

    def _until(self, start: bytes) -> bytes:
        while True:
            line = self._stream.readline()
            assert line and not line.startswith(b"-ERR"), line
            if line.startswith(b"PING"):
                self._sock.sendall(b"PONG\r\n")
            if line.startswith(start):
                return bytes(line)

    def publish(self, subject: str, *bodies: bytes, headers: bytes = b"") -> None:
        """Publish, and wait until the server has taken all."""
        sent = b""
        for body in bodies:
            if headers:
                head = b"NATS/1.0\r\n" + headers + b"\r\n\r\n"
                sizes = f"{len(head)} {len(head) + len(body)}"
                sent += f"HPUB {subject} {sizes}\r\n".encode() + head + body + b"\r\n"
            else:
                sent += f"PUB {subject} {len(body)}\r\n".encode() + body + b"\r\n"
        self._sock.sendall(sent + b"PING\r\n")
        self._until(b"PONG")

    def ask(self, subject: str, body: str) -> str:
        """Return the answer to a request."""
        data = body.encode()
        self._sock.sendall(f"PUB {subject} _INBOX.test {len(data)}\r\n".encode() + data + b"\r\n")
        size = int(self._until(b"MSG").split()[-1])
        return self._stream.read(size + 2).decode()

    def close(self) -> None:
        self._sock.close()

    def __enter__(self) -> NatsPublisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
