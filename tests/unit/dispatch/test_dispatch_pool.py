"""One version's pool: spares, queue, limits, and every way in which its parts can end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from dispatch_sandbox import FakeInstance, FakeSandbox, VirtualLoop, alone, lost, run, version_of

from casemate.dispatch.pool import Pool
from casemate.model.errors import NotFoundError, UnavailableError
from casemate.model.function import Isolation, Trust
from casemate.model.invocation import Outcome
from casemate.model.path import RefusedError
from casemate.sandbox.frames import ErrorHead
from casemate.sandbox.opening import ImportFailedError

REUSED = Isolation.INSTANCE


class Calls:
    """A pool, and callers that take, serve and release."""

    def __init__(self, loop: VirtualLoop, *, short: bool = False, **limits: Any) -> None:
        self.loop = loop
        self.sandbox = FakeSandbox(loop)
        share = alone(loop, short=short)
        self.pool = Pool(self.sandbox, version_of(**limits), loop, share)  # type: ignore[arg-type]
        self.most_busy = 0

    async def take(self) -> FakeInstance:
        instance = self.pool.take() or await self.pool.wait()
        assert isinstance(instance, FakeInstance)
        assert instance.alive and instance.is_ready and not instance.serving
        instance.serving = True
        self.most_busy = max(self.most_busy, self.pool.busy)
        assert self.pool.busy <= self.pool.limits.concurrency
        return instance

    def release(self, instance: FakeInstance) -> None:
        instance.serving = False
        instance.served += 1
        self.pool.release(instance)

    async def call(self, seconds: float = 0.01) -> FakeInstance:
        instance = await self.take()
        await asyncio.sleep(seconds)
        self.release(instance)
        return instance

    def start(self, count: int, seconds: float = 0.01) -> list[asyncio.Task[FakeInstance]]:
        return [self.loop.create_task(self.call(seconds)) for _ in range(count)]

    async def idle(self) -> None:
        """Let everything that is due now happen."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def tend(self, seconds: float) -> bool:
        """Let time pass as the dispatcher does; return whether anything is left."""
        left = True
        end = self.loop.time() + seconds
        while self.loop.time() < end and left:
            await asyncio.sleep(1.0)
            left = self.pool.tend(self.loop.time())
        await self.idle()
        return left


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Outcome | None]:
    """Return how each call was refused, None for those that were served."""
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return [e.outcome if isinstance(e, RefusedError) else None for e in done]


# -- supply --------------------------------------------------------------------------------------


def test_the_first_call_opens_a_zygote_and_later_ones_find_spares() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        assert not calls.pool.has_zygote and calls.pool.take() is None
        first = await calls.call()
        await asyncio.sleep(0.1)
        assert calls.pool.has_zygote and calls.pool.spares >= 1
        spare = calls.pool.take()
        assert spare is not None and spare is not first
        assert calls.sandbox.opens == 1

    run(scenario)


def test_an_instance_serves_one_call_by_default() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        served = [await calls.call() for _ in range(20)]
        assert len(set(served)) == 20
        assert all(instance.closed for instance in served)

    run(scenario)


def test_many_callers_at_once_open_one_zygote() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=4)
        assert await outcomes(calls.start(40)) == [None] * 40
        assert calls.sandbox.opens == 1
        assert calls.most_busy == 4

    run(scenario)


@pytest.mark.parametrize("isolation", list(Isolation))
@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_concurrency_is_reached_and_never_exceeded(isolation: Isolation, concurrency: int) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=concurrency, isolation=isolation, queue_time=100.0)
        tasks = calls.start(concurrency * 3, seconds=2.0)
        assert await outcomes(tasks) == [None] * (concurrency * 3)
        assert calls.most_busy == concurrency

    run(scenario)


@pytest.mark.parametrize("isolation", list(Isolation))
def test_slow_calls_do_not_keep_others_from_starting(isolation: Isolation) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=16, isolation=isolation, queue_time=5.0)
        began = loop.time()
        tasks = calls.start(16, seconds=60.0)
        assert await outcomes(tasks) == [None] * 16
        assert loop.time() - began < 61.0

    run(scenario)


def test_few_forks_are_under_way_at_once() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=64, queue_time=100.0)
        calls.sandbox.fork_seconds = 1.0
        tasks = calls.start(50)
        await asyncio.sleep(0.5)
        assert len(calls.sandbox.starting) == 4
        assert await outcomes(tasks) == [None] * 50

    run(scenario)


