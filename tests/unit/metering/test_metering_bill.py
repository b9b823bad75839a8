"""Bills add up, forecasts are of the days that were, FOCUS has its columns."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from casemate.metering import FOCUS_COLUMNS, bill, focus_rows, forecast, read_prices
from casemate.metering.bill import moment_of, month_of
from casemate.model.usage import Amounts, Usage, add

PRICES = read_prices(
    b'name = "ours"\nversion = "7"\ncurrency = "EUR"\n'
    b'[[prices]]\nfrom = 2026-01-01\nmillion_requests = "2"\ngb_second = "0.5"\n'
    b'[[prices]]\nfrom = 2026-11-03\nmillion_requests = "4"\ncpu_hour = "3.6"\n',
    "prices.toml",
)
FIRST = moment_of(date(2026, 11, 1))
DAY = 86_400.0


def used(day: int, **amounts: int) -> Usage:
    return Usage(project="shop", function="cart", start=FIRST + (day - 1) * DAY, **amounts)


def test_each_day_has_its_prices() -> None:
    found = bill(
        PRICES,
        [
            used(1, requests=1_000_000, memory_mb_ms=1024 * 1000, cpu_us=10**6),
            used(3, requests=500_000, memory_mb_ms=1024 * 1000, cpu_us=10**6),
            used(4),
        ],
    )
    assert [(line.day.day, line.resource.name, line.cost) for line in found.lines] == [
        (1, "requests", Decimal(2)),
        (1, "memory", Decimal("0.5")),
        (3, "requests", Decimal(2)),
        (3, "cpu", found.lines[3].cost),
    ]
    assert abs(found.lines[3].cost - Decimal("0.001")) < Decimal("1e-12")
    assert found.by_day().keys() == {date(2026, 11, 1), date(2026, 11, 3)}
    assert found.total == sum(found.by_day().values())


@given(st.lists(st.integers(0, 10**12), max_size=20))
def test_no_cent_is_lost_by_adding_up_first(requests: list[int]) -> None:
    """What is summed up before it is priced costs what its parts cost."""
    whole = Usage(start=FIRST)
    for each in requests:
        add(whole, Amounts(requests=each))
    apart = bill(PRICES, [Usage(start=FIRST, requests=each) for each in requests]).total
    assert bill(PRICES, [whole]).total == apart


def test_months() -> None:
    assert month_of(date(2026, 12, 31)) == (date(2026, 12, 1), date(2027, 1, 1))
    assert month_of(date(2028, 2, 29)) == (date(2028, 2, 1), date(2028, 3, 1))


def test_the_rest_of_a_month_is_as_its_last_days_were() -> None:
    found = bill(PRICES, [used(day, requests=1_000_000) for day in range(3, 11)])
    guess = forecast(found, FIRST + 10 * DAY)  # at midnight after the tenth
    assert guess.days == 7 and guess.so_far == 8 * 4
    assert guess.total == 8 * 4 + 20 * 4


def test_a_month_of_one_morning_is_guessed_by_it() -> None:
    found = bill(PRICES, [used(3, requests=1_000_000)])
    guess = forecast(found, FIRST + 2.5 * DAY)
    assert guess.days == 0 and guess.total == 4 + Decimal("27.5") * 8


def test_nothing_costs_nothing() -> None:
    found = bill(PRICES, [])
    assert found.total == 0 and forecast(found, FIRST + DAY / 2).total == 0


def test_focus_has_all_columns_of_its_version_in_order() -> None:
    """The 43 of FOCUS 1.0, as the specification lists them."""
    assert len(FOCUS_COLUMNS) == 43 and list(FOCUS_COLUMNS) == sorted(FOCUS_COLUMNS)
    found = bill(PRICES, [used(30, requests=1_500_000)])
    [row] = focus_rows(found, "https://node.test")
    assert tuple(row) == FOCUS_COLUMNS
    assert row["BilledCost"] == row["ListCost"] == row["EffectiveCost"] == "6"
    assert row["ContractedCost"] == "6" and row["BillingCurrency"] == "EUR"
    assert (row["PricingQuantity"], row["PricingUnit"]) == ("1.5", "1000000 Requests")
    assert (row["ChargeCategory"], row["ChargeFrequency"]) == ("Usage", "Usage-Based")
    assert row["ChargePeriodStart"] == "2026-11-30T00:00:00Z"
    assert row["ChargePeriodEnd"] == row["BillingPeriodEnd"] == "2026-12-01T00:00:00Z"
    assert row["BillingPeriodStart"] == "2026-11-01T00:00:00Z"
    assert row["SkuPriceId"] == "ours/7/requests" and row["ResourceId"] == "shop/cart"
    assert row["ServiceCategory"] == "Compute" and row["SubAccountId"] == "shop"
    # Mandatory and never null, as the specification has it.
    for name in (
        *("BillingAccountId", "ChargeDescription", "ListUnitPrice", "ProviderName"),
        *("PublisherName", "InvoiceIssuerName", "ServiceName", "ChargeCategory"),
    ):
        assert row[name]


def test_focus_tells_callers_and_routes_as_tags() -> None:
    of = replace(used(30, requests=1), project="", function="", caller='token:"ab', route="/a")
    [row] = focus_rows(bill(PRICES, [of]), "n")
    assert json.loads(row["Tags"]) == {"caller": 'token:"ab', "route": "/a"}
    assert row["ChargeDescription"] == "requests of all projects"
    assert row["ResourceId"] == row["ResourceType"] == row["SubAccountId"] == ""
    [row] = focus_rows(bill(PRICES, [used(30, requests=1)]), "n")
    assert row["Tags"] == ""


def test_small_costs_are_no_powers() -> None:
    found = bill(PRICES, [used(1, requests=1)])
    [row] = focus_rows(found, "n")
    assert row["BilledCost"] == "0.000002" and row["PricingQuantity"] == "0.000001"
