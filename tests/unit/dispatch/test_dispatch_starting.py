"""Instances that are under way: how many, since when, and what becomes of those that hang."""

from __future__ import annotations

from casemate.dispatch.starting import Starting


class Clock:
    """A loop, as far as its time is asked for."""

    def __init__(self) -> None:
        self.now = 10.0

    def time(self) -> float:
        return self.now


class Asked:
    """An instance, as far as it is ended."""

    def __init__(self) -> None:
        self.ended = ""

    def expire(self) -> None:
        self.ended = "its time is up"

    def close(self) -> None:
        self.ended = "closed"


def begun() -> tuple[Starting, Clock, list[Asked]]:
    """Return some of which the second was asked for three seconds after the first."""
    clock = Clock()
    starting = Starting(clock, 5.0)  # type: ignore[arg-type]
    some = [Asked(), Asked()]
    for one in some:
        starting.add(one)  # type: ignore[arg-type]
        clock.now += 3.0
    return starting, clock, some


def test_those_that_take_too_long_are_ended_and_no_others() -> None:
    starting, clock, (first, second) = begun()
    starting.tend(clock.now)
    assert (first.ended, second.ended) == ("its time is up", "")
    assert len(starting) == 2  # their ends are told of, as every one is


def test_the_first_calls_has_its_time_from_when_its_zygote_has_imported() -> None:
    starting, clock, (first, second) = begun()
    starting.early = first  # type: ignore[assignment]
    starting.renew_early()
    starting.tend(clock.now)
    clock.now += 4.0
    starting.tend(clock.now)
    assert (first.ended, second.ended) == ("", "its time is up")
    starting.early = None
    starting.renew_early()
    clock.now += 2.0
    starting.tend(clock.now)
    assert first.ended == "its time is up"


def test_how_many_were_asked_for_lately() -> None:
    starting, _clock, _some = begun()
    assert [starting.since(earliest) for earliest in (9.0, 10.0, 12.9, 13.0)] == [2, 1, 1, 0]


def test_one_that_ended_is_not_taken_twice() -> None:
    starting, _clock, (first, second) = begun()
    assert starting.take(first) and not starting.take(first)  # type: ignore[arg-type]
    assert list(starting) == [second]


def test_the_first_calls_is_let_go_of_once_and_not_when_it_is_ready() -> None:
    starting, _clock, (first, second) = begun()
    starting.early = first  # type: ignore[assignment]
    starting.drop_early()
    starting.drop_early()
    assert first.ended == "closed" and starting.early is None
    starting.early = second  # type: ignore[assignment]
    assert starting.take(second) and starting.early is None  # type: ignore[arg-type]
    starting.drop_early()
    assert not second.ended


def test_one_that_hangs_is_not_counted_on_but_where_each_takes_its_time() -> None:
    starting, clock, (_first, second) = begun()
    assert starting.in_time() == 0
    starting.add(Asked())  # type: ignore[arg-type]
    assert starting.in_time() == 1
    clock.now += 0.11
    assert starting.in_time() == 0
    slow = Starting(clock, 5.0, slow=True)  # type: ignore[arg-type]
    slow.add(second)  # type: ignore[arg-type]
    clock.now += 4.0
    assert slow.in_time() == 1
