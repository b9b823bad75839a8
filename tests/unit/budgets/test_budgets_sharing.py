"""Several nodes use one budget: together no more than it has, whoever is asked when."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest

from casemate.budgets import Allowance, Budgets, Shares, keeping
from casemate.budgets.ledger import Ledger
from casemate.budgets.sharing import IDLE_SECONDS
from casemate.facts import FactStream
from casemate.model.budget import Budget, BudgetPer, BudgetUnit, Quota, QuotaEach
from casemate.model.errors import UnavailableError
from casemate.model.facts import Actor
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Finished, RefusedError
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.usage import DAY
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.sandbox.meter import Metered
from support.core import request, version
from support.nodes import NodeStore
from support.parts import KeptValues

ADA = Principal(kind=PrincipalKind.USER, id="ada")
NOW = 1_795_392_000.0


class Node:
    """One of the nodes of a store, with a budget; its clocks are the test's."""

    def __init__(self, name: str, store: Any, **changes: Any) -> None:
        self.name, self.store, self.now, self.told = name, store, NOW, []
        told: list[Any] = self.told
        self.allowance = Allowance(
            told.append, lambda caller: caller, clock=lambda: self.now, steady=lambda: self.now
        )
        self.shares = Shares(store, lambda: name, clock=lambda: self.now, steady=lambda: self.now)
        given: dict[str, Any] = {
            "project": "t",
            "name": "b",
            "amount": 100.0,
            "unit": BudgetUnit.REQUESTS,
            "per": BudgetPer.DAY,
            "hard": True,
        }
        self.ledger = Ledger(Budget(**{**given, **changes}), self.now)
        self.ledger.asked = self.allowance.least(self.ledger.budget, NOW)
        self.ledger.wanted = self.ledger.short = True
        self.running: list[Any] = []

    def appear(self) -> None:
        self.store.connection.execute(
            "INSERT INTO node VALUES (?, ?, '', 1, '', 0, unixepoch('subsec'), 0) "
            "ON CONFLICT DO NOTHING",
            (self.name, self.name),
        )

    async def begin(self) -> None:
        self.appear()
        await self.take()
        self.allowance.put(self.ledger)

    async def take(self) -> None:
        await self.shares.take([self.ledger], 3)
        self.allowance.see([self.ledger])

    def call(self) -> bool:
        """Begin a call; False if it is refused."""
        try:
            ticket = self.allowance.enter(
                Admitted(request=request(), version=version(), principal=ADA)
            )
        except RefusedError:
            return False
        self.running.append(ticket)
        return True

    def end(self) -> None:
        used = Metered(0.5, 0.0)
        used.know(0, 0)
        self.running.pop().settle(Finished(outcome=Outcome.OK, ran=0.5, used=used))


class Slow:
    """A store that answers a while after it has done what it was asked for."""

    def __init__(self, store: NodeStore, chance: random.Random) -> None:
        self.store, self.chance, self.connection = store, chance, store.connection

    async def change(self, operation: Any) -> Any:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        answer = await self.store.change(operation)
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)
        if self.chance.random() < 0.1:
            raise UnavailableError("the answer is lost")
        return answer


@pytest.mark.parametrize("seed", (*range(6), 288, 295, 351, 368, 376, 384))
def test_however_they_are_called_all_together_use_no_more(seed: int) -> None:
    chance = random.Random(seed)

    async def run() -> None:
        amount = float(chance.choice((1, 2, 5, 30, 200)))
        store = Slow(NodeStore(), chance)
        nodes = [Node(f"n{number}", store, amount=amount) for number in range(3)]
        for node in nodes:
            node.appear()
            while not node.allowance.ledgers:
                await ignoring(node.begin())
        started = 0
        asking: set[asyncio.Task[None]] = set()
        for step in range(600):
            # Mostly one of them: the load is seldom even.
            node = nodes[0] if chance.random() < 0.6 else chance.choice(nodes)
            started += sum(node.call() for _ in range(chance.randrange(5)))
            while node.running and chance.random() < 0.7:
                node.end()
            if step % 10 == 0:
                for each in nodes:
                    each.now += 1.0
                    if each.shares.due([each.ledger]):
                        asking.add(asyncio.ensure_future(ignoring(each.take())))
            await asyncio.sleep(0)
        await asyncio.gather(*asking)
        assert started <= amount, (seed, started)
        assert started >= 0.9 * amount - 1, "hardly any of it is left, wherever it is asked for"

    asyncio.run(run())


