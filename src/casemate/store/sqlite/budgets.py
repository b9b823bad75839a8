"""Shares of budgets that several nodes use, in SQL.

What a node holds counts as used for all others while it is there. Of one that is gone only what it
told that it had used counts on: the rest comes back.
"""

from __future__ import annotations

from typing import Final

from casemate.model.errors import InvalidInputError
from casemate.model.nodes import GONE_SECONDS
from casemate.operations.budget_shares import MAX_ASKED, BudgetShare, BudgetUse, TakeShares
from casemate.operations.performing import DirectPerformers
from casemate.sqlite import engine
from casemate.store.sqlite.clock import now_of

KEPT_SECONDS: Final = 40 * 86_400.0
"""Longer than any budget lasts."""
_HOUR: Final = 3600.0
_ROLLING: Final = 0.0
"""In the place of when a rolling budget begins anew."""
_IDLE_PART: Final = 4
_OTHERS = """
    SELECT budget_share.used, budget_share.holding, COALESCE(node.seen_at, 0.0) > ?
    FROM budget_share LEFT JOIN node ON node.id = budget_share.node
    WHERE budget_share.project = ? AND budget_share.budget = ? AND budget_share.node <> ?
    AND budget_share.since = ? AND budget_share.at > ?
"""
_KEEP = """
    INSERT INTO budget_share VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (project, budget, node) DO UPDATE SET since = excluded.since,
    used = excluded.used, holding = excluded.holding, at = excluded.at
"""

performs = DirectPerformers()


@performs(TakeShares)
def take(connection: engine.Connection, operation: TakeShares) -> tuple[BudgetShare, ...]:
    """Keep what was used, and return the shares."""
    if len(operation.uses) > MAX_ASKED:
        raise InvalidInputError(
            f"{len(operation.uses)} budgets are asked about, expected at most {MAX_ASKED}."
        )
    now = now_of(connection)
    connection.execute("DELETE FROM budget_share WHERE at < ?", (now - KEPT_SECONDS,))
    (living,) = connection.execute(
        "SELECT count(*) FROM node WHERE id <> ? AND draining = 0 AND seen_at > ?",
        (operation.node, now - GONE_SECONDS),
    ).fetchone()
    return tuple(
        _taken(connection, operation.node, use, now, int(living) + 1) for use in operation.uses
    )


def _taken(
    connection: engine.Connection, node: str, use: BudgetUse, now: float, nodes: int
) -> BudgetShare:
    rolling = use.resets_at is None
    since = _ROLLING if use.resets_at is None else use.resets_at
    rows = connection.execute(
        _OTHERS,
        (
            *(now - GONE_SECONDS, use.project, use.budget, node, since),
            now - (_HOUR if rolling else KEPT_SECONDS),
        ),
    ).fetchall()
    elsewhere = sum((float(used) for used, _, _ in rows), 0.0)
    taken = sum(max(float(used), float(holds)) if there else float(used)
                for used, holds, there in rows)  # fmt: skip
    free = max(0.0, use.amount - taken - use.used)
    share = _share(free, use, nodes)
    if sum(bool(there) for _, _, there in rows) < nodes - 1:
        # What those have used that have told nothing yet is not known.
        share = min(share, free / (_IDLE_PART * nodes))
    holding = max(use.kept, use.used + share)
    key = (use.project, use.budget, node)
    connection.execute(_KEEP, (*key, since, use.used, holding, now))
    return BudgetShare(elsewhere=elsewhere, holding=holding)


def _share(free: float, use: BudgetUse, nodes: int) -> float:
    """Return how much of what is left a node gets: what it has use for, at the most half of it,
    and where there are calls one at the least.
    """
    if nodes == 1:
        return free
    part = free / (_IDLE_PART * nodes)
    part = part if part >= use.next_call else 0.0
    if not use.wanted:
        return part
    return max(part, min(free / 2, use.next_call + use.demand), min(free, use.next_call))