def test_spares_stay_within_concurrency_and_their_own_bound() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=2)
        for _ in range(2000):
            await calls.call(0.001)
            assert len(calls.sandbox.living) <= 2 + 8
        assert calls.pool.spares <= 8

    run(scenario)


def test_a_caller_does_not_overtake_the_queue() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=1)
        order: list[int] = []

        async def numbered(number: int) -> None:
            instance = await calls.take()
            order.append(number)
            await asyncio.sleep(0.01)
            calls.release(instance)

        tasks = [loop.create_task(numbered(n)) for n in range(10)]
        await asyncio.gather(*tasks)
        assert order == list(range(10))

    run(scenario)


def test_a_spare_that_died_unnoticed_is_not_handed_out() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        await calls.call()
        await asyncio.sleep(0.1)
        for spare, _ in calls.pool._spares:
            spare.closed = True  # type: ignore[attr-defined]
        assert calls.pool.take() is None
        assert await outcomes(calls.start(1)) == [None]

    run(scenario)


# -- the queue -----------------------------------------------------------------------------------


def test_the_queue_is_bounded_and_whoever_is_too_many_is_told_when_to_come_back() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=1, queue=3, queue_time=100.0)
        tasks = calls.start(6, seconds=1.0)
        ended = await outcomes(tasks)
        # One runs, three wait for it; the first was in nobody's way while its instance started.
        assert ended.count(Outcome.THROTTLED) == 2 and ended.count(None) == 4
        errors = [e for t in tasks if isinstance(e := t.exception(), RefusedError)]
        assert all(e.retry_after is not None and 1 <= e.retry_after <= 60 for e in errors)
        assert calls.pool.waiting == 0

    run(scenario)


def test_nobody_waits_longer_than_the_queue_time() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=1, queue_time=0.5)
        holding = loop.create_task(calls.call(10.0))
        await asyncio.sleep(0.1)
        began = loop.time()
        assert await outcomes(calls.start(5)) == [Outcome.THROTTLED] * 5
        assert loop.time() - began == pytest.approx(0.5, abs=0.01)
        assert calls.pool.waiting == 0
        await holding

    run(scenario)


def test_an_event_that_is_kept_has_the_patience_to_get_its_turn() -> None:
    """Beside callers who give up early and come back at once."""

    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=1, queue_time=0.5)
        holding = loop.create_task(calls.call(10.0))
        await asyncio.sleep(0.1)
        kept = loop.create_task(calls.pool.wait(patient=True))
        assert await outcomes(calls.start(2)) == [Outcome.THROTTLED] * 2
        await holding
        instance = await kept
        assert instance.alive
        calls.pool.release(instance)
        assert calls.pool.waiting == 0

    run(scenario)


def test_a_slow_import_is_waited_for() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, queue_time=0.5)
        calls.sandbox.open_seconds = 8.0
        assert await outcomes(calls.start(3)) == [None] * 3

    run(scenario)


@pytest.mark.parametrize("isolation", list(Isolation))
@pytest.mark.parametrize("restores", [False, True])
def test_who_waits_for_the_fork_after_a_slow_import_is_not_refused_before_it_is_there(
    isolation: Isolation, restores: bool
) -> None:
    """As on a node that has just started, beside one that keeps many warm: forks are late."""

    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, queue_time=0.5, isolation=isolation)
        calls.sandbox.restores = restores
        calls.sandbox.set_back_seconds = 0.1
        calls.sandbox.open_seconds, calls.sandbox.fork_seconds = 0.6, 0.4
        assert await outcomes(calls.start(1)) == [None]
        assert await outcomes(calls.start(3)) == [None] * 3

    run(scenario)


def test_who_has_no_instance_on_its_way_is_refused_though_others_have() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=2, queue_time=0.5)
        calls.sandbox.open_seconds, calls.sandbox.fork_seconds = 0.6, 0.4
        ended = await outcomes(calls.start(5, seconds=10.0))
        assert ended == [None, None, *[Outcome.THROTTLED] * 3]
        assert loop.time() < 1000.0 + 12.0

    run(scenario)


