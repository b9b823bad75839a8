"""What several nodes use of one budget: each holds a share of what is left, and takes another.

Never on a call's way: a call looks at what its node holds, and once a second the store is told what
was used and gives the next share. What all nodes have used and hold is never more than the budget,
but for what a node has used since it told it last, if it dies then, and for calls that use more
than was reserved for them, as on one node.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from casemate.budgets.ledger import Ledger
from casemate.operations.budget_shares import MAX_ASKED, BudgetUse, TakeShares
from casemate.store.interface import Store

IDLE_SECONDS: Final = 2.0
"""After which a share is looked at of a budget that is not used here."""
_AHEAD: Final = 8
"""So many times as much as was used since the last look is held for what comes until the next."""


class Shares:
    """One per gateway of several, on its event loop."""

    def __init__(
        self,
        store: Store,
        node: Callable[[], str],
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take shares from `store` as the node whose id `node` returns."""
        self._store = store
        self._node = node
        self._clock = clock
        self._steady = steady

    def due(self, ledgers: Sequence[Ledger]) -> list[Ledger]:
        """Return those of which a share is to be looked at, the longest waiting first."""
        now = self._steady()
        found = [
            ledger for ledger in ledgers if ledger.wanted or now - ledger.shared_at >= IDLE_SECONDS
        ]
        return sorted(found, key=lambda ledger: ledger.shared_at)[:MAX_ASKED]

    async def take(self, ledgers: Sequence[Ledger], nodes: int) -> None:
        """Tell what was used of these, and take a share of what is left. Raises StoreError.

        At the most MAX_ASKED; `nodes` take calls.
        """
        now = self._clock()
        for ledger in ledgers:
            ledger.tick(now)
        asked = [(ledger, ledger.resets_at) for ledger in ledgers]
        uses = tuple(_use(ledger) for ledger in ledgers)
        for ledger, use in zip(ledgers, uses, strict=True):
            # From now on: what is given back others may use before the answer is here.
            ledger.holding, ledger.wanted, ledger.short = use.kept, False, False
        try:
            shares = await self._store.change(TakeShares(node=self._node(), uses=uses))
        except BaseException:
            for ledger, use in zip(ledgers, uses, strict=True):
                ledger.wanted = ledger.wanted or use.wanted
            raise
        at = self._steady()
        for (ledger, resets_at), use, share in zip(asked, uses, shares, strict=True):
            ledger.shared_at, ledger.first_part = at, 1 / (2 * max(1, nodes))
            ledger.shared_used = use.used
            if ledger.resets_at == resets_at:
                ledger.elsewhere, ledger.holding = share.elsewhere, share.holding


def _use(ledger: Ledger) -> BudgetUse:
    budget = ledger.budget
    # With what it is: what was used of another one under its name is no use of this.
    definition = sha256(msgspec.json.encode(budget)).hexdigest()[:16]
    lately = max(0.0, ledger.used - ledger.shared_used)
    next_call = ledger.reserved + ledger.asked
    kept = ledger.used + next_call + _AHEAD * lately
    return BudgetUse(
        project=budget.project,
        budget=f"{budget.name} {definition}",
        amount=budget.amount,
        resets_at=ledger.resets_at,
        used=ledger.used,
        kept=min(kept, ledger.used if ledger.holding is None else ledger.holding),
        next_call=next_call,
        demand=budget.amount if ledger.short else _AHEAD * lately if ledger.wanted else 0.0,
        wanted=ledger.wanted,
    )
