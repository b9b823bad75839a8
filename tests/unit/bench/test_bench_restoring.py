"""The measurement of restored calls: how it is told."""

from __future__ import annotations

from bench.restoring import text


def test_the_figures_are_told_by_process() -> None:
    found = {"us": 500.0, "gateway_us": 150.4, "vault_us": 0.2, "restorer_us": 300.0}
    found |= {"per_second": 3000.0, "p50_ms": 0.451}
    told = text({"now": {"plain-restored": found}, "ratio": {"plain, forked / restored": 6.04}})
    assert "plain-restored" in told and "500 us by call (restorer 300, gateway 150)" in told
    assert "3000/s, p50 0.45 ms" in told and told.endswith("plain, forked / restored: 6.04")
