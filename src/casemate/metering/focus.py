"""Bills as FOCUS 1.0 has them: https://focus.finops.org, the columns of a cost and usage dataset.

All 43 columns, in the specification's names and by the alphabet; what has no meaning on a node is
null, which is empty in CSV.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

import msgspec

from casemate.metering.bill import Bill, BillLine, month_of
from casemate.metering.prices import Resource

COLUMNS = (
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
)
_NAME = "Casemate"
_TAGS = ("trigger", "caller", "account", "route")
"""By what else a line may be told apart."""
_PLACE = ("project", "function", *_TAGS)
_CATEGORIES = {"storage": "Storage", "egress": "Networking"}
"""Of services, from the specification's list; all others are computing."""


_NOTHING = dict.fromkeys(COLUMNS, "")


@lru_cache(maxsize=1024)
def _periods(day: date) -> dict[str, str]:
    """Return the columns that say when a charge was."""
    first, following = month_of(day)
    return {
        "BillingPeriodEnd": _moment(following),
        "BillingPeriodStart": _moment(first),
        "ChargePeriodEnd": _moment(day + timedelta(days=1)),
        "ChargePeriodStart": _moment(day),
    }


def _moment(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _number(value: Decimal) -> str:
    """Return a decimal without an exponent."""
    return f"{value:.15f}".rstrip("0").rstrip(".")


_price = lru_cache(maxsize=1024)(_number)
"""Of prices there are few, each in many lines."""


def focus_rows(found: Bill, account: str) -> Iterator[dict[str, str]]:
    """Return a row of each line; `account` is who is billed: the node."""
    for line in found.lines:
        yield _row(found, line, account)


def _row(found: Bill, line: BillLine, account: str) -> dict[str, str]:
    cost, quantity = _number(line.cost), _number(line.quantity)
    price = _price(line.price)
    row = _same(
        line.resource,
        tuple(getattr(line.of, each) for each in _PLACE),
        (found.prices.name, found.prices.version, found.prices.currency),
        account,
    )
    return {
        **row,
        **_periods(line.day),
        "BilledCost": cost,
        "ConsumedQuantity": quantity,
        "ContractedCost": cost,
        "ContractedUnitPrice": price,
        "EffectiveCost": cost,
        "ListCost": cost,
        "ListUnitPrice": price,
        "PricingQuantity": quantity,
    }


@lru_cache(maxsize=4096)
def _same(
    resource: Resource, place: tuple[str, ...], prices: tuple[str, str, str], account: str
) -> dict[str, str]:
    """Return the columns that are the same on each day; `place` has what `_PLACE` names."""
    project, function = place[:2]
    listed, version, currency = prices
    name = f"{project}/{function}" if function else project
    tags = {name: value for name, value in zip(_TAGS, place[2:], strict=True) if value}
    return {
        **_NOTHING,
        "BillingAccountId": account,
        "BillingAccountName": account,
        "BillingCurrency": currency,
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{resource.name} of {name or 'all projects'}",
        "ChargeFrequency": "Usage-Based",
        "ConsumedUnit": resource.unit,
        "InvoiceIssuerName": _NAME,
        "PricingCategory": "Standard",
        "PricingUnit": resource.unit,
        "ProviderName": _NAME,
        "PublisherName": _NAME,
        "ResourceId": name,
        "ResourceName": function or project,
        "ResourceType": "Function" if function else "Project" if project else "",
        "ServiceCategory": _CATEGORIES.get(resource.name, "Compute"),
        "ServiceName": "Casemate Functions",
        "SkuId": resource.sku,
        "SkuPriceId": f"{listed}/{version}/{resource.sku}",
        "SubAccountId": project,
        "SubAccountName": project,
        "Tags": msgspec.json.encode(tags).decode() if tags else "",
    }
