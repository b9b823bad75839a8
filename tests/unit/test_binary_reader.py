"""A structure is read as far as it goes, and never past its end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.binary_reader import BinaryReader
from casemate.egress.tls import HelloError, server_name
from casemate.sources.errors import SourceProtocolError
from casemate.sources.mqtt_packets import Fields


@given(st.lists(st.binary(max_size=300), max_size=5), st.binary(max_size=20))
def test_parts_come_as_they_were_put_together(parts: list[bytes], rest: bytes) -> None:
    told = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    reader = BinaryReader(told + rest)
    assert [reader.vector(2) for _ in parts] == parts
    assert (reader.left, reader.rest(), reader.left) == (len(rest), rest, 0)


@given(st.binary(max_size=50), st.integers(0, 100))
def test_nothing_is_taken_past_the_end(data: bytes, size: int) -> None:
    reader = BinaryReader(data)
    if size <= len(data):
        assert reader.take(size) == data[:size]
    else:
        with pytest.raises(EOFError):
            reader.take(size)
        assert reader.left == len(data), "nothing was taken"


def test_each_format_says_by_its_own_error_that_something_is_short() -> None:
    with pytest.raises(SourceProtocolError, match="packet"):
        Fields(b"\0\5ab").text()
    hello = b"\1\0\0\5" + bytes(5)
    with pytest.raises(HelloError, match="shorter"):
        server_name(b"\x16\3\1" + len(hello).to_bytes(2, "big") + hello)
