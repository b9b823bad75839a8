"""Operations on budgets, quotas and prices."""

from __future__ import annotations

from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.metering import PriceList, read_prices
from casemate.model.budget import Budget, BudgetState, Quota, QuotaState, Unusual
from casemate.operations import budgets
from casemate.operations.budgets import (
    BudgetsFound,
    LetRun,
    LiftBudget,
    ListBudgets,
    PricesFound,
    RemoveBudget,
    SetBudget,
    SetPrices,
    SetQuota,
    ShowPrices,
)

performs = Performers()


@performs(SetBudget)
async def _set(wanted: SetBudget, call: Call) -> BudgetState:
    budget = Budget(
        project=wanted.project,
        name=wanted.name,
        amount=wanted.amount,
        unit=wanted.unit,
        per=wanted.per,
        hard=wanted.hard,
        function=wanted.function,
        caller=wanted.caller,
        account=wanted.account,
    )
    return await call.service.budgets.set(budget, call.actor)


@performs(LiftBudget)
async def _lift(wanted: LiftBudget, call: Call) -> BudgetState:
    return await call.service.budgets.lift(
        wanted.project, wanted.name, wanted.seconds, wanted.reason, call.actor
    )


@performs(LetRun)
async def _let_run(wanted: LetRun, call: Call) -> Unusual:
    await call.service.control.function(wanted.project, wanted.function)  # NotFoundError
    return await call.service.budgets.let_run(
        wanted.project, wanted.function, wanted.seconds, wanted.reason, call.actor
    )


@performs(RemoveBudget)
async def _remove(wanted: RemoveBudget, call: Call) -> None:
    await call.service.budgets.remove(wanted.project, wanted.name, call.actor)


@performs(ListBudgets)
async def _list(wanted: ListBudgets, call: Call) -> BudgetsFound:
    kept = call.service.budgets
    return BudgetsFound(
        budgets=kept.states(wanted.project),
        quotas=kept.quota_states(wanted.project),
        unusual=kept.unusual(wanted.project),
    )


@performs(SetQuota)
async def _set_quota(wanted: SetQuota, call: Call) -> QuotaState:
    quota = Quota(
        project=wanted.project,
        name=wanted.name,
        calls=wanted.calls,
        seconds=wanted.seconds,
        each=wanted.each,
        function=wanted.function,
    )
    return await call.service.budgets.set_quota(quota, call.actor)


@performs(ShowPrices)
async def _prices(_wanted: ShowPrices, call: Call) -> PricesFound:
    text = call.service.budgets.prices()
    return _found(read_prices(text.encode(), "the price list"), text)


@performs(SetPrices)
async def _set_prices(wanted: SetPrices, call: Call) -> PricesFound:
    return _found(await call.service.budgets.set_prices(wanted.text, call.actor), wanted.text)


def _found(prices: PriceList, text: str) -> PricesFound:
    return PricesFound(
        name=prices.name, version=prices.version, currency=prices.currency, text=text
    )


OPERATIONS = all_served(budgets, performs)
