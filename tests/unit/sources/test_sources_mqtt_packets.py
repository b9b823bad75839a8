"""Packets of MQTT: whatever a broker sends is a packet or an error."""

from __future__ import annotations

import asyncio
import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.sources import mqtt_packets as packets
from casemate.sources.errors import SourceProtocolError


def text(value: str) -> bytes:
    return struct.pack("!H", len(value.encode())) + value.encode()


def publish(topic: str = "a/b", packet: int = 7, properties: bytes = b"") -> bytes:
    return text(topic) + struct.pack("!H", packet) + bytes((len(properties),)) + properties


def read(data: bytes, most: int = 1000) -> tuple[int, int, bytes]:
    async def run() -> tuple[int, int, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await packets.read_packet(reader, most)

    return asyncio.run(run())


def test_a_message_with_every_kind_of_property() -> None:
    properties = (
        b"\x01\x01"  # payload format
        + b"\x02\x00\x00\x00\x09"  # expiry
        + b"\x03"
        + text("application/json")
        + b"\x08"
        + text("answer/to")
        + b"\x09\x00\x02ab"
        + b"\x23\x00\x05"
        + b"\x0b\x80\x01"
        + b"\x26"
        + text("a")
        + text("b")
    )
    found = packets.parse_publish(0b1011, publish(properties=properties) + b"payload")
    assert (found.topic, found.qos, found.packet) == ("a/b", 1, 7)
    assert (found.again, found.retained, found.payload) == (True, True, b"payload")
    assert found.properties[packets.CONTENT_TYPE] == "application/json"


def test_acknowledgements_by_quality() -> None:
    for qos, expected in ((1, b"\x40\x02\x00\x07"), (2, b"\x50\x02\x00\x07")):
        message = packets.parse_publish(qos << 1, publish())
        assert packets.acknowledge(message) == expected
    without = packets.parse_publish(0, text("a") + b"\x00x")
    assert packets.acknowledge(without) == b""
    assert packets.complete(b"\x00\x07\x00") == b"\x70\x02\x00\x07"


@pytest.mark.parametrize(
    ("flags", "body"),
    [
        (2, b""),
        (2, publish(topic="")),
        (2, publish(packet=0)),
        (6, publish()),
        (2, text("a") + b"\x00\x01" + b"\x02\x7f\x00"),  # a property that there is not
        (2, text("a") + b"\x00\x01" + b"\x09\x03"),  # longer than there is
        (2, b"\x00\x02\xff\xff" + b"\x00\x01\x00"),
        (2, text("a") + b"\x00\x01" + b"\xff\xff\xff\xff\xff"),
    ],
)
def test_what_is_no_message(flags: int, body: bytes) -> None:
    with pytest.raises(SourceProtocolError):
        packets.parse_publish(flags, body)


def test_a_packet_is_read_whole_and_a_large_one_is_refused_unread() -> None:
    assert read(b"\xd0\x00") == (packets.PINGRESP, 0, b"")
    assert read(b"\x32\x03abc") == (packets.PUBLISH, 2, b"abc")
    with pytest.raises(SourceProtocolError, match="expected 1000"):
        read(b"\x32\xff\xff\xff\x7f")
    with pytest.raises(SourceProtocolError, match="no end"):
        read(b"\x32\xff\xff\xff\xff\x01")
    with pytest.raises(EOFError):
        read(b"\x32\x05ab")


@given(st.integers(0, 15), st.binary(max_size=100))
def test_whatever_comes_is_a_message_or_an_error(flags: int, body: bytes) -> None:
    with contextlib.suppress(SourceProtocolError):
        packets.parse_publish(flags, body)


@given(st.binary(max_size=60))
def test_whatever_comes_is_a_packet_or_an_error(data: bytes) -> None:
    with contextlib.suppress(SourceProtocolError, EOFError):
        read(data, most=30)


def test_a_connect_takes_up_the_session_and_bounds_what_comes() -> None:
    sent = packets.connect(
        client="c",
        user="u",
        password="p",
        keep_alive=30,
        session_expiry=60,
        receive_maximum=20,
        maximum_packet=1000,
    )
    kind, _, body = read(sent)
    assert kind == 1 and body.startswith(b"\x00\x04MQTT\x05")
    assert body[7] == 0xC0  # user, password, no clean start
    assert b"\x21\x00\x14" in body and b"\x27\x00\x00\x03\xe8" in body
    assert body.endswith(text("c") + text("u") + text("p"))
