"""Times of schedules against a plain reference, across daylight saving in several zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.model.errors import InvalidInputError
from casemate.model.trigger import Missed, ScheduleTrigger
from casemate.triggers.schedule_times import (
    CronTimes,
    RateTimes,
    Tick,
    Times,
    definition_of,
    looked_for,
    ticks,
    times_of,
)

CHANGES = [
    ("Europe/Berlin", (2027, 3, 28)),
    ("Europe/Berlin", (2027, 10, 31)),
    ("America/New_York", (2027, 3, 14)),
    ("America/New_York", (2027, 11, 7)),
    ("Australia/Lord_Howe", (2027, 4, 4)),  # by half an hour
    ("Australia/Lord_Howe", (2027, 10, 3)),
    ("Asia/Kolkata", (2027, 5, 1)),
    ("UTC", (2027, 3, 28)),
    ("Pacific/Chatham", (2027, 9, 26)),
    ("Europe/London", (2027, 10, 31)),
]


def values(field: str, top: int) -> set[int]:
    if field.startswith("*"):
        return set(range(0, top, int(field[2:] or 1)))
    return {int(part) for part in field.split(",")}


def reference(expression: str, zone: str, begin: float, end: float) -> list[float]:
    """Return the times in (begin, end], minute by minute."""
    minute, hour, day, month, weekday = expression.split()
    minutes, hours, weekdays = values(minute, 60), values(hour, 24), values(weekday, 7)
    assert (day, month) == ("*", "*")
    tz = ZoneInfo(zone)
    fits = lambda t: t.hour in hours and t.minute in minutes and t.isoweekday() % 7 in weekdays  # noqa: E731
    found = set()
    if "*" in (minute[0], hour[0]):
        at = datetime.fromtimestamp(begin - begin % 60, UTC)
        while at.timestamp() <= end:
            if fits(at.astimezone(tz)):
                found.add(at.timestamp())
            at += timedelta(minutes=1)
    else:
        wall = datetime.fromtimestamp(begin, tz).replace(tzinfo=None, second=0, microsecond=0)
        wall -= timedelta(days=1)
        last = datetime.fromtimestamp(end, tz).replace(tzinfo=None) + timedelta(days=1)
        while wall <= last:
            if fits(wall):
                real = wall
                while real.replace(tzinfo=tz).astimezone(UTC).astimezone(tz) != real.replace(
                    tzinfo=tz
                ):
                    real += timedelta(minutes=1)
                found.add(real.replace(tzinfo=tz).timestamp())
            wall += timedelta(minutes=1)
    return sorted(at for at in found if begin < at <= end)


def some(top: int) -> st.SearchStrategy[str]:
    listed = st.sets(st.integers(0, top - 1), min_size=1, max_size=4)
    return st.one_of(
        listed.map(lambda chosen: ",".join(map(str, sorted(chosen)))),
        st.sampled_from(["*", "*/2", "*/7", "*/15"] if top > 7 else ["*"]),
    )


@given(
    change=st.sampled_from(CHANGES),
    minute=some(60),
    hour=st.one_of(some(24), st.sampled_from(["0", "1", "2", "3", "1,2,3"])),
    weekday=some(7),
    offset=st.floats(0, 86400),
)
@settings(max_examples=150, deadline=None)
def test_cron_is_as_the_plain_reference_across_daylight_saving(
    change, minute, hour, weekday, offset
) -> None:
    zone, day = change
    expression = f"{minute} {hour} * * {weekday}"
    begin = datetime(*day, tzinfo=UTC).timestamp() - 86400 + offset
    end = begin + 2 * 86400
    times = CronTimes(expression, zone)
    found = []
    at = times.after(begin)
    while at is not None and at <= end:
        found.append(at)
        at = times.after(at)
    assert found == reference(expression, zone, begin, end)


def local(zone: str, *parts: int, fold: int = 0) -> float:
    return datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def test_a_skipped_time_comes_once_it_is_over_and_a_repeated_one_once() -> None:
    times = CronTimes("30 2 * * *", "Europe/Berlin")
    assert times.after(local("Europe/Berlin", 2027, 3, 28, 0, 0)) == local(
        "Europe/Berlin", 2027, 3, 28, 3, 0
    )
    first = local("Europe/Berlin", 2027, 10, 31, 2, 30)
    assert times.after(first - 1) == first
    assert times.after(first) == local("Europe/Berlin", 2027, 11, 1, 2, 30)
    # Asked in the middle of the hour that comes again, too.
    assert times.after(first + 1800) == local("Europe/Berlin", 2027, 11, 1, 2, 30)


def test_half_an_hour_of_daylight_saving() -> None:
    times = CronTimes("* */2 * * *", "Australia/Lord_Howe")
    change = local("Australia/Lord_Howe", 2027, 4, 4, 1, 30, fold=1)
    # From 2:00 back to 1:30: half an hour of the first hour is left, then comes the second.
    assert times.after(change - 1) == change + 1800


def test_a_midnight_that_a_zone_left_out() -> None:
    gap = local("America/Sao_Paulo", 2018, 11, 4, 1, 0)
    assert CronTimes("0 0 * * *", "America/Sao_Paulo").after(gap - 1) == gap
    assert CronTimes("*/30 * * * *", "America/Sao_Paulo").after(gap - 1) == gap
    night = CronTimes("*/30 0 * * *", "America/Sao_Paulo")
    assert night.after(gap - 1) == local("America/Sao_Paulo", 2018, 11, 5, 0, 0)


def test_a_day_that_a_zone_left_out() -> None:
    times = CronTimes("0 12 30 12 *", "Pacific/Apia")  # there was no 30 December 2011 there
    assert times.after(local("Pacific/Apia", 2011, 12, 1)) == local("Pacific/Apia", 2011, 12, 31)


def test_a_time_that_never_is() -> None:
    assert CronTimes("0 0 29 2 MON", "UTC").after(0.0) is not None
    with pytest.raises(InvalidInputError):
        CronTimes("0 0 31 2 *", "UTC")


@pytest.mark.parametrize(
    "expression", ["", "* * * *", "0 * * * * *", "60 * * * *", "a b c d e", "@daily"]
)
def test_what_is_no_cron_expression(expression) -> None:
    with pytest.raises(InvalidInputError):
        CronTimes(expression, "UTC")


@pytest.mark.parametrize("zone", ["", "Mars/Phobos", "../etc/passwd", "/etc/passwd", "a\0b"])
def test_what_is_no_zone(zone) -> None:
    with pytest.raises(InvalidInputError):
        CronTimes("* * * * *", zone)


@given(
    every=st.floats(1, 1e7),
    anchor=st.floats(1e9, 2e9),
    past=st.floats(0, 1e8),
)
def test_a_rate_counts_from_its_anchor(every, anchor, past) -> None:
    times = RateTimes(every, anchor)
    moment = anchor + past
    at = times.after(moment)
    assert moment < at <= moment + every * 1.000001
    count = round((at - anchor) / every)
    assert at == anchor + count * every
    again = times.after(at)
    assert again == pytest.approx(at + every)
    assert times.after(anchor - 5) == anchor + every


def test_a_rate_must_be_one() -> None:
    for every in (0.0, -1.0, float("nan")):
        with pytest.raises(InvalidInputError):
            RateTimes(every, 0.0)


def times_between(times: Times, after: float, until: float, most: int) -> list[float]:
    return next(found for found in looked_for(times, after, until, most) if found is not None)


@given(
    every=st.integers(1, 5000),
    span=st.integers(0, 200_000),
    most=st.integers(1, 50),
)
@settings(deadline=None)
def test_the_latest_times_are_found_however_many_there_are(every, span, most) -> None:
    times = RateTimes(every, 1e9)
    expected = [1e9 + k * every for k in range(1, span // every + 1)]
    assert times_between(times, 1e9, 1e9 + span, most) == expected[-most:]


def test_a_year_of_missed_minutes_is_looked_at_from_its_end() -> None:
    times = CronTimes("* * * * *", "Europe/Berlin")
    found = times_between(times, 1.8e9, 1.8e9 + 365 * 86400, 1000)
    assert len(found) == 1000
    assert found[-1] == 1.8e9 + 365 * 86400
    assert found[-1] - found[0] == 999 * 60


DUE = [100.0, 200.0, 300.0, 400.0]


@pytest.mark.parametrize(
    ("policy", "since", "expected"),
    [
        (Missed.SKIP, 250.0, [Tick(300.0, 0), Tick(400.0, 0)]),
        (Missed.SKIP, 500.0, []),
        (Missed.ONCE, 500.0, [Tick(400.0, 3)]),
        (Missed.ONCE, 250.0, [Tick(200.0, 1), Tick(300.0, 0), Tick(400.0, 0)]),
        (Missed.ONCE, 100.0, [Tick(at, 0) for at in DUE]),
        (Missed.ALL, 500.0, [Tick(at, 0) for at in DUE]),
    ],
)
def test_what_missed_times_become(policy, since, expected) -> None:
    assert list(ticks(DUE, policy, since=since)) == expected
    assert ticks([], policy, since=since) == ()


def test_what_tells_schedules_apart() -> None:
    cron = ScheduleTrigger(name="a", cron="0  5 * * *", timezone="Europe/Berlin")
    assert definition_of(cron) == definition_of(
        ScheduleTrigger(name="b", cron="0 5 * * *", timezone="Europe/Berlin", data="1")
    )
    rate = ScheduleTrigger(name="a", every=60.0)
    assert definition_of(rate) != definition_of(cron)
    assert times_of(rate, 0.0).after(0.0) == 60.0
    assert times_of(cron, 0.0).after(0.0) == 4 * 3600.0


@pytest.mark.parametrize(
    ("every", "anchor", "moment"), [(1e-6, 0.0, 1e18), (60.0, -1e300, 1.8e9), (1.0, 0.0, 1e300)]
)
def test_a_rate_that_is_nothing_beside_its_moment_has_no_next_time(
    every: float, anchor: float, moment: float
) -> None:
    """It was looked for without an end, where all calls of the node are waited for."""
    assert RateTimes(every, anchor).after(moment) is None


@pytest.mark.parametrize("every", [0.1, 1.0, 60.0, 86400.0 * 366])
def test_a_rate_is_later_however_it_is_rounded(every: float) -> None:
    times = RateTimes(every, 1_700_000_000.123)
    for number in range(2_000):
        moment = 1_700_000_000.123 + number * every
        found = times.after(moment)
        assert found is not None and moment < found <= moment + 1.01 * every
