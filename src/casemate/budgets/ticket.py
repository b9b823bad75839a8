"""What a call that was let begin holds of budgets, until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from casemate.budgets.ledger import Expected, Ledger
from casemate.budgets.rates import Fields
from casemate.model.path import Finished, Used

Ledgers = tuple[tuple[Ledger, float, Expected], ...]
"""Each with what a call uses of it at the least, and what one of its function is expected to."""
Settle = Callable[[Ledgers, tuple[float, ...], float, int, int, Used], None]
"""Counts a call: its budgets, what was reserved of each, seconds that it ran, bytes of memory that
it may have, uses of capabilities, and what it used."""


class Ticket:
    """One call that was let begin. It is closed once, in whatever way it ends."""

    __slots__ = ("_amounts", "_leave", "_ledgers", "_memory", "_settle", "fields")

    def __init__(
        self,
        settle: Settle,
        ledgers: Ledgers,
        amounts: tuple[float, ...],
        memory: int,
        leave: Callable[[], None] | None,
        fields: Fields,
    ) -> None:
        """Hold what was reserved of each of `ledgers`; `fields` are those of its answer."""
        self._settle = settle
        self._ledgers = ledgers
        self._amounts = amounts
        self._memory = memory
        self._leave = leave
        self.fields = fields

    @property
    def counts(self) -> bool:
        """Whether what it uses is bounded."""
        return bool(self._ledgers)

    def drop(self) -> None:
        """Give back all: it never ran."""
        for (ledger, _, _), amount in zip(self._ledgers, self._amounts, strict=True):
            ledger.release(amount)
        self._close()

    def settle(self, finished: Finished) -> None:
        """Count what it used, once that is known; of what ended by a fault of ours as usual."""
        ledgers, used = self._ledgers, finished.used
        if not ledgers:
            pass
        elif used is not None:
            uses = len(finished.spans) + finished.more_spans
            counted = ledgers, self._amounts, finished.ran, self._memory, uses
            used.then(partial(self._settle, *counted))
        else:
            now = time.time()
            for (ledger, least, expected), amount in zip(ledgers, self._amounts, strict=True):
                ledger.settle(amount, max(least, expected.mean), expected, now)
        self._close()

    def _close(self) -> None:
        self._ledgers, self._amounts = (), ()
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