async def ignoring(work: Any) -> None:
    with contextlib.suppress(UnavailableError):
        await work


def test_the_last_call_of_a_small_budget_is_had_by_who_asks() -> None:
    async def run() -> None:
        store = NodeStore()
        nodes = [Node(f"n{number}", store, amount=1.0) for number in range(3)]
        for node in nodes:
            await node.begin()
        # The first that was there holds it, and gives it back when nobody calls there.
        assert not nodes[2].call()
        for _ in range(3):
            for node in nodes:
                node.now += IDLE_SECONDS
                await node.take()
        assert sum(node.call() for node in nodes for _ in range(3)) == 1

    asyncio.run(run())


def test_what_a_dead_node_held_comes_back_and_what_it_used_does_not() -> None:
    async def run() -> None:
        store = NodeStore()
        dead, living = Node("dead", store), Node("living", store)
        await dead.begin()
        await living.begin()
        assert living.ledger.holding == 0.0, "one that is alone holds all"
        assert [dead.call() for _ in range(10)] == [True] * 10
        for _ in range(10):
            dead.end()
        await dead.take()
        assert not living.call()
        store.connection.execute("UPDATE node SET seen_at = 0 WHERE id = 'dead'")
        await living.take()
        assert living.ledger.elsewhere == 10.0
        assert sum(living.call() for _ in range(200)) == 90
        assert living.ledger.percent == pytest.approx(10.0), "of calls that run nothing is used yet"

    asyncio.run(run())


def test_who_has_no_share_comes_again_soon_and_nobody_is_alarmed() -> None:
    async def run() -> None:
        store = NodeStore()
        one, other = Node("one", store), Node("other", store)
        await one.begin()
        await other.begin()
        with pytest.raises(RefusedError) as refusal:
            other.allowance.enter(Admitted(request=request(), version=version(), principal=ADA))
        assert refusal.value.retry_after == 1
        assert refusal.value.failure is not None
        assert refusal.value.failure.type == "BudgetShareUsedUp"
        assert other.told == []
        await one.take()
        await other.take()
        assert other.call()
        # Once all is used up everybody is told, until the day is over.
        while one.call() or other.call():
            for node in (one, other):
                while node.running:
                    node.end()
                await node.take()
        await one.take()
        with pytest.raises(RefusedError) as refusal:
            one.allowance.enter(Admitted(request=request(), version=version(), principal=ADA))
        assert refusal.value.retry_after > 1
        assert 100 in {fact.percent for fact in one.told}

    asyncio.run(run())


def test_a_new_day_begins_with_a_part_for_each() -> None:
    async def run() -> None:
        store = NodeStore()
        nodes = [Node(f"n{number}", store) for number in range(3)]
        for node in nodes:
            await node.begin()
        for node in nodes:
            node.now += DAY
        first = [sum(node.call() for _ in range(200)) for node in nodes]
        assert all(first) and sum(first) <= 50
        for _ in range(12):
            for node in nodes:
                await node.take()
                first.append(sum(node.call() for _ in range(200)))
        assert 95 <= sum(first) <= 100

    asyncio.run(run())


def test_while_the_store_is_away_a_node_uses_what_it_holds() -> None:
    async def run() -> None:
        store = NodeStore()
        one, other = Node("one", store), Node("other", store)
        await one.begin()
        await other.begin()
        await one.take()
        holds = one.ledger.holding
        assert holds is not None and holds < 100

        async def away(_operation: Any) -> Any:
            raise UnavailableError("away")

        one.shares._store.change = away  # type: ignore[method-assign]
        calls = 0
        for _ in range(50):
            calls += one.call()
            with pytest.raises(UnavailableError):
                await one.take()
        assert 0 < calls <= holds

    asyncio.run(run())


