"""Bills: what usage of some days costs, line by line, and what the month is going to cost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from casemate.metering.prices import RESOURCES, PriceList, Resource
from casemate.model.usage import Usage

_LOOKED_BACK = 7
"""Whole days of whose mean the rest of a month is guessed."""


class BillLine(NamedTuple):
    """One resource, used by one thing on one day."""

    day: date
    of: Usage
    """By what it is told apart; the amounts are those of all resources."""
    resource: Resource
    quantity: Decimal
    """In units of the price."""
    price: Decimal
    cost: Decimal


class Bill(NamedTuple):
    """All lines of a time."""

    prices: PriceList
    lines: tuple[BillLine, ...]

    @property
    def total(self) -> Decimal:
        """What all of it costs."""
        return sum((line.cost for line in self.lines), Decimal())

    def by_day(self) -> dict[date, Decimal]:
        """Return what each day costs."""
        found: dict[date, Decimal] = {}
        for line in self.lines:
            found[line.day] = found.get(line.day, Decimal()) + line.cost
        return found


class Forecast(NamedTuple):
    """What a month costs in the end, if the rest of it is as its last days were."""

    so_far: Decimal
    total: Decimal
    days: int
    """Whole days of which it was made; 0: there is none yet, and today stands for them."""


def day_of(moment: float) -> date:
    """Return the day of UTC at a Unix time."""
    return datetime.fromtimestamp(moment, UTC).date()


def month_of(day: date) -> tuple[date, date]:
    """Return the first day of a day's month, and that of the next month."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def moment_of(day: date) -> float:
    """Return the Unix time at which a day of UTC begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def bill(prices: PriceList, usage: Iterable[Usage]) -> Bill:
    """Return the bill of usage that is told apart by days. Raises PriceListError."""
    lines = []
    days: dict[float, tuple[date, list[tuple[Resource, Decimal]]]] = {}
    for each in usage:
        if each.start not in days:
            day = day_of(each.start)
            of = prices.on(day).of
            priced = [
                (resource, of[resource.name]) for resource in RESOURCES if resource.name in of
            ]
            days[each.start] = day, priced
        day, priced = days[each.start]
        for resource, price in priced:
            if counted := resource.counted(each):
                quantity = resource.quantity(counted)
                lines.append(BillLine(day, each, resource, quantity, price, quantity * price))
    return Bill(prices, tuple(lines))


def forecast(found: Bill, now: float) -> Forecast:
    """Return what the month costs in which `now` is; its bill up to now is `found`."""
    today = day_of(now)
    first, following = month_of(today)
    days = {day: cost for day, cost in found.by_day().items() if day >= first}
    so_far = sum(days.values(), Decimal())
    begun = min(days, default=today)
    whole = [
        days.get(today - timedelta(days=ago), Decimal())
        for ago in range(1, _LOOKED_BACK + 1)
        if today - timedelta(days=ago) >= begun
    ]
    passed = Decimal(str((now - moment_of(today)) / 86_400))
    if whole:
        mean = sum(whole, Decimal()) / len(whole)
    else:
        mean = days.get(today, Decimal()) / max(passed, Decimal("0.01"))
    left = Decimal((following - today).days) - passed
    return Forecast(so_far, so_far + mean * left, len(whole))
