"""Packets of MQTT 5.0, as far as a subscriber needs them, within bounds.

https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html
"""

from __future__ import annotations

import asyncio
import struct

import msgspec

from casemate.binary_reader import BinaryReader
from casemate.sources.errors import SourceProtocolError

CONNACK, PUBLISH, PUBREL, SUBACK, PINGRESP, DISCONNECT = 2, 3, 6, 9, 13, 14
CONTENT_TYPE, SERVER_KEEP_ALIVE = 0x03, 0x13
_SESSION_EXPIRY, _RECEIVE_MAXIMUM, _MAXIMUM_PACKET = 0x11, 0x21, 0x27
_BYTE = frozenset((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A))
_TWO_BYTES = frozenset((0x13, 0x21, 0x22, 0x23))
_FOUR_BYTES = frozenset((0x02, 0x11, 0x18, 0x27))
_TEXT = frozenset((0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F))
_BINARY = frozenset((0x09, 0x16))
_SUBSCRIPTION, _PAIR = 0x0B, 0x26
PING = b"\xc0\x00"
GOODBYE = b"\xe0\x00"
HEAD = 1024
"""Bytes that a packet may have beside its payload."""
MAX_PROPERTIES = 64 * 1024
"""Bytes of a message's properties; those of one that has more are not read, nor is the message."""


class Fields(BinaryReader):
    """Takes a packet apart."""

    def too_short(self) -> SourceProtocolError:
        """See BinaryReader."""
        return SourceProtocolError("A packet is shorter than its own lengths say.")

    def varying(self) -> int:
        """Return a Variable Byte Integer."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise SourceProtocolError("A packet's length has no end.")

    def text(self) -> str:
        """Return a UTF-8 Encoded String."""
        try:
            return self.vector(2).decode()
        except UnicodeDecodeError:
            raise SourceProtocolError("A packet's text is not UTF-8.") from None

    def properties(self) -> dict[int, int | str] | None:
        """Return the properties that are numbers and texts; the others are read past.

        None if they are larger than MAX_PROPERTIES.
        """
        taken = self.take(self.varying())
        if len(taken) > MAX_PROPERTIES:
            return None
        fields = Fields(taken)
        found: dict[int, int | str] = {}
        while fields.left:
            kind = fields.varying()
            if kind in _BYTE:
                found[kind] = fields.number(1)
            elif kind in _TWO_BYTES:
                found[kind] = fields.number(2)
            elif kind in _FOUR_BYTES:
                found[kind] = fields.number(4)
            elif kind in _TEXT:
                found[kind] = fields.text()
            elif kind == _SUBSCRIPTION:
                found[kind] = fields.varying()
            elif kind in _BINARY:
                fields.vector(2)
            elif kind == _PAIR:
                fields.vector(2)
                fields.vector(2)
            else:
                raise SourceProtocolError("A packet has a property that MQTT 5.0 does not know.")
        return found


class Publish(msgspec.Struct, frozen=True, kw_only=True):
    """A message."""

    topic: str
    payload: bytes
    qos: int
    again: bool
    """It was sent before (DUP)."""
    retained: bool
    packet: int
    """Packet id, 0 with QoS 0."""
    properties: dict[int, int | str]
    has_too_many: bool = False
    """Properties: none of them was read."""


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("!H", len(data)) + data


def _varying(value: int) -> bytes:
    data = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        data.append(byte | 0x80 if value else byte)
        if not value:
            return bytes(data)


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _varying(len(body)) + body


def connect(
    *,
    client: str,
    user: str,
    password: str,
    keep_alive: int,
    session_expiry: int,
    receive_maximum: int,
    maximum_packet: int,
) -> bytes:
    """Return a CONNECT that takes up the session there is."""
    flags = (0x80 if user else 0) | (0x40 if password else 0)
    properties = (
        struct.pack("!BI", _SESSION_EXPIRY, session_expiry)
        + struct.pack("!BH", _RECEIVE_MAXIMUM, receive_maximum)
        + struct.pack("!BI", _MAXIMUM_PACKET, maximum_packet)
    )
    body = _text("MQTT") + struct.pack("!BBH", 5, flags, keep_alive)
    body += _varying(len(properties)) + properties + _text(client)
    if user:
        body += _text(user)
    if password:
        body += _text(password)
    return _packet(0x10, body)


def subscribe(packet: int, topic: str, qos: int) -> bytes:
    """Return a SUBSCRIBE; retained messages come only if the subscription is new."""
    options = qos | 0x08 | 0x10
    return _packet(0x82, struct.pack("!HB", packet, 0) + _text(topic) + bytes((options,)))


def acknowledge(message: Publish) -> bytes:
    """Return the PUBACK (QoS 1) or PUBREC (QoS 2) of a message, nothing with QoS 0."""
    if not message.qos:
        return b""
    return _packet(0x40 if message.qos == 1 else 0x50, struct.pack("!H", message.packet))


def complete(body: bytes) -> bytes:
    """Return the PUBCOMP for a PUBREL."""
    return _packet(0x70, Fields(body).take(2))


def parse_publish(flags: int, body: bytes) -> Publish:
    """Return a PUBLISH. Raises SourceProtocolError."""
    fields = Fields(body)
    qos = flags >> 1 & 3
    if qos > 2:
        raise SourceProtocolError("A message came with a QoS that there is not.")
    topic = fields.text()
    packet = fields.number(2) if qos else 0
    if not topic or (qos and not packet):
        raise SourceProtocolError("A message came without a topic or a packet id.")
    properties = fields.properties()
    return Publish(
        topic=topic,
        qos=qos,
        again=bool(flags & 8),
        retained=bool(flags & 1),
        packet=packet,
        properties=properties or {},
        has_too_many=properties is None,
        payload=fields.rest(),
    )


async def read_packet(reader: asyncio.StreamReader, most: int) -> tuple[int, int, bytes]:
    """Return a packet's type, flags and body. Raises SourceProtocolError, EOFError, OSError."""
    first = (await reader.readexactly(1))[0]
    length = 0
    for shift in (0, 7, 14, 21):
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    else:
        raise SourceProtocolError("A packet's length has no end.")
    if length > most:
        raise SourceProtocolError(f"A packet has {length} bytes, expected {most} at most.")
    return first >> 4, first & 0x0F, await reader.readexactly(length)
