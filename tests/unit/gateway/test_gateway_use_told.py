"""What is used beside invocations is told to the recorder and to budgets."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.budgets import Allowance
from casemate.budgets.ledger import Ledger
from casemate.gateway import use_told
from casemate.gateway.use_told import UseTold
from casemate.model.budget import Budget, BudgetPer, BudgetUnit
from casemate.model.usage import Passed, Stored

NOW = 1_795_392_000.0


def budget(name: str, **more: Any) -> Ledger:
    given = {"amount": 1.0, "unit": BudgetUnit.MONEY, "per": BudgetPer.DAY, "project": "shop"}
    return Ledger(Budget(name=name, **{**given, **more}), NOW)


class Node:
    def __init__(self) -> None:
        self.told: list[Any] = []
        self.reached: list[Any] = []
        answerable = {"function:shop/pay": "project:shop", "project:shop": "project:shop"}
        self.allowance = Allowance(
            self.reached.append, lambda who: answerable.get(who, who), clock=lambda: NOW
        )
        version = SimpleNamespace(project="shop", function="pay")
        zygotes: Any = SimpleNamespace(version_of={1: version}.get)
        self.data: Any = SimpleNamespace()
        self.used = UseTold(zygotes, self.data, self.told.append, self.allowance)

    def has(self, sizes: Any) -> None:
        """Have its data tell so much."""
        self.data.sizes = sizes


def test_bytes_belong_to_the_function_of_their_zygote() -> None:
    node = Node()
    node.used.on_passed(1, 10, 2_000_000_000)
    node.used.on_passed(99, 5, 5)
    assert node.told == [Passed("shop", "pay", 10, 2_000_000_000)]


def test_budgets_in_money_count_them_and_others_do_not() -> None:
    node = Node()
    for ledger in (
        budget("all"),
        budget("mine", function="pay"),
        budget("other", function="cart"),
        budget("caller", caller="function:shop/pay"),
        budget("somebody", caller="user:ada"),
        budget("account", account="project:shop"),
        budget("requests", unit=BudgetUnit.REQUESTS),
    ):
        node.allowance.put(ledger)
    node.used.on_passed(1, 10, 20_000_000_000)  # 20 GB at 0.05
    used = {name: ledger.used for name, ledger in node.allowance.ledgers["shop"].items()}
    counted = {name for name, amount in used.items() if amount == pytest.approx(1.0)}
    assert counted == {"all", "mine", "caller", "account"}
    assert all(not used[name] for name in used.keys() - counted)
    # It is used up, and told.
    assert {each.budget for each in node.reached} == counted
    assert {each.percent for each in node.reached} == {100}


def test_what_is_kept_is_told_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_told, "LOOK_SECONDS", 0.01)
    node = Node()
    node.allowance.put(budget("all"))
    looks = 0

    def sizes() -> dict[str, int]:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise OSError(5, "Input/output error")
        return {"shop": 10**15}

    node.has(sizes)

    async def scene() -> None:
        node.used.start()
        async with asyncio.timeout(5):
            while len(node.told) < 3:
                await asyncio.sleep(0.005)
        await node.used.close()

    asyncio.run(scene())
    assert node.told[:3] == [Stored("shop", 10**15)] * 3 and looks >= 4
    assert node.allowance.ledgers["shop"]["all"].used > 0
