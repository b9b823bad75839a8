"""How much of one budget is used, in memory: reserved before a call, settled after it.

What a call is going to use nobody knows. While much is left, what calls of its function used in
the mean is reserved for it; in the last eighth, the most that they used lately, so that all that
run together stay within what is left. What is left at the end and no call is sure to fit in, one
call after the other may use, until that is less than a thousandth.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from casemate.metering.bill import day_of, moment_of, month_of
from casemate.model.budget import THRESHOLDS, Budget, BudgetPer
from casemate.model.usage import DAY
from casemate.set_clock import left_of

_MINUTE, _HOUR = 60.0, 3600.0
SHARE_SECONDS = 1
"""Between two looks at what other nodes use of budgets."""
_WEIGHT = 0.1
"""Of the last call in the mean of a function's."""
_FADES = 1 / 256
"""By what part of its distance from a call the most that was used comes down to it."""
_LOOSE = 7 / 8
"""Up to what part of a budget the mean is reserved."""
_UNKNOWN = 1 / 64
"""Of a budget is reserved, in its last part, for a call of a function that has not run yet; less
if it cannot use as much."""
_RESIDUE = 1 / 1024
"""Of a budget is left rather than used by a call that may take more."""
_MOST_FUNCTIONS = 64
"""That are told apart in one budget; those beyond are one."""
_A_LITTLE_LESS = 1 - 1e-9
_ROUNDED = 1e-6
_MAX_KNOWN = 8
"""Days or months of which it is known what was used of them, beside the present one."""


class Weights(NamedTuple):
    """What of a call counts for a budget, in its unit: so much for one of each."""

    request: float = 0.0
    cpu_us: float = 0.0
    memory_mb_ms: float = 0.0
    use: float = 0.0


NOTHING = Weights()


class Expected:
    """What the next call of a function is going to use of a budget, by those before."""

    __slots__ = ("known", "mean", "most")

    def __init__(self, most: float) -> None:
        """No call has ended yet; one can use `most`."""
        self.known = False
        self.mean = 0.0
        self.most = most
        """The most that calls used lately."""


