"""What costs twenty times as much as usual is slowed and told; what grows is not."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.budgets.anomaly import (
    AT_ONCE,
    LOOK_SECONDS,
    SLOWED_SECONDS,
    TIMES,
    Anomalies,
    usual_of,
)
from casemate.model.budget import Unusual
from casemate.model.facts import CostAnomaly

KEY = ("t", "f")


class Watch:
    def __init__(self, *hours: float) -> None:
        self.now, self.told, self.ran = 1000.0, [], 0.0
        told: list[Any] = self.told
        self.jump = 0.0
        """By which the clock of the wall was set."""
        self.anomalies = Anomalies(told.append, lambda: self.now + self.jump, lambda: self.now)
        self.anomalies.learn({KEY: [[], *([each] for each in hours)]})
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
    # As much as in three usual hours is spent first.
    assert [watch.look(0.5) for _ in range(44)] == 42 * [False] + 2 * [True]
    [fact] = watch.told
    assert isinstance(fact, CostAnomaly) and (fact.project, fact.function) == KEY
    assert fact.times in (49, 50) and "usual" in fact.reason
    for _ in range(int(SLOWED_SECONDS / LOOK_SECONDS)):
        watch.look(0.01)
    assert not watch.look(0.01)


def test_a_few_calls_run_all_the_same() -> None:
    watch = Watch(36.0, 36.0, 36.0)
    watch.look(90.0)
    for _ in range(AT_ONCE):
        assert watch.anomalies.has_room(KEY)
        watch.anomalies.enter(KEY)
    assert not watch.anomalies.has_room(KEY)
    watch.anomalies.leave(KEY)
    assert watch.anomalies.has_room(KEY) and watch.anomalies.wait(KEY) >= 1


def test_what_is_new_or_small_or_grows_is_left_alone() -> None:
    assert not Watch(36.0, 36.0).look(50.0)  # not enough is known of it
    assert not Watch(1.0, 1.0, 1.0).look(0.09)  # it is nobody's trouble
    assert not Watch(1.0, 1.0, 1.0).look(11.0)  # nor is a minute
    assert Watch(1.0, 1.0, 1.0).look(13.0)
    assert not Watch(3600.0, 3600.0, 3600.0).look(19.0)
    assert not Watch(36.0, 0.0, 36.0).look(50.0)  # hours in which it slept are no hours


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_jumps_slows_nobody_and_for_no_longer(jump: float) -> None:
    watch = Watch(36.0, 36.0, 36.0)
    watch.jump = jump
    assert not watch.look(0.15)
    assert watch.look(50.0)
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


def test_who_runs_for_some_seconds_of_each_hour_is_not_slowed_for_it() -> None:
    """Whatever the rate of these seconds is: of a call it is counted when it ends."""
    watch = Watch(30.0, 30.0, 30.0)
    for _ in range(5):
        assert not watch.look(6.0)  # 30 s that ended just now
        for _ in range(int(3600 / LOOK_SECONDS) - 2):
            assert not watch.look(0.0)
        assert not watch.look(9.0)  # half more, a little early
        for _ in range(int(3600 / LOOK_SECONDS)):
            assert not watch.look(0.0)
    assert watch.told == [] and watch.look(20.0)


def test_who_raises_what_is_usual_has_to_go_on_for_most_days() -> None:
    quiet = [36.0] * 24
    for days in range(1, 4):
        loud = [[36.0 * (TIMES - 1)] * 24 for _ in range(days)]
        assert usual_of([*loud, *([quiet] * (7 - days))]) == 36.0
    assert usual_of([[1e9] * 24, *([quiet] * 6)]) == 36.0  # the day that goes on


def test_of_a_young_function_half_of_its_hours_are_usual() -> None:
    assert usual_of([[5.0, 5.0]]) is None
    assert usual_of([[5.0, 5.0, 90.0]]) == 5.0
    assert usual_of([[5.0, 5.0, 5.0, 95.0, 95.0, 95.0]]) == 5.0
    assert usual_of([[90.0], [5.0], [0.0, 5.0]]) == 5.0


def test_who_works_at_night_is_compared_with_nights() -> None:
    assert usual_of([[1.0] * 23, *([[1.0] * 23 + [1800.0]] * 6)]) == 1800.0


def test_let_run_for_a_while_and_slowed_again() -> None:
    watch = Watch(36.0, 36.0, 36.0)
    assert watch.look(50.0)
    lifted = Unusual(
        project="t", function="f", lifted_until=1000.0 + 60.0, lifted_by="user:ada", lifted_for="x"
    )
    watch.now = 1000.0
    watch.anomalies.lift(lifted)
    assert watch.anomalies.states() == [lifted] and KEY not in watch.anomalies.slowed
    watch.jump = -3600.0  # set back: for no longer
    for _ in range(int(60 / LOOK_SECONDS) - 1):
        assert not watch.look(50.0)
    assert watch.look(50.0) and watch.anomalies.lifted() == []
    [state] = watch.anomalies.states()
    assert state.times > 1000 and "usual" in state.reason
    assert len(watch.told) == 2


@pytest.mark.parametrize("lifted_at", [9e9 - 60.0, 0.0])
def test_a_clock_that_was_ahead_lets_nothing_run_for_years(lifted_at: float) -> None:
    watch = Watch(36.0, 36.0, 36.0)
    lifted = Unusual(project="t", function="f", lifted_at=lifted_at, lifted_until=9e9)
    watch.anomalies.keep_lifted({KEY: lifted})
    assert watch.look(50.0) and watch.anomalies.lifted() == []


def test_what_is_lifted_no_more_is_slowed() -> None:
    watch = Watch(36.0, 36.0, 36.0)
    lifted = Unusual(project="t", function="f", lifted_at=1e9, lifted_until=9e9)
    watch.anomalies.keep_lifted({KEY: lifted})
    assert not watch.look(50.0)
    watch.anomalies.keep_lifted({})
    assert watch.look(50.0)
