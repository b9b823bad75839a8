"""Streams: what was written comes back, and any change of it is noticed."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.vault import envelope, stream
from casemate.vault.errors import DecryptionError

KEY = envelope.new_key()
SEALED_CHUNK = stream.CHUNK_BYTES + envelope.TAG_BYTES


def sealed(data: bytes, context: bytes = b"c", key: bytes = KEY) -> bytes:
    out = io.BytesIO()
    assert stream.encrypt_stream(key, context, io.BytesIO(data), out) == len(data)
    return out.getvalue()


def opened(data: bytes, context: bytes = b"c", key: bytes = KEY) -> bytes:
    out = io.BytesIO()
    stream.decrypt_stream(key, context, io.BytesIO(data), out)
    return out.getvalue()


def sample(size: int) -> bytes:
    return bytes(i * 7 % 251 for i in range(997)) * (size // 997) + bytes(size % 997)


SIZES = [0, 1, 65535, 65536, 65537, 131072, 200_000]


@pytest.mark.parametrize("size", SIZES)
def test_round_trip(size) -> None:
    data = sample(size)
    result = sealed(data)
    assert len(result) == stream.sealed_size(size)
    assert opened(result) == data


class Trickle(io.BytesIO):
    """A file that gives and takes less than it is asked to."""

    def read(self, size: int = -1, /) -> bytes:
        return super().read(min(size, 1000))

    def write(self, data, /) -> int:
        return super().write(bytes(data)[:999])


def test_short_reads_and_writes() -> None:
    data, out, back = sample(150_000), Trickle(), Trickle()
    stream.encrypt_stream(KEY, b"c", Trickle(data), out)
    stream.decrypt_stream(KEY, b"c", Trickle(out.getvalue()), back)
    assert back.getvalue() == data


@given(st.data())
@settings(max_examples=60)
def test_a_changed_bit_anywhere_is_noticed(data) -> None:
    content = bytearray(SAMPLE)
    bit = data.draw(st.integers(0, len(content) * 8 - 1))
    content[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DecryptionError):
        opened(bytes(content))


SAMPLE = sealed(sample(140_000))


@given(st.integers(0, len(SAMPLE) - 1))
@settings(max_examples=60)
def test_a_cut_anywhere_is_noticed(length) -> None:
    with pytest.raises(DecryptionError):
        opened(SAMPLE[:length])


@pytest.mark.parametrize("chunks", [1, 2])
def test_a_cut_at_the_end_of_a_chunk_is_noticed(chunks) -> None:
    with pytest.raises(DecryptionError):
        opened(SAMPLE[: stream.HEADER_BYTES + chunks * SEALED_CHUNK])


def test_more_at_the_end_is_noticed() -> None:
    for more in (b"\0", SAMPLE[-100:], SAMPLE[stream.HEADER_BYTES :]):
        with pytest.raises(DecryptionError):
            opened(SAMPLE + more)


def test_chunks_cannot_change_places_or_files() -> None:
    head, body = SAMPLE[: stream.HEADER_BYTES], SAMPLE[stream.HEADER_BYTES :]
    first, second, last = (
        body[:SEALED_CHUNK],
        body[SEALED_CHUNK : 2 * SEALED_CHUNK],
        body[2 * SEALED_CHUNK :],
    )
    other = sealed(sample(140_000))[stream.HEADER_BYTES :]
    for parts in (
        (second, first, last),
        (first, last),
        (first, first, last),
        (first, second),
        (first, other[SEALED_CHUNK : 2 * SEALED_CHUNK], last),
    ):
        with pytest.raises(DecryptionError):
            opened(head + b"".join(parts))


def test_another_context_or_key_does_not_open_it() -> None:
    with pytest.raises(DecryptionError):
        opened(SAMPLE, context=b"d")
    with pytest.raises(DecryptionError):
        opened(SAMPLE, key=envelope.new_key())


def test_nothing_of_the_content_shows() -> None:
    assert b"planted" not in sealed(b"planted" * 20_000)
    assert sealed(b"same") != sealed(b"same")


def test_whole_chunks_are_not_a_file_without_its_last_chunk() -> None:
    with pytest.raises(DecryptionError):
        opened(SAMPLE[: stream.HEADER_BYTES + 2 * SEALED_CHUNK])