def test_a_slow_import_that_brings_no_instance_is_given_up() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, queue_time=0.5)
        calls.sandbox.open_seconds = 8.0
        calls.sandbox.fork_seconds = 1000.0
        began = loop.time()
        assert await outcomes(calls.start(3)) == [Outcome.THROTTLED] * 3
        assert loop.time() - began < 9.0

    run(scenario)


def test_an_import_in_the_instance_is_waited_for_as_well() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, queue_time=0.5, trust=Trust.LOW)
        calls.sandbox.fork_seconds = 8.0
        assert await outcomes(calls.start(3)) == [None] * 3

    run(scenario)


@pytest.mark.parametrize(
    ("trust", "outcome"), [(Trust.LOW, Outcome.INIT_ERROR), (Trust.NORMAL, Outcome.UNAVAILABLE)]
)
def test_an_instance_that_never_gets_ready_is_ended(trust: Trust, outcome: Outcome) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, queue_time=60.0, keep=20.0, trust=trust)
        calls.sandbox.fork_seconds = 1e9
        tasks = calls.start(1)
        assert await calls.tend(9.0)
        assert not tasks[0].done() and calls.sandbox.living
        await calls.tend(3.0)
        assert await outcomes(tasks) == [outcome]
        error = tasks[0].exception()
        assert isinstance(error, RefusedError) and error.failure is not None
        assert error.failure.message == "the instance was not ready after 10 s"
        assert not await calls.tend(40.0)
        assert calls.sandbox.living == []

    run(scenario)


def test_late_imports_do_not_make_the_wait_unbounded() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=4, queue_time=0.5, trust=Trust.LOW)
        calls.sandbox.fork_seconds = 9.0
        began = loop.time()
        ended = await outcomes(calls.start(60, seconds=3.0))
        assert set(ended) == {None, Outcome.THROTTLED}
        assert loop.time() - began < 30.0

    run(scenario)


# -- cancellation --------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", list(Isolation))
def test_cancelled_waiters_leave_the_queue(isolation: Isolation) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=1, queue=4, queue_time=100.0, isolation=isolation)
        holding = loop.create_task(calls.call(1.0))
        await asyncio.sleep(0.1)
        tasks = calls.start(4)
        await calls.idle()
        assert calls.pool.waiting == 4
        for task in tasks:
            task.cancel()
        await calls.idle()
        assert calls.pool.waiting == 0
        assert await outcomes(calls.start(4)) == [None] * 4
        await holding
        assert calls.pool.busy == 0

    run(scenario)


def test_an_instance_given_to_a_caller_who_is_cancelled_meanwhile_is_given_back() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=1)
        calls.sandbox.automatic = False
        [task] = calls.start(1)
        await calls.idle()
        calls.sandbox.opening[0].set_result(None)
        await calls.idle()
        calls.sandbox.starting[0].get_ready()
        assert calls.pool.busy == 1
        task.cancel()
        await calls.idle()
        assert task.cancelled()
        assert calls.pool.busy == 0

    run(scenario)


def test_a_caller_refused_and_cancelled_at_once_is_cancelled() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        calls.sandbox.automatic = False
        calls.sandbox.open_fault = lost()
        [task] = calls.start(1)
        await calls.idle()
        calls.sandbox.opening[0].set_result(None)
        while not calls.pool._waiting._waiting[0].future.done():
            future = calls.pool._waiting._waiting[0].future
            await asyncio.sleep(0)
            if future.done():
                break
        task.cancel()
        await calls.idle()
        assert task.cancelled()

    run(scenario)


# -- failures ------------------------------------------------------------------------------------


def import_failure() -> ImportFailedError:
    return ImportFailedError(ErrorHead("init-error", "ImportError", "no module", "trace\n"), "out")


def test_a_failed_import_refuses_all_and_is_remembered_for_a_second() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        calls.sandbox.open_fault = import_failure()
        tasks = calls.start(5)
        assert await outcomes(tasks) == [Outcome.INIT_ERROR] * 5
        for task in tasks:
            error = task.exception()
            assert isinstance(error, RefusedError) and error.failure is not None
            assert (error.failure.type, error.failure.message) == ("ImportError", "no module")
            assert error.failure.trace == "trace\nout"
        assert calls.sandbox.opens == 1
        assert await outcomes(calls.start(100)) == [Outcome.INIT_ERROR] * 100
        assert calls.sandbox.opens == 1
        await asyncio.sleep(1.01)
        calls.sandbox.open_fault = None
        assert await outcomes(calls.start(1)) == [None]
        assert calls.sandbox.opens == 2

    run(scenario)


