"""How much of one budget is used, in memory: reserved before a call, settled after it."""

from __future__ import annotations

from collections import deque

from casemate.metering.bill import day_of, moment_of, month_of
from casemate.model.budget import THRESHOLDS, Budget, BudgetPer
from casemate.model.usage import DAY

_MINUTE, _HOUR = 60.0, 3600.0
_WEIGHT = 0.1
"""Of the last call in the mean by which the next one is reserved for."""


class Ledger:
    """Of one budget. Times are Unix times; one that goes back changes nothing that was counted."""

    def __init__(self, budget: Budget, now: float) -> None:
        """Nothing is used yet."""
        self.budget = budget
        self.used = 0.0
        self.reserved = 0.0
        self.refused = 0
        self.lifted_until = 0.0
        self.lifted_by = ""
        self.lifted_for = ""
        self.told = 0
        """The highest threshold, in percent, of which was told since it began."""
        self.mark = 0
        """How many budgets were set before it was in force, and it: see `Allowance.mark`."""
        self._mean = 0.0
        self._now = now
        self._minutes: deque[tuple[float, float]] = deque()
        """Of a rolling hour: what was used in each minute."""
        _, self.resets_at = window(budget.per, now)
        """When it begins anew; None: it is a rolling one."""

    def tick(self, now: float) -> None:
        """Begin anew what is over."""
        # A clock that was set back must not give back what is used.
        self._now = now = max(now, self._now)
        if self.budget.per is BudgetPer.HOUR:
            while self._minutes and self._minutes[0][0] <= now - _HOUR:
                self.used = max(0.0, self.used - self._minutes.popleft()[1])
            if not self._minutes:
                self.used = 0.0
        elif self.resets_at is not None and now >= self.resets_at:
            _, self.resets_at = window(self.budget.per, now)
            self.used, self.told = 0.0, 0
        percent = self.percent
        while self.told and percent < self.told and self.budget.per is BudgetPer.HOUR:
            self.told = max((each for each in THRESHOLDS if each < self.told), default=0)

    def lifted(self, now: float) -> bool:
        """Tell whether it holds nobody back for now."""
        return now < self.lifted_until

    def room(self, least: float, now: float) -> bool:
        """Tell whether one more call may begin that uses `least` at the least."""
        self.tick(now)
        if not self.budget.hard or self.lifted(now):
            return True
        return self.used + self.reserved + self.guess(least) <= self.budget.amount

    def is_used_up(self, now: float) -> bool:
        """Tell whether it is hard, and nothing of it is left."""
        self.tick(now)
        return self.budget.hard and not self.lifted(now) and self.used >= self.budget.amount

    def guess(self, least: float) -> float:
        """Return what the next call is going to use."""
        return max(self._mean, least)

    def reserve(self, least: float) -> float:
        """Reserve for a call, and return how much."""
        amount = self.guess(least)
        self.reserved += amount
        return amount

    def release(self, reserved: float) -> None:
        """Give back what was reserved for a call."""
        self.reserved = max(0.0, self.reserved - reserved)

    def settle(self, reserved: float, used: float, now: float) -> None:
        """Count what a call has used in place of what was reserved for it."""
        self.release(reserved)
        self.tick(now)
        self._mean += (used - self._mean) * (_WEIGHT if self._mean else 1.0)
        self.count(used, self._now)

    def count(self, used: float, at: float) -> None:
        """Count what was used."""
        self.used += used
        if self.budget.per is BudgetPer.HOUR:
            minute = at // _MINUTE * _MINUTE
            if self._minutes and self._minutes[-1][0] >= minute:
                minute, before = self._minutes.pop()
                used += before
            self._minutes.append((minute, used))

    def forget(self) -> None:
        """Count anew."""
        self.used, self._mean = 0.0, 0.0
        self._minutes.clear()

    @property
    def percent(self) -> float:
        """How much of it is used."""
        return self.used / self.budget.amount * 100

    def reached(self) -> int:
        """Return the highest threshold that was reached and not told of yet; 0: none."""
        percent = self.percent
        found = max((each for each in THRESHOLDS if percent >= each), default=0)
        return found if found > self.told else 0

    def wait(self, now: float) -> int:
        """Return after how many seconds it may be of use to come again."""
        if self.resets_at is None:
            first = self._minutes[0][0] if self._minutes else now
            return max(1, int(first + _HOUR - now) + 1)
        return max(1, int(self.resets_at - now) + 1)


def window(per: BudgetPer, now: float) -> tuple[float, float | None]:
    """Return since when a budget is counted, and when it begins anew."""
    if per is BudgetPer.HOUR:
        return now - _HOUR, None
    if per is BudgetPer.DAY:
        since = now // DAY * DAY
        return since, since + DAY
    first, following = month_of(day_of(now))
    return moment_of(first), moment_of(following)
