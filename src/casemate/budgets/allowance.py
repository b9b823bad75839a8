"""Whether a call may begin: by budgets, by quotas, and by what is usual of its function.

Asked once a call is admitted, before it is placed. Where nothing is set for a project that is a
look into two dictionaries. Which budgets and quotas a caller of a function has, and what a call
counts for in each, is found out once a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from typing import NamedTuple

from casemate.budgets import refusals
from casemate.budgets.anomaly import Anomalies
from casemate.budgets.costs import COUNTED, WEIGHTS, Money
from casemate.budgets.cutting import Cutting, is_of_use
from casemate.budgets.ledger import NOTHING, SHARE_SECONDS, Ledger
from casemate.budgets.rates import Fields, Rate
from casemate.budgets.ticket import Ledgers, Ticket
from casemate.metering import PriceList, shipped
from casemate.metering.prices import DEFAULT
from casemate.model.addresses import address_group
from casemate.model.budget import BYTE_UNITS, Budget, BudgetUnit, Quota, QuotaEach
from casemate.model.deployment import Version
from casemate.model.facts import BudgetReached, Fact
from casemate.model.function import Limits
from casemate.model.path import Admitted, Finished, Used
from casemate.model.usage import Amounts

_CALLS_SECONDS = 1
"""To wait for calls that run."""
_MIB = 1 << 20
_KNOWN_SECONDS = 1.0
"""For how long it is known what holds for a caller: who answers for one may change."""
_MOST_KNOWN = 10_000
_BESIDE = (BudgetUnit.MONEY, *BYTE_UNITS)
"""In which what is used beside calls counts."""


class _Bounds(NamedTuple):
    """What holds for the calls of a function by a caller."""

    ledgers: Ledgers
    rates: tuple[tuple[Rate, str | None], ...]
    """Each with whose bucket it is; None: that of the address."""


class Allowance:
    """One per gateway. On its event loop only. Asks and tells nobody but `happened`."""

    def __init__(
        self,
        happened: Callable[[Fact], None],
        answerable: Callable[[str], str],
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """`happened` hears what was reached; `answerable` says who answers for a caller."""
        self._happened = happened
        self.answerable = answerable
        self._clock = clock
        self._steady = steady
        self.ledgers: dict[str, dict[str, Ledger]] = {}
        """By project and name."""
        self.rates: dict[str, dict[str, Rate]] = {}
        self.anomalies = Anomalies(happened, clock, steady)
        self.cutting = Cutting(self.ledgers, clock, answerable)
        self.money = Money(shipped(DEFAULT))
        self._bounds: dict[tuple[str, str, str], _Bounds] = {}
        """By project, function and caller, for a second."""
        self._known_since = self._known_until = 0.0
        self._weights = NOTHING
        """Of money, as ledgers have them."""
        self.nodes = 1
        """How many take calls."""
        self.mark = 0
        """Grows with each budget that is set. Calls keep what it was when they entered."""
        self._awaited: list[Ledger] = []
        """Not in force yet, while what was used before is counted."""

    # -- what is set -----------------------------------------------------------------------------

    def put(self, ledger: Ledger) -> None:
        """Have a budget from now on; one of its name before it keeps its place in nothing."""
        self.mark += 1
        ledger.mark = self.mark
        self._weigh(ledger, self._clock())
        self.ledgers.setdefault(ledger.budget.project, {})[ledger.budget.name] = ledger
        self._bounds.clear()
        self.cutting.look()

    def use_prices(self, prices: PriceList) -> None:
        """Have money counted by other prices from now on."""
        self.money = Money(prices)
        self._look_again(self._clock())

    def _weigh(self, ledger: Ledger, now: float) -> None:
        unit = ledger.budget.unit
        is_money = unit is BudgetUnit.MONEY
        ledger.weights = self.money.weights(now) if is_money else WEIGHTS.get(unit, NOTHING)

    @contextmanager
    def awaiting(self, ledger: Ledger) -> Iterator[None]:
        """Count for a budget, within the block, what ends before it is in force."""
        self._weigh(ledger, self._clock())
        self._awaited.append(ledger)
        try:
            yield
        finally:
            self._awaited.remove(ledger)

    def is_late(self, mark: int) -> bool:
        """Tell whether a budget was set since a call entered, or is about to be."""
        return mark != self.mark or bool(self._awaited)

    def settle_late(self, mark: int, admitted: Admitted, finished: Finished) -> None:
        """Count a call for budgets that were set since it entered, of which its ticket is not."""
        if finished.used is None:
            return
        ledgers = self.ledgers.get(admitted.version.project, {}).values()
        late = [each for each in ledgers if mark < each.mark]
        late += [each for each in self._awaited if each.budget.project == admitted.version.project]
        function, caller = admitted.version.function, admitted.principal.text
        limits = admitted.version.spec.limits
        found = tuple(
            (each, 0.0, each.expected(function, _most(each, limits)))
            for each in late
            if self._is_of(each.budget, function, caller)
        )
        if found:
            uses = len(finished.spans) + finished.more_spans
            ran, memory = finished.ran, limits.memory
            nothing = (0.0,) * len(found)
            finished.used.then(partial(self.settle, found, nothing, ran, memory, uses))

    def put_quota(self, quota: Quota) -> None:
        """Have a quota from now on."""
        self.rates.setdefault(quota.project, {})[quota.name] = Rate(quota, self.nodes)
        self._bounds.clear()

    def divide(self, nodes: int) -> None:
        """Have one of so many parts of each quota: so many nodes take calls."""
        if nodes == self.nodes:
            return
        self.nodes = nodes
        for rates in self.rates.values():
            for rate in rates.values():
                rate.divide(nodes)

    def remove(self, project: str, name: str) -> bool:
        """Have a budget or quota no more; False if there is none."""
        found = False
        for kept in (self.ledgers, self.rates):
            named = kept.get(project, {})
            found = named.pop(name, None) is not None or found
            if not named:
                kept.pop(project, None)
        self._bounds.clear()
        self.cutting.look()
        return found

    # -- what is asked ---------------------------------------------------------------------------

    def enter(self, admitted: Admitted) -> Ticket | None:
        """Let a call begin; None where nothing is counted. Raises RefusedError."""
        version = admitted.version
        project = version.project
        slowed = self.anomalies.slowed
        if not (project in self.ledgers or project in self.rates or slowed):
            return None
        now = self._clock()
        if not self._known_since <= now < self._known_until:
            self._look_again(now)
        caller = admitted.principal.text
        bounds = self._bounds.get((project, version.function, caller))
        if bounds is None:
            bounds = self._find(version, caller, now)
        leave = None
        if slowed and (project, version.function) in slowed:
            leave = self._slow(admitted)
        ledgers, rates = bounds
        fields = self._rated(rates, admitted) if rates else ()
        amounts = self._reserved(ledgers, now) if ledgers else ()
        if not ledgers and leave is None and not fields:
            return None
        if leave is not None:
            self.anomalies.enter((project, version.function))
        return Ticket(self.settle, ledgers, amounts, version.spec.limits.memory, leave, fields)

    def require_still(self, admitted: Admitted, mark: int) -> None:
        """See that a call may still begin that has waited since it entered. Raises RefusedError.

        Many may wait, for long: a budget that is set, or used up, meanwhile is not for those alone
        that come later. Nothing is reserved, and no quota is asked: it has had its turn.
        """
        version = admitted.version
        if version.project not in self.ledgers:
            return
        now = self._clock()
        caller = admitted.principal.text
        bounds = self._bounds.get((version.project, version.function, caller))
        if bounds is None:
            bounds = self._find(version, caller, now)
        for ledger, least, _ in bounds.ledgers:
            # What it has reserved itself is in budgets that were there when it entered.
            late = least if ledger.mark > mark else 0.0
            if ledger.has_no_more(late, now):
                ledger.refused += 1
                self._tell(ledger, now, percent=100)
                raise refusals.refusal("BudgetUsedUp", refusals.used_up(ledger), ledger.wait(now))

    def _look_again(self, now: float) -> None:
        """Forget what holds for whom, and what money calls cost: it may be another day."""
        self._known_since, self._known_until = now, now + _KNOWN_SECONDS
        self._bounds.clear()
        weights = self.money.weights(now)
        if weights is self._weights:
            return
        self._weights = weights
        known = (each for ledgers in self.ledgers.values() for each in ledgers.values())
        for ledger in (*known, *self._awaited):
            self._weigh(ledger, now)

    def _find(self, version: Version, caller: str, now: float) -> _Bounds:
        """Return what holds for the calls of a function by a caller."""
        project, function, limits = version.project, version.function, version.spec.limits
        found = _Bounds(
            tuple(
                (
                    ledger,
                    self.least(ledger.budget, now),
                    ledger.expected(function, _most(ledger, limits)),
                )
                for ledger in self.ledgers.get(project, {}).values()
                if self._is_of(ledger.budget, function, caller)
            ),
            tuple(
                (rate, _key(rate.quota, function, caller))
                for rate in self.rates.get(project, {}).values()
                if rate.quota.function in (None, function)
            ),
        )
        if len(self._bounds) >= _MOST_KNOWN:
            self._bounds.clear()
        self._bounds[project, function, caller] = found
        return found

    def _slow(self, admitted: Admitted) -> Callable[[], None]:
        key = (admitted.version.project, admitted.version.function)
        if not self.anomalies.has_room(key):
            raise refusals.refusal(
                "CostAnomaly",
                f"{key[0]}/{key[1]} costs far more than is usual of it, and is slowed: "
                f"{self.anomalies.why(key)}",
                self.anomalies.wait(key),
            )
        return lambda: self.anomalies.leave(key)

    def _rated(self, rates: tuple[tuple[Rate, str | None], ...], admitted: Admitted) -> Fields:
        now = self._steady()
        met: list[tuple[float, Rate, str]] = []
        for rate, whose in rates:
            # Of IPv6 the network: whoever has one address of it has them all.
            key = address_group(admitted.request.raw.remote_address) if whose is None else whose
            if not key:
                continue
            left = rate.take(key, now)
            if left < 0.0:
                for before, other, its_key in met:
                    other.give_back(its_key, before, now)
                quota, left = rate.quota, rate.left(key, now)
                rate.refused += 1
                raise refusals.refusal(
                    "QuotaUsedUp",
                    f"the quota {quota.name} of {quota.project} allows each "
                    f"{quota.each.value} {quota.calls} calls in {quota.seconds} s",
                    rate.until_more(left),
                    rate.fields(left),
                )
            met.append((left, rate, key))
        if not met:
            return ()
        left, tightest, _ = met[0] if len(met) == 1 else min(met, key=itemgetter(0))
        return tightest.fields(left)

    def _reserved(self, ledgers: Ledgers, now: float) -> tuple[float, ...]:
        amounts: list[float] = []
        for ledger, least, expected in ledgers:
            amount = ledger.reserve(least, expected, now)
            if amount is None:
                for (before, _, _), reserved in zip(ledgers, amounts, strict=False):
                    before.release(reserved)
                ledger.refused += 1
                if ledger.waits_for_share():
                    raise refusals.refusal(
                        "BudgetShareUsedUp", refusals.share_used_up(ledger), SHARE_SECONDS
                    )
                if ledger.waits_for_calls(least, expected):
                    raise refusals.refusal(
                        "BudgetReserved", refusals.reserved(ledger), _CALLS_SECONDS
                    )
                self._tell(ledger, now, percent=100)
                raise refusals.refusal("BudgetUsedUp", refusals.used_up(ledger), ledger.wait(now))
            amounts.append(amount)
        return tuple(amounts)

    def _is_of(self, budget: Budget, function: str, caller: str) -> bool:
        if budget.function is not None and budget.function != function:
            return False
        if budget.caller is not None and budget.caller != caller:
            return False
        return budget.account is None or budget.account == self.answerable(caller)

    def least(self, budget: Budget, now: float) -> float:
        """Return what a call uses at the least."""
        if budget.unit in (BudgetUnit.REQUESTS, BudgetUnit.MONEY):
            return self.counted(budget, Amounts(requests=1), now)
        # Of what is counted in bytes one call may use any number, and none where none is left.
        return 1.0 if budget.unit in BYTE_UNITS else 0.0

    def counted(self, budget: Budget, amounts: Amounts, now: float) -> float:
        """Return amounts in the unit of a budget."""
        if budget.unit is BudgetUnit.MONEY:
            return self.money.of(amounts, now)
        return COUNTED[budget.unit](amounts)

    # -- what is told afterwards -----------------------------------------------------------------

    def settle(
        self,
        ledgers: Ledgers,
        amounts: tuple[float, ...],
        ran: float,
        memory: int,
        uses: int,
        used: Used,
    ) -> None:
        """Count what a call has used in place of the amounts that were reserved for it."""
        cpu_us, memory_mb_ms = used.cpu_us, int(ran * 1000 * memory / _MIB + 0.5)
        now = self._clock()
        for (ledger, _, expected), reserved in zip(ledgers, amounts, strict=True):
            each, each_us, each_mb_ms, each_use = ledger.weights
            amount = each + cpu_us * each_us + memory_mb_ms * each_mb_ms + uses * each_use
            if ledger.settle(reserved, amount, expected, now):
                self._tell(ledger, now)

    def use(self, project: str, function: str, amounts: Amounts) -> None:
        """Count what is used beside calls: of a function, or of none of a project."""
        now = self._clock()
        awaited = [each for each in self._awaited if each.budget.project == project]
        for ledger in [*self.ledgers.get(project, {}).values(), *awaited]:
            budget = ledger.budget
            if budget.unit not in _BESIDE:
                continue
            if not is_of_use(budget, project, function, self.answerable):
                continue
            ledger.tick(now)
            ledger.count(self.counted(budget, amounts, now))
            if ledger not in awaited:
                self._tell(ledger, now)
                self.cutting.see(ledger, now)

    def _tell(self, ledger: Ledger, now: float, percent: int = 0) -> None:
        """Tell of a threshold that was reached, once; it is 100 where no call has room."""
        percent = percent or ledger.reached()
        if percent <= ledger.told:
            return
        ledger.told = percent
        budget = ledger.budget
        self._happened(
            BudgetReached(
                at=now,
                project=budget.project,
                function=budget.function or "",
                budget=budget.name,
                percent=percent,
                hard=budget.hard,
                reason=refusals.used_up(ledger),
            )
        )

    def see(self, ledgers: Iterable[Ledger]) -> None:
        """Look what is reached once it is known what other nodes have used."""
        now = self._clock()
        for ledger in ledgers:
            self._tell(ledger, now)
            self.cutting.see(ledger, now)

    def tell_all(self) -> None:
        """Tell of what is reached already, after a start."""
        now = self._clock()
        for ledgers in self.ledgers.values():
            for ledger in ledgers.values():
                self._tell(ledger, now)


def _most(ledger: Ledger, limits: Limits) -> float:
    """Return what a call with these limits can use of a budget, uses of capabilities aside."""
    each, each_us, each_mb_ms, _ = ledger.weights
    ms = limits.timeout * 1000
    return each + ms * 1000 * limits.cpu * each_us + ms * limits.memory / _MIB * each_mb_ms


def _key(quota: Quota, function: str, caller: str) -> str | None:
    """Return whose bucket of a quota a call takes from; None: that of its address."""
    match quota.each:
        case QuotaEach.CALLER:
            return caller
        case QuotaEach.ADDRESS:
            return None
        case QuotaEach.FUNCTION:
            return function
