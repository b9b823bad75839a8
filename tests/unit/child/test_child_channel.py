"""Frames between two processes of a node, with their descriptors."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.child.channel import Bounds, FrameSocket
from casemate.child.frames import FrameBuffer, FrameError, frame


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=8), st.integers(1, 50))
def test_frames_come_out_whole_however_they_are_cut(bodies: list[bytes], size: int) -> None:
    stream = b"".join(map(frame, bodies))
    buffer = FrameBuffer(BOUNDS.frame)
    found = []
    for at in range(0, len(stream), size):
        found += buffer.feed(stream[at : at + size])
    assert found == bodies


@pytest.mark.parametrize("head", [b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x65"])
def test_a_length_out_of_bounds_is_refused_at_once(head: bytes) -> None:
    with pytest.raises(FrameError):
        FrameBuffer(100).feed(head)


BOUNDS = Bounds(frame=64 << 20, unsent=512 << 20)


class End:
    """One end that notes what it gets."""

    def __init__(self, sock: socket.socket) -> None:
        self.bodies: list[bytes] = []
        self.texts: list[bytes] = []
        self.why = ""
        self.socket = FrameSocket(
            *(sock, asyncio.get_running_loop(), BOUNDS), received=self.received, ended=self.ended
        )

    def received(self, body: bytes) -> None:
        self.bodies.append(body)
        if body.startswith(b"pipe"):
            descriptor = self.socket.take_descriptor()
            self.texts.append(os.read(descriptor, 100))
            os.close(descriptor)

    def ended(self, why: str) -> None:
        self.why = why


async def pair() -> tuple[End, End]:
    one, other = socket.socketpair()
    return End(one), End(other)


async def until(condition) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def test_descriptors_arrive_with_their_frames_through_a_full_socket() -> None:
    async def run() -> None:
        ours, theirs = await pair()
        for number in range(20):
            reading, writing = os.pipe()
            os.write(writing, b"%d" % number)
            ours.socket.send(b"x" * 300_000)
            ours.socket.send(b"pipe%d" % number, (reading,))
            os.close(reading)
            os.close(writing)
        await until(lambda: len(theirs.bodies) == 40)
        assert theirs.texts == [b"%d" % number for number in range(20)]
        ours.socket.close()
        await until(lambda: theirs.why)
        assert theirs.why == "it ended"

    asyncio.run(run())


def test_a_message_that_cannot_be_taken_ends_the_connection_without_its_text() -> None:
    async def run() -> None:
        ours, theirs = await pair()
        ours.socket.send(b"pipe without a descriptor")
        await until(lambda: theirs.why)
        assert "FrameError" in theirs.why and "without a descriptor" not in theirs.why
        await until(lambda: ours.why)

    asyncio.run(run())


def test_nothing_is_left_open() -> None:
    async def run() -> None:
        before = len(os.listdir("/proc/self/fd"))
        ours, theirs = await pair()
        reading, writing = os.pipe()
        os.write(writing, b"1")
        ours.socket.send(b"pipe", (reading,))
        await until(lambda: theirs.bodies)
        for descriptor in (reading, writing):
            os.close(descriptor)
        theirs.socket.close()
        theirs.socket.close()
        ours.socket.close()
        ours.socket.send(b"late")
        assert len(os.listdir("/proc/self/fd")) == before

    asyncio.run(run())
