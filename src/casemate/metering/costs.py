"""What calls of functions cost in some hours: all of them, and those of some callers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from casemate.metering.bill import bill
from casemate.metering.prices import PriceList
from casemate.model.usage import Usage

_SHOWN = Decimal("0.000001")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Of one function."""

    function: str
    requests: int
    refused: int
    cpu_seconds: float
    cost: str
    """In the currency of the price list."""
    named: str
    """What of it some callers asked for; empty: none is named."""


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Of several functions."""

    functions: tuple[Cost, ...] = ()
    since: float = 0.0
    until: float = 0.0
    currency: str = ""
    prices: str = ""
    problem: str = ""
    """Why this is not known; empty: it is."""


def cost_of(
    function: str, rows: Sequence[Usage], prices: PriceList, callers: frozenset[str]
) -> Cost:
    """Return what sums of a function by callers cost, and what of that is of `callers`."""
    named = _money(prices, (row for row in rows if row.caller in callers)) if callers else ""
    return Cost(
        function=function,
        requests=sum(row.requests for row in rows),
        refused=sum(row.refused for row in rows),
        cpu_seconds=sum(row.cpu_us for row in rows) / 1e6,
        cost=_money(prices, rows),
        named=named,
    )


def _money(prices: PriceList, rows: Iterable[Usage]) -> str:
    return format(bill(prices, rows).total.quantize(_SHOWN), "f")
