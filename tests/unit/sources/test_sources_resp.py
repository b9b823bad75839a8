"""The protocol of Valkey: replies within bounds, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.sources.errors import SourceProtocolError
from casemate.sources.resp import CommandError, Oversized, RespReader, command

MOST = 1000


def read(data: bytes, *, most: int = MOST) -> object:
    async def run() -> object:
        reader = asyncio.StreamReader(limit=64 * 1024)
        reader.feed_data(data)
        reader.feed_eof()
        return await RespReader(reader, most).read()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"+OK\r\n", b"OK"),
        (b":-7\r\n", -7),
        (b"$3\r\nabc\r\n", b"abc"),
        (b"$0\r\n\r\n", b""),
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b"*0\r\n", []),
        (b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", [b"a", [1]]),
    ],
)
def test_replies(data: bytes, value: object) -> None:
    assert read(data) == value


def test_an_error_is_returned_with_its_code() -> None:
    error = read(b"-BUSYGROUP Consumer Group name already exists\r\n")
    assert isinstance(error, CommandError) and error.code == "BUSYGROUP"


def test_a_large_value_is_read_past_and_what_follows_is_read() -> None:
    found = read(b"*2\r\n$1001\r\n" + b"x" * 1001 + b"\r\n:5\r\n")
    assert isinstance(found, list)
    assert isinstance(found[0], Oversized) and found[0].size == 1001
    assert found[1] == 5


@pytest.mark.parametrize(
    "data",
    [
        b"?\r\n\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"$-2\r\n",
        b"$abc\r\n",
        b":99999999999999999999999\r\n",
        b"$3\r\nabcdef\r\n",
        b"*100001\r\n",
        b"*99999999999\r\n",
        b"*1\r\n" * 20 + b":1\r\n",
        b"+" + b"x" * 20_000 + b"\r\n",
        b"+" + b"x" * 100_000,
    ],
)
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(SourceProtocolError):
        read(data)


@pytest.mark.parametrize("data", [b"", b"$10\r\nabc", b"*2\r\n:1\r\n", b"$5000\r\nabc"])
def test_an_end_in_between_is_an_end(data: bytes) -> None:
    with pytest.raises(EOFError):
        read(data)


@given(st.binary(max_size=200))
def test_whatever_comes_is_a_reply_or_an_error(data: bytes) -> None:
    with contextlib.suppress(SourceProtocolError, EOFError):
        read(data, most=50)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5))
def test_a_command_is_an_array_of_its_words(words: list[bytes]) -> None:
    assert read(command(*words)) == words
