"""Who is on call: people who take turns, hand over at a wall clock's time, and stand in for others.

At every moment exactly one person is, for each rotation. A hand-over is at its time of a zone's
wall clock, once a day that has one, whatever daylight saving does: of an hour that comes twice at
the first, of one that is left out when the clock has passed over it.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from casemate.monitor.errors import SettingsError

if TYPE_CHECKING:
    from casemate.operations.findings import OnCallShift

MAX_ROTATIONS = 16
MAX_PEOPLE = 64
MAX_OVERRIDES = 64
MAX_SHIFTS = 512
"""Told at once, of one rotation."""
_MAX_ZONE_BYTES = 16 * 1024
_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}\Z")
_DAYS = {"day": 1, "week": 7}
_EARLIEST, _LATEST = 0.0, 4_000_000_000.0
"""Unix times between which calendars are asked: a clock that is beyond them is wrong."""

Person = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That somebody stands in, from a moment until another one. The last one that holds counts."""

    person: Person
    since: datetime
    """Of the rotation's zone, unless it names one."""
    until: datetime


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """People who are on call by turns."""

    people: Annotated[tuple[Person, ...], msgspec.Meta(min_length=1, max_length=MAX_PEOPLE)]
    """In their order."""
    zone: Annotated[str, msgspec.Meta(max_length=98)] = "UTC"
    every: Literal["day", "week"] = "week"
    at: Annotated[str, msgspec.Meta(pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$")] = "09:00"
    """When they hand over, by the zone's clock."""
    begins: date
    """The first of them begins on that day; before it they took turns likewise."""
    overrides: Annotated[tuple[Override, ...], msgspec.Meta(max_length=MAX_OVERRIDES)] = ()
    rules: bytes = b""
    """Of the zone (RFC 8536), as the host has them: the monitor may read no files."""

    @property
    def everybody(self) -> frozenset[str]:
        """Return all who may be on call."""
        return frozenset((*self.people, *(one.person for one in self.overrides)))


def with_rules(rotation: Rotation) -> Rotation:
    """Return a rotation with the rules of its zone. Raises SettingsError."""
    if rotation.rules:
        raise SettingsError("`rules` of a zone are the host's, and not given.")
    for one in rotation.overrides:
        if _moment(one.until, UTC) <= _moment(one.since, UTC):
            raise SettingsError(f"{one.person} stands in until before it begins.")
    return msgspec.structs.replace(rotation, rules=rules_of_zone(rotation.zone))


def rules_of_zone(name: str) -> bytes:
    """Return a zone's rules (RFC 8536), empty of UTC. Raises SettingsError for what is none."""
    if name == "UTC":
        return b""
    # Without zones, which nobody has at first, it would be held for nothing.
    import zoneinfo

    for folder in zoneinfo.TZPATH if _ZONE.match(name) else ():
        try:
            with (Path(folder) / name).open("rb") as opened:
                data = opened.read(_MAX_ZONE_BYTES + 1)
            if len(data) <= _MAX_ZONE_BYTES:
                zone_of(data)
                return data
        except (OSError, ValueError):
            continue
    raise SettingsError(
        f"{name[:98]!r} is no time zone that this host knows.",
        next_step='Name one such as "Europe/Berlin", or install the time zones (tzdata).',
    )


_UTC = frozenset(("UTC", "UCT", "Zulu", "Universal"))


def host_zone(clock: Path = Path("/etc/localtime")) -> str:
    """Return the zone of this host's clock by its name, UTC where it names none."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if not named:
        with suppress(OSError):
            named = str(clock.readlink()).rpartition("zoneinfo/")[2]
    if named.rpartition("/")[2] in _UTC:
        return "UTC"
    try:
        rules_of_zone(named)
    except SettingsError:
        return "UTC"
    return named


@lru_cache(maxsize=MAX_ROTATIONS + 1)
def zone_of(rules: bytes) -> tzinfo:
    """Return the zone of what `rules_of_zone` has returned."""
    if not rules:
        return UTC
    import zoneinfo

    return zoneinfo.ZoneInfo.from_file(io.BytesIO(rules))


def who(rotation: Rotation, at: float) -> str:
    """Return who is on call at a Unix time."""
    at = min(max(at, _EARLIEST), _LATEST)
    zone = zone_of(rotation.rules)
    for one in reversed(rotation.overrides):
        if _moment(one.since, zone) <= at < _moment(one.until, zone):
            return one.person
    return rotation.people[_turn(rotation, at, zone) % len(rotation.people)]


def _turn(rotation: Rotation, at: float, zone: tzinfo) -> int:
    """Return how many hand-overs there were since the first."""
    day = datetime.fromtimestamp(at, zone).date() + timedelta(days=1)
    while _hand_over(rotation, day, zone) > at:
        day -= timedelta(days=1)
    return (day - rotation.begins).days // _DAYS[rotation.every]


def _hand_over(rotation: Rotation, day: date, zone: tzinfo) -> float:
    return datetime.combine(day, time.fromisoformat(rotation.at), zone).timestamp()


def _moment(at: datetime, zone: tzinfo) -> float:
    return (at if at.tzinfo is not None else at.replace(tzinfo=zone)).timestamp()


def shifts(name: str, rotation: Rotation, since: float, until: float) -> Iterator[OnCallShift]:
    """Yield who is on call when, from the one at `since` on; at most MAX_SHIFTS."""
    # Of the monitor alone, which has it; the supervisor only reads settings.
    from casemate.operations.findings import OnCallShift

    zone = zone_of(rotation.rules)
    begins, person = since, who(rotation, since)
    for at in _changes(rotation, since, until, zone)[:MAX_SHIFTS]:
        following = who(rotation, at)
        if following != person:
            yield OnCallShift(rotation=name, person=person, since=begins, until=at)
            begins, person = at, following
    yield OnCallShift(rotation=name, person=person, since=begins, until=until)


def _changes(rotation: Rotation, since: float, until: float, zone: tzinfo) -> list[float]:
    """Return when somebody may hand over, between two moments."""
    found = {
        moment
        for one in rotation.overrides
        for moment in (_moment(one.since, zone), _moment(one.until, zone))
    }
    day = datetime.fromtimestamp(min(max(since, _EARLIEST), _LATEST), zone).date()
    for number in range(min(MAX_SHIFTS, int((until - since) // 86_400) + 3)):
        following = day + timedelta(days=number)
        if (following - rotation.begins).days % _DAYS[rotation.every] == 0:
            found.add(_hand_over(rotation, following, zone))
    return sorted(each for each in found if since < each < until)