def test_each_refusal_is_an_exception_of_its_own() -> None:
    # A shared one would gather the frames of every call, with the events in them.
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        calls.sandbox.open_fault = import_failure()
        tasks = calls.start(5)
        await outcomes(tasks)
        more = calls.start(5)
        await outcomes(more)
        errors = [task.exception() for task in tasks + more]
        assert len({id(error) for error in errors}) == 10

    run(scenario)


@pytest.mark.parametrize("fault", [lost(), UnavailableError("x"), OSError(24, "EMFILE")])
def test_a_zygote_that_cannot_be_opened_is_unavailable(fault: Exception) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        calls.sandbox.open_fault = fault
        tasks = calls.start(3)
        assert await outcomes(tasks) == [Outcome.UNAVAILABLE] * 3
        error = tasks[0].exception()
        assert isinstance(error, RefusedError) and error.retry_after == 1
        assert error.failure is not None and error.failure.type == type(fault).__qualname__
        calls.sandbox.open_fault = None
        assert await outcomes(calls.start(3)) == [None] * 3

    run(scenario)


@pytest.mark.parametrize("isolation", list(Isolation))
def test_a_fork_that_cannot_be_asked_for_is_unavailable(isolation: Isolation) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, isolation=isolation)
        calls.sandbox.spawn_fault = OSError(24, "EMFILE")
        assert await outcomes(calls.start(3)) == [Outcome.UNAVAILABLE] * 3
        calls.sandbox.spawn_fault = None
        assert await outcomes(calls.start(3)) == [None] * 3

    run(scenario)


@pytest.mark.parametrize(
    ("died", "outcome"),
    [
        (Outcome.CRASHED, Outcome.UNAVAILABLE),
        (Outcome.OUT_OF_MEMORY, Outcome.UNAVAILABLE),
        (Outcome.INIT_ERROR, Outcome.INIT_ERROR),
    ],
)
@pytest.mark.parametrize("isolation", list(Isolation))
def test_instances_that_die_at_birth_refuse_their_callers_and_no_fork_storm_follows(
    died: Outcome, outcome: Outcome, isolation: Isolation
) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, isolation=isolation)
        calls.sandbox.stillborn = died
        tasks = calls.start(10)
        assert await outcomes(tasks) == [outcome] * 10
        error = tasks[0].exception()
        assert isinstance(error, RefusedError) and error.failure is not None
        assert (error.failure.type, error.failure.trace) == ("T", "t")
        await asyncio.sleep(0.1)
        forks = len(calls.sandbox.spawned)
        await asyncio.sleep(20.0)
        assert len(calls.sandbox.spawned) == forks <= 20

    run(scenario)


def test_a_spare_that_dies_is_replaced() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        await calls.call()
        await asyncio.sleep(0.1)
        await asyncio.sleep(2.0)
        spares = calls.pool.spares
        calls.sandbox.living[0].die()
        assert calls.pool.spares == spares - 1
        await asyncio.sleep(0.1)
        assert calls.pool.spares == spares

    run(scenario)


def test_spares_that_die_at_once_are_not_replaced_without_end() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        await calls.call()

        async def kill_all() -> None:
            while True:
                await asyncio.sleep(0.001)
                for spare, _ in list(calls.pool._spares):
                    spare.die()  # type: ignore[attr-defined]

        killer = loop.create_task(kill_all())
        await asyncio.sleep(9.0)
        killer.cancel()
        assert len(calls.sandbox.spawned) < 10

    run(scenario)


def test_a_zygote_that_dies_while_it_forks_refuses_who_waits_for_the_forks_only() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=4)
        calls.sandbox.fork_seconds = 1.0
        tasks = calls.start(8)
        await asyncio.sleep(0.5)
        assert len(calls.sandbox.starting) == 4
        calls.sandbox.zygotes[0].end()
        calls.sandbox.fork_seconds = 0.001
        ended = await outcomes(tasks)
        assert ended == [Outcome.UNAVAILABLE] * 4 + [None] * 4
        assert calls.sandbox.opens == 2

    run(scenario)


