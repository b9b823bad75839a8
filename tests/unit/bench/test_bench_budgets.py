"""What budgets add to a call is told with its target."""

from __future__ import annotations

from bench.budgets import text


def test_the_worst_ratio_decides() -> None:
    well = {"without_us": 100.0, "with_us": 102.0, "ratio": 1.02}
    told = text({"1": well, "16": well})
    assert "102.0 us of the gateway by call with budgets, 100.0 without: 1.020" in told
    assert told.endswith("met")
    assert text({"1": {**well, "ratio": 1.031}, "16": well}).endswith("MISSED")
