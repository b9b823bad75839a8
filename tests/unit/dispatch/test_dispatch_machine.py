"""A pool under any order of calls, births, deaths, cancellations and time."""

from __future__ import annotations

import asyncio

from dispatch_sandbox import FakeInstance, FakeSandbox, VirtualLoop, alone, lost, version_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from casemate.dispatch.pool import Pool
from casemate.model.function import Isolation
from casemate.model.invocation import Outcome
from casemate.model.path import RefusedError

INDEX = st.integers(0, 20)
QUEUE_TIME = 4.0


class PoolMachine(RuleBasedStateMachine):
    """Every part of the sandbox moves only when a rule says so."""

    @initialize(
        concurrency=st.integers(1, 4),
        queue=st.integers(0, 5),
        isolation=st.sampled_from(Isolation),
    )
    def start(self, concurrency: int, queue: int, isolation: Isolation) -> None:
        self.loop = VirtualLoop()
        self.faults: list[object] = []
        self.loop.set_exception_handler(lambda _loop, context: self.faults.append(context))
        self.sandbox = FakeSandbox(self.loop)
        self.sandbox.automatic = False
        version = version_of(
            concurrency=concurrency, queue=queue, queue_time=QUEUE_TIME, isolation=isolation
        )
        self.pool = Pool(self.sandbox, version, self.loop, alone(self.loop))  # type: ignore[arg-type]
        self.calls: list[asyncio.Task[None]] = []
        self.served: list[FakeInstance] = []
        self.refused: list[Outcome] = []
        self.holding: list[FakeInstance] = []

    async def call(self) -> None:
        try:
            instance = self.pool.take() or await self.pool.wait()
        except RefusedError as refusal:
            self.refused.append(refusal.outcome)
            return
        assert isinstance(instance, FakeInstance)
        assert instance not in self.holding, "one instance for two calls"
        assert not instance.serving
        if not self.pool.reuse:
            assert instance not in self.served, "a used instance for another call"
        instance.serving = True
        self.holding.append(instance)
        self.served.append(instance)

    def settle(self) -> None:
        async def steps() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(steps())

    def pick(self, instances: list[FakeInstance], index: int) -> FakeInstance:
        return instances[index % len(instances)]

    # -- callers -----------------------------------------------------------------------------

    @rule(count=st.integers(1, 4))
    def arrive(self, count: int) -> None:
        self.calls += [self.loop.create_task(self.call()) for _ in range(count)]
        self.settle()

    @precondition(lambda self: self.holding)
    @rule(index=INDEX)
    def finish(self, index: int) -> None:
        instance = self.pick(self.holding, index)
        self.holding.remove(instance)
        instance.serving = False
        self.pool.release(instance)
        self.settle()

    @precondition(lambda self: any(not call.done() for call in self.calls))
    @rule(index=INDEX, settled=st.booleans())
    def cancel(self, index: int, settled: bool) -> None:
        waiting = [call for call in self.calls if not call.done()]
        waiting[index % len(waiting)].cancel()
        if settled:
            self.settle()

    # -- the sandbox -------------------------------------------------------------------------

    @precondition(lambda self: self.sandbox.opening)
    @rule(fault=st.sampled_from([None, None, lost(), OSError(24, "EMFILE")]))
    def open(self, fault: Exception | None) -> None:
        self.sandbox.open_fault = fault
        self.sandbox.opening[0].set_result(None)
        self.settle()

    @precondition(lambda self: self.sandbox.starting)
    @rule(index=INDEX, settled=st.booleans())
    def birth(self, index: int, settled: bool) -> None:
        self.pick(self.sandbox.starting, index).get_ready()
        if settled:
            self.settle()

    @precondition(lambda self: self.sandbox.living)
    @rule(index=INDEX)
    def death(self, index: int) -> None:
        self.pick(self.sandbox.living, index).die()
        self.settle()

    @precondition(lambda self: any(z.alive for z in self.sandbox.zygotes))
    @rule(index=INDEX)
    def zygote_death(self, index: int) -> None:
        zygotes = [z for z in self.sandbox.zygotes if z.alive]
        zygotes[index % len(zygotes)].end()
        self.settle()

    @rule(fault=st.sampled_from([None, lost(), OSError(24, "EMFILE")]))
    def forks(self, fault: Exception | None) -> None:
        self.sandbox.spawn_fault = fault

    # -- time --------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.004, 0.5, 1.5, 5.0, 15.0, 40.0, 400.0, 4000.0]))
    def time(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.settle()

    @rule()
    def tend(self) -> None:
        self.pool.tend(self.loop.now)
        self.settle()

    @rule(retired=st.booleans())
    def retire(self, retired: bool) -> None:
        self.pool.retired = retired

    # -- what always holds -------------------------------------------------------------------

    @invariant()
    def limits_hold(self) -> None:
        if not hasattr(self, "pool"):
            return
        pool = self.pool
        assert 0 <= pool.busy <= pool.limits.concurrency
        assert len(self.holding) <= pool.busy
        room = max(0, pool.limits.concurrency - pool.busy)
        assert pool.waiting <= pool.limits.queue + room
        assert len(self.sandbox.living) <= pool.limits.concurrency * 2 + 8
        assert len(self.sandbox.starting) <= 8
        assert self.faults == []

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        self.settle()
        assert self.pool.busy == len(self.holding)
        self.everybody_is_answered()
        self.nothing_is_left()
        assert self.faults == []
        self.loop.close()

    def everybody_is_answered(self) -> None:
        """Nobody waits longer than the queue time once imports end, whatever happened before."""
        deadline = self.loop.now + QUEUE_TIME + 1.0
        while any(not call.done() for call in self.calls):
            assert self.loop.now < deadline, "a call is forgotten"
            self.end_imports()
            self.loop.run_until_complete(asyncio.sleep(0.1))
        for call in self.calls:
            if not call.cancelled():
                call.result()

    def end_imports(self) -> None:
        """The real ones have a deadline."""
        self.sandbox.open_fault = None
        for gate in self.sandbox.opening:
            if not gate.done():
                gate.set_result(None)

    def nothing_is_left(self) -> None:
        self.end_imports()
        for instance in list(self.holding):
            instance.serving = False
            self.pool.release(instance)
        self.sandbox.spawn_fault = None
        for _ in range(3):
            for instance in self.sandbox.starting:
                instance.get_ready()
            self.settle()
            self.end_imports()  # of a zygote that what was given back had opened
        assert self.pool.busy == self.pool.waiting == 0
        self.loop.run_until_complete(asyncio.sleep(self.pool.limits.keep + 5.0))
        for _ in range(4):
            left = self.pool.tend(self.loop.now)
            self.settle()
        assert not left
        assert self.sandbox.living == []
        assert not any(zygote.alive for zygote in self.sandbox.zygotes)


PoolMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestPoolMachine = PoolMachine.TestCase
