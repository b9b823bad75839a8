"""Whether a call may begin: by budgets, by quotas, and by what is usual of its function.

Asked once a call is admitted, before it is placed. Where nothing is set for a project that is a
look into two dictionaries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from casemate.budgets.anomaly import Anomalies
from casemate.budgets.cutting import Cutting, is_of_use
from casemate.budgets.ledger import SHARE_SECONDS, Ledger
from casemate.budgets.rates import Fields, Rate
from casemate.metering import PriceList, Prices, shipped
from casemate.metering.bill import day_of
from casemate.metering.prices import DEFAULT
from casemate.model.budget import BYTE_UNITS, Budget, BudgetUnit, Quota, QuotaEach
from casemate.model.facts import BudgetReached, Fact
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Failure, Finished, RefusedError, Used
from casemate.model.usage import Amounts

DETAIL = "Too many calls."
"""What a caller is told, whatever the reason is."""
_LONGEST_WAIT = 3600
_MICRO = 1e6
_MIB = 1 << 20
_COUNTED: dict[BudgetUnit, Callable[[Amounts], float]] = {
    BudgetUnit.REQUESTS: lambda amounts: float(amounts.requests),
    BudgetUnit.CPU_SECONDS: lambda amounts: amounts.cpu_us / _MICRO,
    BudgetUnit.GB_SECONDS: lambda amounts: amounts.memory_mb_ms / 1024 / 1000,
    BudgetUnit.EGRESS_IN: lambda amounts: float(amounts.egress_in),
    BudgetUnit.EGRESS_OUT: lambda amounts: float(amounts.egress_out),
    BudgetUnit.BYTE_HOURS: lambda amounts: float(amounts.byte_hours),
}
_BESIDE = (BudgetUnit.MONEY, *BYTE_UNITS)
"""In which what is used beside calls counts."""


class Money:
    """What amounts cost now, as a number."""

    def __init__(self, prices: PriceList) -> None:
        """Use the prices of that list, whose currency it is."""
        self.prices = prices
        self._day: tuple[int, Prices] | None = None

    def of(self, amounts: Amounts, now: float) -> float:
        """Return what amounts cost; by the last prices there were, if none hold any more."""
        number = int(now // 86_400)
        if self._day is None or self._day[0] != number:
            self._day = (number, self.prices.near(day_of(now)))
        return float(self._day[1].cost(amounts))


class Held(NamedTuple):
    """What is reserved of one budget."""

    ledger: Ledger
    amount: float


class Ticket:
    """One call that was let begin. It is closed once, in whatever way it ends."""

    __slots__ = ("_allowance", "_held", "_leave", "_memory", "fields")

    def __init__(
        self, allowance: Allowance, held: list[Held], memory: int, leave: Callable[[], None] | None
    ) -> None:
        """Hold what was reserved."""
        self._allowance = allowance
        self._held = held
        self._memory = memory
        self._leave = leave
        self.fields: Fields = ()
        """Of its answer."""

    def drop(self) -> None:
        """Give back all: it never ran."""
        for ledger, amount in self._held:
            ledger.release(amount)
        self._close()

    def settle(self, finished: Finished) -> None:
        """Count what it used, once that is known; of what ended by a fault of ours as guessed."""
        if self._held and finished.used is not None:
            held, ran = self._held, finished.ran
            uses = len(finished.spans) + finished.more_spans
            memory, allowance = self._memory, self._allowance
            finished.used.then(lambda used: allowance.settle(held, ran, memory, uses, used))
        else:
            now = time.time()
            for ledger, amount in self._held:
                ledger.settle(amount, amount, now)
        self._close()

    def _close(self) -> None:
        self._held = []
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


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
        self.ledgers.setdefault(ledger.budget.project, {})[ledger.budget.name] = ledger
        self.cutting.look()

    @contextmanager
    def awaiting(self, ledger: Ledger) -> Iterator[None]:
        """Count for a budget, within the block, what ends before it is in force."""
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
        held = [Held(each, 0.0) for each in late if self._is_of(each.budget, admitted)]
        if held:
            uses = len(finished.spans) + finished.more_spans
            ran, memory = finished.ran, admitted.version.spec.limits.memory
            finished.used.then(lambda used: self.settle(held, ran, memory, uses, used))

    def put_quota(self, quota: Quota) -> None:
        """Have a quota from now on."""
        self.rates.setdefault(quota.project, {})[quota.name] = Rate(quota, self.nodes)

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
        self.cutting.look()
        return found

    # -- what is asked ---------------------------------------------------------------------------

    def enter(self, admitted: Admitted) -> Ticket | None:
        """Let a call begin; None where nothing is counted. Raises RefusedError."""
        version = admitted.version
        project = version.project
        ledgers, rates = self.ledgers.get(project), self.rates.get(project)
        slowed = self.anomalies.slowed
        if not (ledgers or rates or slowed):
            return None
        leave = None
        if slowed and (project, version.function) in slowed:
            leave = self._slow(admitted)
        fields = self._rated(admitted, rates) if rates else ()
        held = self._reserved(admitted, ledgers) if ledgers else []
        if not held and leave is None and not fields:
            return None
        ticket = Ticket(self, held, version.spec.limits.memory, leave)
        ticket.fields = fields
        if leave is not None:
            self.anomalies.enter((project, version.function))
        return ticket

    def _slow(self, admitted: Admitted) -> Callable[[], None]:
        key = (admitted.version.project, admitted.version.function)
        if not self.anomalies.has_room(key):
            raise _refusal(
                "CostAnomaly",
                f"{key[0]}/{key[1]} costs far more than is usual of it, and is slowed: "
                f"{self.anomalies.why(key)}",
                self.anomalies.wait(key),
            )
        return lambda: self.anomalies.leave(key)

    def _rated(self, admitted: Admitted, rates: dict[str, Rate]) -> Fields:
        now = self._steady()
        met: list[tuple[Rate, str]] = []
        for rate in rates.values():
            quota = rate.quota
            if quota.function is not None and quota.function != admitted.version.function:
                continue
            key = _key(quota, admitted)
            if not key:
                continue
            if rate.left(key, now) < 1.0:
                rate.refused += 1
                raise _refusal(
                    "QuotaUsedUp",
                    f"the quota {quota.name} of {quota.project} allows each "
                    f"{quota.each.value} {quota.calls} calls in {quota.seconds} s",
                    rate.wait(key, now),
                    rate.fields(key, now),
                )
            met.append((rate, key))
        for rate, key in met:
            rate.take(key, now)
        if not met:
            return ()
        tightest = min(met, key=lambda each: each[0].left(each[1], now))
        return tightest[0].fields(tightest[1], now)

    def _reserved(self, admitted: Admitted, ledgers: dict[str, Ledger]) -> list[Held]:
        now = self._clock()
        met = [
            (ledger, self.least(ledger.budget, now))
            for ledger in ledgers.values()
            if self._is_of(ledger.budget, admitted)
        ]
        for ledger, least in met:
            if not ledger.room(least, now):
                ledger.refused += 1
                if ledger.waits_for_share(least):
                    raise _refusal("BudgetShareUsedUp", _share_used_up(ledger), SHARE_SECONDS)
                self._tell(ledger, now, percent=100)
                raise _refusal("BudgetUsedUp", _used_up(ledger), ledger.wait(now))
        return [Held(ledger, ledger.reserve(least)) for ledger, least in met]

    def _is_of(self, budget: Budget, admitted: Admitted) -> bool:
        if budget.function is not None and budget.function != admitted.version.function:
            return False
        caller = admitted.principal.text
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
        return _COUNTED[budget.unit](amounts)

    # -- what is told afterwards -----------------------------------------------------------------

    def settle(self, held: list[Held], ran: float, memory: int, uses: int, used: Used) -> None:
        """Count what a call has used."""
        amounts = Amounts(
            requests=1,
            run_us=int(ran * _MICRO),
            cpu_us=used.cpu_us,
            memory_mb_ms=int(ran * 1000 * memory / _MIB + 0.5),
            uses=uses,
        )
        now = self._clock()
        for ledger, amount in held:
            ledger.settle(amount, self.counted(ledger.budget, amounts, now), now)
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
                reason=_used_up(ledger),
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


def _key(quota: Quota, admitted: Admitted) -> str:
    """Return who of a quota a call is; empty: of none."""
    match quota.each:
        case QuotaEach.CALLER:
            return admitted.principal.text
        case QuotaEach.ADDRESS:
            return admitted.request.raw.remote_address
        case QuotaEach.FUNCTION:
            return admitted.version.function


def _used_up(ledger: Ledger) -> str:
    budget = ledger.budget
    of = f"{budget.project}/{budget.function}" if budget.function else budget.project
    who = "".join(f" by {each}" for each in (budget.caller, budget.account) if each)
    return (
        f"the budget {budget.name} of {of}{who}: {ledger.total:.6g} of {budget.amount:.6g} "
        f"{budget.unit.value} a {budget.per.value} used, {ledger.reserved:.6g} reserved for what "
        "runs; `casemate budget lift` lifts it for a while"
    )


def _share_used_up(ledger: Ledger) -> str:
    return (
        f"{_used_up(ledger)}; of what is left this node has no share at the moment, since other "
        "nodes use it, too"
    )


def _refusal(kind: str, message: str, wait: int, fields: Fields = ()) -> RefusedError:
    return RefusedError(
        Outcome.THROTTLED,
        DETAIL,
        retry_after=max(1, min(wait, _LONGEST_WAIT)),
        failure=Failure(type=kind, message=message),
        fields=fields,
    )