class Ledger:
    """Of one budget. Times are Unix times, of a clock that may be set while it is counted.

    What is used is kept with its day or month, and counts on if the clock comes back to it. A
    rolling hour and the time for which it is lifted go by a clock that nobody sets.
    """

    # All that is in one: with so many attributes a call would look each up in a dictionary.
    __slots__ = (
        "_due",
        "_expected",
        "_holding",
        "_known",
        "_lift_ends",
        "_loose",
        "_minutes",
        "_most",
        "_rolls",
        "_since",
        "_steady",
        "_told",
        "asked",
        "budget",
        "elsewhere",
        "first_part",
        "is_recount_due",
        "lifted_at",
        "lifted_by",
        "lifted_for",
        "lifted_until",
        "mark",
        "refused",
        "reserved",
        "resets_at",
        "shared_at",
        "shared_used",
        "short",
        "tells_at",
        "used",
        "wanted",
        "weights",
    )

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
        self._holding: float | None = None
        self._most = budget.amount if budget.hard else inf
        """How much may be used and reserved here."""
        self.wanted = False
        """Whether there were calls for it since the node's share was looked at."""
        self.short = False
        """Whether one of them was refused."""
        self.asked = 0.0
        """What was to be reserved for the last call that asked."""
        self.shared_used = 0.0
        """What was used when the share was looked at."""
        self.reserved = 0.0
        self.refused = 0
        self.lifted_at = self.lifted_until = 0.0
        self.lifted_by = ""
        self.lifted_for = ""
        self.shared_at = float("-inf")
        """When the share was looked at, by a clock that does not go back."""
        self.first_part = 1.0
        """What part of a new budget this node may use before it knows its share."""
        self.told = 0
        self.weights = NOTHING
        """What calls count for."""
        self.mark = 0
        """How many budgets were set before it was in force, and it: see `Allowance.mark`."""
        self.is_recount_due = False
        """Whether the clock was set back to a time of which it is not known what was used."""
        self._loose = budget.amount * _LOOSE if budget.hard else inf
        self._expected: dict[str, Expected] = {}
        """By function."""
        self._minutes: deque[list[float]] = deque()
        """Of a rolling hour: each minute, by the clock that does not go back, and what was used."""
        self._known: OrderedDict[float, tuple[float, int]] = OrderedDict()
        """Of other days or months: what was used, and told; by when they begin."""
        self._lift_ends = float("-inf")
        """By the clock that does not go back."""
        self._rolls = budget.per is BudgetPer.HOUR
        self._since, self.resets_at = window(budget.per, now)
        """When it begins anew; None: it is a rolling one."""
        self._due = inf if self.resets_at is None else self.resets_at
        """When some of what is used is over: an hour's by the clock that does not go back."""

    @property
    def holding(self) -> float | None:
        """Up to how much this node may use, where others use of it as well: see `Shares`."""
        return self._holding

    @holding.setter
    def holding(self, amount: float | None) -> None:
        self._holding = amount
        if self.budget.hard:
            self._most = self.budget.amount if amount is None else amount

    @property
    def told(self) -> int:
        """The highest threshold, in percent, of which was told since it began."""
        return self._told

    @told.setter
    def told(self, percent: int) -> None:
        self._told = percent
        following = min((each for each in THRESHOLDS if each > percent), default=None)
        # `reached` decides, in percent: by rounding that may be a little earlier than this.
        at = inf if following is None else self.budget.amount * following / 100
        self.tells_at = at * _A_LITTLE_LESS
        """What is used before another threshold is reached."""

    def tick(self, now: float) -> None:
        """Begin anew what is over."""
        if not self._rolls:
            if self._is_over(now):
                self._turn(now)
            return
        since = self._steady() - _HOUR
        while self._minutes and self._minutes[0][0] <= since:
            self.used = max(0.0, self.used - self._minutes.popleft()[1])
        if not self._minutes:
            self.used = 0.0
        self._due = self._minutes[0][0] + _HOUR if self._minutes else inf
        while self.told and self.percent < self.told:
            self.told = max((each for each in THRESHOLDS if each < self.told), default=0)

    def _is_over(self, now: float) -> bool:
        """Tell whether some of what is used is over, or the clock was set back to before it."""
        if self._rolls:
            return self._steady() >= self._due
        return not self._since <= now < self._due

    def _turn(self, now: float) -> None:
        """Count for the day or month that it is now."""
        # What runs was let begin then, and is settled now: should the clock come back, it counts in
        # both, or what was in flight could be spent again each time.
        before = self._since
        if not self.is_recount_due:  # else nobody knows yet what was used then
            self._known[before] = self.used + self.reserved, self.told
        self.is_recount_due = False
        self._since, self.resets_at = window(self.budget.per, now)
        self._due = inf if self.resets_at is None else self.resets_at
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

    def lift(self, since: float, until: float, now: float) -> None:
        """Have it hold nobody back until then, and for no longer if the clock is set back."""
        if until != self.lifted_until:
            self.lifted_at, self.lifted_until = since, until
            self._lift_ends = self._steady() + left_of(since, until, now)

    def lifted(self, now: float) -> bool:
        """Tell whether it holds nobody back for now."""
        return now < self.lifted_until and self._steady() < self._lift_ends

    def expected(self, function: str, most: float) -> Expected:
        """Return what calls of a function are expected to use; one can use `most`."""
        found = self._expected.get(function)
        if found is None:
            if len(self._expected) >= _MOST_FUNCTIONS:
                function = ""
            unknown = min(most, self.budget.amount * _UNKNOWN)
            found = self._expected.setdefault(function, Expected(unknown))
        return found

    def reserve(self, least: float, expected: Expected, now: float) -> float | None:
        """Reserve for one more call, which uses `least` at the least, and return how much.

        None: it may not begin.
        """
        # `_is_over` and, in `settle`, `release` and `count` written out: each call of a function
        # passes here for each of its budgets, and a call of Python's costs as much.
        if self._steady() >= self._due if self._rolls else not self._since <= now < self._due:
            self.tick(now)
        amount = expected.mean if expected.mean > least else least
        taken = self.used + self.reserved
        if taken + self.elsewhere + amount > self._loose:
            amount = max(expected.most, least)
        self.wanted, self.asked = True, amount
        if taken + amount > self._most and not self.lifted(now):
            alone = self._last_room(max(expected.mean, least))
            if alone is None:
                self.short = True
                return None
            amount = alone
        self.reserved += amount
        return amount

    def _last_room(self, mean: float) -> float | None:
        """Return all that is left, for a call that runs alone and may fit in it; None: none may.

        Or nobody would use what is left, if a call once took more.
        """
        left = self._most - self.used
        if self.reserved or left < mean or left <= self.budget.amount * _RESIDUE:
            return None
        return left

    def waits_for_share(self) -> bool:
        """Tell whether what has no room here has some in what no node has used or holds for
        calls that run: it comes within seconds.
        """
        if self.holding is None:
            return False
        return self.total + self.reserved + self.asked <= self.budget.amount

    def waits_for_calls(self, least: float, expected: Expected) -> bool:
        """Tell whether what has no room has some once what runs has used no more than usual."""
        asked = self.asked
        if not self.reserved or not asked:
            return False
        usual = max(expected.mean, least) / asked
        return self.total + (self.reserved + asked) * usual <= self.budget.amount

    @property
    def total(self) -> float:
        """What all nodes have used, as far as it is told."""
        return self.used + self.elsewhere

    def has_no_more(self, least: float, now: float) -> bool:
        """Tell whether it is hard, and has no room for a call that uses so much at the least."""
        return self.is_used_up(now) or (self.used + least > self._most and not self.lifted(now))

    def is_used_up(self, now: float) -> bool:
        """Tell whether it is hard, and nothing of it is left."""
        self.tick(now)
        return self.budget.hard and not self.lifted(now) and self.total >= self.budget.amount

    def release(self, reserved: float) -> None:
        """Give back what was reserved for a call."""
        left = self.reserved - reserved
        # What is left of sums of parts once all are given back is no reservation.
        self.reserved = left if left > reserved * _ROUNDED else 0.0

    def settle(self, reserved: float, used: float, expected: Expected, now: float) -> bool:
        """Count what a call has used in place of what was reserved for it.

        Return whether a threshold may be reached of which was not told.
        """
        left = self.reserved - reserved
        self.reserved = left if left > reserved * _ROUNDED else 0.0
        mean, most = expected.mean, expected.most
        if used != mean or used != most:
            if not expected.known:
                expected.known, expected.mean, expected.most = True, used, used
            else:
                expected.mean = mean + (used - mean) * _WEIGHT
                expected.most = used if used > most else most + (used - most) * _FADES
        if self._rolls:
            at = self._steady()
            if at >= self._due:
                self.tick(now)
            self._count_minute(used, at)
        elif not self._since <= now < self._due:
            self.tick(now)
        self.used += used
        self.wanted = True
        return self.used + self.elsewhere >= self.tells_at

    def count(self, used: float) -> None:
        """Count what was used."""
        self.used += used
        self.wanted = True
        if self._rolls:
            self._count_minute(used, self._steady())

    def _count_minute(self, used: float, at: float) -> None:
        minutes = self._minutes
        if minutes and at < minutes[-1][0] + _MINUTE:
            minutes[-1][1] += used
        else:
            minutes.append([at // _MINUTE * _MINUTE, used])
            self._due = minutes[0][0] + _HOUR

    def forget(self) -> None:
        """Count anew."""
        self.used = 0.0
        self._expected.clear()
        self._minutes.clear()

    @property
    def percent(self) -> float:
        """How much of it is used."""
        return self.total / self.budget.amount * 100

    def reached(self) -> int:
        """Return the highest threshold that was reached and not told of yet; 0: none."""
        if self.used + self.elsewhere < self.tells_at:
            return 0
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
