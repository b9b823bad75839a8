"""Of which thresholds of budgets was told, kept: a start tells nothing that is known already."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import msgspec

from casemate.budgets.ledger import Ledger, window
from casemate.decoding import decodable
from casemate.model.budget import MAX_BUDGETS, Budget, BudgetPer
from casemate.model.usage import HOUR
from casemate.store.interface import Store
from casemate.store.value import KeptValue

NAME = "budgets-told"
"""Of the node value in which it is."""


class _Told(msgspec.Struct, frozen=True):
    budget: Budget
    percent: int
    at: float
    """Unix time at which it was so."""

    def holds(self, now: float) -> bool:
        """Tell whether that is of the day, month or hour that it is now."""
        since, _ = window(self.budget.per, now)
        return since <= self.at <= now

    def covers(self, other: _Told) -> bool:
        """Tell whether another one needs not be kept beside this one."""
        # A rolling hour has no day of its own: what still is so is kept again meanwhile.
        kept_again = other.at - self.at > HOUR / 2 and self.budget.per is BudgetPer.HOUR
        same = self.budget == other.budget
        return same and self.percent >= other.percent and not kept_again


class Told:
    """One per gateway. Where several nodes have one store, each knows what all have told."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Keep it in `store`."""
        self._value = KeptValue(store, NAME)
        self._clock = clock
        self._known: dict[tuple[str, str], _Told] = {}

    async def load(self, ledgers: Iterable[Ledger]) -> None:
        """Have ledgers know what was told of them. Raises StoreError."""
        await self._read()
        for ledger in ledgers:
            known = self._known.get(_id(ledger.budget))
            if known is not None and known.budget == ledger.budget:
                ledger.told = max(ledger.told, known.percent)

    async def _read(self) -> None:
        value = await self._value.read()
        stored = () if not value else msgspec.json.decode(value, type=decodable(tuple[_Told, ...]))
        now = self._clock()
        self._known = {_id(each.budget): each for each in stored if each.holds(now)}

    async def keep(self, ledgers: Iterable[Ledger]) -> None:
        """Keep what was told since, if anything was. Raises StoreError."""
        now = self._clock()
        told = [_Told(each.budget, each.told, now) for each in ledgers if each.told]
        if not self._news(told):
            return
        await self._read()  # another node may have told meanwhile
        self._known |= {_id(each.budget): each for each in self._news(told)}
        latest = sorted(self._known.values(), key=lambda each: each.at)[-MAX_BUDGETS:]
        await self._value.write(msgspec.json.encode(latest))

    def _news(self, told: Iterable[_Told]) -> list[_Told]:
        now = self._clock()
        known = {id: each for id, each in self._known.items() if each.holds(now)}
        return [
            each
            for each in told
            if (kept := known.get(_id(each.budget))) is None or not kept.covers(each)
        ]


def _id(budget: Budget) -> tuple[str, str]:
    return budget.project, budget.name
