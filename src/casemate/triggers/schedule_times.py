"""The times of a schedule: by cron in a time zone, or at a rate; and which of them were missed.

All times are Unix seconds. Nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError

from casemate.model.errors import InvalidInputError
from casemate.model.trigger import Missed, ScheduleTrigger

MOST_MISSED = 1000
"""Events for missed times at once, at most: the latest."""
_FIRST_SPAN = 3600.0
_AT_ONCE = 16
"""Times that are looked for in one piece: some 40 us each by cron."""
_STRIDE = 7 * 86400.0
"""No zone changes its offset and takes that back within so many seconds."""
_MOST_STRETCHES = 400
_ROUNDED = 4
"""So many periods at most a quotient is off."""


class Times(Protocol):
    """The times of one schedule."""

    def after(self, moment: float) -> float | None:
        """Return the first time after `moment`, None if there is none within 50 years."""
        ...

    def is_ahead(self, last: float, now: float) -> bool:
        """Tell whether `last` lies so far in the future that a clock was wrong then."""
        ...


class RateTimes:
    """Every so many seconds, counted from `anchor`: restarts shift nothing."""

    def __init__(self, every: float, anchor: float) -> None:
        """`every` is more than 0."""
        if not every > 0:
            raise InvalidInputError(f"The rate is {every!r} s, expected more than 0.")
        self._every = every
        self._anchor = anchor

    def after(self, moment: float) -> float | None:
        """See Times."""
        first = max(0, int((moment - self._anchor) // self._every)) + 1
        # The division rounds. So far from the anchor that a period is nothing beside it, there is
        # no next time, however long it is looked for.
        times = (self._anchor + count * self._every for count in range(first, first + _ROUNDED))
        return next((found for found in times if found > moment), None)

    def is_ahead(self, last: float, now: float) -> bool:
        """See Times: more than one period ahead no tick can be."""
        return last > now + self._every


class CronTimes:
    """Five fields of cron(5), in a time zone.

    As Debian's cron has it: where minute and hour are given, a time that daylight saving skips
    comes as soon as it is over, and one that it repeats comes once. Where either is `*` or `*/n`,
    real time counts.
    """

    AHEAD_SECONDS = 3 * 3600.0
    """A clock that is set back by less repeats no time."""

    def __init__(self, expression: str, timezone: str) -> None:
        """Raises InvalidInputError for what is no cron expression or no zone."""
        try:
            self._zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise InvalidInputError(
                f"{timezone[:80]!r} is no time zone.",
                next_step="Give a name of the IANA data base such as Europe/Berlin.",
            ) from error
        # Days, fields and ranges are left to the library; offsets from UTC are not, for it takes
        # every change for one of a whole hour. What it gets has no zone.
        self._expression = expression
        try:
            if len(expression.split()) != 5:
                raise CronSimError("it has not five fields")
            CronSim(expression, datetime(2000, 1, 1))
        except CronSimError as error:
            raise InvalidInputError(
                f"{expression[:80]!r} is no cron expression: {error}.",
                next_step="Give minute, hour, day of month, month and day of week.",
            ) from error
        self._fixed = not any(field.startswith("*") for field in expression.split()[:2])

    def after(self, moment: float) -> float | None:
        """See Times."""
        return self._by_the_clock(moment) if self._fixed else self._in_real_time(moment)

    def _wall(self, moment: float) -> datetime:
        return datetime.fromtimestamp(moment, self._zone).replace(tzinfo=None, fold=0)

    def _by_the_clock(self, moment: float) -> float | None:
        for wall in CronSim(self._expression, self._wall(moment)):
            found = wall.replace(tzinfo=self._zone)
            while _is_skipped(found):
                found += timedelta(minutes=1)
            if found.timestamp() > moment:  # what an hour repeats has been, then
                return found.timestamp()
        return None

    def _in_real_time(self, moment: float) -> float | None:
        """Look in one stretch of time with the same offset from UTC after the other."""
        inside, begin = moment, moment
        for _ in range(_MOST_STRETCHES):
            offset = self._offset(inside)
            start = datetime.fromtimestamp(begin + offset, UTC).replace(tzinfo=None)
            wall = next(CronSim(self._expression, start), None)
            if wall is None:
                return None
            found = wall.replace(tzinfo=UTC).timestamp() - offset
            change = self._change(inside, found)
            if change is None:
                return found
            # The change itself may be a time, and what is looked for comes after `begin`.
            inside, begin = change, change - 1.0
        return None

    def _offset(self, moment: float) -> float:
        offset = datetime.fromtimestamp(moment, self._zone).utcoffset()
        return offset.total_seconds() if offset else 0.0

    def _change(self, begin: float, end: float) -> float | None:
        """Return the first second in (begin, end] with another offset, None if there is none."""
        offset, low = self._offset(begin), begin
        while low < end:
            high = min(low + _STRIDE, end)
            if self._offset(high) != offset:
                break
            low = high
        else:
            return None
        early, late = int(low), int(high)
        while late - early > 1:
            middle = (early + late) // 2
            if self._offset(middle) == offset:
                early = middle
            else:
                late = middle
        return float(late)

    def is_ahead(self, last: float, now: float) -> bool:
        """See Times: these are times of day, which must not come twice."""
        return last > now + self.AHEAD_SECONDS


def times_of(trigger: ScheduleTrigger, anchor: float) -> Times:
    """Return the times of a trigger; those of a rate count from `anchor`."""
    if trigger.cron:
        return CronTimes(trigger.cron, trigger.timezone)
    return RateTimes(trigger.every, anchor)


def definition_of(trigger: ScheduleTrigger) -> str:
    """Return what tells one set of times from another."""
    if trigger.cron:
        return f"cron {' '.join(trigger.cron.split())} {trigger.timezone}"
    return f"every {trigger.every!r}"


def looked_for(times: Times, after: float, until: float, most: int) -> Iterator[list[float] | None]:
    """Give the latest `most` times in (after, until], ascending; before it None after each few."""
    span, looked = _FIRST_SPAN, 0
    while True:
        start = max(after, until - span)
        found: deque[float] = deque(maxlen=most)
        moment = times.after(start)
        while moment is not None and moment <= until:
            found.append(moment)
            moment = times.after(moment)
            looked += 1
            if looked % _AT_ONCE == 0:
                yield None
        if len(found) == most or start <= after:
            yield list(found)
            return
        span *= 4


class Tick(msgspec.Struct, frozen=True):
    """One time that an event is sent for."""

    at: float
    missed: int
    """How many earlier times it stands for as well."""


def ticks(due: Sequence[float], policy: Missed, *, since: float) -> tuple[Tick, ...]:
    """Return the events for times that are due; what is before `since` was missed."""
    late = [at for at in due if at < since]
    on_time = tuple(Tick(at, 0) for at in due if at >= since)
    if not late or policy is Missed.SKIP:
        return on_time
    if policy is Missed.ONCE:
        return (Tick(late[-1], len(late) - 1), *on_time)
    return (*(Tick(at, 0) for at in late), *on_time)


def _is_skipped(moment: datetime) -> bool:
    """Tell whether a zone's clocks never showed this."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo) != moment
