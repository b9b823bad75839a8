"""What publishers choose of a message of RabbitMQ, decoded in bounded time, whatever it is."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.sources.rabbitmq_decoding import MAX_TABLE, short_text, table, timestamp


def long(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def nested(depth: int) -> bytes:
    found = long(b"")
    for _ in range(depth):
        found = long(b"A" + found)
    return long(b"\1aA" + found)


def test_a_small_table_is_decoded_and_what_follows_is_left() -> None:
    data = long(b"\1at\1" + b"\1bS" + long(b"text"))
    assert table(data + b"rest") == (len(data), {"a": True, "b": "text"})


@pytest.mark.parametrize(
    "data",
    [
        long(b"\1aV" * 600_000),
        long(b"\1aA" + long(b"V" * 2_000_000)),
        nested(10_000),
        nested(600),
        long(b"\1aZ"),
        long(b"\1aT" + struct.pack(">Q", 1 << 62)),
        long(b"\2\xff\xfeV"),
        long(b"\xff"),
        long(b"V" * (MAX_TABLE + 1)),
    ],
    ids=["wide", "array", "deep", "less deep", "type", "time", "name", "cut", "large"],
)
def test_a_large_or_broken_one_is_passed_over_in_no_time(data: bytes) -> None:
    begun = time.process_time()
    size, found = table(data)
    assert time.process_time() - begun < 0.5
    assert size == len(data) and found == {}


@pytest.mark.parametrize("data", [b"", b"\0\0", b"\0\0\0\5abc"])
def test_one_that_is_longer_than_its_frame_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="longer"):
        table(data)


@given(st.integers(0, (1 << 64) - 1))
def test_any_number_is_a_time_or_none(number: int) -> None:
    size, found = timestamp(struct.pack(">Q", number))
    assert size == 8 and (found is None or found.year >= 1970)


@given(st.binary(min_size=1, max_size=300))
def test_any_bytes_are_a_text(data: bytes) -> None:
    size, found = short_text(data)
    assert size == data[0] + 1 and isinstance(found, str)
