"""Price lists: a file in TOML with a version, a currency, and prices that each hold for some days.

Read strictly: what is misspelt, negative, not a decimal, or holds twice on a day is refused by
name. A price is a text, so that it is the decimal that was written and no binary one beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from casemate.decoding import toml_of
from casemate.model.errors import InvalidInputError
from casemate.model.usage import Amounts

MAX_BYTES = 64 * 1024
MAX_PERIODS = 500
DEFAULT = "example"
"""The list that is used where nobody has given one."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,32}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_PRICE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,15})?")
_GIGA = 10**9


_NEXT_STEP = "`casemate prices show` prints a list as it has to be."


class PriceListError(InvalidInputError):
    """A price list is not one."""

    def __init__(self, message: str | None = None, *, next_step: str | None = None) -> None:
        """Keep both; the next step is to see one that is right, if no other is named."""
        super().__init__(message, next_step=next_step or _NEXT_STEP)


class Resource(NamedTuple):
    """Something that has a price."""

    name: str
    price: str
    """Its price's key."""
    unit: str
    per: int
    """How many of what is counted are one unit."""
    sku: str

    def counted(self, amounts: Amounts) -> int:
        """Return how many of what is counted were used."""
        return _COUNTED[self.name](amounts)

    def quantity(self, counted: int) -> Decimal:
        """Return how many units these are."""
        return Decimal(counted) / self.per


_COUNTED: Mapping[str, Callable[[Amounts], int]] = {
    "requests": lambda a: a.requests,
    "memory": lambda a: a.memory_mb_ms,
    "cpu": lambda a: a.cpu_us,
    "egress": lambda a: a.egress_out,
    "storage": lambda a: a.byte_hours,
    "capabilities": lambda a: a.uses,
}
RESOURCES = (
    Resource("requests", "million_requests", "1000000 Requests", 10**6, "requests"),
    Resource("memory", "gb_second", "GB-Seconds", 1024 * 1000, "memory"),
    Resource("cpu", "cpu_hour", "CPU-Hours", 3_600_000_000, "cpu"),
    Resource("egress", "egress_gb", "GB", _GIGA, "egress"),
    Resource("storage", "storage_gb_month", "GB-Months", _GIGA * 730, "storage"),
    Resource("capabilities", "million_capability_calls", "1000000 Calls", 10**6, "capabilities"),
)


class Prices(NamedTuple):
    """Prices that hold from a day on."""

    since: date
    until: date | None
    """The first day on which they do not hold any more; None: until others do."""
    of: Mapping[str, Decimal]
    """By the name of a resource; what is missing costs nothing."""

    def cost(self, amounts: Amounts) -> Decimal:
        """Return what amounts cost."""
        return sum(
            (
                each.quantity(each.counted(amounts)) * self.of[each.name]
                for each in RESOURCES
                if each.name in self.of
            ),
            Decimal(),
        )


class PriceList(NamedTuple):
    """A price list."""

    name: str
    version: str
    currency: str
    prices: tuple[Prices, ...]
    """By their first day."""

    def on(self, day: date) -> Prices:
        """Return the prices of a day. Raises PriceListError where there are none."""
        found = None
        for each in self.prices:
            if each.since <= day and (each.until is None or day < each.until):
                found = each
        if found is None:
            raise PriceListError(
                f"The price list {self.name} ({self.version}) has no prices for {day}.",
                next_step="Add a [[prices]] whose `from` is that day or earlier.",
            )
        return found

    def near(self, day: date) -> Prices:
        """Return the prices of a day; where it has none, those of the nearest day before it."""
        return next((each for each in reversed(self.prices) if each.since <= day), self.prices[0])


