"""What is used of a budget, counted again from records: at a start, or where it is set anew."""

from __future__ import annotations

import logging
from collections.abc import Callable

from casemate.budgets.allowance import Allowance
from casemate.budgets.learning import Read
from casemate.budgets.ledger import Ledger, window
from casemate.model.budget import BudgetPer
from casemate.model.usage import DAY, HOUR, UsageBy, UsageSpan
from casemate.operations.usage import ReadUsage

_log = logging.getLogger(__name__)


class Counting:
    """Counts into ledgers what records tell."""

    def __init__(self, read: Read, allowance: Allowance, clock: Callable[[], float]) -> None:
        """Count what `read` tells, by the prices and accounts of `allowance`."""
        self._read = read
        self._allowance = allowance
        self._clock = clock

    async def count(self, ledger: Ledger) -> None:
        """Count anew what is used of a budget, as records tell it; if they cannot be read, not.

        Of a rolling hour that is all of the hour before the present one as well, and what is used
        meanwhile may be among the records already: rather too much.
        """
        now, budget = self._clock(), ledger.budget
        ledger.tick(now)
        before = ledger.used
        since, _ = window(budget.per, now)
        if budget.per is BudgetPer.HOUR:
            since = since // HOUR * HOUR
        rows = await self._read(
            ReadUsage(
                project=budget.project,
                function=budget.function,
                by=UsageBy.CALLER if budget.caller or budget.account else UsageBy.PROJECT,
                each=None if budget.per is BudgetPer.MONTH else UsageSpan.HOUR,
                since=max(0.0, since),
                until=(now // DAY + 2) * DAY,
                # Other nodes tell themselves what they have used.
                here=True,
            )
        )
        meanwhile = max(0.0, ledger.used - before)
        ledger.forget()
        ledger.count(meanwhile)
        answerable = self._allowance.answerable
        for row in rows:
            if budget.caller not in (None, row.caller):
                continue
            if budget.account is not None and budget.account != answerable(row.caller):
                continue
            ledger.count(self._allowance.counted(budget, row, now))

    async def count_before(self, ledger: Ledger) -> None:
        """Count for a day to which the clock was set back, beside what was used since."""
        ledger.tick(self._clock())
        if not ledger.is_recount_due:  # it is right again, and what was used is known
            return
        used = ledger.used
        await self.count(ledger)
        ledger.count(used)
        ledger.is_recount_due = False
        _log.warning(
            "the clock was set back: the budget %s of %s is counted for the time it is now",
            ledger.budget.name,
            ledger.budget.project,
        )
