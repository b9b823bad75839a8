"""Calls are sampled by chance, and about once an hour of each function."""

from __future__ import annotations

import time

import pytest

from casemate.invocation import sampling
from casemate.invocation.sampling import ONE_IN, Sampling
from casemate.model.usage import HOUR


def test_one_in_so_many_is_sampled_and_the_first() -> None:
    chosen = Sampling()
    assert chosen.chooses("p", "f") and chosen.chooses("p", "g")
    found = sum(chosen.chooses("p", "f") for _ in range(200 * ONE_IN))
    assert 120 < found < 290  # of 200, beyond what happens once in a million


def test_who_is_seldom_called_has_a_turn_each_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(sampling, "ONE_IN", 10**9)
    chosen = Sampling()
    assert chosen.chooses("p", "f") and not chosen.chooses("p", "f")
    clock[0] = 0.49 * HOUR
    assert not chosen.chooses("p", "f")
    clock[0] = 1.5 * HOUR
    assert chosen.chooses("p", "f") and not chosen.chooses("p", "f")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MAX_FUNCTIONS", 3)
    chosen = Sampling()
    assert all(chosen.chooses("p", str(n)) for n in range(50))
    assert len(chosen._turns) <= 3
