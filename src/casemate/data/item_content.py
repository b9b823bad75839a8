"""Items as JSON: what may be in one, read and checked in pieces that are short.

All that looks through an item is done at once in C, which holds the interpreter's lock: a thread
would keep the event loop waiting just as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from casemate.data.errors import TooLargeError
from casemate.data.limits import MAX_DEPTH, MAX_ITEM_BYTES
from casemate.decoding import (
    DECODING_ERRORS,
    MAX_DIGITS,
    MAX_EXTREMES,
    NUMBER_SHAPES,
    is_slow_to_read,
    without_texts,
)
from casemate.loop_turns import LoopTurns
from casemate.model.errors import InvalidInputError

MAX_VALUES: Final = 50_000
"""Values of one item, those within others counted: reading them takes a few milliseconds."""
_AT_ONCE_BYTES = 16 * 1024
"""An item up to this size takes no turn."""
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_EXACT_DIGITS = 18
"""A whole number with no more has 64 bits."""
_MANY_DIGITS = b"0" * (_EXACT_DIGITS + 1)
_LONG_AT_ONCE = 5000
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ROUND = bytes.maketrans(b"{}", b"[]")
_COMMAS = bytes.maketrans(b"[]{}:", b",,,,,")


async def read_item(content: bytes, turns: LoopTurns) -> tuple[dict[str, Any], bytes]:
    """Return an item, and the JSON that is kept of it. A large one takes a turn.

    Raises InvalidInputError for what is none or holds what cannot be kept, TooLargeError.
    """
    if len(content) <= _AT_ONCE_BYTES:
        value = item_of(content)
        encoded = encode_item(value)
        for _ in exact(encoded):
            pass
        return value, encoded
    async with turns.turn() as others:
        require_quick(content)
        await others()
        value = _decoded(content)
        await others()
        encoded = encode_item(value)
        await others()
        for _ in exact(encoded):
            await others()
    return value, encoded


def item_of(content: bytes) -> dict[str, Any]:
    """Return the item that JSON has. Raises InvalidInputError for what is none."""
    require_quick(content)
    return _decoded(content)


def require_quick(content: bytes) -> None:
    """Refuse JSON that takes long to read. It need not be valid yet."""
    if len(content) > 2 * MAX_VALUES:
        _require_few_values(content)
    if is_slow_to_read(content):
        raise InvalidInputError(
            f"An item has at most {MAX_EXTREMES:,} numbers with exponents of three digits, "
            f"and none of more than {MAX_DIGITS:,} digits."
        )


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except DECODING_ERRORS as error:
        raise InvalidInputError("An item is a JSON object.") from error


def _require_few_values(content: bytes) -> None:
    if _values(content) > MAX_VALUES and _values(without_texts(content)) > MAX_VALUES:
        raise InvalidInputError(
            f"The item has more than {MAX_VALUES:,} values.",
            next_step="Keep large content in a bucket and its key in the item.",
        )


def _values(content: bytes) -> int:
    """Return how many values there are at most: each but the first follows one of these signs."""
    after = content.count(b",") + content.count(b"[") + content.count(b"{") + 1
    return after - content.count(b"[]") - content.count(b"{}")


def encode_item(value: dict[str, Any]) -> bytes:
    """Return an item as the JSON that is kept of it. Raises TooLargeError if it is huge."""
    encoded = msgspec.json.encode(value)
    if len(encoded) > MAX_ITEM_BYTES:
        raise TooLargeError(
            f"The item has {len(encoded)} bytes as JSON; no table takes more than {MAX_ITEM_BYTES}."
        )
    return encoded


def exact(encoded: bytes) -> Iterator[None]:
    """Refuse an item that is nested too deeply, or with a whole number beyond 64 bits: not all
    that read JSON keep it. In pieces.
    """
    nests = encoded.count(b"[") + encoded.count(b"{") > MAX_DEPTH
    counts = _MANY_DIGITS in encoded.translate(NUMBER_SHAPES)
    if not (nests or counts):  # nor in its texts, which take as long to leave out as all of it
        return
    yield
    plain = without_texts(encoded)
    yield
    brackets = plain.translate(_ROUND, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise InvalidInputError(f"The item is nested deeper than {MAX_DEPTH} levels.")
    yield
    if _MANY_DIGITS not in plain.translate(NUMBER_SHAPES):
        return
    parts = plain.translate(_COMMAS).split(b",")
    long = [part for part in parts if len(part) > _EXACT_DIGITS]
    for at in range(0, len(long), _LONG_AT_ONCE):
        yield
        _require_numbers(long[at : at + _LONG_AT_ONCE])


def _require_numbers(numbers: list[bytes]) -> None:
    for number in numbers:
        whole = b"." not in number and b"e" not in number
        if whole and not _LOWEST <= int(number) <= _HIGHEST:
            raise InvalidInputError(
                "The item holds a whole number beyond 64 bits.",
                next_step="Store such numbers as text.",
            )
