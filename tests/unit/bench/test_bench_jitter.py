"""The measurement of how late schedules are sees each event once, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import jitter


def test_it_measures_and_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jitter, "SPREAD", 10)
    monkeypatch.setattr(jitter, "TOGETHER", 20)
    found = jitter.run(2.1, tmp_path)
    # Each is due twice in 2.1 s; the first and last may fall to either side.
    assert 10 + 20 <= found.events <= 3 * (10 + 20)
    assert 0 < found.spread_p50_ms < 1000
    assert found.spread_p50_ms <= (found.spread_p99_ms or 1000)
    assert 0 < found.together_p50_ms < 1000
    assert list(tmp_path.iterdir()) == []
