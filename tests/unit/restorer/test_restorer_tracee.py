"""Waiting for a traced process: it gets the processor that its tracer has."""

from __future__ import annotations

import itertools
import time

import pytest

from casemate.restorer import tracee


def test_who_waits_sleeps_soon_and_not_for_longer_than_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To yield alone had a process wait that needs this processor, as long as its tracer's turn."""
    now = 100.0
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "sleep", sleep)
    patience = tracee._Patience(0.01)
    turns = list(itertools.takewhile(bool, iter(patience.wait, None)))
    assert len(turns) == tracee._TURNS + len(slept)
    assert 0.01 <= sum(slept) < 0.01 + tracee._MOST_PAUSE + 1e-9
    assert slept[0] == tracee._FIRST_PAUSE and max(slept) <= tracee._MOST_PAUSE
