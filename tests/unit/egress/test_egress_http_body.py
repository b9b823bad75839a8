"""Bodies are passed on in one reading of their framing."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.egress.channel import Channel
from casemate.egress.errors import RequestRefusedError
from casemate.egress.http_body import copy_body
from casemate.egress.http_head import IN_CHUNKS, UNTIL_CLOSE, Body


def passed_on(body: Body, raw: bytes, *, pieces: int = 1 << 20) -> tuple[bytes, bytes]:
    """Return what `copy_body` sends, and what it leaves unread."""

    async def run() -> tuple[bytes, bytes]:
        sender, source = tcp_pair()
        sink, receiver = tcp_pair()
        source_channel = await Channel.over(source, lambda: None)
        sink_channel = await Channel.over(sink, lambda: None)
        loop = asyncio.get_running_loop()
        sender.setblocking(False)
        receiver.setblocking(False)

        async def feed() -> None:
            for at in range(0, len(raw), pieces):
                await loop.sock_sendall(sender, raw[at : at + pieces])
                await asyncio.sleep(0)
            sender.shutdown(socket.SHUT_WR)

        feeding = asyncio.ensure_future(feed())
        try:
            await copy_body(body, source_channel, sink_channel)
            await feeding
            rest = b""
            while data := await source_channel.read():
                rest += data
            sink_channel.end()
            sent = b""
            while data := await loop.sock_recv(receiver, 65536):
                sent += data
            return sent, rest
        finally:
            feeding.cancel()
            source_channel.abort()
            sink_channel.abort()
            sender.close()
            receiver.close()

    return asyncio.run(asyncio.wait_for(run(), 10))


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    other.setblocking(False)
    return one, other


def decode(raw: bytes) -> bytes:
    """Decode chunks that are known to be valid."""
    body = b""
    while True:
        size, _, raw = raw.partition(b"\r\n")
        if not int(size, 16):
            return body
        body += raw[: int(size, 16)]
        raw = raw[int(size, 16) + 2 :]


def test_a_length_is_the_length() -> None:
    assert passed_on(Body(3), b"abcdef") == (b"abc", b"def")
    assert passed_on(Body(0), b"abc") == (b"", b"abc")
    assert passed_on(UNTIL_CLOSE, b"abc") == (b"abc", b"")


def test_a_short_body_is_not_passed_for_a_whole_one() -> None:
    with pytest.raises(RequestRefusedError):
        passed_on(Body(4), b"abc")


def test_chunks_are_written_anew() -> None:
    raw = b"003\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET next"
    sent, rest = passed_on(IN_CHUNKS, raw, pieces=1)
    assert decode(sent) == b"abc0123456789"
    assert sent.endswith(b"0\r\nX-Sum: 1\r\n\r\n")
    assert rest == b"GET next"


@pytest.mark.parametrize(
    "raw",
    [
        b"3;ext=1\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"\r\n0\r\n\r\n",
        b"fffffffff\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nab\r\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3\r\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n",
        b"3\r\nab",
        b"0\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\n folded\r\n\r\n",
        b"0\r\nX: a\nY: b\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 40 + b"\r\n",
        b"1" * 70000,
    ],
)
def test_bad_chunks_are_refused(raw: bytes) -> None:
    with pytest.raises(RequestRefusedError):
        passed_on(IN_CHUNKS, raw)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5), st.integers(1, 200), st.binary())
def test_any_cutting_gives_the_same_body(chunks: list[bytes], pieces: int, rest: bytes) -> None:
    raw = b"".join(b"%X\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    sent, left = passed_on(IN_CHUNKS, raw + rest, pieces=pieces)
    assert decode(sent) == b"".join(chunks)
    assert left == rest
