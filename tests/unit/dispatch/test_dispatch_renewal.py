"""Zygotes are replaced in time, by others beside them: no call waits for it, and none is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from dispatch_sandbox import FakeInstance, FakeZygote, VirtualLoop, lost, run, version_of
from test_dispatch_warm import Node

from casemate.dispatch import renewal
from casemate.dispatch.ahead import _in_order
from casemate.dispatch.pool import Pool
from casemate.dispatch.renewal import (
    CALLED_SECONDS,
    GRACE_SECONDS,
    MOST_CALLS,
    MOST_FORKS,
    OVERLAP_SECONDS,
    SECOND_AFTER_SECONDS,
    UNCALLED_SECONDS,
    InUse,
)
from casemate.model.deployment import Version
from casemate.model.function import Isolation
from casemate.model.grant import Grant, GrantKind
from support.core import version as version_with

MIB = 1 << 20
FORK_SECONDS = 0.02
"""What a call may wait at most: for a fork and for its being made ready."""


class Load:
    """Callers that call all the time; what each got, and how long it waited."""

    def __init__(self, node: Node, version: Version) -> None:
        self.node, self.version = node, version
        self.waited: list[float] = []
        self.served: list[tuple[float, FakeInstance]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, callers: int, pause: float = 0.5) -> None:
        self._tasks = [self.node.loop.create_task(self._call(pause)) for _ in range(callers)]

    async def _call(self, pause: float) -> None:
        while True:
            placed = await self.node.call(self.version)
            assert isinstance(placed.instance, FakeInstance)
            self.waited.append(placed.queued)
            self.served.append((self.node.loop.time(), placed.instance))
            await asyncio.sleep(pause)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert isinstance(result, asyncio.CancelledError), result

    def zygotes(self, since: float = 0.0, until: float = float("inf")) -> set[FakeZygote]:
        return {one.zygote for at, one in self.served if since <= at <= until}


def node_of(loop: VirtualLoop, *, restores: bool) -> Node:
    node = Node(loop)
    node.sandbox.restores = restores
    node.sandbox.open_seconds = 3.0
    return node


@pytest.mark.parametrize("isolation", list(Isolation))
@pytest.mark.parametrize("restores", [True, False])
def test_a_called_one_is_replaced_and_no_call_waits(restores: bool, isolation: Isolation) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = node_of(loop, restores=restores)
        load = Load(node, version_of(isolation=isolation))
        load.start(2)
        await asyncio.sleep(10.0)
        warm = len(load.waited)
        began = loop.time()
        await asyncio.sleep(3 * CALLED_SECONDS)
        await load.stop()
        assert max(load.waited[warm:]) <= FORK_SECONDS
        assert 3 <= node.sandbox.opens <= 5
        assert node.sandbox.beside[0] is None
        pairs = zip(node.sandbox.beside[1:], node.sandbox.zygotes, strict=False)
        assert all(beside is before for beside, before in pairs)
        # Each has served for no longer than it may, and the old ones are gone.
        for zygote in load.zygotes():
            times = [at for at, one in load.served if one.zygote is zygote]
            assert max(times) - min(times) <= CALLED_SECONDS + OVERLAP_SECONDS
        assert not any(z.alive for z in node.sandbox.zygotes[:-1])
        assert len(load.zygotes(since=began)) >= 3
        node.dispatcher.close()

    run(scenario)


@pytest.mark.parametrize("restores", [True, False])
def test_heavy_load_goes_on_while_one_is_replaced(restores: bool) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = node_of(loop, restores=restores)
        node.dispatcher._resting_memory = 0  # none is to have two
        load = Load(node, version_of(concurrency=16))
        load.start(12, pause=0.0)
        await asyncio.sleep(5.0)
        warm = len(load.waited)
        first = node.sandbox.zygotes[0]
        first.forks = MOST_FORKS
        await asyncio.sleep(2.0)
        rate = len(load.waited[warm:]) / 2.0
        while first.alive:
            await asyncio.sleep(0.01)
            assert loop.time() < 1000 + 5 + 2 + OVERLAP_SECONDS
        since = len(load.waited)
        await asyncio.sleep(2.0)
        await load.stop()
        assert max(load.waited[warm:]) <= 3 * FORK_SECONDS
        assert (len(load.waited) - since) / 2.0 > 0.8 * rate
        assert load.zygotes(since=loop.time() - 1) == {node.sandbox.zygotes[1]}
        node.dispatcher.close()

    run(scenario)


def test_one_at_rest_is_replaced_more_rarely_and_after_its_first_call_at_once() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = node_of(loop, restores=True)
        version = version_of()
        node.dispatcher.adopt(version, await node.sandbox.open(version))  # type: ignore[arg-type]
        await asyncio.sleep(UNCALLED_SECONDS - 100)
        assert node.sandbox.opens == 1
        placed = await node.call(version)
        assert not placed.cold and placed.queued <= FORK_SECONDS
        await asyncio.sleep(30.0)
        assert node.sandbox.opens == 2
        await asyncio.sleep(UNCALLED_SECONDS - 100)
        assert node.sandbox.opens == 2
        await asyncio.sleep(200.0)
        assert node.sandbox.opens == 3
        assert [z.alive for z in node.sandbox.zygotes] == [False, False, True]
        node.dispatcher.close()

    run(scenario)


def test_one_that_cannot_be_replaced_serves_on_for_a_while_and_no_longer() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = node_of(loop, restores=True)
        version = version_of()
        load = Load(node, version)
        load.start(1)
        await asyncio.sleep(10.0)
        node.sandbox.open_fault = lost()
        warm = len(load.waited)
        await asyncio.sleep(CALLED_SECONDS + GRACE_SECONDS - 60)
        assert node.sandbox.zygotes[0].alive and max(load.waited[warm:]) <= FORK_SECONDS
        assert node.sandbox.opens <= 30, "ever more rarely"
        node.sandbox.open_fault = None
        await asyncio.sleep(120.0)
        await load.stop()
        assert [z.alive for z in node.sandbox.zygotes] == [False, True]
        node.dispatcher.close()

    run(scenario)


def test_one_that_was_never_replaced_is_let_go_of() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = node_of(loop, restores=True)
        version = version_of()
        await node.call(version)
        node.sandbox.open_fault = lost()
        await asyncio.sleep(CALLED_SECONDS + GRACE_SECONDS + 30)
        assert not node.sandbox.zygotes[0].alive
        node.dispatcher.close()

    run(scenario)


def test_a_failed_renewal_refuses_nobody() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        from casemate.sandbox.frames import ErrorHead
        from casemate.sandbox.opening import ImportFailedError

        node = node_of(loop, restores=True)
        load = Load(node, version_of())
        load.start(4, pause=0.25)
        await asyncio.sleep(10.0)
        node.sandbox.open_fault = ImportFailedError(ErrorHead("init-error", "E", "m", ""), "")
        await asyncio.sleep(CALLED_SECONDS + 100)
        await load.stop()  # raises if one was refused
        assert node.sandbox.opens > 1
        node.dispatcher.close()

    run(scenario)


@pytest.mark.parametrize("restores", [True, False])
def test_calls_under_way_end_where_they_began(restores: bool) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = node_of(loop, restores=restores)
        version = version_of(concurrency=4)
        await node.call(version)
        await asyncio.sleep(5.0)
        long = [loop.create_task(node.call(version, CALLED_SECONDS + 300)) for _ in range(3)]
        await asyncio.sleep(CALLED_SECONDS + 200)
        assert len([z for z in node.sandbox.zygotes if z.alive]) == 2
        for placed in await asyncio.gather(*long):
            assert placed.instance.closed  # type: ignore[union-attr]
        await asyncio.sleep(5.0)
        assert not node.sandbox.zygotes[0].alive
        node.dispatcher.close()

    run(scenario)


def test_what_reaches_less_now_has_no_older_instances_either() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = node_of(loop, restores=True)
        grant = Grant(kind=GrantKind.BUCKET, name="b", actions=("read",))
        before = version_with(grants=(grant,))
        load = Load(node, before)
        load.start(2, pause=0.0)
        await asyncio.sleep(5.0)
        node.sandbox.zygotes[0].forks = MOST_FORKS
        while len(node.sandbox.zygotes) < 2:
            await asyncio.sleep(0.01)
        await load.stop()
        since = loop.time()
        after = version_with()
        late = Load(node, after)
        late.start(2, pause=0.0)
        await asyncio.sleep(10.0)
        await late.stop()
        assert not late.zygotes(since=since) & set(node.sandbox.zygotes[:2])
        node.dispatcher.close()

    run(scenario)


# -- two at once -------------------------------------------------------------------------------


def busy_node(loop: VirtualLoop, memory: int | None = None) -> Node:
    node = node_of(loop, restores=True)
    if memory is not None:
        node.dispatcher._resting_memory = memory
    node.sandbox.memory = 40 * MIB
    return node


def living(node: Node) -> list[FakeZygote]:
    return [z for z in node.sandbox.zygotes if z.alive]


def test_a_busy_function_has_two_and_instances_are_drawn_by_chance() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = busy_node(loop)
        load = Load(node, version_of())
        load.start(8, pause=0.5)
        await asyncio.sleep(SECOND_AFTER_SECONDS + 70)
        assert len(living(node)) == 2
        since = loop.time()
        # One may just have been made anew: within so long it has instances as the other has.
        await asyncio.sleep(200.0)
        drawn = [one.zygote for at, one in load.served if at >= since]
        shares = [count / len(drawn) for _, count in Counter(map(id, drawn)).most_common(2)]
        assert 0.1 < shares[1] <= shares[0] < 0.9
        # Each is there for as long as one alone would be.
        await asyncio.sleep(3 * CALLED_SECONDS)
        await load.stop()
        for zygote in node.sandbox.zygotes:
            times = [at for at, one in load.served if one.zygote is zygote]
            assert max(times) - min(times) <= CALLED_SECONDS + OVERLAP_SECONDS + 10
        assert max(load.waited[8:]) <= FORK_SECONDS
        assert len(living(node)) == 2
        node.dispatcher.close()

    run(scenario)


def test_one_that_is_called_rarely_has_one() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = busy_node(loop)
        load = Load(node, version_of())
        load.start(1, pause=2.0)
        await asyncio.sleep(CALLED_SECONDS - 50)
        assert len(node.sandbox.zygotes) == 1
        await load.stop()
        node.dispatcher.close()

    run(scenario)


def test_the_second_goes_when_calls_become_rare() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = busy_node(loop)
        load = Load(node, version_of())
        load.start(8, pause=0.25)
        await asyncio.sleep(SECOND_AFTER_SECONDS + 60)
        assert len(living(node)) == 2
        await load.stop()
        await asyncio.sleep(OVERLAP_SECONDS + 30)
        assert living(node) == [node.sandbox.zygotes[1]]
        node.dispatcher.close()

    run(scenario)


@pytest.mark.parametrize(("memory", "expected"), [(39, 1), (40, 2), (0, 1)])
def test_there_are_two_where_memory_allows(memory: int, expected: int) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = busy_node(loop, memory * MIB)
        load = Load(node, version_of())
        load.start(8, pause=0.25)
        await asyncio.sleep(SECOND_AFTER_SECONDS + 60)
        assert len(living(node)) == expected
        await load.stop()
        node.dispatcher.close()

    run(scenario)


def test_what_is_at_rest_comes_first_and_a_short_host_has_none() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = busy_node(loop, 60 * MIB)
        load = Load(node, version_of())
        load.start(8, pause=0.25)
        await asyncio.sleep(SECOND_AFTER_SECONDS + 60)
        assert len(living(node)) == 2
        resting = version_of(name="resting")
        await node.call(resting)
        await asyncio.sleep(OVERLAP_SECONDS + 20)
        # 40 of 60 are held by what is at rest: 20 are too few for a second.
        assert len(living(node)) == 2
        assert {z.version.function for z in living(node)} == {"f", "resting"}
        await load.stop()
        node.dispatcher.close()

    run(scenario)


def test_a_short_host_has_no_second() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = busy_node(loop, 1 << 40)
        load = Load(node, version_of())
        load.start(8, pause=0.25)
        await asyncio.sleep(SECOND_AFTER_SECONDS + 60)
        assert len(living(node)) == 2
        node.dispatcher._host_memory = SimpleNamespace(missing=lambda: 1)  # type: ignore[assignment]
        await asyncio.sleep(OVERLAP_SECONDS + 10)
        assert len(living(node)) == 1
        await load.stop()
        node.dispatcher.close()

    run(scenario)


def test_when_the_newest_ends_the_other_serves() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = busy_node(loop)
        load = Load(node, version_of())
        load.start(8, pause=0.25)
        await asyncio.sleep(SECOND_AFTER_SECONDS + 60)
        first, second = living(node)
        warm = len(load.waited)
        second.end()
        await asyncio.sleep(1.0)
        assert node.sandbox.opens == 2 and first.alive
        assert max(load.waited[warm:]) <= FORK_SECONDS
        first.end()
        await asyncio.sleep(10.0)
        assert node.sandbox.opens >= 3
        await load.stop()
        node.dispatcher.close()

    run(scenario)


# -- when, and in which order ------------------------------------------------------------------


def in_use(**fields: Any) -> InUse:
    return InUse(SimpleNamespace(forks=fields.pop("forks", 0), outdated=False), 0.0, **fields)  # type: ignore[arg-type]


def test_when_one_is_due() -> None:
    assert not in_use(calls=1).is_due(CALLED_SECONDS - 1, in_turns=False)
    assert in_use(calls=1).is_due(CALLED_SECONDS, in_turns=False)
    assert in_use(calls=1).is_due(CALLED_SECONDS / 2, in_turns=True)
    assert not in_use().is_due(UNCALLED_SECONDS - 1, in_turns=False)
    assert in_use().is_due(UNCALLED_SECONDS, in_turns=False)
    assert in_use(calls=MOST_CALLS).is_due(1.0, in_turns=False)
    assert in_use(forks=MOST_FORKS).is_due(1.0, in_turns=False)


def test_when_one_is_overdue() -> None:
    one = in_use(calls=1)
    assert not one.is_overdue(CALLED_SECONDS)
    assert not one.is_overdue(CALLED_SECONDS + GRACE_SECONDS)
    assert one.is_overdue(CALLED_SECONDS + GRACE_SECONDS + 1)
    # One that is called for the first time late has as long.
    late = in_use()
    late.calls = 1
    assert not late.is_overdue(UNCALLED_SECONDS - 1)
    assert in_use(calls=3 * MOST_CALLS).is_overdue(1.0)


def test_less_than_an_hour_whatever_comes_together() -> None:
    """So long a layout can be of use: its base zygote's time, a zygote's, and what may be late."""
    from casemate.sandbox.layouts import LAYOUT_SECONDS

    late = renewal.GRACE_SECONDS + renewal.OVERLAP_SECONDS
    assert LAYOUT_SECONDS + CALLED_SECONDS + late < 3600
    assert LAYOUT_SECONDS + UNCALLED_SECONDS + late < 3600


def test_projects_take_turns_after_those_that_a_call_would_wait_for() -> None:
    def pool(project: str, *, has_zygote: bool = True) -> Pool:
        named = SimpleNamespace(project=project)
        return SimpleNamespace(version=named, has_zygote=has_zygote)  # type: ignore[return-value]

    many = [pool("many") for _ in range(3)]
    few, cold = pool("few"), pool("many", has_zygote=False)
    assert _in_order([*many, few, cold]) == [cold, many[0], few, *many[1:]]


def test_one_that_runs_with_what_was_replaced_is_replaced_at_once() -> None:
    zygote = SimpleNamespace(forks=0, outdated=False)
    used = InUse(zygote, opened_at=0.0)  # type: ignore[arg-type]
    assert not used.is_due(1.0, in_turns=False)
    zygote.outdated = True
    assert used.is_due(1.0, in_turns=False)
    assert not used.is_overdue(1.0 + 2 * GRACE_SECONDS - 1), "it serves until another one does"
    assert not used.is_overdue(UNCALLED_SECONDS - 1)


def test_all_that_run_with_what_was_replaced_go_and_no_call_waits_or_is_lost() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        node = node_of(loop, restores=True)
        loads = [Load(node, version_of(name=name)) for name in ("a", "b", "c")]
        for load in loads:
            load.start(2, pause=0.2)
        await asyncio.sleep(5.0)
        before = list(node.sandbox.zygotes)
        warm = [len(load.waited) for load in loads]
        for zygote in before:
            zygote.outdated = True
        await asyncio.sleep(OVERLAP_SECONDS + 30.0)
        for load, since in zip(loads, warm, strict=True):
            await load.stop()
            assert max(load.waited[since:]) <= FORK_SECONDS
        assert not any(zygote.alive for zygote in before)
        assert [z.alive for z in node.sandbox.zygotes[len(before) :]] == [True] * len(before)
        node.dispatcher.close()

    run(scenario)