def test_a_zygote_that_dies_while_calls_run_is_replaced_for_the_next() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=2)
        busy = [await calls.take() for _ in range(2)]
        waiting = calls.start(1)
        await asyncio.sleep(0.1)
        calls.sandbox.zygotes[0].end()
        assert not any(instance.alive for instance in busy)
        assert not calls.pool.has_zygote
        for instance in busy:
            calls.release(instance)
        assert await outcomes(waiting) == [None]
        assert calls.pool.busy == 0 and calls.sandbox.opens == 2

    run(scenario)


def test_a_zygote_that_is_dead_when_it_is_adopted_is_none() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        zygote = await calls.sandbox.open(calls.pool.version)
        zygote.end()
        calls.pool.adopt(zygote)  # type: ignore[arg-type]
        assert not calls.pool.has_zygote
        assert await outcomes(calls.start(1)) == [None]

    run(scenario)


# -- reuse ---------------------------------------------------------------------------------------


def test_a_reused_instance_serves_one_call_after_the_other() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, isolation=REUSED)
        served = {await calls.call() for _ in range(50)}
        assert len(served) == 1 and not calls.sandbox.spawned[0].closed

    run(scenario)


def test_short_calls_share_an_instance_and_long_ones_do_not() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, isolation=REUSED)
        await calls.call()
        await asyncio.gather(*calls.start(8, seconds=0.0001))
        assert len(calls.sandbox.spawned) == 1
        await asyncio.gather(*calls.start(4, seconds=1.0))
        assert len(calls.sandbox.spawned) == 4

    run(scenario)


def test_a_reused_instance_that_died_is_replaced() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, isolation=REUSED)
        instance = await calls.take()
        instance.die()
        calls.release(instance)
        other = await calls.call()
        assert other is not instance

    run(scenario)


def test_a_reused_instance_goes_after_half_a_minute_of_nothing() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, isolation=REUSED)
        await calls.call()
        await calls.tend(29.0)
        assert calls.pool.spares == 1
        await calls.tend(3.0)
        assert calls.pool.spares == 0 and calls.sandbox.living == []
        assert calls.pool.has_zygote

    run(scenario)


# -- upkeep --------------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", list(Isolation))
def test_nothing_is_left_after_the_keep_time(isolation: Isolation) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, keep=120.0, isolation=isolation)
        await asyncio.gather(*calls.start(5))
        assert await calls.tend(115.0)
        assert calls.pool.has_zygote and calls.sandbox.living == []
        assert not await calls.tend(10.0)
        assert not calls.pool.has_zygote
        assert not any(zygote.alive for zygote in calls.sandbox.zygotes)

    run(scenario)


def test_a_running_call_keeps_its_zygote() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, keep=10.0)
        task = loop.create_task(calls.call(60.0))
        assert await calls.tend(59.0)
        assert calls.sandbox.zygotes[0].alive
        assert (await task).zygote.alive
        assert not await calls.tend(5.0)

    run(scenario)


@pytest.mark.parametrize("isolation", list(Isolation))
def test_a_retired_pool_answers_what_it_has_and_goes(isolation: Isolation) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=1, isolation=isolation)
        tasks = calls.start(3, seconds=1.0)
        await asyncio.sleep(0.5)
        calls.pool.retired = True
        assert await calls.tend(0.5)
        assert await outcomes(tasks) == [None] * 3
        assert not await calls.tend(3.0)
        assert calls.sandbox.living == []

    run(scenario)


def test_an_adopted_zygote_is_kept_without_spares() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        zygote = await calls.sandbox.open(calls.pool.version)
        calls.pool.adopt(zygote)  # type: ignore[arg-type]
        assert await calls.tend(5.0)
        assert calls.sandbox.spawned == []
        await calls.call()
        assert calls.sandbox.opens == 1

    run(scenario)


@pytest.mark.parametrize("isolation", list(Isolation))
def test_a_worn_zygote_is_replaced_and_ends_with_its_last_call(isolation: Isolation) -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, keep=1e6, isolation=isolation)
        await calls.call()
        long = loop.create_task(calls.call(5000.0))
        await calls.tend(3700.0)
        [first] = calls.sandbox.zygotes
        assert first.alive and not calls.pool.has_zygote
        assert (await calls.call()).zygote is not first
        await long
        await calls.tend(3.0)
        assert not first.alive
        assert [z.alive for z in calls.sandbox.zygotes] == [False, True]

    run(scenario)


