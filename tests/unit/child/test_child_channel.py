"""Frames between two processes of a node, with their descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket

import msgspec
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from casemate.child.channel import Bounds, FrameSocket
from casemate.child.frames import FrameBuffer, FrameError, frame
from support.descriptors import descriptors_held
from support.waiting import until


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

    def __init__(self, sock: socket.socket, bounds: Bounds | None = None) -> None:
        self.echoes = False
        self.bodies: list[bytes] = []
        self.texts: list[bytes] = []
        self.why = ""
        self.socket = FrameSocket(
            *(sock, asyncio.get_running_loop(), bounds or BOUNDS),
            received=self.received,
            ended=self.ended,
        )

    def received(self, body: bytes) -> None:
        self.bodies.append(body)
        if self.echoes:
            self.socket.send(body)
        if body.startswith(b"pipe"):
            descriptor = self.socket.take_descriptor()
            self.texts.append(os.read(descriptor, 100))
            os.close(descriptor)

    def ended(self, why: str) -> None:
        self.why = why


async def pair() -> tuple[End, End]:
    one, other = socket.socketpair()
    return End(one), End(other)


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
        before = descriptors_held()
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
        assert descriptors_held() == before

    asyncio.run(run())


def bounded(**more: object) -> Bounds:
    return msgspec.structs.replace(BOUNDS, **more)


@pytest.mark.parametrize("count", [1, 3])
def test_descriptors_that_belong_to_no_message_end_the_connection(count: int) -> None:
    """One that stays would be taken for a later message's: a listener for another function's."""

    async def run() -> None:
        before = descriptors_held()
        one, other = socket.socketpair()
        theirs = End(other)
        socket.send_fds(one, [frame(b"x")], [0] * count)
        await until(lambda: theirs.why)
        assert "FrameError" in theirs.why
        assert theirs.bodies == [b"x"]
        one.close()
        assert descriptors_held() == before

    asyncio.run(run())


def test_a_descriptor_may_come_before_the_rest_of_its_frame() -> None:
    async def run() -> None:
        one, other = socket.socketpair()
        theirs = End(other)
        reading, writing = os.pipe()
        os.write(writing, b"1")
        data = frame(b"before") + frame(b"pipe")
        one.sendall(frame(b"before"))
        socket.send_fds(one, [data[10:12]], [reading])
        await asyncio.sleep(0.05)
        assert (theirs.why, theirs.bodies) == ("", [b"before"])
        one.sendall(data[12:])
        await until(lambda: theirs.texts)
        assert (theirs.why, theirs.texts) == ("", [b"1"])
        for descriptor in (reading, writing):
            os.close(descriptor)
        theirs.socket.close()
        one.close()

    asyncio.run(run())


def test_more_descriptors_than_may_come_end_the_connection() -> None:
    async def run() -> None:
        before = descriptors_held()
        one, other = socket.socketpair()
        theirs = End(other)
        socket.send_fds(one, [b"\0\0\0\5"], [0] * 100)
        await until(lambda: theirs.why)
        assert theirs.why == "it sent too many descriptors"
        one.close()
        assert descriptors_held() == before

    asyncio.run(run())


def test_whoever_does_not_read_is_let_go_at_the_bound() -> None:
    async def run() -> None:
        one, other = socket.socketpair()
        ours = End(one, bounded(unsent=1 << 20))
        sent = 0
        while not ours.why and sent < 100:
            ours.socket.send(bytes(100_000))
            sent += 1
        assert ours.why == "it does not read what it is sent"
        assert 10 <= sent <= 20
        ours.socket.send(b"late")
        other.close()

    asyncio.run(run())


@pytest.mark.parametrize("pauses", [True, False])
def test_whoever_does_not_read_its_answers_is_asked_no_more(pauses: bool) -> None:
    async def run() -> None:
        one, other = socket.socketpair()
        other.setblocking(False)
        ours = End(one, bounded(pauses=pauses))
        for _ in range(8):
            ours.socket.send(bytes(300_000))
        other.send(frame(b"question"))
        await asyncio.sleep(0.05)
        assert ours.bodies == ([] if pauses else [b"question"])
        while ours.socket.waiting:
            with contextlib.suppress(BlockingIOError):
                other.recv(1 << 20)
            await asyncio.sleep(0)
        await until(lambda: ours.bodies == [b"question"])
        ours.socket.close()
        other.close()

    asyncio.run(run())


def test_answers_to_what_came_at_once_go_together_and_in_order() -> None:
    async def run() -> None:
        one, other = socket.socketpair()
        other.setblocking(False)
        ours = End(one)
        ours.echoes = True
        bodies = [b"%d" % number for number in range(500)]
        other.sendall(b"".join(map(frame, bodies)))
        await until(lambda: len(ours.bodies) == 500 and not ours.socket.waiting)
        assert FrameBuffer(100).feed(other.recv(1 << 20)) == bodies
        ours.socket.close()
        other.close()

    asyncio.run(run())


def test_what_the_kernel_has_too_little_of_is_waited_for(monkeypatch) -> None:
    """ETOOMANYREFS: too many descriptors under way. The socket is writable all the same."""
    real, refusals = socket.send_fds, [errno.ETOOMANYREFS, errno.ENOBUFS]

    def send_fds(*arguments: object) -> int:
        if refusals:
            raise OSError(refusals.pop(), "not now")
        return real(*arguments)  # type: ignore[arg-type]

    async def run() -> None:
        ours, theirs = await pair()
        monkeypatch.setattr(socket, "send_fds", send_fds)
        reading, writing = os.pipe()
        os.write(writing, b"1")
        ours.socket.send(b"pipe", (reading,))
        ours.socket.send(b"after")
        assert ours.socket.waiting == 2
        await until(lambda: theirs.bodies == [b"pipe", b"after"])
        assert theirs.texts == [b"1"]
        ours.socket.send(b"pipe", (reading,))
        ours.socket.close()
        theirs.socket.close()
        for descriptor in (reading, writing):
            os.close(descriptor)

    asyncio.run(run())


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_an_end_that_left_something_unread_is_noticed(run, size: int) -> None:  # type: ignore[no-untyped-def]
    """Together with what it had sent before it ended: such a socket is readable and has failed."""

    async def main() -> None:
        sock, other = socket.socketpair()
        got: list[bytes] = []
        why: list[str] = []
        bounds = Bounds(frame=1 << 20, unsent=1 << 20)
        end = FrameSocket(
            sock, asyncio.get_running_loop(), bounds, received=got.append, ended=why.append
        )
        await asyncio.sleep(0)
        end.send(b"never read")
        other.send(frame(b"x" * size))
        other.close()
        await until(lambda: why)
        assert got == [b"x" * size] and end.closed

    run(main())


def test_a_sender_can_wait_until_less_waits_to_be_sent() -> None:
    """Nobody is forgotten whose other end reads later, or never and is gone."""

    async def main() -> None:
        for reads in (True, False):
            one, other = socket.socketpair()
            sender = End(one)
            await sender.socket.settled(0)
            sender.socket.send(b"x" * (8 << 20))
            waiting = [asyncio.ensure_future(sender.socket.settled(n)) for n in (0, 1 << 20)]
            await asyncio.sleep(0.01)
            assert not any(each.done() for each in waiting)
            if reads:
                receiver = End(other)
                await asyncio.wait_for(asyncio.gather(*waiting), 10)
                assert sender.socket.unsent_bytes == 0
                receiver.socket.close()
            else:
                sender.socket.close()
                await asyncio.wait_for(asyncio.gather(*waiting), 10)
                other.close()
            sender.socket.close()

    uvloop.run(main())


def test_who_waits_for_little_to_wait_sends_one_after_the_other() -> None:
    """All at once they would have sent as many pieces as there were of them."""
    most, size, count = 2 << 20, 1 << 20, 60

    async def main() -> None:
        one, other = socket.socketpair()
        sender, highest, done = End(one), 0, 0

        async def send() -> None:
            nonlocal highest, done
            for _ in range(2):
                await sender.socket.settled(most)
                sender.socket.send(b"x" * size)
                highest = max(highest, sender.socket.unsent_bytes)
            done += 1

        sending = [asyncio.ensure_future(send()) for _ in range(count)]
        await asyncio.sleep(0.01)
        sending[30].cancel()
        receiver = End(other)
        await asyncio.wait_for(asyncio.gather(*sending, return_exceptions=True), 10)
        assert done == count - 1
        assert highest <= most + 2 * (size + 8)
        receiver.socket.close()
        sender.socket.close()

    uvloop.run(main())


def short_of_descriptors(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    """Let so many more be copied, then none: as when a process has all that it may have."""
    copy, copied = os.dup, iter(range(left))

    def dup(descriptor: int) -> int:
        if next(copied, None) is None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return copy(descriptor)

    monkeypatch.setattr(os, "dup", dup)


def test_descriptors_that_cannot_all_be_copied_are_not_sent_and_none_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        one, other = await pair()
        before = descriptors_held()
        with monkeypatch.context() as patched:
            short_of_descriptors(patched, 2)
            with pytest.raises(OSError, match="Too many open files"):
                one.socket.send(b"three", [0, 1, 2])
        assert descriptors_held() == before
        one.socket.send(b"next")
        await until(lambda: other.bodies)
        assert other.bodies == [b"next"] and not one.why
        one.socket.close()
        other.socket.close()

    asyncio.run(run())
