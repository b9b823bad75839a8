"""How much of one budget is used, in memory: reserved before a call, settled after it."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from casemate.metering.bill import day_of, moment_of, month_of
from casemate.model.budget import THRESHOLDS, Budget, BudgetPer
from casemate.model.usage import DAY

_MINUTE, _HOUR = 60.0, 3600.0
SHARE_SECONDS = 1
"""Between two looks at what other nodes use of budgets."""
_WEIGHT = 0.1
"""Of the last call in the mean by which the next one is reserved for."""
_ROUNDED = 1e-6
_MAX_KNOWN = 8
"""Days or months of which it is known what was used of them, beside the present one."""


class Ledger:
    """Of one budget. Times are Unix times, of a clock that may be set while it is counted.

    What is used is kept with its day or month, and counts on if the clock comes back to it. A
    rolling hour and the time for which it is lifted go by a clock that nobody sets.
    """

    def __init__(
        self, budget: Budget, now: float, *, steady: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing is used yet. `steady` does not go back."""
        self.budget = budget
        self._steady = steady
        self.used = 0.0
        """By this node."""
        self.elsewhere = 0.0
        """Used by other nodes, as far as they have told."""
        self.holding: float | None = None
        """Up to how much this node may use, where others use of it as well: see `Shares`."""
        self.wanted = False
        """Whether there were calls for it since the node's share was looked at."""
        self.short = False
        """Whether one of them was refused."""
        self.least = 0.0
        """What the last call that asked uses at the least."""
        self.shared_used = 0.0
        """What was used when the share was looked at."""
        self.reserved = 0.0
        self.refused = 0
        self.lifted_until = 0.0
        self.lifted_by = ""
        self.lifted_for = ""
        self.shared_at = float("-inf")
        """When the share was looked at, by a clock that does not go back."""
        self.first_part = 1.0
        """What part of a new budget this node may use before it knows its share."""
        self.told = 0
        """The highest threshold, in percent, of which was told since it began."""
        self.mark = 0
        """How many budgets were set before it was in force, and it: see `Allowance.mark`."""
        self.is_recount_due = False
        """Whether the clock was set back to a time of which it is not known what was used."""
        self._mean = 0.0
        self._minutes: deque[tuple[float, float]] = deque()
        """Of a rolling hour: what was used in each minute, by the clock that does not go back."""
        self._known: OrderedDict[float, tuple[float, int]] = OrderedDict()
        """Of other days or months: what was used, and told; by when they begin."""
        self._lift_ends = float("-inf")
        """By the clock that does not go back."""
        self._since, self.resets_at = window(budget.per, now)
        """When it begins anew; None: it is a rolling one."""

    def tick(self, now: float) -> None:
        """Begin anew what is over."""
        if self.resets_at is not None:
            if not self._since <= now < self.resets_at:
                self._turn(now)
            return
        since = self._steady() - _HOUR
        while self._minutes and self._minutes[0][0] <= since:
            self.used = max(0.0, self.used - self._minutes.popleft()[1])
        if not self._minutes:
            self.used = 0.0
        while self.told and self.percent < self.told:
            self.told = max((each for each in THRESHOLDS if each < self.told), default=0)

    def _turn(self, now: float) -> None:
        """Count for the day or month that it is now."""
        # What runs was let begin then, and is settled now: should the clock come back, it counts in
        # both, or what was in flight could be spent again each time.
        before, self._known[self._since] = self._since, (self.used + self.reserved, self.told)
        self._since, self.resets_at = window(self.budget.per, now)
        known = self._known.pop(self._since, None)
        if known is not None:
            self.used, self.told = known
        elif self._since > before:
            self.used, self.told = 0.0, 0
        else:
            # Set back to before it was counted. What was used since goes on to count, and what was
            # used then is among the records.
            self.is_recount_due = True
        while len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        self.elsewhere, self.shared_used = 0.0, 0.0
        if self.holding is not None:
            # Until a share of the new one is known, a part that all nodes can take at once.
            self.holding, self.wanted = self.budget.amount * self.first_part, True

    def lift(self, until: float, now: float) -> None:
        """Have it hold nobody back until then, and for no longer if the clock is set back."""
        if until != self.lifted_until:
            self.lifted_until, self._lift_ends = until, self._steady() + until - now

    def lifted(self, now: float) -> bool:
        """Tell whether it holds nobody back for now."""
        return now < self.lifted_until and self._steady() < self._lift_ends

    def room(self, least: float, now: float) -> bool:
        """Tell whether one more call may begin that uses `least` at the least."""
        self.tick(now)
        if not self.budget.hard or self.lifted(now):
            return True
        self.wanted, self.least = True, least
        most = self.budget.amount if self.holding is None else self.holding
        has_room = self.used + self.reserved + self.guess(least) <= most
        self.short = self.short or not has_room
        return has_room

    def waits_for_share(self, least: float) -> bool:
        """Tell whether what has no room here has some in what no node has used or holds for
        calls that run: it comes within seconds.
        """
        if self.holding is None:
            return False
        return self.total + self.reserved + self.guess(least) <= self.budget.amount

    @property
    def total(self) -> float:
        """What all nodes have used, as far as it is told."""
        return self.used + self.elsewhere

    def is_used_up(self, now: float) -> bool:
        """Tell whether it is hard, and nothing of it is left."""
        self.tick(now)
        return self.budget.hard and not self.lifted(now) and self.total >= self.budget.amount

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
        left = self.reserved - reserved
        # What is left of sums of parts once all are given back is no reservation.
        self.reserved = left if left > reserved * _ROUNDED else 0.0

    def settle(self, reserved: float, used: float, now: float) -> None:
        """Count what a call has used in place of what was reserved for it."""
        self.release(reserved)
        self.tick(now)
        self._mean += (used - self._mean) * (_WEIGHT if self._mean else 1.0)
        self.count(used)

    def count(self, used: float) -> None:
        """Count what was used."""
        self.used += used
        self.wanted = True
        if self.resets_at is None:
            minute = self._steady() // _MINUTE * _MINUTE
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
        return self.total / self.budget.amount * 100

    def reached(self) -> int:
        """Return the highest threshold that was reached and not told of yet; 0: none."""
        percent = self.percent
        found = max((each for each in THRESHOLDS if percent >= each), default=0)
        return found if found > self.told else 0

    def wait(self, now: float) -> int:
        """Return after how many seconds it may be of use to come again."""
        if self.resets_at is None:
            steady = self._steady()
            first = self._minutes[0][0] if self._minutes else steady
            return max(1, int(first + _HOUR - steady) + 1)
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
