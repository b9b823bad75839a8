"""What budgets and metering add to a call is told with its target."""

from __future__ import annotations

import pytest
from bench import metering
from bench.budgets import text

METERING = {"reading": 0.5, "waiting": 0.25, "sums": 0.25}


def test_the_worst_ratio_of_isolated_calls_decides_with_what_metering_takes() -> None:
    well = {"without_us": 101.0, "with_us": 102.0, "ratio": 1.02}
    over = {**well, "ratio": 1.021}
    told = text({"reused": {"1": over}, "isolated": {"1": well, "16": well}, "metering": METERING})
    assert "102.0 us of all processes by call with budgets, 101.0 without: 1.020" in told
    assert "us of the gateway by call with budgets, 101.0 without: 1.021" in told
    assert "metering: 1.0 us by call (reading 0.5, waiting 0.2, sums 0.2)" in told
    assert "both: 1.030" in told and told.endswith("met")
    missed = {"reused": {}, "isolated": {"1": over, "16": well}, "metering": METERING}
    assert text(missed).endswith("MISSED")


def test_each_part_of_metering_takes_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "_TIMES", 200)
    monkeypatch.setattr(metering, "_RECORDS", 500)
    found = metering.parts()
    assert set(found) == set(METERING) and all(0 < us < 10_000 for us in found.values())
