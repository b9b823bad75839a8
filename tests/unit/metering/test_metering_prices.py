"""Price lists are read strictly: what is wrong is refused by name."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.metering import PriceListError, read_prices, shipped, shipped_names
from casemate.metering.prices import MAX_BYTES
from casemate.model.usage import Amounts

HEAD = 'name = "ours"\nversion = "7"\ncurrency = "EUR"\n'
PERIOD = '[[prices]]\nfrom = 2026-01-01\nmillion_requests = "0.20"\n'


def read(text: str) -> object:
    return read_prices(text.encode(), "prices.toml")


def test_prices_hold_from_one_day_to_another() -> None:
    found = read_prices(
        (
            HEAD
            + '[[prices]]\nfrom = 2026-03-01\nuntil = 2026-05-01\ngb_second = "0.2"\n'
            + '[[prices]]\nfrom = 2026-01-01\ngb_second = "0.1"\n'
        ).encode(),
        "prices.toml",
    )
    assert (found.name, found.version, found.currency) == ("ours", "7", "EUR")
    assert found.on(date(2026, 1, 1)).of == {"memory": Decimal("0.1")}
    assert found.on(date(2026, 2, 28)).of == {"memory": Decimal("0.1")}
    assert found.on(date(2026, 3, 1)).of == {"memory": Decimal("0.2")}
    for day in (date(2025, 12, 31),):
        with pytest.raises(PriceListError, match=r"ours \(7\) has no prices for"):
            found.on(day)
    assert found.near(date(2025, 1, 1)).of == {"memory": Decimal("0.1")}
    assert found.near(date(2027, 1, 1)).of == {"memory": Decimal("0.2")}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "name is None"),
        ("x = [", "not TOML"),
        (HEAD, r"no \[\[prices\]\]"),
        (HEAD + 'prices = "none"', r"no \[\[prices\]\]"),
        (HEAD + "prices = [1]", r"no \[\[prices\]\]"),
        (HEAD + PERIOD + 'million_reqests = "1"', "million_reqests"),
        ('colour = "red"\n' + HEAD + PERIOD, "colour"),
        (HEAD.replace("EUR", "Euro") + PERIOD, "currency is 'Euro'"),
        (HEAD.replace('"7"', "7") + PERIOD, "version is 7"),
        (HEAD + PERIOD.replace('"0.20"', '"-0.20"'), "million_requests .* is negative: '-0.20'"),
        (HEAD + PERIOD.replace('"0.20"', '" -1"'), "is negative"),
        (HEAD + PERIOD.replace('"0.20"', "-1"), "is negative: -1"),
        (HEAD + PERIOD.replace('"0.20"', "0.2"), "expected a decimal as text"),
        (HEAD + PERIOD.replace('"0.20"', '"1e9"'), "expected a decimal as text"),
        (HEAD + PERIOD.replace('"0.20"', '"NaN"'), "expected a decimal as text"),
        (HEAD + PERIOD.replace('"0.20"', '"0,20"'), "expected a decimal as text"),
        (HEAD + PERIOD.replace('"0.20"', '"٣"'), "expected a decimal as text"),
        (HEAD + PERIOD.replace('"0.20"', "inf"), "expected a decimal as text"),
        (HEAD + PERIOD.replace('"0.20"', "true"), "expected a decimal as text"),
        (HEAD + PERIOD.replace("from = 2026-01-01\n", ""), "no `from`"),
        (HEAD + PERIOD.replace("2026-01-01", '"2026-01-01"'), "expected a date"),
        (HEAD + PERIOD.replace("2026-01-01", "2026-01-01T00:00:00Z"), "expected a date"),
        (HEAD + PERIOD + "until = 2026-01-01", "end before they begin"),
        (HEAD + "[[prices]]\nfrom = 2026-01-01\n", "have no price"),
        (HEAD + PERIOD + PERIOD, "from 2026-01-01 and from 2026-01-01 overlap"),
        (
            HEAD + PERIOD + "until = 2026-03-02\n" + PERIOD.replace("01-01", "03-01"),
            "from 2026-01-01 and from 2026-03-01 overlap",
        ),
        ("#" * (MAX_BYTES + 1), "bytes, expected at most"),
        ("a = " + "[" * 50_000, "TOML|bytes"),
    ],
)
def test_what_is_no_price_list_is_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(PriceListError, match=reason) as refused:
        read(text)
    assert refused.value.next_step, "and what to do about it"


@given(st.binary(max_size=200))
def test_fuzzed_lists_are_refused(data: bytes) -> None:
    with pytest.raises(PriceListError):
        read_prices(data, "prices.toml")


def test_the_shipped_lists() -> None:
    assert shipped_names() == ("aws-lambda", "example")
    for name in shipped_names():
        assert shipped(name).name == name
    with pytest.raises(PriceListError, match="expected one of aws-lambda, example"):
        shipped("../example")


def test_lambda_costs_what_amazon_says() -> None:
    """Its page: 3 million requests of 120 ms with 1,536 MB are 540,000 GB-s."""
    used = Amounts(requests=3_000_000, memory_mb_ms=3_000_000 * 120 * 1536)
    cost = shipped("aws-lambda").on(date(2026, 11, 1)).cost(used)
    assert cost == 3 * Decimal("0.20") + 540_000 * Decimal("0.0000166667")


@pytest.mark.parametrize(
    "text",
    ["a" + ".a" * 30_000 + " = 1", "[a" + ".a" * 30_000 + "]", "a = " + "9" * 5_000],
    ids=["a key of many parts", "a table of many parts", "a number of many digits"],
)
def test_what_takes_long_to_read_is_refused_at_once(text: str) -> None:
    """Before: longer than a node waits for its gateway, by one request of 60 KB; and a fault."""
    begun = time.process_time()
    with pytest.raises(PriceListError, match="is not TOML"):
        read_prices(text.encode(), "ours")
    assert time.process_time() - begun < 0.2
