"""Budgets, quotas and prices as they are kept, and what is set of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from casemate.budgets.allowance import Allowance
from casemate.budgets.anomaly import LOOK_SECONDS, Key
from casemate.budgets.counting import Counting
from casemate.budgets.learning import Read, days_run
from casemate.budgets.ledger import SHARE_SECONDS, Ledger
from casemate.budgets.sharing import Shares
from casemate.budgets.told import Told
from casemate.decoding import decodable
from casemate.facts import FactStream
from casemate.metering import PriceList, PriceListError, read_prices, shipped
from casemate.metering.bill import day_of
from casemate.metering.prices import DEFAULT, shipped_text
from casemate.model.budget import (
    MAX_BUDGETS,
    MAX_OF_PROJECT,
    Budget,
    BudgetState,
    BudgetUnit,
    Quota,
    QuotaState,
    Unusual,
    lifted_since,
)
from casemate.model.errors import CasemateError, ConflictError, InvalidInputError, NoNamedError
from casemate.model.facts import Actor, BudgetSet
from casemate.model.principal import PrincipalKind
from casemate.model.still import require_still
from casemate.store.interface import Store
from casemate.store.value import KeptValue

NAME = "budgets"
"""Of the node value in which they are."""
_SHARE_WAITS = 10.0
LEARN_SECONDS = 3600.0
_log = logging.getLogger(__name__)

KeptT = TypeVar("KeptT")
Durable = Callable[[], Awaitable[None]]
Ran = Callable[[], Mapping[Key, float]]


class Kept(msgspec.Struct, frozen=True):
    """A budget, and what was decided of it."""

    budget: Budget
    lifted_until: float = 0.0
    lifted_by: str = ""
    lifted_for: str = ""
    lifted_at: float = 0.0
    """0: an earlier release has not kept it."""


class _Stored(msgspec.Struct, frozen=True):
    budgets: tuple[Kept, ...] = ()
    quotas: tuple[Quota, ...] = ()
    prices: str = ""
    """A price list in TOML; empty: the shipped example."""
    unusual: tuple[Unusual, ...] = ()
    """Functions that are not slowed for a while."""


class Budgets:
    """One per gateway, on its event loop."""

    def __init__(
        self,
        store: Store,
        facts: FactStream,
        allowance: Allowance,
        *,
        read: Read,
        durable: Durable,
        ran: Ran,
        shares: Shares | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Keep them in `store`; count what `read` tells, and have `facts` durable before effects.

        `shares`: other nodes use of them as well. `ran` returns for how many seconds each function
        has run since the start of the node.
        """
        self._value = KeptValue(store, NAME)
        self._told = Told(store, clock)
        self._facts = facts
        self._allowance = allowance
        self._read = read
        self._counting = Counting(read, allowance, clock)
        self._durable = durable
        self._ran = ran
        self._shares = shares
        self._clock = clock
        self._prices = ""
        self._turn = asyncio.Lock()
        """Two changes at once would lose one of them."""
        self._tasks: list[asyncio.Task[None]] = []

    async def load(self) -> None:
        """Read what is kept, and count again what is used."""
        await self.reload()
        await self._told.load(_sorted(self._allowance.ledgers))
        self._allowance.tell_all()
        self._tasks = [asyncio.create_task(self._look())]
        if self._shares is not None:
            self._tasks.append(asyncio.create_task(self._share(self._shares)))

    async def reload(self) -> None:
        """Read again what is kept; what is used of a budget that stays as it was is kept on.

        Raises StoreError.
        """
        async with self._turn:
            value = await self._value.read()
            stored = _Stored() if not value else msgspec.json.decode(value, type=decodable(_Stored))
            dearer = stored.prices != self._prices
            self._use_prices(stored.prices)
            names = {_id(one) for one in stored.quotas} | {_id(k.budget) for k in stored.budgets}
            known = [_id(one.budget) for one in self._kept()] + [_id(q) for q in self._quotas()]
            for project, name in {each for each in known if each not in names}:
                self._allowance.remove(project, name)
            for quota in stored.quotas:
                if quota not in self._quotas():
                    self._allowance.put_quota(quota)
            self._allowance.anomalies.keep_lifted(
                {(each.project, each.function): each for each in stored.unusual}
            )
            for kept in stored.budgets:
                await self._take_over(kept, count=dearer)

    async def _take_over(self, kept: Kept, *, count: bool) -> None:
        """Have a budget as it is kept; `count` anew what is used where that is money."""
        budget = kept.budget
        known = self._allowance.ledgers.get(budget.project, {}).get(budget.name)
        in_force = known is not None and known.budget == budget
        ledger = known if known is not None and in_force else Ledger(budget, self._clock())
        since = lifted_since(kept.lifted_at, kept.lifted_until)
        ledger.lift(since, kept.lifted_until, self._clock())
        ledger.lifted_by, ledger.lifted_for = kept.lifted_by, kept.lifted_for
        if in_force:
            if count and budget.unit is BudgetUnit.MONEY:
                await self._counting.count(ledger)
            return
        with self._allowance.awaiting(ledger):
            await self._counting.count(ledger)
            await self._take_first(ledger)
            self._allowance.put(ledger)

    async def _take_first(self, ledger: Ledger) -> None:
        """Know what other nodes use of a budget before it is in force."""
        if self._shares is not None:
            ledger.asked = self._allowance.least(ledger.budget, self._clock())
            ledger.wanted = ledger.short = True
            await self._shares.take([ledger], self._allowance.nodes)

    async def close(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._keep_told()

    async def _keep_told(self) -> None:
        """Keep of what was told. If that fails, a start tells it once more."""
        try:
            await self._told.keep(_sorted(self._allowance.ledgers))
        except CasemateError as error:
            _log.warning("of which budgets was told cannot be kept: %s", error)

    # -- what is used ----------------------------------------------------------------------------

    async def _look(self) -> None:
        """See what is usual of functions, and what they cost now, for ever."""
        learned_at = float("-inf")
        while True:
            try:
                now = self._clock()
                if abs(now - learned_at) >= LEARN_SECONDS:
                    learned_at = now
                    self._allowance.anomalies.learn(await days_run(self._read, now))
                self._allowance.anomalies.look(self._ran())
                for ledger in _sorted(self._allowance.ledgers):
                    if ledger.is_recount_due:
                        await self._counting.count_before(ledger)
                # A day may be over, or the time for which one was lifted.
                self._allowance.cutting.look()
            except CasemateError as error:
                _log.error("what is usual of functions cannot be read: %s", error)
            await self._keep_told()
            await asyncio.sleep(LOOK_SECONDS)

    async def _share(self, shares: Shares) -> None:
        """Tell what is used here, and take shares of what is left, for ever."""
        failing = False
        while True:
            await asyncio.sleep(SHARE_SECONDS)
            due = shares.due(_sorted(self._allowance.ledgers))
            try:
                if due:
                    async with asyncio.timeout(_SHARE_WAITS):
                        await shares.take(due, self._allowance.nodes)
                    self._allowance.see(due)
                failing = False
            except (CasemateError, TimeoutError) as error:
                # What the node holds it may use; then it waits.
                if not failing:
                    _log.error("what is used of budgets cannot be told: %s", error or "too slow")
                failing = True

    # -- what is set -----------------------------------------------------------------------------

    async def set(self, budget: Budget, by: Actor) -> BudgetState:
        """Have a budget from now on, in place of one of its name."""
        if budget.unit is BudgetUnit.BYTE_HOURS and budget.function is not None:
            raise InvalidInputError(
                "What is kept is a project's, and of no function.",
                next_step="Set the budget of the whole project.",
            )
        async with self._turn:
            require_still()
            self._require_room(budget.project, budget.name, by)
            await self._tell(budget.project, budget.name, "set", _text(budget), by)
            ledger = Ledger(budget, self._clock())
            # Before it takes the place of another: what is not counted would be free. Calls that
            # run all the while are of no ticket of its own, and count for it when they end.
            with self._allowance.awaiting(ledger):
                await self._counting.count(ledger)
                kept = [each for each in self._kept() if _id(each.budget) != _id(budget)]
                await self._keep([*kept, Kept(budget)])
                await self._take_first(ledger)
                self._allowance.put(ledger)
            return self._state(ledger)

    async def set_quota(self, quota: Quota, by: Actor) -> QuotaState:
        """Have a quota from now on, in place of one of its name."""
        async with self._turn:
            require_still()
            self._require_room(quota.project, quota.name, by)
            text = f"{quota.calls} calls in {quota.seconds} s for each {quota.each.value}"
            await self._tell(quota.project, quota.name, "set", text, by)
            kept = [each for each in self._quotas() if _id(each) != _id(quota)]
            await self._keep(self._kept(), [*kept, quota])
            self._allowance.put_quota(quota)
            return QuotaState(quota=quota, told_apart=0, refused=0)

    async def lift(
        self, project: str, name: str, seconds: int, reason: str, by: Actor
    ) -> BudgetState:
        """Have a budget hold nobody back for a while; for 0 seconds: it does again."""
        async with self._turn:
            require_still()
            ledger = self._allowance.ledgers.get(project, {}).get(name)
            if ledger is None:
                raise _missing(project, name)
            if seconds and not ledger.budget.hard:
                raise ConflictError(
                    f"The budget {project}/{name} is soft: it refuses nothing, so that there is "
                    "nothing to lift.",
                    next_step="`casemate budget ls` shows which are hard.",
                )
            await self._tell(project, name, "lift", reason, by, seconds)
            now = self._clock()
            until = now + seconds if seconds else 0.0
            lifted = Kept(ledger.budget, until, by.principal if seconds else "", reason, now)
            kept = [each for each in self._kept() if _id(each.budget) != (project, name)]
            await self._keep([*kept, lifted])
            ledger.lift(now, until, now)
            ledger.lifted_by, ledger.lifted_for = lifted.lifted_by, reason
            self._allowance.cutting.look()
            return self._state(ledger)

    async def let_run(
        self, project: str, function: str, seconds: int, reason: str, by: Actor
    ) -> Unusual:
        """Have a function not slowed for a while, whatever it costs; for 0 seconds: it is again."""
        async with self._turn:
            require_still()
            anomalies, key = self._allowance.anomalies, (project, function)
            others = [each for each in anomalies.lifted() if (each.project, each.function) != key]
            if seconds:
                of = [each.project for each in others]
                _require_room(of, project, MAX_OF_PROJECT, "functions that are not slowed")
            await self._tell(project, "", "lift", reason, by, seconds, function)
            now = self._clock()
            lifted = Unusual(
                project=project,
                function=function,
                lifted_at=now if seconds else 0.0,
                lifted_until=now + seconds if seconds else 0.0,
                lifted_by=by.principal if seconds else "",
                lifted_for=reason,
            )
            await self._keep(self._kept(), unusual=[*others, lifted] if seconds else others)
            anomalies.lift(lifted)
            return lifted

    def unusual(self, project: str | None) -> tuple[Unusual, ...]:
        """Return functions that are slowed, or let run, of a project or all."""
        found = self._allowance.anomalies.states()
        return tuple(each for each in found if project in (None, each.project))

    async def remove(self, project: str, name: str, by: Actor) -> None:
        """Have a budget or quota no more. Raises NotFoundError."""
        async with self._turn:
            require_still()
            budgets = [each for each in self._kept() if _id(each.budget) != (project, name)]
            quotas = [each for each in self._quotas() if _id(each) != (project, name)]
            if len(budgets) + len(quotas) == len(self._kept()) + len(self._quotas()):
                raise _missing(project, name)
            await self._tell(project, name, "remove", "", by)
            await self._keep(budgets, quotas)
            self._allowance.remove(project, name)

    def states(self, project: str | None) -> tuple[BudgetState, ...]:
        """Return the budgets of a project, or all."""
        return tuple(
            self._state(ledger)
            for ledger in _sorted(self._allowance.ledgers)
            if project in (None, ledger.budget.project)
        )

    def quota_states(self, project: str | None) -> tuple[QuotaState, ...]:
        """Return the quotas of a project, or all."""
        return tuple(
            QuotaState(quota=rate.quota, told_apart=len(rate), refused=rate.refused)
            for rate in _sorted(self._allowance.rates)
            if project in (None, rate.quota.project)
        )

    def _state(self, ledger: Ledger) -> BudgetState:
        now = self._clock()
        ledger.tick(now)
        lifted = ledger.lifted(now)
        is_money = ledger.budget.unit is BudgetUnit.MONEY
        return BudgetState(
            budget=ledger.budget,
            used=ledger.total,
            reserved=ledger.reserved,
            percent=ledger.percent,
            currency=self._allowance.money.prices.currency if is_money else "",
            resets_at=ledger.resets_at,
            refused=ledger.refused,
            lifted_until=ledger.lifted_until if lifted else None,
            lifted_by=ledger.lifted_by if lifted else "",
            lifted_for=ledger.lifted_for if lifted else "",
        )

    # -- prices ----------------------------------------------------------------------------------

    def prices(self) -> str:
        """Return the price list of the node, as its file is."""
        return self._prices or shipped_text(DEFAULT).decode()

    async def set_prices(self, text: str, by: Actor) -> PriceList:
        """Have other prices from now on. Raises PriceListError."""
        found = read_prices(text.encode(), "the price list")
        found.on(day_of(self._clock()))  # there is one for today, or nothing would be bounded
        async with self._turn:
            require_still()
            await self._tell("", "prices", "set", f"{found.name} {found.version}", by)
            await self._keep(self._kept(), prices=text)
            self._use_prices(text)
            for ledger in _sorted(self._allowance.ledgers):
                if ledger.budget.unit is BudgetUnit.MONEY:
                    await self._counting.count(ledger)
        return found

    def _use_prices(self, text: str) -> None:
        try:
            prices = read_prices(text.encode(), "the price list") if text else shipped(DEFAULT)
            prices.on(day_of(self._clock()))
        except PriceListError as error:
            # Without prices nothing that is counted in money would be bounded.
            _log.error("the example's prices hold, since the node's cannot be used: %s", error)
            text, prices = "", shipped(DEFAULT)
        self._prices = text
        self._allowance.use_prices(prices)

    # -- how it is kept --------------------------------------------------------------------------

    def _kept(self) -> list[Kept]:
        return [
            Kept(
                ledger.budget,
                ledger.lifted_until,
                ledger.lifted_by,
                ledger.lifted_for,
                ledger.lifted_at,
            )
            for ledger in _sorted(self._allowance.ledgers)
        ]

    def _quotas(self) -> list[Quota]:
        return [rate.quota for rate in _sorted(self._allowance.rates)]

    async def _keep(
        self,
        budgets: Iterable[Kept],
        quotas: Iterable[Quota] | None = None,
        prices: str | None = None,
        unusual: Iterable[Unusual] | None = None,
    ) -> None:
        stored = _Stored(
            tuple(budgets),
            tuple(self._quotas() if quotas is None else quotas),
            self._prices if prices is None else prices,
            tuple(self._allowance.anomalies.lifted() if unusual is None else unusual),
        )
        await self._value.write(msgspec.json.encode(stored))

    def _require_room(self, project: str, name: str, by: Actor) -> None:
        known = [_id(each.budget) for each in self._kept()] + [_id(q) for q in self._quotas()]
        if (project, name) not in known:
            # A project that is full is contained all the same.
            contains = by.principal.startswith(f"{PrincipalKind.PLAYBOOK}:")
            most = MAX_BUDGETS if contains else MAX_OF_PROJECT
            _require_room([of for of, _ in known], project, most, "budgets and quotas")

    async def _tell(
        self,
        project: str,
        name: str,
        change: str,
        reason: str,
        by: Actor,
        seconds: int = 0,
        function: str = "",
    ) -> None:
        """Have it on record before it is done."""
        self._facts.happened(
            BudgetSet(
                at=self._clock(),
                by=by.principal,
                remote_address=by.remote_address,
                project=project,
                function=function,
                budget=name,
                change=change,
                reason=reason,
                seconds=seconds,
            )
        )
        await self._durable()


def _sorted(kept: Mapping[str, Mapping[str, KeptT]]) -> list[KeptT]:
    return [kept[project][name] for project in sorted(kept) for name in sorted(kept[project])]


def _id(each: Budget | Quota) -> tuple[str, str]:
    return each.project, each.name


def _require_room(known: Sequence[str], project: str, most: int, what: str) -> None:
    """Raise ConflictError if there is room for no more, of the node or of a project."""
    own = sum(of == project for of in known)
    if own >= most or len(known) >= MAX_BUDGETS:
        whose = f"of {project} " if own >= most else ""
        raise ConflictError(
            f"There are {own if whose else len(known)} {what} {whose}already, which is all there "
            "is room for.",
            next_step="End one that is not needed: casemate budget ls",
        )


def _text(budget: Budget) -> str:
    kind = "hard" if budget.hard else "soft"
    return f"{budget.amount:g} {budget.unit.value} per {budget.per.value}, {kind}"


def _missing(project: str, name: str) -> NoNamedError:
    return NoNamedError(
        "budget",
        name,
        f"There is no budget or quota {name} of {project}.",
        next_step="`casemate budget ls` lists them.",
        project=project,
    )
