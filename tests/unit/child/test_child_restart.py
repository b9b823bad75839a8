"""How soon a process that ended is there again, and what is said to it."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.child.channel import Bounds
from casemate.child.frames import frame
from casemate.child.restart import Backoff, KeptProcess, pause_after
from casemate.child.starter import START
from support.descriptors import descriptors_held


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_grow_to_a_bound_and_are_drawn_from_the_upper_half(
    failures: int, draw: float
) -> None:
    pause = pause_after(failures, 0.25, 30.0, draw)
    full = min(30.0, 0.25 * 2.0 ** min(failures - 1, 32))
    assert full / 2 <= pause <= full


class World:
    """A gateway that keeps a process, and the supervisor, played by the test."""

    def __init__(self, **backoff: float) -> None:
        self.supervisor, starter = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.supervisor.setblocking(False)
        self.received: list[bytes] = []
        self.losses = 0
        self.kept = KeptProcess(
            "test process",
            starter,
            asyncio.get_running_loop(),
            bounds=Bounds(frame=1000, unsent=10_000),
            backoff=Backoff(**{"first": 0.01, "longest": 0.02, **backoff}),
            started=lambda: self.kept.send(b"all there is"),
            received=self.received.append,
            lost=self.lost,
        )

    def lost(self) -> None:
        self.losses += 1

    async def process(self) -> socket.socket:
        """Return the process's end of the connection that is asked for next."""
        async with asyncio.timeout(10):
            while True:
                try:
                    data, descriptors, _, _ = socket.recv_fds(self.supervisor, 16, 1)
                except BlockingIOError:
                    await asyncio.sleep(0.002)
                    continue
                assert data == START
                sock = socket.socket(fileno=descriptors[0])
                sock.setblocking(False)
                return sock

    async def is_asked(self) -> bool:
        await asyncio.sleep(0.1)
        try:
            return bool(self.supervisor.recv(16))
        except BlockingIOError:
            return False


def in_world(work: Callable[[World], Awaitable[None]], **backoff: float) -> None:
    async def run() -> None:
        before = descriptors_held()
        world = World(**backoff)
        await work(world)
        world.kept.close()
        world.kept.close()
        world.supervisor.close()
        assert descriptors_held() <= before  # what others had left may go meanwhile

    asyncio.run(asyncio.wait_for(run(), 20))


async def read(sock: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 1000), 10)


def test_there_is_a_process_while_it_is_wanted_and_no_longer() -> None:
    async def work(world: World) -> None:
        assert not await world.is_asked()
        world.kept.start()
        world.kept.start()
        for number in range(3):
            with await world.process() as process:
                assert await read(process) == frame(b"all there is")
                process.send(frame(b"%d" % number))
                while len(world.received) <= number:
                    await asyncio.sleep(0.002)
        world.kept.end()
        assert (world.received, world.losses) == ([b"0", b"1", b"2"], 2)
        assert not await world.is_asked()
        world.kept.start()
        with await world.process() as process:
            world.kept.end()
            assert await read(process) == frame(b"all there is")
            assert await read(process) == b""
        assert world.losses == 2, "what is ended on purpose is not lost"

    in_world(work)


def test_one_that_ends_again_and_again_is_started_later_each_time() -> None:
    async def work(world: World) -> None:
        world.kept.start()
        loop = asyncio.get_running_loop()
        times = []
        for _ in range(4):
            (await world.process()).close()
            times.append(loop.time())
        pauses = [later - sooner for sooner, later in itertools.pairwise(times)]
        assert pauses[0] >= 0.05 and pauses[1] >= 0.1 and pauses[2] >= 0.1, pauses

    in_world(work, first=0.1, longest=0.2)


def test_one_that_ran_for_long_is_started_again_at_once() -> None:
    async def work(world: World) -> None:
        world.kept.start()
        for _ in range(5):
            process = await world.process()
            await asyncio.sleep(0.02)
            process.close()
        assert world.losses >= 4

    in_world(work, first=10.0, longest=10.0, steady=0.01)


def test_what_is_no_frame_ends_it_and_another_one_comes() -> None:
    async def work(world: World) -> None:
        world.kept.start()
        with await world.process() as process:
            process.send(bytes(4))
            assert await read(process) == frame(b"all there is")
            assert await read(process) == b""
        with await world.process():
            assert world.received == []

    in_world(work)


def test_without_a_supervisor_there_will_be_none() -> None:
    async def work(world: World) -> None:
        world.supervisor.close()
        world.kept.start()
        assert world.kept.gone.done()
        assert world.losses == 1
        world.kept.start()
        world.kept.send(b"lost")
        assert world.kept.connection is None

    in_world(work)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EAGAIN, errno.ETOOMANYREFS])
def test_a_lack_that_passes_is_waited_for(monkeypatch, number: int) -> None:
    real, refusals = socket.send_fds, [number] * 3

    def send_fds(*arguments: object) -> int:
        if refusals:
            raise OSError(refusals.pop(), "not now")
        return real(*arguments)  # type: ignore[arg-type]

    async def work(world: World) -> None:
        monkeypatch.setattr(socket, "send_fds", send_fds)
        world.kept.start()
        (await world.process()).close()
        assert not refusals
        assert not world.kept.gone.done()
        world.kept.end()

    in_world(work)
