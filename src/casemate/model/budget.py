"""Bounds of what may be used: budgets over a time, and quotas of calls in a moment."""

from __future__ import annotations

from enum import StrEnum

import msgspec

THRESHOLDS = (50, 80, 100)
"""Percents of a budget of which its owner is told."""
MAX_BUDGETS = 1000
"""Budgets and quotas of a node."""
MAX_OF_PROJECT = 100
"""Of them one project's, and of functions that are not slowed: no project takes the room of others,
nor of what a playbook bounds."""
MAX_LIFT = 7 * 86_400
"""Seconds for which a budget is lifted at the most."""


class BudgetUnit(StrEnum):
    """In what a budget is counted."""

    MONEY = "money"
    """By the node's price list, in its currency."""
    REQUESTS = "requests"
    CPU_SECONDS = "cpu-seconds"
    GB_SECONDS = "gb-seconds"
    EGRESS_IN = "egress-in"
    """Bytes that hosts outside sent to functions."""
    EGRESS_OUT = "egress-out"
    """Bytes that functions sent to hosts outside."""
    BYTE_HOURS = "byte-hours"
    """Bytes that a project keeps, times hours."""


EGRESS_UNITS = (BudgetUnit.EGRESS_IN, BudgetUnit.EGRESS_OUT)
BYTE_UNITS = (*EGRESS_UNITS, BudgetUnit.BYTE_HOURS)


class BudgetPer(StrEnum):
    """For which time a budget is."""

    HOUR = "hour"
    """The last sixty minutes, whenever one looks."""
    DAY = "day"
    """A day of UTC."""
    MONTH = "month"


class QuotaEach(StrEnum):
    """Who has a quota of his own."""

    FUNCTION = "function"
    CALLER = "caller"
    """A person, a token, a function, a trigger; all without a credential are one."""
    ADDRESS = "address"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """How much may be used of something, and what is done then."""

    project: str
    name: str
    amount: float
    unit: BudgetUnit
    per: BudgetPer
    hard: bool = False
    """Whether calls are refused when it is used up; else it is told alone."""
    function: str | None = None
    """Only what this function uses."""
    caller: str | None = None
    """Only what this caller has used, given as records show it: `token:9f2c51aa03b1e7d4`."""
    account: str | None = None
    """Only what callers have used for whom this one answers: `user:ada`, `project:shop`."""


class BudgetState(msgspec.Struct, frozen=True, kw_only=True):
    """A budget, and how much of it is used."""

    budget: Budget
    used: float
    reserved: float
    """For calls that run."""
    percent: float
    currency: str = ""
    resets_at: float | None = None
    """Unix time at which it begins anew; None: it does all the time."""
    refused: int = 0
    """Calls that were refused for it since the node's start."""
    lifted_until: float | None = None
    lifted_by: str = ""
    lifted_for: str = ""
    """Why."""


def lifted_since(at: float, until: float) -> float:
    """Return since when something is lifted until then, or could be where an earlier release has
    not kept `at`: 0. All are Unix times."""
    return at or until - MAX_LIFT


class Unusual(msgspec.Struct, frozen=True, kw_only=True):
    """A function that costs far more than is usual of it: slowed, or let run for a while."""

    project: str
    function: str
    times: int = 0
    """How many times as much as usual it cost when it was looked at last; 0: it is not slowed."""
    reason: str = ""
    """Why it is slowed."""
    lifted_at: float = 0.0
    """Unix time since which it is not slowed."""
    lifted_until: float = 0.0
    """Unix time until which it is not slowed."""
    lifted_by: str = ""
    lifted_for: str = ""
    """Why it is let run."""


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls may come in a moment."""

    project: str
    name: str
    calls: int
    seconds: int
    """So many calls in so many seconds; up to as many at once."""
    each: QuotaEach
    function: str | None = None
    """Only calls of this function."""


class QuotaState(msgspec.Struct, frozen=True, kw_only=True):
    """A quota, and how often it was met."""

    quota: Quota
    told_apart: int
    """Of how many its use is remembered."""
    refused: int
    """Calls that were refused for it since the node's start."""
