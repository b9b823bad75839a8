"""Instances that are made ready again: used only then, replaced in time, left for forks if not."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from dispatch_sandbox import VirtualLoop, run
from test_dispatch_pool import Calls, outcomes

from casemate.dispatch import arrivals, restored
from casemate.model.function import Trust
from casemate.model.invocation import Outcome


def calls_of(loop: VirtualLoop, **limits: Any) -> Calls:
    calls = Calls(loop, **limits)
    calls.sandbox.restores = True
    return calls


async def warm(calls: Calls) -> None:
    await calls.call()
    await asyncio.sleep(1)


def test_an_instance_serves_again_once_it_was_made_ready() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        served = [await calls.call() for _ in range(20)]
        assert all(instance.restorable for instance in served)
        assert len(set(served)) < 10
        assert len(calls.sandbox.made_ready) > 20

    run(scenario)


def test_what_is_needed_is_looked_at_once_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        wanted, looked = calls.pool._supply._wanted, 0

        def counted(now: float) -> int:
            nonlocal looked
            looked += 1
            return wanted(now)

        monkeypatch.setattr(calls.pool._supply, "_wanted", counted)
        for _ in range(20):
            await calls.call()
            await asyncio.sleep(0.05)
        assert 20 <= looked <= 24

    run(scenario)


def test_the_first_call_waits_for_no_restorer() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        first = await calls.call()
        assert not first.restorable and first.closed

    run(scenario)


@pytest.mark.parametrize("died", [Outcome.CRASHED, Outcome.INIT_ERROR])
def test_who_waits_for_one_that_ends_with_its_restorer_gets_another(died: Outcome) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        calls.sandbox.stillborn = died
        calls.sandbox.stillborn_traced_only = True
        found = await outcomes(calls.start(8))
        # What its own import is to blame for is told.
        assert (set(found) == {None}) == (died is Outcome.CRASHED)

    run(scenario)


@pytest.mark.parametrize("neither_way", [False, True])
def test_an_import_in_an_instance_that_fails_is_tried_once_more_without_a_restorer(
    neither_way: bool,
) -> None:
    """It may have failed since calls that are flagged do when the restorer has just ended."""

    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop, trust=Trust.LOW)
        await warm(calls)
        calls.sandbox.stillborn = Outcome.INIT_ERROR
        calls.sandbox.stillborn_traced_only = not neither_way
        found = set(await outcomes(calls.start(8)))
        assert (Outcome.INIT_ERROR in found) if neither_way else (found == {None})

    run(scenario)


def test_one_that_starts_neither_way_is_refused_soon() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        calls.sandbox.stillborn = Outcome.CRASHED
        began, forks = loop.time(), len(calls.sandbox.spawned)
        assert await outcomes(calls.start(8)) == [Outcome.UNAVAILABLE] * 8
        assert loop.time() - began < 2 and len(calls.sandbox.spawned) - forks < 60

    run(scenario)


def test_what_had_a_process_for_one_call_alone_is_counted() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        forked, restored = Calls(loop), calls_of(loop)
        for calls in (forked, restored):
            await warm(calls)
            for _ in range(10):
                await calls.call()
        assert forked.pool.restored.tally.told().forks == 11
        # The first one: it waited for no restorer.
        assert restored.pool.restored.tally.told().forks == 1

    run(scenario)


def test_nor_does_the_first_call_after_a_rest() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        assert (await calls.call()).restorable
        await calls.tend(40)
        assert not calls.pool.spares and calls.pool.has_zygote
        first = await calls.call()
        assert not first.restorable and first.closed
        await asyncio.sleep(1)
        assert (await calls.call()).restorable

    run(scenario)


def test_nobody_gets_one_that_was_not_made_ready() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        calls.sandbox.restorer_answers = False
        one = await calls.take()
        calls.release(one)
        await calls.idle()
        assert not one.closed
        tending = loop.create_task(calls.tend(20))
        for _ in range(20):
            other = await calls.take()
            assert other is not one
            calls.release(other)
        assert one.closed
        tending.cancel()

    run(scenario)


@pytest.mark.parametrize("answers", [True, None])
def test_one_that_cannot_be_made_ready_is_ended(answers: bool | None) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        calls.sandbox.problem = "it has left a file"
        calls.sandbox.restorer_answers = answers
        one = await calls.call()
        await asyncio.sleep(0.01)
        assert one.closed
        if answers:
            assert calls.pool.restored.tally.reasons["it has left a file"] >= 1

    run(scenario)


def test_one_that_has_something_on_the_way_is_ended() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        one = await calls.take()
        one.is_quiet = False
        calls.release(one)
        await asyncio.sleep(0.01)
        assert one.closed

    run(scenario)


def test_a_function_that_leaves_something_goes_back_to_forks_and_is_tried_again() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        calls.sandbox.problem = "it made a call"
        assert await outcomes(calls.start(40)) == [None] * 40
        asked = len(calls.sandbox.made_ready)
        for _ in range(5):
            assert await outcomes(calls.start(40)) == [None] * 40
        assert len(calls.sandbox.made_ready) <= asked + 16
        calls.sandbox.problem = ""
        for _ in range(60):
            await calls.call(1.0)
        assert (await calls.call()).restorable

    run(scenario)


def test_it_is_replaced_after_ten_thousand_calls_or_a_minute() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        one = await calls.take()
        one.served = 10_000
        calls.release(one)
        await asyncio.sleep(0.01)
        assert one.closed
        two = await calls.take()
        two.born -= 61
        calls.release(two)
        await asyncio.sleep(0.01)
        assert two.closed

    run(scenario)


def test_a_restorer_that_ends_leaves_calls_alone() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        one = await calls.take()
        calls.pool.restored._told(one, "the restorer ended")
        assert not one.closed and not one.restorable
        calls.release(one)
        await asyncio.sleep(0.01)
        assert one.closed

    run(scenario)


@pytest.mark.parametrize("fork_seconds", [0.002, 0.2])
def test_calls_are_served_while_a_restorer_that_ended_comes_late(fork_seconds: float) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        for _ in range(100):
            await calls.call(0.005)
        calls.sandbox.fork_seconds = fork_seconds
        calls.sandbox.restorer_answers = None
        forked, served = len(calls.sandbox.spawned), 0
        until = loop.time() + 2 * calls.pool.limits.queue_time
        while loop.time() < until:
            began = loop.time()
            assert await outcomes(calls.start(2)) == [None] * 2
            assert loop.time() - began < 3 * fork_seconds + 0.1
            served += 2
        # Nor are instances started that nobody could use.
        assert len(calls.sandbox.spawned) - forked < served + 20
        calls.sandbox.restorer_answers = True
        await asyncio.sleep(1)
        for _ in range(20):
            last = await calls.call()
        assert last.restorable and not last.closed

    run(scenario)


def test_calls_of_a_version_that_is_replaced_are_served() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        calls.pool.retired = True
        assert await outcomes(calls.start(40)) == [None] * 40

    run(scenario)


def test_no_call_is_refused_and_concurrency_is_held() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop, concurrency=4)
        assert await outcomes(calls.start(40)) == [None] * 40
        assert await outcomes(calls.start(40)) == [None] * 40
        assert calls.most_busy == 4

    run(scenario)


async def most_instances(calls: Calls, callers: int, *seconds: float) -> int:
    """Return how many instances there were at most while so many called all the time.

    Calls take so many seconds in turn. Of the first seconds nothing is told: how often it is
    called shows in time.
    """
    await warm(calls)
    most, until = 0, calls.loop.time() + 10.0
    settled = until - 5.0

    async def call() -> None:
        while calls.loop.time() < until:
            await calls.call(next(turns))

    turns = itertools.cycle(seconds)
    callers_at_work = [calls.loop.create_task(call()) for _ in range(callers)]
    while calls.loop.time() < until:
        await asyncio.sleep(0.05)
        if calls.loop.time() >= settled:
            most = max(most, len(calls.sandbox.living))
    await asyncio.gather(*callers_at_work)
    return most


def test_where_instances_wait_to_be_set_back_there_are_not_more_of_them() -> None:
    """Each would wait for the same process: their number grew with the time that they waited."""

    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop, concurrency=64)
        calls.sandbox.set_back_seconds = 0.002
        most = restored._MOST_AT_WORK + restored._MOST_SET_BACK + 1
        assert await most_instances(calls, 16, 0.0002) <= most

    run(scenario)


@pytest.mark.parametrize(("pages", "most"), [(50, 14), (100, 8), (285, 6), (1_000_000, 6)])
def test_while_cores_are_short_there_are_not_more_than_can_be_at_work(
    pages: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that write on many pages push each other's out of the caches: fewer are of use."""
    monkeypatch.setattr(restored, "_LEAST_AT_WORK", 6)
    monkeypatch.setattr(restored, "_MOST_AT_WORK", 14)
    monkeypatch.setattr(restored, "_PAGES_AT_WORK", 800)

    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop, short=True, concurrency=64)
        calls.sandbox.pages = pages
        assert most <= await most_instances(calls, 40, 0.008) <= most + 2

    run(scenario)


