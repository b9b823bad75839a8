"""The protocol of NATS: heads, headers, and what JetStream says of a message."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.model.trigger import NatsTrigger
from casemate.sources.errors import SourceError, SourceProtocolError
from casemate.sources.nats import NatsConnector, parse_delivered
from casemate.sources.nats_protocol import NatsConnection, NatsMessage, parse_headers


def listen(data: bytes, most: int = 100) -> list[NatsMessage]:
    """Return the messages of subscription 1 in what a server sends."""

    async def run() -> list[NatsMessage]:
        reader = asyncio.StreamReader(limit=64 * 1024)
        reader.feed_data(data)
        reader.feed_eof()
        written: list[bytes] = []

        async def drain() -> None:
            pass

        writer: Any = SimpleNamespace(write=written.append, drain=drain)
        connection = NatsConnection(reader, writer, most)
        found: list[NatsMessage] = []

        async def take(message: NatsMessage) -> None:
            found.append(message)

        connection.subscribe("s", take)
        with contextlib.suppress(EOFError):
            await connection.listen()
        return found

    return asyncio.run(run())


def test_messages_with_and_without_reply_and_headers() -> None:
    found = listen(b"PING\r\nMSG a.b 1 3\r\nabc\r\nmsg a.b 1 back 0\r\n\r\n+OK\r\n")
    assert [(m.subject, m.reply, m.payload) for m in found] == [
        ("a.b", "", b"abc"),
        ("a.b", "back", b""),
    ]


def test_headers_are_split_from_the_payload() -> None:
    head = b"NATS/1.0\r\nContent-Type: text/plain\r\n\r\n"
    sizes = f"{len(head)} {len(head) + 2}".encode()
    (found,) = listen(b"HMSG a 1 " + sizes + b"\r\n" + head + b"hi\r\n")
    assert found.headers == {"content-type": "text/plain"} and found.payload == b"hi"


def test_a_status_is_a_number_of_three_digits() -> None:
    assert parse_headers(b"NATS/1.0 404 No Messages\r\n\r\n") == ({}, 404)
    assert parse_headers(b"NATS/1.0 abc\r\n\r\n") == ({}, 0)


def test_a_large_message_is_read_past() -> None:
    found = listen(b"MSG a 1 200\r\n" + b"x" * 200 + b"\r\nMSG a 1 1\r\ny\r\n")
    assert [(m.payload, m.size) for m in found] == [(None, 200), (b"y", 1)]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"MSG\r\n",
        b"MSG a 1 x\r\n",
        b"MSG a 1 -5\r\n",
        b"MSG a 2 1\r\ny\r\n",
        b"MSG a 1 1\r\nyzz\r\n",
        b"HMSG a 1 50 10\r\n",
        b"HMSG a 1 5 10\r\nabcdefghij\r\n",
        b"X" * 100_000,
    ],
)
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(SourceProtocolError):
        listen(data)


@pytest.mark.parametrize("info", [b"{", b"[" * 30_000, b'{"x":' + b"[" * 30_000])
def test_a_greeting_that_is_none_is_refused(info: bytes) -> None:
    async def run() -> None:
        reader = asyncio.StreamReader(limit=64 * 1024)
        reader.feed_data(b"INFO " + info + b"\r\n")
        connection = NatsConnection(reader, SimpleNamespace(), 100)  # type: ignore[arg-type]
        with pytest.raises(SourceProtocolError, match="does not greet"):
            await connection._greet(None, "localhost")

    asyncio.run(run())


def test_an_error_of_the_server_is_told() -> None:
    with pytest.raises(SourceError, match="Authorization Violation"):
        listen(b"-ERR 'Authorization Violation'\r\n")


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_message_or_an_error(data: bytes) -> None:
    with contextlib.suppress(SourceError):
        listen(data)


def test_what_jetstream_tells_in_both_forms() -> None:
    old = parse_delivered("$JS.ACK.S.C.2.10.5.1700000000500000000.3")
    new = parse_delivered("$JS.ACK._.hash.S.C.2.10.5.1700000000500000000.3.token")
    for found in (old, new):
        assert found is not None
        assert (found.stream, found.sequence, found.attempt) == ("S", 10, 2)
        assert (found.time, found.pending) == (1700000000.5, 3)


@pytest.mark.parametrize(
    "reply",
    ["", "a.b", "$JS.ACK.S", "$JS.ACK.S.C.x.10.5.17.3", "$JS.ACK.S.C.2.10.5.17.9" + "9" * 30],
)
def test_another_reply_tells_nothing(reply: str) -> None:
    assert parse_delivered(reply) is None


@given(st.text(max_size=80))
def test_no_reply_breaks_it(reply: str) -> None:
    parse_delivered(reply)


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB x 0"])
def test_subjects_that_would_be_commands_are_refused(subject: str) -> None:
    with pytest.raises(SourceError):
        NatsConnector(NatsTrigger(name="t", host="h", port=1, subject=subject))
