"""The calendar of who is on call: at every moment one, whatever clocks and zones do.

Compared with a walk that counts hand-overs one by one, and with what zones did in years past.
"""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casemate.monitor.errors import SettingsError
from casemate.monitor.on_call import Override, Rotation, shifts, who, with_rules
from casemate.monitor.settings import read_settings

DAY = 86_400.0
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"),
    *("Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Chatham"),
)


def rotation(zone: str = "Europe/Berlin", **more: Any) -> Rotation:
    given: dict[str, Any] = {
        "people": ("ada", "bob", "eve"),
        "zone": zone,
        "begins": date(2026, 11, 2),
        **more,
    }
    return with_rules(Rotation(**given))


def at(text: str, zone: str = "Europe/Berlin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def test_they_hand_over_at_the_zones_time() -> None:
    plan = rotation()
    assert who(plan, at("2026-11-02 08:59:59")) == "eve"
    assert who(plan, at("2026-11-02 09:00:00")) == "ada"
    assert who(plan, at("2026-11-09 08:59:59")) == "ada"
    assert who(plan, at("2026-11-09 09:00:00")) == "bob"
    assert who(plan, at("2026-11-23 09:00:00")) == "ada"
    # Half a year on, the clock is an hour ahead, and the hand-over with it.
    assert who(plan, at("2027-04-05 08:59:59")) != who(plan, at("2027-04-05 09:00:00"))


def test_daily_turns_and_one_person_alone() -> None:
    daily = rotation(every="day", at="00:00")
    assert [who(daily, at(f"2026-11-0{day} 12:00")) for day in (2, 3, 4, 5)] == [
        *("ada", "bob", "eve"),
        "ada",
    ]
    assert who(rotation(people=("ada",)), at("2031-01-01 00:00")) == "ada"


def test_an_hour_that_comes_twice_hands_over_once() -> None:
    """On 25 October 2026 it is 02:30 in Berlin twice; the second is an hour after the first."""
    daily = rotation(every="day", at="02:30", begins=date(2026, 10, 24))
    first = at("2026-10-25 02:30")
    assert (who(daily, first - 1), who(daily, first)) == ("ada", "bob")
    for second in range(0, 7200, 60):
        assert who(daily, first + second) == "bob"
    # And one that is left out, on 29 March: once the clock has passed over it.
    spring = rotation(every="day", at="02:30", begins=date(2026, 3, 28))
    gap = datetime(2026, 3, 29, 1, 30, tzinfo=UTC).timestamp()
    assert (who(spring, gap - 1), who(spring, gap)) == ("ada", "bob")


def test_a_day_that_a_zone_left_out_is_nobodys() -> None:
    """Samoa had no 30 December 2011."""
    plan = rotation("Pacific/Apia", every="day", begins=date(2011, 12, 29), at="09:00")
    moment = datetime(2011, 12, 30, 19, 0, tzinfo=UTC).timestamp()
    assert who(plan, moment - 1) == "ada"
    assert who(plan, moment) == "eve"


def test_somebody_stands_in_and_the_last_one_said_counts() -> None:
    over = (
        Override(
            person="zoe",
            since=datetime(2026, 11, 4, 18, 0),
            until=datetime(2026, 11, 5, 9, 0),
        ),
        Override(
            person="bob",
            since=datetime(2026, 11, 4, 20, 0, tzinfo=UTC),
            until=datetime(2026, 11, 4, 21, 0, tzinfo=UTC),
        ),
    )
    plan = rotation(overrides=over)
    assert who(plan, at("2026-11-04 17:59:59")) == "ada"
    assert who(plan, at("2026-11-04 18:00:00")) == "zoe"
    assert who(plan, at("2026-11-04 21:00:00")) == "bob"
    assert who(plan, at("2026-11-04 22:00:00")) == "zoe"
    assert who(plan, at("2026-11-05 09:00:00")) == "ada"


moments = st.floats(min_value=1.0e9, max_value=2.5e9)
plans = st.builds(
    rotation,
    zone=st.sampled_from(ZONES),
    people=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8).map(tuple),
    every=st.sampled_from(("day", "week")),
    at=st.times().map(lambda each: each.strftime("%H:%M")),
    begins=st.dates(date(2002, 1, 1), date(2048, 1, 1)),
    overrides=st.lists(
        st.builds(
            lambda person, since, hours: Override(
                person=person, since=since, until=since + timedelta(hours=hours)
            ),
            person=st.sampled_from("xyz"),
            since=st.datetimes(datetime(2002, 1, 1), datetime(2048, 1, 1)),
            hours=st.integers(3, 500),
        ),
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(plans, moments)
def test_at_every_moment_there_is_one_and_shifts_say_the_same(plan: Rotation, now: float) -> None:
    """Shifts have neither gap nor overlap, and are what `who` says at their ends and within."""
    until = now + 15 * DAY
    found = list(shifts("r", plan, now, until))
    assert found[0].since == now and found[-1].until == until
    for one, following in itertools.pairwise(found):
        assert one.until == following.since and one.person != following.person
    for one in found:
        assert one.since < one.until and one.person in plan.everybody
        for moment in (one.since, (one.since + one.until) / 2, one.until - 0.01):
            if one.since <= moment < one.until:
                assert who(plan, moment) == one.person


@settings(max_examples=25, deadline=None)
@example(rotation("Pacific/Apia", at="00:01"), 1324378800.0)  # its 30 December 2011 never was
@given(plans, moments)
def test_hand_overs_are_counted_one_by_one(plan: Rotation, now: float) -> None:
    """As somebody counts who walks from hour to hour and looks at the wall clock."""
    plan = rotation(plan.zone, people=("a", "b", "c"), every="day", at=plan.at, begins=plan.begins)
    zone = ZoneInfo(plan.zone)
    hour, minute = map(int, plan.at.split(":"))
    last, person = datetime.fromtimestamp(now, zone).date() - timedelta(days=9), None
    for step in range(240):
        moment = now + 3600 * step
        day = datetime.fromtimestamp(moment, zone).date()
        # Twice where a zone has left out a day, which has no time of its own.
        while datetime.combine(day, time(hour, minute), zone).timestamp() > moment:
            day -= timedelta(days=1)
        last = max(last, day)
        found = who(plan, moment)
        assert found == plan.people[(last - plan.begins).days % 3] or person is None
        person = found


@pytest.mark.parametrize("year", [1, 1969, 9999])
def test_days_that_are_far_off_find_somebody(year: int) -> None:
    over = Override(
        person="zoe",
        since=datetime(year, 1, 1),
        until=datetime(year, 12, 31, 23, 59),
    )
    plan = rotation("Pacific/Apia", begins=date(year, 1, 1), overrides=(over,))
    assert who(plan, at("2026-11-02 12:00")) in plan.people
    assert list(shifts("r", plan, at("2026-11-02 12:00"), at("2026-12-02 12:00")))


@pytest.mark.parametrize("now", [-1e18, -1.0, 0.0, 1e18, float("inf")])
def test_a_clock_that_is_far_off_finds_somebody(now: float) -> None:
    assert who(rotation(), now) in {"ada", "bob", "eve"}


@pytest.mark.parametrize(
    "zone",
    [
        *("", "Mars/Base", "../../etc/passwd", "/etc/passwd", "Europe/../Europe/Berlin", "Europe"),
        "x" * 90,
    ],
)
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(SettingsError):
        rotation(zone)


PLAN = """
[oncall.primary]
zone = "Europe/Berlin"
people = ["ada", "bob"]
begins = 2026-11-02
{more}

[alerts.ada]
kind = "syslog"
server = "a.example.org:6514"
on_call = "primary"
person = "ada"

[alerts.bob]
kind = "syslog"
server = "b.example.org:6514"
on_call = "primary"
person = "{bob}"
"""


def read(tmp_path: Path, bob: str = "bob", more: str = "") -> Any:
    file = tmp_path / "node.toml"
    file.write_text(PLAN.format(bob=bob, more=more))
    return read_settings(file)


def test_a_plan_is_read_with_the_rules_of_its_zone(tmp_path: Path) -> None:
    override = (
        "[[oncall.primary.overrides]]\nperson = 'bob'\n"
        "since = 2026-12-24T09:00:00\nuntil = 2026-12-27T09:00:00+01:00"
    )
    found = read(tmp_path, more=override)
    assert found.oncall["primary"].rules.startswith(b"TZif")
    assert who(found.oncall["primary"], at("2026-12-25 00:00")) == "bob"


@pytest.mark.parametrize(
    ("bob", "more", "said"),
    [
        ("eve", "", "eve is never on call of primary"),
        ("ada", "", "bob is on call, but no channel notifies them"),
        ("bob", 'at = "9:00"', "oncall"),
        ("bob", 'every = "month"', "oncall"),
        ("bob", 'rules = "AAAA"', "not given"),
        ("bob", "more = 1", "more"),
        (
            "bob",
            "[[oncall.primary.overrides]]\nperson = 'zoe'\n"
            "since = 2026-12-24T09:00:00\nuntil = 2026-12-27T09:00:00",
            "zoe is on call, but no channel notifies them",
        ),
        (
            "bob",
            "[[oncall.primary.overrides]]\nperson = 'bob'\n"
            "since = 2026-12-24T09:00:00\nuntil = 2026-12-24T09:00:00",
            "until before it begins",
        ),
    ],
)
def test_a_plan_that_leaves_somebody_out_is_refused(
    tmp_path: Path, bob: str, more: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        read(tmp_path, bob, more)
