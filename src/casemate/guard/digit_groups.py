"""Texts of base32's and base85's digits, decoded many at a time.

The decoders of the standard library go through each digit in Python, and take 10 µs for a word.
Here the values of all groups of digits are parts of one whole number, which is calculated in C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_PART = 8
"""Bytes of the number that has the value of one group: more than any needs."""
_NULLS = "z"
_SPELLED_OUT = "!!!!!"
"""A group of nulls in ASCII85, and what stands for it."""


class Digits(NamedTuple):
    """How an encoding writes bytes."""

    values: bytes
    """Of all characters: what `bytes.translate` takes."""
    base: int
    digits: int
    """Of a group."""
    held: int
    """Bytes that a group stands for."""
    filler: str
    """By which a group that is not whole is filled up."""


def _digits(known: bytes, digits: int, held: int, filler: str) -> Digits:
    values = bytes.maketrans(known, bytes(range(len(known))))
    return Digits(values, len(known), digits, held, filler)


BASE32 = _digits(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 8, 5, "A")
BASE85 = _digits(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
    *(5, 4, "~"),
)
ASCII85 = _digits(bytes(range(ord("!"), ord("u") + 1)), 5, 4, "u")


def decoded(texts: Sequence[str], by: Digits) -> list[bytes | None]:
    """Return what texts of an encoding's digits hold; None of one that is none."""
    if by is ASCII85:
        whole = [_with_nulls(text) if _NULLS in text else text for text in texts]
        if None in whole:
            held = decoded([text or "" for text in whole], by)
            return [None if w is None else data for w, data in zip(whole, held, strict=True)]
        texts = [text or "" for text in whole]
    ends = [text + by.filler * (-len(text) % by.digits) for text in texts]
    values = "".join(ends).encode().translate(by.values)
    count = len(values) // by.digits
    number = 0
    for at in range(by.digits):
        part = bytearray(_PART * count)
        part[::_PART] = values[at :: by.digits]
        number = by.base * number + int.from_bytes(part, "little")
    parts = number.to_bytes(_PART * count, "little")
    data = bytearray(by.held * count)
    for at in range(by.held):
        data[at :: by.held] = parts[by.held - 1 - at :: _PART]
    beyond = parts[by.held :: _PART]
    found: list[bytes | None] = []
    group = 0
    for text, end in zip(texts, ends, strict=True):
        after = group + len(end) // by.digits
        start = by.held * group
        fits = beyond.find(1, group, after) < 0
        found.append(
            bytes(data[start : start + len(text) * by.held // by.digits]) if fits else None
        )
        group = after
    return found


def _with_nulls(text: str) -> str | None:
    """Return a text with all groups of nulls spelled out; None if one stands within another."""
    parts = text.split(_NULLS)
    return None if any(len(part) % 5 for part in parts[:-1]) else _SPELLED_OUT.join(parts)
