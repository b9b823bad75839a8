"""The wire format of Protocol Buffers, as much of it as OTLP takes: fields out, few fields in.

https://protobuf.dev/programming-guides/encoding. Written out: see ADR 0062.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_U64 = (1 << 64) - 1
_fixed64 = struct.Struct("<Q").pack
_double = struct.Struct("<d").pack


class MalformedError(ValueError):
    """It is no message."""


def varint(value: int) -> bytes:
    """Return a number of 64 bits, of which negative ones are written as their complement."""
    value &= _U64
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = tuple(varint(value) for value in range(1024))
"""Most numbers and lengths: to make them anew is half of what encoding costs."""
_TAGS = tuple(tuple(varint(field << 3 | kind) for field in range(32)) for kind in range(6))


def number(field: int, value: int) -> bytes:
    """Return a number; an enumeration or a truth value is one, too."""
    return _TAGS[_VARINT][field] + (_SMALL[value] if 0 <= value < 1024 else varint(value))


def fixed64(field: int, value: int) -> bytes:
    """Return a number of eight bytes."""
    return _TAGS[_FIXED64][field] + _fixed64(value & _U64)


def double(field: int, value: float) -> bytes:
    """Return a number with a point."""
    return _TAGS[_FIXED64][field] + _double(value)


def data(field: int, value: bytes) -> bytes:
    """Return bytes, or a message within one."""
    size = len(value)
    return _TAGS[_BYTES][field] + (_SMALL[size] if size < 1024 else varint(size)) + value


def text(field: int, value: str) -> bytes:
    """Return a text; what is not Unicode is written as escapes."""
    return data(field, value.encode("utf-8", "backslashreplace"))


def packed_fixed64(field: int, values: Sequence[int]) -> bytes:
    """Return many numbers of eight bytes."""
    return data(field, struct.pack(f"<{len(values)}Q", *values))


def packed_double(field: int, values: Sequence[float]) -> bytes:
    """Return many numbers with a point."""
    return data(field, struct.pack(f"<{len(values)}d", *values))


def message(field: int, parts: Iterable[bytes]) -> bytes:
    """Return a message of these fields within one."""
    return data(field, b"".join(parts))


def fields(encoded: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message that came from outside. Raises MalformedError."""
    at = 0
    while at < len(encoded):
        tag, at = _read_varint(encoded, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _read_varint(encoded, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, at = _read_varint(encoded, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise MalformedError("a field of a kind that there is not")
        if size > len(encoded) - at:
            raise MalformedError("a field that is cut")
        yield tag >> 3, encoded[at : at + size]
        at += size


def _read_varint(encoded: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(encoded[at : at + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value & _U64, at + count + 1
    raise MalformedError("a number without end")
