"""What calls, and what is used beside them, count for budgets of each unit."""

from __future__ import annotations

from collections.abc import Callable

from casemate.budgets.ledger import NOTHING, Weights
from casemate.metering import PriceList
from casemate.metering.bill import day_of
from casemate.model.budget import BudgetUnit
from casemate.model.usage import Amounts

_MICRO = 1e6
COUNTED: dict[BudgetUnit, Callable[[Amounts], float]] = {
    BudgetUnit.REQUESTS: lambda amounts: float(amounts.requests),
    BudgetUnit.CPU_SECONDS: lambda amounts: amounts.cpu_us / _MICRO,
    BudgetUnit.GB_SECONDS: lambda amounts: amounts.memory_mb_ms / 1024 / 1000,
    BudgetUnit.EGRESS_IN: lambda amounts: float(amounts.egress_in),
    BudgetUnit.EGRESS_OUT: lambda amounts: float(amounts.egress_out),
    BudgetUnit.BYTE_HOURS: lambda amounts: float(amounts.byte_hours),
}
WEIGHTS = {
    BudgetUnit.REQUESTS: Weights(request=1.0),
    BudgetUnit.CPU_SECONDS: Weights(cpu_us=1 / _MICRO),
    BudgetUnit.GB_SECONDS: Weights(memory_mb_ms=1 / 1024 / 1000),
}
"""Of units in which calls count by what they used; of others they count for nothing."""
_ONES = (Amounts(requests=1), Amounts(cpu_us=1), Amounts(memory_mb_ms=1), Amounts(uses=1))


class Money:
    """What amounts cost now, as a number."""

    def __init__(self, prices: PriceList) -> None:
        """Use the prices of that list, whose currency it is."""
        self.prices = prices
        self._day = -1
        self._of_day = prices.prices[0]
        self._weights = NOTHING

    def of(self, amounts: Amounts, now: float) -> float:
        """Return what amounts cost; by the last prices there were, if none hold any more."""
        self._look(now)
        return float(self._of_day.cost(amounts))

    def weights(self, now: float) -> Weights:
        """Return what calls cost, the same object for a day."""
        self._look(now)
        return self._weights

    def _look(self, now: float) -> None:
        number = int(now // 86_400)
        if self._day != number:
            self._day, self._of_day = number, self.prices.near(day_of(now))
            self._weights = Weights(*(float(self._of_day.cost(one)) for one in _ONES))
