"""Functions that send and get nothing more, because a hard budget in bytes is used up.

A call that runs could carry any number of bytes beyond it: its connections are ended and none is
made, until there is room again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from casemate.budgets.ledger import Ledger
from casemate.model.budget import EGRESS_UNITS, Budget
from casemate.model.usage import used_by


def is_of_use(
    budget: Budget, project: str, function: str, answerable: Callable[[str], str]
) -> bool:
    """Tell whether a budget counts what a function uses beside calls, or a project (`""`)."""
    caller = used_by(project, function)
    return (
        budget.project == project
        and budget.function in (None, function)
        and budget.caller in (None, caller)
        and (budget.account is None or budget.account == answerable(caller))
    )


class Cutting:
    """Knows which budgets hold back what functions carry."""

    def __init__(
        self,
        ledgers: Mapping[str, Mapping[str, Ledger]],
        clock: Callable[[], float],
        answerable: Callable[[str], str],
    ) -> None:
        """Look at `ledgers`, by project and name."""
        self._ledgers = ledgers
        self._clock = clock
        self._answerable = answerable
        self._used_up: tuple[Budget, ...] = ()
        self.changed: Callable[[], None] = lambda: None
        """Called once others are used up, or have room again."""

    def see(self, ledger: Ledger, now: float) -> None:
        """Look if this one was used up, or has room again."""
        counts = ledger.budget.unit in EGRESS_UNITS
        if counts and ledger.is_used_up(now) != (ledger.budget in self._used_up):
            self.look()

    def look(self) -> None:
        """See which are used up now."""
        now = self._clock()
        found = tuple(
            ledger.budget
            for ledgers in self._ledgers.values()
            for ledger in ledgers.values()
            if ledger.budget.unit in EGRESS_UNITS and ledger.is_used_up(now)
        )
        if found != self._used_up:
            self._used_up = found
            self.changed()

    def cuts(self, project: str, function: str) -> bool:
        """Tell whether a function may carry nothing."""
        return any(
            is_of_use(budget, project, function, self._answerable) for budget in self._used_up
        )