def test_steady_load_does_not_keep_a_worn_zygote_alive() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, isolation=REUSED)

        async def load() -> None:
            while True:
                await calls.call(0.9)

        load_task = loop.create_task(load())
        await calls.tend(1300.0)
        load_task.cancel()
        assert [z.alive for z in calls.sandbox.zygotes] == [False, True]

    run(scenario)


def test_forks_wear_a_zygote_too() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        await calls.call()
        calls.sandbox.zygotes[0].forks = 150_001
        await calls.tend(1.0)
        await calls.call()
        await calls.tend(2.0)
        assert [z.alive for z in calls.sandbox.zygotes] == [False, True]

    run(scenario)


def test_closing_ends_every_zygote_the_worn_ones_as_well() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop)
        busy = await calls.take()
        calls.sandbox.zygotes[0].forks = 150_001
        await calls.tend(1.0)
        await calls.call()
        calls.pool.close()
        await calls.idle()
        assert [z.alive for z in calls.sandbox.zygotes] == [False, False]
        assert calls.sandbox.living == []
        calls.release(busy)

    run(scenario)


def test_renewed_instances_answer_what_runs_and_get_no_more() -> None:
    """What they hold in their globals is no more: a secret that has another value."""

    async def scenario(loop: VirtualLoop) -> None:
        calls = Calls(loop, concurrency=2, isolation=Isolation.INSTANCE, queue_time=100.0)
        first, second = await asyncio.gather(calls.call(), calls.call())
        assert (await calls.call()) in (first, second)
        running = await calls.take()
        idle = second if running is first else first
        calls.pool.renew()
        assert not idle.alive and running.alive
        other = await calls.call()
        assert other not in (first, second)
        assert running.alive
        calls.release(running)
        assert not running.alive
        assert (await calls.call()) is other

    run(scenario)


# -- while the files of a bundle are looked at ---------------------------------------------------


def looking(loop: VirtualLoop, *faults: Exception | None) -> Calls:
    """Return calls to a function whose files are looked at once its zygote has imported."""
    calls = Calls(loop)
    calls.sandbox.looks = True
    calls.sandbox.look_faults = list(faults)
    return calls


def test_the_first_instance_is_made_while_files_are_looked_at_and_gets_no_event_before() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = looking(loop)
        first = calls.start(1)[0]
        await asyncio.sleep(calls.sandbox.open_seconds + 0.02)
        [early] = calls.sandbox.spawned
        assert early in early.zygote.held and not early.serving
        assert await first is early
        await asyncio.sleep(0.1)
        assert calls.sandbox.opens == 1 and calls.pool.spares >= 1

    run(scenario)


def test_others_that_wait_get_instances_of_their_own() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = looking(loop)
        assert len(set(await asyncio.gather(*calls.start(5)))) == 5
        assert calls.sandbox.opens == 1

    run(scenario)


def test_what_was_made_for_changed_files_serves_nobody() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        changed = NotFoundError("The bundle is not what was deployed.")
        calls = looking(loop, changed)
        [refused] = await asyncio.gather(*calls.start(1), return_exceptions=True)
        assert isinstance(refused, RefusedError) and refused.failure is not None
        assert refused.failure.type == "BundleDamaged"
        [early] = calls.sandbox.spawned
        await calls.idle()
        assert early.closed and not early.is_ready and calls.pool.busy == calls.pool.spares == 0
        assert not early.zygote.alive and calls.sandbox.opens == 1

    run(scenario)


def test_a_zygote_that_comes_to_nothing_costs_the_caller_nothing_if_another_is_made() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = looking(loop, None, None)
        served = await calls.call()
        first, second, third = calls.sandbox.zygotes
        assert served.zygote is third and not (first.alive or second.alive)

    run(scenario)


def test_an_early_instance_that_dies_is_made_again() -> None:
    async def scenario(loop: VirtualLoop) -> None:
        calls = looking(loop)
        first = calls.start(1)[0]
        await asyncio.sleep(calls.sandbox.open_seconds + 0.01)
        [early] = calls.sandbox.spawned
        early.die()
        served = await first
        assert served is not early and served.zygote is early.zygote

    run(scenario)