def test_before_all_have_told_what_they_used_hardly_any_of_it_is_given() -> None:
    async def run() -> None:
        store = NodeStore()
        one, other = Node("one", store), Node("other", store)
        for node in (one, other):
            node.appear()
        other.ledger.count(90.0)
        await one.begin()
        assert sum(one.call() for _ in range(100)) == 12
        await other.begin()
        await one.take()
        assert other.ledger.holding == 90.0
        assert not one.call() and not other.call()

    asyncio.run(run())


def test_another_budget_of_the_name_begins_with_nothing_used() -> None:
    async def run() -> None:
        store = NodeStore()
        one, other = Node("one", store), Node("other", store, amount=50.0)
        await one.begin()
        assert all(one.call() for _ in range(30))
        await one.take()
        await other.begin()
        assert other.ledger.elsewhere == 0.0 and other.ledger.holding == 6.25

    asyncio.run(run())


@pytest.mark.parametrize(("calls", "nodes", "each"), [(90, 3, 30), (2, 3, 1), (7, 2, 3)])
def test_a_quota_is_divided_by_the_nodes_that_take_calls(calls: int, nodes: int, each: int) -> None:
    node = Node("n", NodeStore())
    quota = Quota(project="t", name="q", calls=calls, seconds=60, each=QuotaEach.CALLER)
    node.allowance.put_quota(quota)
    node.allowance.divide(nodes)
    assert sum(node.call() for _ in range(200)) == each
    node.now += 600 * nodes
    assert sum(node.call() for _ in range(200)) == each
    # In the long run the nodes together let through what one would.
    taken = 0
    for _ in range(1200):
        node.now += 1.0
        taken += node.call()
    assert taken * nodes == pytest.approx(1200 * calls / 60, rel=0.1)
    node.allowance.divide(1)
    node.now += 600
    assert sum(node.call() for _ in range(200)) == calls


class Kept(NodeStore):
    """Keeps small values as well."""

    def __init__(self) -> None:
        super().__init__()
        self.values = KeptValues()

    async def read(self, operation: Any) -> Any:
        of_values = isinstance(operation, ReadNodeValue | KeepNodeValue)
        return await (self.values.change if isinstance(operation, KeepNodeValue)
                      else self.values.read if of_values else super().read)(operation)  # fmt: skip


async def _nothing(*_: Any) -> tuple[()]:
    return ()


def test_a_budget_that_is_set_on_one_node_is_shared_by_all(monkeypatch: Any) -> None:
    monkeypatch.setattr(keeping, "SHARE_SECONDS", 0.005)

    async def run() -> None:
        store = Kept()
        nodes = [Node(f"n{number}", store) for number in range(2)]
        budgets = []
        for node in nodes:
            node.appear()
            made = Budgets(
                store,  # type: ignore[arg-type]
                FactStream(),
                node.allowance,
                read=_nothing,
                durable=_nothing,  # type: ignore[arg-type]
                ran=dict,
                shares=Shares(store, lambda name=node.name: name, clock=lambda: NOW),  # type: ignore[misc, arg-type]
                clock=lambda: NOW,
            )
            await made.load()
            budgets.append(made)
        await budgets[0].set(nodes[0].ledger.budget, Actor("user:ada", "192.0.2.1"))
        await budgets[1].reload()
        calls = 0
        for _ in range(400):
            for node in nodes:
                calls += node.call()
                while node.running:
                    node.end()
            await asyncio.sleep(0.001)
        assert 95 <= calls <= 100
        await asyncio.sleep(0.05)
        assert [made.states(None)[0].used for made in budgets] == [calls, calls]
        for made in budgets:
            await made.close()

    asyncio.run(run())
