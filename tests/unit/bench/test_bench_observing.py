"""What counting and tracing cost is measured of what the gateway does."""

from __future__ import annotations

from bench import observing


def test_every_figure_is_there() -> None:
    figures = observing.measure(0.02)
    assert {"counting", "tracing", "tracing, from outside"} < set(figures)
    assert all(0 < one["p50"] <= one["p99"] for one in figures.values())
