"""The measurement of how events are kept counts what was kept, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from bench import enqueue


def test_it_measures_and_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enqueue, "SHALLOW", 50)
    monkeypatch.setattr(enqueue, "DEEP", 300)
    monkeypatch.setattr(enqueue, "LEASES", 20)
    found = enqueue.run(0.2, tmp_path)
    assert found.per_second > 0 and found.settled_per_second > 0
    # Each of the writers waits for its own: what one does follows from how long it takes.
    assert found.per_second > 0.2 * found.writers / (found.p99_ms or found.p50_ms) * 1000
    assert found.growth > 0
    assert list(tmp_path.iterdir()) == []


def test_what_writers_did_is_counted_although_they_take_turns() -> None:
    async def act() -> int:
        await asyncio.sleep(0.01)
        return 2

    rate, times = asyncio.run(enqueue._writers(0.1, act))
    assert 2 * len(times) == pytest.approx(rate * 0.1, rel=0.5)
    assert len(times) > enqueue.WRITERS
