"""`limits.warm`: instances that wait for calls whatever the rate."""

from __future__ import annotations

import asyncio

import pytest
from dispatch_sandbox import Cores, FakeSandbox, VirtualLoop, lost, run, version_of

from casemate.dispatch import Dispatcher
from casemate.dispatch.warm import Warm
from casemate.model.deployment import Version
from casemate.model.function import Isolation
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Placed
from support.core import request

Wanted = list[tuple[Version, int]]


class Node:
    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.sandbox = FakeSandbox(loop)
        self.dispatcher = Dispatcher(self.sandbox, saturation=Cores(short=False))  # type: ignore[arg-type]

    def keep(self, *versions: Version, warm: int) -> None:
        self.dispatcher.keep_warm([(version, warm) for version in versions])

    async def call(self, version: Version, seconds: float = 0.01) -> Placed:
        admitted = Admitted(request=request(), version=version, principal="k")
        placed = await self.dispatcher.place(admitted)
        await asyncio.sleep(seconds)
        self.dispatcher.release(placed)
        return placed


@pytest.mark.parametrize("isolation", list(Isolation))
def test_they_are_made_without_a_call_and_stay(isolation: Isolation) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        node.keep(version_of(isolation=isolation, keep=30.0), warm=5)
        await asyncio.sleep(5.0)
        assert node.dispatcher.spares == 5
        await asyncio.sleep(600.0)
        assert node.dispatcher.spares == 5 == len(node.sandbox.living)
        assert node.sandbox.opens == 1
        node.dispatcher.close()

    run(scenario)


def test_restored_instances_are_kept_ready_as_well() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        node.sandbox.restores = True
        version = version_of()
        node.keep(version, warm=3)
        await asyncio.sleep(5.0)
        assert node.dispatcher.spares == 3 and len(node.sandbox.made_ready) == 3
        for _ in range(20):
            assert (await node.call(version)).queued == 0.0
        await asyncio.sleep(1.0)
        assert node.dispatcher.spares >= 3
        assert len(node.sandbox.living) <= 6
        node.dispatcher.close()

    run(scenario)


@pytest.mark.parametrize("isolation", list(Isolation))
def test_calls_find_them_at_once_and_they_are_made_up_for(isolation: Isolation) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        version = version_of(isolation=isolation)
        node.keep(version, warm=3)
        await asyncio.sleep(5.0)
        for _ in range(3):
            placed = await asyncio.gather(*(node.call(version) for _ in range(3)))
            assert [(p.cold, p.queued) for p in placed] == [(False, 0.0)] * 3
            await asyncio.sleep(0.1)
        # Also while those that were taken go on.
        long = [loop.create_task(node.call(version, 30.0)) for _ in range(3)]
        await asyncio.sleep(3.0)
        assert node.dispatcher.spares >= 3
        await asyncio.gather(*long)
        node.dispatcher.close()

    run(scenario)


def test_with_all_that_run_they_are_no_more_than_concurrency() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        version = version_of(concurrency=4)
        node.keep(version, warm=4)
        await asyncio.sleep(3.0)
        assert node.dispatcher.spares == 4
        long = [loop.create_task(node.call(version, 60.0)) for _ in range(3)]
        await asyncio.sleep(30.0)
        assert (node.dispatcher.busy, node.dispatcher.spares) == (3, 1)
        await asyncio.gather(*long)
        node.dispatcher.close()

    run(scenario)


def test_none_are_kept_of_a_version_that_is_not_live_any_more() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        old, new = version_of(), version_of(number=2)
        node.keep(old, warm=2)
        await asyncio.sleep(3.0)
        node.dispatcher.retire({("t", "f", 2)})
        node.keep(new, warm=2)
        await asyncio.sleep(5.0)
        assert [z.alive for z in node.sandbox.zygotes] == [False, True]
        assert node.dispatcher.spares == 2
        node.dispatcher.retire(set())
        node.keep(warm=0)
        await asyncio.sleep(5.0)
        assert node.sandbox.living == [] and node.dispatcher._pools == {}

    run(scenario)