def test_quick_calls_that_others_keep_from_the_cores_do_not_get_ever_more_instances() -> None:
    """One that waited longer for a core than it may be at work counted as waiting elsewhere."""

    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop, short=True, concurrency=64)
        assert await most_instances(calls, 16, 0.001, 0.06) <= 4 * restored._MOST_AT_WORK

    run(scenario)


def test_whether_there_are_enough_is_found_out_once_for_many_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop, short=True, concurrency=64)
        await most_instances(calls, 16, 0.001)
        wanted, looked = calls.pool._supply._wanted, 0

        def counted(now: float) -> int:
            nonlocal looked
            looked += 1
            return wanted(now)

        monkeypatch.setattr(calls.pool._supply, "_wanted", counted)
        began, before = loop.time(), calls.pool.restored.tally.told().restored
        await most_instances(calls, 16, 0.001)
        served = calls.pool.restored.tally.told().restored - before
        assert looked < served / 4
        assert looked > (loop.time() - began) / (4 * restored.SOON_SECONDS)

    run(scenario)


def test_one_of_enough_that_ends_is_missed_at_once() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop, short=True, concurrency=64)
        await most_instances(calls, 16, 0.001)
        waiting = [loop.create_task(calls.call(0.05)) for _ in range(8)]
        await asyncio.sleep(0.002)
        assert calls.pool.waiting
        calls.sandbox.problem = "it left something"
        forks = len(calls.sandbox.spawned)
        await asyncio.sleep(0.1)
        assert len(calls.sandbox.spawned) > forks
        calls.sandbox.problem = ""
        await asyncio.gather(*waiting)

    run(scenario)


