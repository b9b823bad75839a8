"""What budgets add to a call is told with its target."""

from __future__ import annotations

from bench.budgets import text


def test_the_worst_ratio_of_isolated_calls_decides() -> None:
    well = {"without_us": 100.0, "with_us": 102.0, "ratio": 1.02}
    over = {**well, "ratio": 1.031}
    told = text({"reused": {"1": over}, "isolated": {"1": well, "16": well}})
    assert "102.0 us of all processes by call with budgets, 100.0 without: 1.020" in told
    assert "us of the gateway by call with budgets, 100.0 without: 1.031" in told
    assert told.endswith("met")
    assert text({"reused": {}, "isolated": {"1": over, "16": well}}).endswith("MISSED")
