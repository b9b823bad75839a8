"""What costs twenty times as much as usual is slowed and told; what grows is not."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.budgets.anomaly import AT_ONCE, LOOK_SECONDS, SLOWED_SECONDS, Anomalies
from casemate.model.facts import CostAnomaly

KEY = ("t", "f")


class Watch:
    def __init__(self, *hours: float) -> None:
        self.now, self.told, self.ran = 1000.0, [], 0.0
        told: list[Any] = self.told
        self.jump = 0.0
        """By which the clock of the wall was set."""
        self.anomalies = Anomalies(told.append, lambda: self.now + self.jump, lambda: self.now)
        self.anomalies.learn({KEY: hours})
        self.anomalies.look({KEY: 0.0})

    def look(self, rate: float) -> bool:
        """Have it run for so many seconds in each second; tell whether it is slowed."""
        self.now += LOOK_SECONDS
        self.ran += rate * LOOK_SECONDS
        self.anomalies.look({KEY: self.ran})
        return KEY in self.anomalies.slowed


def test_twenty_times_the_usual_is_slowed_and_told_once() -> None:
    watch = Watch(36.0, 36.0, 36.0)  # a hundredth of a second in a second
    assert not watch.look(0.15)
    assert watch.look(0.5) and watch.look(0.5)
    [fact] = watch.told
    assert isinstance(fact, CostAnomaly) and (fact.project, fact.function) == KEY
    assert fact.times in (49, 50) and "usual" in fact.reason
    for _ in range(int(SLOWED_SECONDS / LOOK_SECONDS)):
        watch.look(0.01)
    assert not watch.look(0.01)


def test_a_few_calls_run_all_the_same() -> None:
    watch = Watch(36.0, 36.0, 36.0)
    watch.look(9.0)
    for _ in range(AT_ONCE):
        assert watch.anomalies.has_room(KEY)
        watch.anomalies.enter(KEY)
    assert not watch.anomalies.has_room(KEY)
    watch.anomalies.leave(KEY)
    assert watch.anomalies.has_room(KEY) and watch.anomalies.wait(KEY) >= 1


def test_what_is_new_or_small_or_grows_is_left_alone() -> None:
    assert not Watch(36.0, 36.0).look(50.0)  # not enough is known of it
    assert not Watch(1.0, 1.0, 1.0).look(0.09)  # it is nobody's trouble
    assert not Watch(3600.0, 3600.0, 3600.0).look(19.0)
    assert not Watch(36.0, 0.0, 36.0).look(50.0)  # hours in which it slept are no hours


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_jumps_slows_nobody_and_for_no_longer(jump: float) -> None:
    watch = Watch(36.0, 36.0, 36.0)
    watch.jump = jump
    assert not watch.look(0.15)
    assert watch.look(0.5)
    watch.jump = -jump
    for _ in range(int(SLOWED_SECONDS / LOOK_SECONDS) - 1):
        assert watch.look(0.01)
    assert not watch.look(0.01)
    [fact] = watch.told
    assert fact.at == 1000.0 + 2 * LOOK_SECONDS + jump


def test_a_machine_that_slept_slows_nobody() -> None:
    watch = Watch(36.0, 36.0, 36.0)
    watch.now += 86_400
    assert not watch.look(50.0)
