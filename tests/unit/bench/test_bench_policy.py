"""The measurement of decisions asks for what is allowed, known and new."""

from __future__ import annotations

from bench import policy


def test_known_decisions_cost_less_than_new_ones() -> None:
    figures = policy.measure(0.05)
    assert figures["invoke, known"]["p50"] < figures["invoke, new"]["p50"]
    assert all(one["p50"] > 0 for one in figures.values())
