"""What budgets and metering add to a call is told with its target."""

from __future__ import annotations

import pytest
from bench import metering
from bench.budgets import _medians, text

METERING = {"reading": 0.5, "waiting": 0.25, "sums": 0.25}


def test_the_worst_ratio_of_isolated_calls_decides_with_what_metering_takes() -> None:
    well = {"without_us": 101.0, "with_us": 102.0, "ratio": 1.05, "by_gateway": 1.02}
    over = {**well, "by_gateway": 1.021}
    told = text({"reused": {"1": over}, "isolated": {"1": well, "16": well}, "metering": METERING})
    assert "102.0 us of all processes by call with budgets, 101.0 without: 1.050" in told
    assert "by what the gateway takes more 1.020" in told
    assert "of the gateway by call with budgets, 101.0 without: 1.050" in told
    assert "metering: 1.0 us by call (reading 0.5, waiting 0.2, sums 0.2)" in told
    assert "both, by the gateway: 1.030" in told and told.endswith("met")
    missed = {"reused": {}, "isolated": {"1": over, "16": well}, "metering": METERING}
    assert text(missed).endswith("MISSED")


def test_what_the_gateway_takes_more_is_told_as_a_part_of_all() -> None:
    turn = {"us": 100.0, "all_us": 1000.0}
    pairs = [{"without": turn, "with": {"us": us, "all_us": 900.0}} for us in (105.0, 110.0, 140.0)]
    found = _medians(pairs, "all_us")
    assert found["by_gateway"] == 1.01 and found["ratio"] == 0.9


def test_each_part_of_metering_takes_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "_TIMES", 200)
    monkeypatch.setattr(metering, "_RECORDS", 500)
    found = metering.parts()
    assert set(found) == set(METERING) and all(0 < us < 10_000 for us in found.values())