def read_prices(data: bytes, name: str) -> PriceList:
    """Return a price list. Raises PriceListError."""
    if len(data) > MAX_BYTES:
        raise PriceListError(f"{name} has {len(data)} bytes, expected at most {MAX_BYTES}.")
    try:
        found = toml_of(data.decode())
    except ValueError as error:
        raise PriceListError(f"{name} is not TOML: {error}.") from error
    _known(name, "it", found, {"name", "version", "currency", "prices"})
    own = _text(name, found, "name", _NAME, "small letters, digits and -, such as own-2026")
    version = _text(name, found, "version", _VERSION, "letters, digits, ., _ and -, such as 1.2")
    currency = _text(name, found, "currency", _CURRENCY, "three capitals, such as EUR")
    periods = found.get("prices")
    if not isinstance(periods, list) or not periods or len(periods) > MAX_PERIODS:
        raise PriceListError(f"{name} has no [[prices]], or more than {MAX_PERIODS}.")
    prices = sorted((_prices(name, each) for each in periods), key=lambda each: each.since)
    for before, after in pairwise(prices):
        if before.since == after.since or (before.until is not None and before.until > after.since):
            raise PriceListError(
                f"{name}: the prices from {before.since} and from {after.since} overlap.",
                next_step="Let one end (`until`) on the day that the other begins.",
            )
    return PriceList(own, version, currency, tuple(prices))


def _prices(name: str, found: Any) -> Prices:
    if not isinstance(found, dict):
        raise PriceListError(f"{name}: prices is no [[prices]].")
    _known(name, "[[prices]]", found, {"from", "until", *(each.price for each in RESOURCES)})
    since = _day(name, found, "from")
    if since is None:
        raise PriceListError(f"{name}: a [[prices]] has no `from`, expected a date.")
    until = _day(name, found, "until")
    if until is not None and until <= since:
        raise PriceListError(f"{name}: the prices from {since} end before they begin, at {until}.")
    of = {}
    for each in RESOURCES:
        if each.price in found:
            of[each.name] = _price(name, since, each.price, found[each.price])
    if not of:
        raise PriceListError(f"{name}: the prices from {since} have no price.")
    return Prices(since, until, of)


def _price(name: str, since: date, key: str, value: Any) -> Decimal:
    where = f"{name}: {key} of the prices from {since}"
    if (isinstance(value, str) and value.strip().startswith("-")) or (
        isinstance(value, (int, float)) and value < 0
    ):
        raise PriceListError(f"{where} is negative: {value!r:.40}.")
    if not isinstance(value, str) or _PRICE.fullmatch(value) is None:
        raise PriceListError(
            f'{where} is {value!r:.40}, expected a decimal as text, such as "0.20".'
        )
    return Decimal(value)


def _known(name: str, where: str, found: Mapping[str, Any], keys: set[str]) -> None:
    if unknown := sorted(found.keys() - keys):
        raise PriceListError(
            f"{name}: {where} has {unknown[0]!r:.60}, expected {', '.join(sorted(keys))}."
        )


def _text(
    name: str, found: Mapping[str, Any], key: str, pattern: re.Pattern[str], words: str
) -> str:
    value = found.get(key)
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise PriceListError(f"{name}: {key} is {value!r:.60}, expected {words}.")
    return value


def _day(name: str, found: Mapping[str, Any], key: str) -> date | None:
    value = found.get(key)
    if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
        raise PriceListError(f"{name}: {key} is {value!r:.40}, expected a date such as 2026-11-01.")
    return value


@cache
def shipped(name: str) -> PriceList:
    """Return a list that comes with Casemate. Raises PriceListError for another name."""
    return read_prices(shipped_text(name), f"{name}.toml")


def shipped_names() -> tuple[str, ...]:
    """Return the names of the lists that come with Casemate."""
    return tuple(_SHIPPED)


def shipped_text(name: str) -> bytes:
    """Return the file of such a list. Raises PriceListError for another name."""
    if name not in _SHIPPED:
        raise PriceListError(
            f"There is no price list {name!r:.60}, expected one of {', '.join(_SHIPPED)}.",
            next_step="A list of one's own is given as a file.",
        )
    return _SHIPPED[name]


# Read with the module: who uses it may have no way to files any more.
_SHIPPED = {
    each.stem: each.read_bytes()
    for each in sorted(Path(__file__).with_name("lists").iterdir())
    if each.suffix == ".toml"
}
