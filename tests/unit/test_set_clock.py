"""What a clock that is set does to what waits, and to what is deleted."""

from __future__ import annotations

import pytest

from casemate import set_clock
from casemate.set_clock import BELIEVED_SECONDS, DeletingClock, SetClock

DAY = 86_400.0


class Time:
    """Both clocks: `set` is of one of them."""

    CLOCK_BOOTTIME = 7

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000.0, 500.0

    def time(self) -> float:
        return self.wall

    def clock_gettime(self, _which: int) -> float:
        return self.steady

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(set_clock, "time", made)
    return made


def test_a_step_is_told_until_it_is_noted(time: Time) -> None:
    clock = SetClock()
    time.pass_(3600)
    assert clock.step()[0] == 0.0
    time.wall -= 3600
    assert clock.step()[0] == pytest.approx(-3600)
    by, off = clock.step()
    assert by == pytest.approx(-3600)
    clock.note(off)
    assert clock.step()[0] == 0.0


def test_what_a_clock_drifts_by_counts_together(time: Time) -> None:
    clock = SetClock()
    for _ in range(4):
        time.wall += 0.3
    assert clock.step()[0] == pytest.approx(1.2)


def test_nothing_is_deleted_by_a_clock_that_was_set_forward_by_mistake(time: Time) -> None:
    clock = DeletingClock()
    began = time.wall
    time.pass_(10)
    assert clock.now() == pytest.approx(began + 10)
    time.wall += 200 * DAY
    time.pass_(10)
    assert clock.now() == pytest.approx(began + 20)
    time.wall -= 200 * DAY
    time.pass_(BELIEVED_SECONDS)
    assert clock.now() == pytest.approx(time.wall)


def test_one_that_stays_so_is_believed_after_an_hour(time: Time) -> None:
    clock = DeletingClock()
    began = time.wall
    time.wall += 200 * DAY
    assert clock.now() == pytest.approx(began)
    time.pass_(BELIEVED_SECONDS - 1)
    assert clock.now() == pytest.approx(began + BELIEVED_SECONDS - 1)
    time.pass_(1)
    assert clock.now() == pytest.approx(time.wall)


def test_one_that_is_set_again_and_again_is_not(time: Time) -> None:
    clock = DeletingClock()
    began = time.wall
    for _ in range(5):
        time.wall += DAY
        assert clock.now() == pytest.approx(began)
        time.pass_(BELIEVED_SECONDS / 2)
        began += BELIEVED_SECONDS / 2


def test_one_that_is_set_back_is_believed_at_once(time: Time) -> None:
    clock = DeletingClock()
    time.wall -= DAY
    assert clock.now() == pytest.approx(time.wall)


def test_it_follows_what_a_clock_drifts_by(time: Time) -> None:
    clock = DeletingClock()
    for _ in range(100):
        time.wall += 0.5
        time.pass_(15)
        assert clock.now() == pytest.approx(time.wall)


def test_a_process_that_is_started_while_the_clock_is_wrong_begins_with_what_was_believed(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DeletingClock, "first", None)
    supervisor, began = DeletingClock(), time.wall
    time.wall += 200 * DAY
    time.pass_(60)
    set_clock.believe(supervisor.believed())
    started = DeletingClock()
    assert started.now() == pytest.approx(began + 60)
    time.pass_(BELIEVED_SECONDS)
    assert started.now() == pytest.approx(time.wall), "in the end it is believed"
    assert supervisor.believed() == pytest.approx(time.wall - time.steady)
