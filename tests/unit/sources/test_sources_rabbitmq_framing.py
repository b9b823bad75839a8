"""What an AMQP server sends is checked from head to head."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.sources.errors import SourceError, SourceProtocolError
from casemate.sources.rabbitmq_framing import Framing


def frame(kind: int, body: bytes) -> bytes:
    return bytes((kind, 0, 1)) + len(body).to_bytes(4, "big") + body + b"\xce"


def header(size: int) -> bytes:
    return frame(2, b"\0\x3c\0\0" + size.to_bytes(8, "big") + b"\0\0")


@given(st.lists(st.binary(max_size=30), max_size=6), st.integers(1, 20))
def test_frames_pass_however_they_are_cut(bodies: list[bytes], size: int) -> None:
    stream = b"".join(
        frame(1, body) + header(len(body)) + frame(3, body) + frame(8, b"") for body in bodies
    )
    framing = Framing(100, 100)
    for at in range(0, len(stream), size):
        framing.feed(stream[at : at + size])


@pytest.mark.parametrize(
    "data",
    [
        b"AMQP\0\0\x09\1",
        b"\x01\0\0\0\0\x01\x01",
        frame(1, b"abc")[:-1] + b"\0",
        frame(2, b"\0" * 11),
        bytes(50),
        b"A" * 50,
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(SourceProtocolError):
        Framing(100, 256).feed(data + bytes(20))


def test_a_message_that_is_too_large_is_refused_by_its_header() -> None:
    framing = Framing(100, 256)
    framing.feed(header(100))
    with pytest.raises(SourceError, match="101 bytes, expected 100"):
        framing.feed(header(101))
