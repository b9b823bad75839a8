"""Placing on pools: one for each version that was called lately, none for the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from dispatch_sandbox import Cores, FakeInstance, FakeSandbox, VirtualLoop, run, version_of

from casemate.dispatch import Dispatcher
from casemate.model.deployment import Version
from casemate.model.function import MIB
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Placed, RefusedError
from support.core import request


def admitted(version: Version) -> Admitted:
    return Admitted(request=request(), version=version, principal="k")


class Node:
    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.sandbox = FakeSandbox(loop)
        self.dispatcher = Dispatcher(self.sandbox, saturation=Cores(short=False))  # type: ignore[arg-type]

    async def call(self, version: Version, seconds: float = 0.01) -> Placed:
        placed = await self.dispatcher.place(admitted(version))
        await asyncio.sleep(seconds)
        self.dispatcher.release(placed)
        return placed


def test_the_first_call_is_cold_and_the_next_is_not() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        first = await node.call(version_of())
        assert first.cold and first.queued == pytest.approx(0.052, abs=0.001)
        await asyncio.sleep(0.1)
        second = await node.call(version_of())
        assert (second.cold, second.queued) == (False, 0.0)
        assert first.instance is not second.instance
        node.dispatcher.close()

    run(scenario)


def test_waiting_for_a_fork_of_a_kept_zygote_is_not_cold() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        zygote = await node.sandbox.open(version_of())
        node.dispatcher.adopt(version_of(), zygote)  # type: ignore[arg-type]
        placed = await node.call(version_of())
        assert not placed.cold and placed.queued > 0
        assert node.sandbox.opens == 1
        node.dispatcher.close()

    run(scenario)


def test_versions_and_functions_share_nothing() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        versions = [version_of(), version_of(number=2), version_of(name="g")]
        placed = await asyncio.gather(*(node.call(v) for v in versions))
        zygotes = {p.instance.zygote for p in placed}  # type: ignore[attr-defined]
        assert len(zygotes) == node.sandbox.opens == 3
        started = sorted((z.version.function, z.version.number) for z in zygotes)
        assert started == sorted((v.function, v.number) for v in versions)
        node.dispatcher.close()

    run(scenario)


def test_what_is_under_way_is_counted() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        version = version_of(concurrency=2, memory=64 * MIB)
        tasks = [loop.create_task(node.call(version, 1.0)) for _ in range(3)]
        await asyncio.sleep(0.5)
        assert (node.dispatcher.busy, node.dispatcher.waiting) == (2, 1)
        assert node.dispatcher.reserved_memory == (2 + node.dispatcher.spares) * 64 * MIB
        await asyncio.gather(*tasks)
        assert (node.dispatcher.busy, node.dispatcher.waiting) == (0, 0)
        node.dispatcher.close()

    run(scenario)


def test_nothing_is_left_of_a_function_that_nobody_calls() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        for number in range(30):
            await node.call(version_of(number=number, keep=30.0))
        await asyncio.sleep(45.0)
        assert node.dispatcher._pools == {}
        assert node.dispatcher.spares == node.dispatcher.reserved_memory == 0
        assert not any(z.alive for z in node.sandbox.zygotes)
        assert node.sandbox.living == []
        # No timer runs on for nothing; the next call starts it again.
        assert node.dispatcher._timer is None
        assert (await node.call(version_of())).cold
        node.dispatcher.close()

    run(scenario)


def test_retired_versions_end_and_kept_ones_stay() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        old, new = version_of(), version_of(number=2)
        await asyncio.gather(node.call(old), node.call(new))
        running = loop.create_task(node.call(old, 5.0))
        await asyncio.sleep(0.1)
        node.dispatcher.retire({("t", "f", 2)})
        await running
        await asyncio.sleep(3.0)
        alive = {z.version.number: z.alive for z in node.sandbox.zygotes}
        assert alive == {1: False, 2: True}
        node.dispatcher.close()

    run(scenario)


def test_a_version_that_is_kept_again_goes_on() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        running = loop.create_task(node.call(version_of(), 1.0))
        await asyncio.sleep(0.5)
        node.dispatcher.retire(set())
        node.dispatcher.retire({("t", "f", 1)})
        await running
        await asyncio.sleep(3.0)
        assert node.sandbox.zygotes[0].alive
        node.dispatcher.close()

    run(scenario)


def test_a_refusal_passes_through_and_leaves_nothing_behind() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        node.sandbox.open_fault = OSError(24, "EMFILE")
        with pytest.raises(RefusedError) as refused:
            await node.call(version_of())
        assert refused.value.outcome is Outcome.UNAVAILABLE
        assert node.dispatcher.busy == 0
        await asyncio.sleep(5.0)
        assert node.dispatcher._pools == {}

    run(scenario)


def test_releasing_twice_gives_nothing_twice() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        placed = await node.call(version_of())
        node.dispatcher.release(placed)
        [pool] = node.dispatcher._pools.values()
        assert pool.busy == 0
        node.dispatcher.close()

    run(scenario)


def test_cancelled_calls_leave_nothing_behind() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)

        async def place() -> Any:
            return await node.dispatcher.place(admitted(version_of(concurrency=2, keep=300.0)))

        tasks = [loop.create_task(place()) for _ in range(10)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(1.0)
        assert (node.dispatcher.busy, node.dispatcher.waiting) == (0, 0)
        assert not any(isinstance(i, FakeInstance) and i.serving for i in node.sandbox.spawned)
        await asyncio.sleep(400.0)
        assert node.sandbox.living == [] and node.dispatcher._pools == {}

    run(scenario)


def test_closing_ends_every_zygote() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        await asyncio.gather(*(node.call(version_of(number=n)) for n in range(5)))
        node.dispatcher.close()
        await asyncio.sleep(0.1)
        assert not any(z.alive for z in node.sandbox.zygotes)
        assert node.sandbox.living == []

    run(scenario)


# -- quarantine ----------------------------------------------------------------------------------


def test_a_contained_function_gets_no_call_and_those_that_run_end() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        held, other = version_of(concurrency=1), version_of(name="g")
        running = loop.create_task(node.call(held, 1.0))
        await asyncio.sleep(0.2)
        waiting = loop.create_task(node.call(held))
        await asyncio.sleep(0.01)
        node.dispatcher.contain(frozenset({(held.project, held.function)}))
        node.dispatcher.retire({("t", "f", 1), ("t", "g", 1)})
        with pytest.raises(RefusedError) as refused:
            await waiting
        assert refused.value.outcome is Outcome.UNAVAILABLE
        assert "quarantine" not in refused.value.message
        with pytest.raises(RefusedError):
            await node.call(held)
        assert not running.done()
        placed = await running
        assert placed.instance.closed  # type: ignore[attr-defined]
        await node.call(other)
        await asyncio.sleep(5)
        assert all(not z.alive for z in node.sandbox.zygotes if z.version.function == "f")
        node.dispatcher.close()

    run(scenario)


def test_kill_ends_what_runs_and_release_serves_again() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        version = version_of()
        placed = await node.dispatcher.place(admitted(version))
        name = (version.project, version.function)
        node.dispatcher.contain(frozenset({name}))
        node.dispatcher.kill(*name)
        await asyncio.sleep(0)
        assert not placed.instance.zygote.alive  # type: ignore[attr-defined]
        node.dispatcher.release(placed)
        node.dispatcher.contain(frozenset())
        node.dispatcher.retire({("t", "f", 1)})
        await node.call(version)
        node.dispatcher.close()

    run(scenario)


def test_what_was_starting_when_a_function_was_killed_refuses_no_call_after_its_release() -> None:
    """It ends after the release, and has not failed to start: `all/all` was answered 503."""

    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        version = version_of()
        node.dispatcher.release(await node.dispatcher.place(admitted(version)))
        node.sandbox.fork_seconds = 0.5
        while not node.sandbox.starting:
            await asyncio.sleep(0.01)
        name = (version.project, version.function)
        node.dispatcher.contain(frozenset({name}))
        node.dispatcher.kill(*name)
        node.dispatcher.contain(frozenset())
        node.dispatcher.retire({("t", "f", 1)})
        await node.call(version)
        assert node.sandbox.opens == 2
        node.dispatcher.close()

    run(scenario)


def test_a_contained_function_keeps_nothing_warm_and_takes_no_zygote() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        version = version_of()
        node.dispatcher.contain(frozenset({(version.project, version.function)}))
        node.dispatcher.keep_warm([(version, 2)])
        zygote = await node.sandbox.open(version)
        node.dispatcher.adopt(version, zygote)  # type: ignore[arg-type]
        await asyncio.sleep(5)
        assert not zygote.alive and node.sandbox.opens == 1 and not node.dispatcher.spares
        node.dispatcher.close()

    run(scenario)


def test_a_zygote_that_comes_up_after_its_function_was_contained_serves_nobody() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = Node(loop)
        version = version_of()
        call = loop.create_task(node.call(version))
        await asyncio.sleep(0.001)
        node.dispatcher.contain(frozenset({(version.project, version.function)}))
        with pytest.raises(RefusedError):
            await call
        await asyncio.sleep(5)
        assert node.sandbox.opens == 1 and not any(z.alive for z in node.sandbox.zygotes)
        assert sum(z.forks for z in node.sandbox.zygotes) == 0
        node.dispatcher.close()

    run(scenario)
