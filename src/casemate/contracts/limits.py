"""The strict limits of data that no contract describes.

Nearly all data is told to be within them by counting bytes; only what might not be is decoded and
walked. Nothing here judges what data means.
"""

from __future__ import annotations

import re

import msgspec

from casemate.contracts.schema import Violation
from casemate.decoding import DECODING_ERRORS

MAX_SIZE = 1024 * 1024
"""Bytes of JSON."""
MAX_DEPTH = 32
"""Levels of arrays and objects."""
MAX_KEYS = 1000
"""Keys of one object."""
MAX_ITEMS = 10_000
"""Items of one array."""
MAX_VALUES = 50_000
"""Values altogether."""
MAX_KEY = 256
"""Characters of a key."""
MAX_STRING = 256 * 1024
"""Characters of a string."""
MAX_INTEGER = (1 << 63) - 1
"""Largest absolute value of an integer."""
MAX_NUMBER = 1e30
"""Largest absolute value of a number with a fraction or exponent."""

_LONG_KEY = re.compile(rb'"[^"]{%d,}"[ \t\r\n]*:' % (MAX_KEY + 1)).search
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A string of JSON. One that is not closed, of what is no JSON, ends with the data: looked for from
each of its quotes again, it would take quadratic time."""
_ONE_BRACKET = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_NO_QUOTE = bytes(0x22 if byte == 0x22 else 0x78 for byte in range(256))
_LONG_TEXT = b"x" * (MAX_KEY + 1)
"""What every key beyond the limit holds, once all that is no quote is an x."""
_ONE_DIGIT = bytes.maketrans(b"123456789E", b"000000000e")
_LARGE = (b"0" * 19, b"0e00")
"""What every number beyond the limits holds, once all digits are 0 and plus signs are left out."""
_BEFORE_NUMBERS = frozenset(b":,[ \t\r\n")
_MAX_LOOKS = 64
_MAX_PATH = 200
_decode = msgspec.json.Decoder().decode


def exceeded(data: bytes) -> Violation | None:
    """Return the limit that data (JSON, known to be valid) exceeds, None if it is within all."""
    large = too_large(data)
    if large is not None:
        return large
    size = len(data)
    nested = data.count(b"{") + data.count(b"[")
    values = data.count(b",") + nested
    if (
        (nested <= MAX_DEPTH or _depth_is_bounded(data))
        and values < MAX_KEYS
        and size <= MAX_STRING
        and not _may_hold_large_number(data)
        and (size <= MAX_KEY or not _may_hold_long_key(data))
    ):
        return None
    return _walked(data)


def too_large(data: bytes) -> Violation | None:
    """Return the limit on size if data exceeds it, whatever it is."""
    return _beyond("size") if len(data) > MAX_SIZE else None


def _depth_is_bounded(data: bytes) -> bool:
    """Tell whether JSON nests at most MAX_DEPTH levels: each turn takes away the innermost."""
    left = _STRING.sub(b"", data).translate(_ONE_BRACKET, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not left:
            break
        left = left.replace(b"[]", b"")
    return not left


def _may_hold_long_key(data: bytes) -> bool:
    """Tell whether some text is long enough, and stands where a key does; escapes may hide one."""
    if b'\\"' in data:
        return True
    return _LONG_TEXT in data.translate(_NO_QUOTE) and _LONG_KEY(data) is not None


def _may_hold_large_number(data: bytes) -> bool:
    """Tell whether some digits look like a number out of bounds, and not like part of a word."""
    shape = data.translate(_ONE_DIGIT, b"+")
    for mark in _LARGE:
        at = shape.find(mark)
        for _ in range(_MAX_LOOKS):
            if at < 0:
                break
            start = len(shape[:at].rstrip(b"0.").removesuffix(b"-"))
            if start == 0 or shape[start - 1] in _BEFORE_NUMBERS:
                return True
            at = shape.find(mark, at + len(mark))
        else:
            return True
    return False


def _walked(data: bytes) -> Violation | None:
    try:
        value = _decode(data)
    except DECODING_ERRORS:
        return _beyond("json")
    return _Walk().of(value, 1)


class _Walk:
    """One look at all values. Paths are not told: the names are the sender's."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def of(self, value: object, depth: int) -> Violation | None:
        """Return the first limit that a value at a level exceeds."""
        self._left -= 1
        if self._left < 0:
            return _beyond("values")
        rule = _scalar(value)
        if rule:
            return _beyond(rule)
        if isinstance(value, dict):
            return self._object(value, depth)
        if isinstance(value, list):
            return self._array(value, depth)
        return None

    def _object(self, value: dict[str, object], depth: int) -> Violation | None:
        if depth > MAX_DEPTH:
            return _beyond("depth")
        if len(value) > MAX_KEYS:
            return _beyond("keys")
        for key, item in value.items():
            if len(key) > MAX_KEY:
                return _beyond("key")
            found = self.of(item, depth + 1)
            if found is not None:
                return Violation(f"/*{found.path}"[:_MAX_PATH], found.rule, True, found.bound)
        return None

    def _array(self, value: list[object], depth: int) -> Violation | None:
        if depth > MAX_DEPTH:
            return _beyond("depth")
        if len(value) > MAX_ITEMS:
            return _beyond("items")
        for index, item in enumerate(value):
            found = self.of(item, depth + 1)
            if found is not None:
                return Violation(f"/{index}{found.path}"[:_MAX_PATH], found.rule, True, found.bound)
        return None


_TOLD = {
    "size": f"{MAX_SIZE:,} bytes of JSON",
    "depth": f"{MAX_DEPTH} levels",
    "keys": f"{MAX_KEYS:,} keys of one object",
    "items": f"{MAX_ITEMS:,} items of one array",
    "values": f"{MAX_VALUES:,} values",
    "key": f"{MAX_KEY} characters",
    "string": f"{MAX_STRING:,} characters",
    "number": f"{MAX_NUMBER:.0e}, for integers {MAX_INTEGER}",
}


def _beyond(rule: str) -> Violation:
    return Violation("", rule, True, _TOLD.get(rule, ""))


def _scalar(value: object) -> str:
    """Return the name of the limit that a string or number exceeds, or nothing."""
    if isinstance(value, str):
        return "string" if len(value) > MAX_STRING else ""
    if isinstance(value, float):
        return "number" if not abs(value) <= MAX_NUMBER else ""
    if isinstance(value, int):
        return "number" if abs(value) > MAX_INTEGER else ""
    return ""
