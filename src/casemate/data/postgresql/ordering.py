"""Keys of items as bytes that are in order as SQLite has the values in order.

Numbers by value, integers and doubles exactly, then text by code point. What is equal there (1 and
1.0) has the same bytes. A number is the greatest double that is not above it, and what is left.
"""

from __future__ import annotations

import math
import struct

from casemate.data.attributes import Scalar
from casemate.data.errors import DataCorruptError

_NUMBER, _TEXT = b"\1", b"\2"
_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_WHOLE = float(1 << 63)


def ordered(value: Scalar) -> bytes:
    """Return a key as bytes."""
    if isinstance(value, str):
        return _TEXT + value.encode()
    below = float(value)
    left = 0
    if isinstance(value, int):
        if int(below) > value:
            below = math.nextafter(below, -math.inf)
        left = value - int(below)
    (bits,) = struct.unpack(">Q", struct.pack(">d", below + 0.0))  # -0.0 is 0.0
    bits = _ALL - bits if bits & _SIGN else bits | _SIGN
    return _NUMBER + struct.pack(">QH", bits, left)


def value_of(kept: bytes) -> Scalar:
    """Return the value that was a key, or one equal to it. Raises DataCorruptError."""
    kind, rest = kept[:1], kept[1:]
    try:
        if kind == _TEXT:
            return rest.decode()
        if kind == _NUMBER:
            bits, left = struct.unpack(">QH", rest)
            bits = bits & ~_SIGN if bits & _SIGN else _ALL - bits
            (below,) = struct.unpack(">d", struct.pack(">Q", bits))
            whole = below.is_integer() and -_WHOLE <= below < _WHOLE
            return int(below) + left if whole else float(below)
    except (UnicodeDecodeError, struct.error, OverflowError) as error:
        raise DataCorruptError("A key of an item is none that was written.") from error
    raise DataCorruptError("A key of an item is of no kind that was written.")
