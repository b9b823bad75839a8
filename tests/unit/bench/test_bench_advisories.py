"""The measurement of advisories imports, judges and finds."""

from __future__ import annotations

from bench import advisories


def test_it_measures_what_it_says(monkeypatch) -> None:
    monkeypatch.setattr(advisories, "_GATES", 1)
    figures = advisories.measure(200, 5)
    assert figures["findings"] > 0
    assert all(figures[name] > 0 for name in ("import_s", "gate_p50_ms", "rejudge_s"))