def test_a_first_call_has_no_spare_started_beside_what_it_waits_for() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await calls.call(0.001)
        assert [one.number for one in calls.sandbox.spawned] == [0]
        await asyncio.sleep(0.1)
        assert len(calls.sandbox.spawned) > 1

    run(scenario)


@pytest.mark.parametrize("short", [False, True])
def test_calls_that_wait_elsewhere_get_as_many_as_they_may_have(short: bool) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop, short=short, concurrency=16)
        assert await most_instances(calls, 40, 0.1) >= 16
        assert calls.most_busy == 16

    run(scenario)


def test_nor_are_there_more_than_may_be_called_at_once() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop, concurrency=6)
        most = await most_instances(calls, 40, 0.02)
        assert most <= 6 + arrivals._MAX_SPARES

    run(scenario)


def test_what_ends_after_the_judgement_is_not_judged_again() -> None:
    """It made the function fork for half a minute more, each time that it was tried again."""

    async def scenario(loop: VirtualLoop) -> None:
        calls = calls_of(loop)
        await warm(calls)
        instances = [await calls.take() for _ in range(12)]
        calls.sandbox.problem = "it made a call"
        for instance in instances:
            calls.release(instance)
        await asyncio.sleep(0.1)
        assert not calls.pool.restored.wanted(calls.sandbox.zygotes[0])  # type: ignore[arg-type]
        assert not calls.pool.restored._last

    run(scenario)
