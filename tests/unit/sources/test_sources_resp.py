"""The protocol of Valkey: replies within bounds, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.sources.errors import SourceProtocolError
from casemate.sources.resp import CommandError, Oversized, RespReader, command, size_of

MOST = 1000


def read(data: bytes, *, most: int = MOST, held: int = 100 * MOST) -> object:
    async def run() -> object:
        reader = asyncio.StreamReader(limit=64 * 1024)
        reader.feed_data(data)
        reader.feed_eof()
        return await RespReader(reader, most, held).read()

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


def test_a_reply_holds_so_much_and_tells_the_size_of_the_rest() -> None:
    values = b"".join(b"$900\r\n" + b"x" * 900 + b"\r\n" for _ in range(10))
    found = read(b"*10\r\n" + values, held=3000)
    assert isinstance(found, list) and size_of(found) == 9000
    assert [isinstance(each, Oversized) for each in found] == [False] * 3 + [True] * 7


@pytest.mark.parametrize(("count", "held"), [(200_000, 1 << 30), (5000, 3000)])
def test_an_array_of_too_many_parts_is_read_past(count: int, held: int) -> None:
    many = b"*%d\r\n" % count + b"$1\r\na\r\n" * count
    found = read(b"*3\r\n$1\r\nb\r\n" + many + b"$1\r\nc\r\n", held=held)
    assert isinstance(found, list) and isinstance(found[1], Oversized)
    assert (found[0], found[2]) == (b"b", b"c") and found[1].size >= count


def test_small_arrays_do_not_hold_more_than_that() -> None:
    inner = b"*60\r\n" + b":1\r\n" * 60
    with pytest.raises(SourceProtocolError, match="too many parts"):
        read(b"*60\r\n" + (b"*60\r\n" + inner * 60) * 60, held=3000)


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