def test_a_deploys_own_zygote_is_used_for_them() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        version = version_of()
        node.dispatcher.adopt(version, await node.sandbox.open(version))  # type: ignore[arg-type]
        node.keep(version, warm=2)
        await asyncio.sleep(1.0)
        assert node.sandbox.opens == 1 and node.dispatcher.spares == 2
        node.dispatcher.close()

    run(scenario)


def test_they_come_back_when_they_or_their_zygote_end() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        node.keep(version_of(), warm=2)
        await asyncio.sleep(5.0)
        node.sandbox.living[0].die()
        await asyncio.sleep(3.0)
        assert node.dispatcher.spares == 2
        node.sandbox.zygotes[0].end()
        await asyncio.sleep(3.0)
        assert node.dispatcher.spares == 2 and node.sandbox.opens == 2
        node.dispatcher.close()

    run(scenario)


def test_one_that_cannot_be_started_is_tried_ever_more_rarely() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        node.sandbox.open_fault = lost()
        node.keep(version_of(), warm=2)
        await asyncio.sleep(600.0)
        assert 5 <= node.sandbox.opens <= 20
        node.sandbox.open_fault = None
        await asyncio.sleep(65.0)
        assert node.dispatcher.spares == 2
        node.dispatcher.close()

    run(scenario)


def test_instances_that_die_at_once_are_not_forked_without_end() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        node.sandbox.stillborn = Outcome.CRASHED
        node.keep(version_of(), warm=2)
        await asyncio.sleep(600.0)
        assert len(node.sandbox.spawned) <= 60
        node.dispatcher.close()

    run(scenario)


def test_zygotes_are_opened_one_after_the_other_and_a_call_does_not_wait_for_them() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        node.sandbox.open_seconds = 10.0
        versions = [version_of(name=f"f{n}") for n in range(4)]
        node.keep(*versions, warm=1)
        await asyncio.sleep(5.0)
        assert node.sandbox.opens == 1
        placed = await node.call(versions[3])
        assert placed.queued == pytest.approx(10.0, abs=0.1)
        await asyncio.sleep(40.0)
        assert node.sandbox.opens == 4 and node.dispatcher.spares == 4
        node.dispatcher.close()

    run(scenario)


def test_an_aging_zygote_is_replaced_before_it_is_worn_and_none_is_missing_meanwhile() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        node.keep(version_of(), warm=3)
        await asyncio.sleep(5.0)
        fewest = 3
        while node.sandbox.opens == 1 or node.sandbox.zygotes[0].alive:
            await asyncio.sleep(0.001 if node.sandbox.opens > 1 else 1.0)
            fewest = min(fewest, node.dispatcher.spares)
            assert loop.time() < 1000 + 3600
        assert fewest == 3
        assert {spare.zygote for spare in node.sandbox.living} == {node.sandbox.zygotes[1]}
        assert len(node.sandbox.living) == 3
        node.dispatcher.close()

    run(scenario)


def test_what_reaches_less_now_keeps_no_spare_that_reaches_more() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        from casemate.model.grant import Grant, GrantKind
        from support.core import version

        node = Node(loop)
        grant = Grant(kind=GrantKind.BUCKET, name="b", actions=("read",))
        node.keep(version(grants=(grant,)), warm=2)
        await asyncio.sleep(3.0)
        before = node.sandbox.living
        node.keep(version(), warm=2)
        assert all(spare.closed for spare in before)
        await asyncio.sleep(5.0)
        assert node.dispatcher.spares == 2
        node.dispatcher.close()

    run(scenario)


def test_pauses_double_up_to_a_minute_and_end_with_success() -> None:
    warm, now, pauses = Warm(), 0.0, []
    warm.count = 1
    for _ in range(9):
        assert warm.due(now)
        warm.failed(now)
        warm.failed(now)  # of the same try
        until = now
        while not warm.due(until):
            until += 0.5
        pauses.append(until - now)
        now = until
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    warm.failed(now)
    warm.worked()
    assert warm.due(now)
    warm.count = 0
    assert not warm.due(now)


def test_nothing_is_kept_without_being_asked_for() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        wanted: Wanted = []
        node.dispatcher.keep_warm(wanted)
        await node.call(version_of(keep=30.0))
        node.dispatcher.keep_warm(wanted)
        await asyncio.sleep(60.0)
        assert node.dispatcher._pools == {} and node.sandbox.living == []

    run(scenario)
