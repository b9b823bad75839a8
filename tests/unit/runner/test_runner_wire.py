"""Frames: they survive any splitting, and lengths are believed only within their bounds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.runner import wire
from casemate.runner.wire import FrameError, FrameReader, pack

KINDS = wire.KINDS_FROM_INSTANCE
FRAME = st.tuples(st.sampled_from(sorted(KINDS)), st.binary(max_size=300), st.binary(max_size=1000))


def reader(max_body: int = 1000) -> FrameReader:
    return FrameReader(KINDS, max_body)


@given(st.lists(FRAME, max_size=5), st.lists(st.integers(0, 6000), max_size=10))
def test_frames_survive_any_splitting(
    frames: list[tuple[bytes, bytes, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(pack(*frame) for frame in frames)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reading, got = reader(), []
    for start, end in pairwise(edges):
        got += reading.feed(stream[start:end])
    assert got == frames
    assert reading.pending == 0


@given(FRAME)
def test_a_frame_comes_out_with_its_last_byte(frame: tuple[bytes, bytes, bytes]) -> None:
    reading, data = reader(), pack(*frame)
    for count, byte in enumerate(data, 1):
        assert reading.feed(bytes([byte])) == ([frame] if count == len(data) else [])
        assert reading.pending == (count if count < len(data) else 0)


@given(FRAME, st.binary(max_size=8))
def test_what_is_left_of_a_frame_is_pending(frame: tuple[bytes, bytes, bytes], rest: bytes) -> None:
    reading = reader()
    assert reading.feed(pack(*frame) + rest) == [frame]
    assert reading.pending == len(rest)
    assert reading.feed(b"") == []
    assert reading.pending == len(rest)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (wire.MAX_HEAD_BYTES + 1, 0),
        (0xFFFFFFFF, 0),
        (0, 1001),
        (0, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (wire.MAX_HEAD_BYTES, 1001),
    ],
)
def test_lengths_over_the_limit_are_refused_with_the_header(head: int, body: int) -> None:
    with pytest.raises(FrameError):
        reader().feed(wire.HEADER.pack(wire.ANSWER, head, body))


def test_lengths_at_the_limit_are_taken() -> None:
    frame = (wire.ANSWER, b"h" * wire.MAX_HEAD_BYTES, b"b" * 1000)
    assert reader().feed(pack(*frame)) == [frame]
    assert FrameReader(KINDS, 0).feed(pack(wire.READY)) == [(wire.READY, b"", b"")]
    with pytest.raises(FrameError):
        FrameReader(KINDS, 0).feed(pack(wire.READY, b"", b"x"))


@pytest.mark.parametrize("kind", [b"I", b"r", b"\x00", b"Z", b"\xff"])
def test_a_kind_that_is_not_expected_is_refused(kind: bytes) -> None:
    with pytest.raises(FrameError):
        reader().feed(pack(kind))
    with pytest.raises(FrameError):
        reader().feed(pack(wire.READY) + pack(kind))


def test_an_instance_takes_invocations_only() -> None:
    reading = FrameReader(frozenset((wire.INVOKE,)), 10)
    assert reading.feed(pack(wire.INVOKE, b"{}", b"1")) == [(wire.INVOKE, b"{}", b"1")]
    for kind in KINDS:
        with pytest.raises(FrameError):
            FrameReader(frozenset((wire.INVOKE,)), 10).feed(pack(kind))


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_arbitrary_bytes_are_frames_pending_or_refused(pieces: list[bytes]) -> None:
    reading, fed, taken = reader(), 0, 0
    for piece in pieces:
        try:
            frames = reading.feed(piece)
        except FrameError:
            return
        fed += len(piece)
        for kind, head, body in frames:
            assert kind in KINDS and len(head) <= wire.MAX_HEAD_BYTES and len(body) <= 1000
            taken += wire.HEADER_BYTES + len(head) + len(body)
        assert reading.pending == fed - taken


@pytest.mark.parametrize(
    ("fed", "size"),
    [
        (b"", wire.SHORT_READ),
        (wire.HEADER.pack(wire.ANSWER, 0, 100), wire.SHORT_READ),
        (wire.HEADER.pack(wire.ANSWER, 0, 500_000), 500_000),
        (wire.HEADER.pack(wire.ANSWER, 0, 50_000_000), wire.LONG_READ),
    ],
)
def test_the_size_of_the_next_read_is_bounded(fed: bytes, size: int) -> None:
    reading = reader(max_body=1 << 30)
    reading.feed(fed)
    assert reading.read_size == size
