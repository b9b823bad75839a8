"""Shares of budgets that several nodes use: the nodes' own, their budgets ask for them."""

from __future__ import annotations

from typing import Final

import msgspec

from casemate.operations.declaration import Decided, Declaration, Operation

MAX_ASKED: Final = 100
"""Budgets that are asked about at once: while they are, other changes wait."""


class BudgetUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a node has used of a budget."""

    project: str
    budget: str
    """Its name, and what tells it from others that had the name."""
    amount: float
    resets_at: float | None
    """When it begins anew (Unix time), the same on all nodes; None: it is a rolling hour."""
    used: float
    kept: float
    """Up to so much of what it holds the node uses until it is answered: it is not given away."""
    next_call: float
    """What calls that run, and the next one, are going to use."""
    demand: float
    """How much it has use for beside that."""
    wanted: bool
    """Whether there are calls for it on the node."""


class BudgetShare(msgspec.Struct, frozen=True, kw_only=True):
    """How much a node may use of a budget."""

    elsewhere: float
    """What other nodes have used."""
    holding: float
    """Up to so much may be used here, what was used already included."""


class TakeShares(Operation[tuple[BudgetShare, ...]], frozen=True, kw_only=True):
    """Keep what a node has used of budgets, and give it a share of what is left of each."""

    declared = Declaration(decided=Decided.INSIDE)
    node: str
    uses: tuple[BudgetUse, ...]
