"""What a clock that is set does to what waits, and to what is deleted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from casemate import set_clock
from casemate.set_clock import (
    BELIEVED_SECONDS,
    LEAP_SECONDS,
    DeletingClock,
    SetClock,
    begin_as_of,
    believe,
    left_of,
)
from support.set_time import Clock

DAY = 86_400.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(set_clock, "time", made)
    return made


def test_a_step_is_told_until_it_is_noted(time: Clock) -> None:
    clock = SetClock()
    time.pass_(3600)
    assert clock.step()[0] == 0.0
    time.now -= 3600
    assert clock.step()[0] == pytest.approx(-3600)
    by, off = clock.step()
    assert by == pytest.approx(-3600)
    clock.note(off)
    assert clock.step()[0] == 0.0


def test_what_a_clock_drifts_by_counts_together(time: Clock) -> None:
    clock = SetClock()
    for _ in range(4):
        time.now += 0.3
    assert clock.step()[0] == pytest.approx(1.2)


def test_nothing_is_deleted_by_a_clock_that_was_set_forward_by_mistake(time: Clock) -> None:
    clock = DeletingClock()
    began = time.now
    time.pass_(10)
    assert clock.now() == pytest.approx(began + 10)
    time.now += 200 * DAY
    time.pass_(10)
    assert clock.now() == pytest.approx(began + 20)
    time.now -= 200 * DAY
    time.pass_(BELIEVED_SECONDS)
    assert clock.now() == pytest.approx(time.now)


def test_one_that_stays_so_is_believed_after_an_hour(time: Clock) -> None:
    clock = DeletingClock()
    began = time.now
    time.now += DAY - 1
    assert clock.now() == pytest.approx(began)
    time.pass_(BELIEVED_SECONDS - 1)
    assert clock.now() == pytest.approx(began + BELIEVED_SECONDS - 1)
    assert clock.held() == ""
    time.pass_(1)
    assert clock.now() == pytest.approx(time.now)


@pytest.mark.parametrize("leap", [DAY, 200 * DAY])
def test_a_leap_is_believed_once_so_long_has_really_passed(time: Clock, leap: float) -> None:
    """Before: 200 days ahead for an hour, and what was to be kept for 30 was gone."""
    clock = DeletingClock()
    began = time.now
    time.now += leap
    assert clock.now() == pytest.approx(began)
    assert f"{leap / DAY:.1f} days ahead" in clock.held()
    time.pass_(leap - 1)
    assert clock.now() == pytest.approx(began + leap - 1)
    assert clock.held()
    time.pass_(1)
    assert clock.now() == pytest.approx(time.now)
    assert clock.held() == ""


def test_many_steps_of_less_than_a_day_are_a_leap(time: Clock) -> None:
    clock = DeletingClock()
    began = time.now
    for _ in range(50):
        time.now += 20 * 3600
        clock.now()
        time.pass_(BELIEVED_SECONDS + 60)
        clock.now()
    assert clock.now() < began + 50 * (BELIEVED_SECONDS + 60) + DAY
    assert clock.held()
    time.now -= 50 * 20 * 3600
    assert clock.now() == pytest.approx(time.now)
    assert clock.held() == ""


def test_a_step_of_an_hour_each_day_is_none(time: Clock) -> None:
    """Such as that of a machine that is paused each night."""
    clock = DeletingClock()
    for _ in range(100):
        time.now += 3600
        clock.now()
        time.pass_(DAY)
        assert clock.now() == pytest.approx(time.now)
        assert clock.held() == ""


def test_one_that_was_set_back_by_mistake_is_soon_right_again(time: Clock) -> None:
    clock = DeletingClock()
    time.now -= 200 * DAY
    clock.now()
    time.pass_(60)
    time.now += 200 * DAY
    clock.now()
    assert clock.held() == ""
    time.pass_(BELIEVED_SECONDS)
    assert clock.now() == pytest.approx(time.now)


def test_one_that_is_set_again_and_again_is_not(time: Clock) -> None:
    clock = DeletingClock()
    began = time.now
    for _ in range(5):
        time.now += DAY
        assert clock.now() == pytest.approx(began)
        time.pass_(BELIEVED_SECONDS / 2)
        began += BELIEVED_SECONDS / 2


def test_one_that_is_set_back_is_believed_at_once(time: Clock) -> None:
    clock = DeletingClock()
    time.now -= DAY
    assert clock.now() == pytest.approx(time.now)


def test_it_follows_what_a_clock_drifts_by(time: Clock) -> None:
    clock = DeletingClock()
    for _ in range(100):
        time.now += 0.5
        time.pass_(15)
        assert clock.now() == pytest.approx(time.now)


def test_a_process_that_is_started_while_the_clock_is_wrong_begins_with_what_was_believed(
    time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DeletingClock, "first", None)
    supervisor, began = DeletingClock(), time.now
    time.now += 200 * DAY
    supervisor.now()
    time.pass_(150 * DAY)
    set_clock.believe(supervisor.believed())
    started = DeletingClock()
    assert started.now() == pytest.approx(began + 150 * DAY)
    time.pass_(50 * DAY + 1)
    assert started.now() == pytest.approx(time.now), "it need not wait for all of it again"
    assert supervisor.believed()[:2] == (pytest.approx(time.now - time.steady), 0.0)


@pytest.fixture
def known(time: Clock) -> Iterator[None]:
    yield
    believe(None)


@pytest.mark.usefixtures("known")
def test_one_that_is_ahead_when_a_node_starts_is_believed_after_as_long(time: Clock) -> None:
    """A node was started 300 days ahead: all its records of calls were gone in a minute."""
    written = time.now
    time.pass_(60)
    time.now += 300 * DAY
    begin_as_of(written)
    clock = DeletingClock()
    assert clock.now() == pytest.approx(written)
    time.pass_(300 * DAY)
    assert clock.now() == pytest.approx(written + 300 * DAY)
    assert "0.0 days" in clock.held()
    time.pass_(60)
    assert clock.now() == pytest.approx(time.now)


@pytest.mark.usefixtures("known")
def test_one_that_begins_without_a_battery_is_soon_right(time: Clock) -> None:
    written = time.now
    time.now -= 9000 * DAY
    begin_as_of(written)
    clock = DeletingClock()
    time.now += 9000 * DAY + 60
    clock.now()
    assert clock.held() == ""
    time.pass_(BELIEVED_SECONDS)
    assert clock.now() == pytest.approx(time.now)


@pytest.mark.usefixtures("known")
def test_set_right_meanwhile_it_is_right(time: Clock) -> None:
    begin_as_of(time.now - 300 * DAY)
    clock = DeletingClock()
    time.now -= 300 * DAY
    time.pass_(60)
    assert clock.now() == pytest.approx(time.now)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("written", [None, -10.0, -LEAP_SECONDS + 1, 300 * DAY])
def test_what_was_written_lately_or_never_says_nothing_of_it(
    time: Clock, written: float | None
) -> None:
    begin_as_of(None if written is None else time.now + written)
    assert DeletingClock().now() == pytest.approx(time.now)


@pytest.mark.usefixtures("known")
def test_what_waited_while_a_node_did_not_run_has_had_its_time(time: Clock) -> None:
    """What is deleted waits for an hour; what is too old, or begins now, goes by the clock."""
    written = time.now
    time.pass_(3 * DAY)
    begin_as_of(written)
    supervisor = DeletingClock()
    assert supervisor.now() == pytest.approx(written)
    believe(supervisor.believed())
    clock = DeletingClock()
    time.pass_(60)
    assert clock.now() == pytest.approx(written + 60)
    assert clock.running() == pytest.approx(time.now)
    time.now += 200 * DAY
    assert clock.running() == pytest.approx(written + 3 * DAY + 60)
    clock.now()
    time.pass_(203 * DAY)
    assert clock.running() == pytest.approx(time.now)


@pytest.mark.parametrize(
    ("since", "until", "now", "left"),
    [
        *((100.0, 160.0, 100.0, 60.0), (100.0, 160.0, 150.0, 10.0), (100.0, 160.0, 160.0, 0.0)),
        *((100.0, 160.0, 9e9, 0.0), (9e9, 9e9 + 60, 100.0, 0.0)),
        # Of another node, whose clock may be ahead by so much, and what is longer than that.
        *((400.0, 460.0, 100.0, 60.0), (401.0, 461.0, 100.0, 0.0), (1e6, 3e6, 0.0, 2e6)),
    ],
)
def test_what_is_left_of_what_was_begun(
    since: float, until: float, now: float, left: float
) -> None:
    assert left_of(since, until, now) == left
