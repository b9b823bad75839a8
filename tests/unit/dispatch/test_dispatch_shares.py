"""One project alone runs what it likes; beside others, and with the cores busy, its share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from dispatch_sandbox import VirtualLoop, run

from casemate.dispatch.saturation import Saturation
from casemate.dispatch.shares import (
    ACTIVE_SECONDS,
    CALLS_PER_CORE,
    LEAST_CALLS,
    YOUNG_SECONDS,
    ProjectShare,
    Shares,
)

CORES = 4
CAPACITY = CORES * CALLS_PER_CORE


class Cores:
    """What the kernel tells, as a test wants it."""

    def __init__(self) -> None:
        self.busy = True

    def look(self) -> bool:
        return self.busy

    def close(self) -> None:
        pass


class Queue:
    """Calls of one project that wait; one begins each time there is room."""

    def __init__(self, share: ProjectShare, waiting: int) -> None:
        self.share, self.waiting, self.begun = share, waiting, 0
        self.resume()

    def resume(self) -> None:
        while self.waiting:
            if not self.share.admits():
                self.share.hold(self)
                return
            self.waiting -= 1
            self.share.begin((self, self.begun))
            self.begun += 1

    def end(self, number: int) -> None:
        self.share.end((self, number))


def fill(share: ProjectShare, loop: VirtualLoop, most: int = 10_000) -> int:
    """Begin as many calls as are let in; return how many."""
    begun = 0
    share.called(loop.time())
    while begun < most and share.admits():
        share.begin((share, begun))
        begun += 1
    return begun


def shares(loop: VirtualLoop, cores: Cores | None = None) -> Shares:
    return Shares(loop, cores=CORES, saturation=cores or Cores())  # type: ignore[arg-type]


def test_a_project_alone_is_not_held_back() -> None:
    async def main(loop: VirtualLoop) -> None:
        assert fill(shares(loop).of("a"), loop) == 10_000

    run(main)


def test_beside_another_a_flood_has_its_share_and_the_other_goes_on_at_once() -> None:
    async def main(loop: VirtualLoop) -> None:
        both = shares(loop)
        flood, quiet = both.of("flood"), both.of("quiet")
        assert fill(flood, loop, 500) == 500
        loop.now += 0.05
        assert fill(quiet, loop) == CAPACITY // 2
        loop.now += 0.03
        assert not flood.admits()
        for number in range(500 - CAPACITY // 2):
            flood.end((flood, number))
            assert not flood.admits()
        flood.end((flood, 499))
        assert flood.admits()

    run(main)


def test_what_a_project_leaves_unused_others_may_use() -> None:
    async def main(loop: VirtualLoop) -> None:
        both = shares(loop)
        flood, quiet = both.of("flood"), both.of("quiet")
        assert fill(quiet, loop, 3) == 3
        assert fill(flood, loop) == CAPACITY - 3

    run(main)


def test_what_it_used_a_moment_ago_is_still_its_own() -> None:
    async def main(loop: VirtualLoop) -> None:
        both = shares(loop)
        flood, quiet = both.of("flood"), both.of("quiet")
        fill(quiet, loop, 10)
        for number in range(10):
            quiet.end((quiet, number))
        loop.now += 0.021
        assert fill(flood, loop) <= CAPACITY - 9
        loop.now += ACTIVE_SECONDS + 0.1
        assert fill(flood, loop, 500) == 500

    run(main)


def test_with_cores_to_spare_nobody_is_held_back() -> None:
    async def main(loop: VirtualLoop) -> None:
        cores = Cores()
        both = shares(loop, cores)
        fill(both.of("quiet"), loop, CAPACITY)
        cores.busy = False
        loop.now += 0.05
        flood = both.of("flood")
        assert fill(flood, loop, 500) == 500

    run(main)


def test_a_call_counts_for_its_first_second_only() -> None:
    async def main(loop: VirtualLoop) -> None:
        both = shares(loop)
        slow, quiet = both.of("slow"), both.of("quiet")
        fill(quiet, loop, 1)
        assert fill(slow, loop) == CAPACITY - 1
        loop.now += YOUNG_SECONDS + 0.01
        quiet.called(loop.time())
        assert fill(slow, loop) >= CAPACITY - 1
        for number in range(CAPACITY):
            slow.end((slow, number))
        assert both.total <= CAPACITY

    run(main)


def test_with_many_projects_each_has_the_least_share() -> None:
    async def main(loop: VirtualLoop) -> None:
        many = shares(loop)
        kept = [many.of(f"p{number}") for number in range(200)]
        for share in kept:
            share.called(loop.time())
        for share in kept:
            loop.now += 0.0005
            assert LEAST_CALLS <= fill(share, loop) <= CAPACITY

    run(main)


def test_who_is_held_goes_on_when_others_end_or_stop_calling() -> None:
    async def main(loop: VirtualLoop) -> None:
        both = shares(loop)
        flood, quiet = both.of("flood"), both.of("quiet")
        flood.called(loop.time())
        fill(quiet, loop, CAPACITY // 2)
        loop.now += 0.05
        queue = Queue(flood, 100)
        assert queue.begun == CAPACITY // 2
        queue.end(0)
        assert queue.begun == CAPACITY // 2 + 1
        flood.called(loop.time())
        await asyncio.sleep(ACTIVE_SECONDS + YOUNG_SECONDS + 0.5)
        assert queue.begun == 100
        both.close()

    run(main)


def test_who_runs_least_goes_on_first() -> None:
    async def main(loop: VirtualLoop) -> None:
        three = shares(loop)
        full, much, little = three.of("full"), three.of("much"), three.of("little")
        for share in (much, little):
            share.called(loop.time())
        fill(full, loop)
        loop.now += 0.05
        first, second = Queue(much, 50), Queue(little, 50)
        assert abs(first.begun - second.begun) <= 1 or second.begun >= CAPACITY // 3
        for number in range(CAPACITY):
            full.end((full, number))
        assert abs(len(much.young) - len(little.young)) <= CAPACITY // 3
        three.close()

    run(main)


@pytest.mark.parametrize(
    ("text", "saturated"),
    [
        (b"0.1 0.1 0.1 9/120 4711\n", True),
        (b"0.1 0.1 0.1 2/120 4711\n", False),
        (b"0.1 0.1 0.1 0/120 4711\n", False),
        (b"", True),
        (b"0.1 0.1 0.1 x/y 4711\n", True),
    ],
)
def test_the_kernel_tells_whether_processes_wait_for_a_core(
    tmp_path: Path, text: bytes, saturated: bool
) -> None:
    file = tmp_path / "loadavg"
    file.write_bytes(text)
    saturation = Saturation(2, str(file))
    assert [saturation.look() for _ in range(5)][-1] is saturated
    file.write_bytes(b"0 0 0 1/1 1\n")
    assert [saturation.look() for _ in range(10)][-1] is False
    saturation.close()
    saturation.close()


def test_where_the_kernel_does_not_tell_the_cores_count_as_busy() -> None:
    saturation = Saturation(2, "/nowhere/loadavg")
    assert [saturation.look() for _ in range(5)][-1] is True
    saturation.close()


def test_this_machine_tells() -> None:
    saturation = Saturation(10_000)
    assert saturation.look() is False
    saturation.close()
