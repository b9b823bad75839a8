"""What is said where a call may not begin: little to its caller, all to the owner."""

from __future__ import annotations

from casemate.budgets.ledger import Ledger
from casemate.budgets.rates import Fields
from casemate.model.invocation import Outcome
from casemate.model.path import Failure, RefusedError

DETAIL = "Too many calls."
"""What a caller is told, whatever the reason is."""
_LONGEST_WAIT = 3600
"""Seconds."""


def used_up(ledger: Ledger) -> str:
    """Say what is used of a budget, to its owner."""
    budget = ledger.budget
    of = f"{budget.project}/{budget.function}" if budget.function else budget.project
    who = "".join(f" by {each}" for each in (budget.caller, budget.account) if each)
    return (
        f"the budget {budget.name} of {of}{who}: {ledger.total:.6g} of {budget.amount:.6g} "
        f"{budget.unit.value} per {budget.per.value} used, {ledger.reserved:.6g} reserved for what "
        "runs; `casemate budget lift` lifts it for a while"
    )


def reserved(ledger: Ledger) -> str:
    """Say that what is left is kept for calls that run."""
    return (
        f"{used_up(ledger)}; what is left is reserved for calls that run, by the most that such "
        "calls used lately: what they do not use is free once they have ended"
    )


def share_used_up(ledger: Ledger) -> str:
    """Say that what is left is other nodes' for now."""
    return (
        f"{used_up(ledger)}; of what is left this node has no share at the moment, since other "
        "nodes use it, too"
    )


def refusal(kind: str, message: str, wait: int, fields: Fields = ()) -> RefusedError:
    """Return what refuses a call: the caller is told nothing of the inside.

    `fields` of a quota name the same time to come back, however long that is.
    """
    return RefusedError(
        Outcome.THROTTLED,
        DETAIL,
        retry_after=max(1, wait if fields else min(wait, _LONGEST_WAIT)),
        failure=Failure(type=kind, message=message),
        fields=fields,
    )
