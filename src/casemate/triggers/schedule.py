"""The schedule trigger: at each of its times one event in the function's inbox.

How far a schedule has come is a position in the project's data, set in the same transaction that
keeps the event. Whatever ends the node in between, the next start goes on from there.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec.structs import replace

from casemate.data.coordination import ALONE, SCHEDULES, Coordination, Watcher
from casemate.data.interface import NewMessage, ProjectData
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.deployment import Version
from casemate.model.errors import InvalidInputError
from casemate.model.event import Event
from casemate.model.function import Delivery
from casemate.model.trigger import ScheduleStatus, ScheduleTrigger, TriggerKind
from casemate.operations.positions import AdvancePosition, ShowPosition
from casemate.triggers.schedule_times import (
    MOST_MISSED,
    Tick,
    Times,
    definition_of,
    looked_for,
    ticks,
    times_of,
)

LOOK_SECONDS = 5.0
"""How long the timer sleeps at most, for a clock may be set meanwhile."""
MISSED_SECONDS = 60.0
"""Times that a clock set forward by more than this leaves out were missed; others are late."""
_STEP_SECONDS = 1.0
"""What a clock may gain or lose between two looks without having been set."""
_LONGEST_RETRY = 60.0
_EVENTS_AT_ONCE = 64
"""Events that are made in one piece: some 15 us each."""
_EVENT_TYPE = "casemate.schedule.tick"

_logger = logging.getLogger(__name__)
_Key = tuple[str, str, str]


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """How far a schedule has come, as it is stored."""

    definition: str
    anchor: float
    """From where a rate is counted."""
    last: float
    """Up to here, this included, nothing is due any more."""
    active: bool = True
    """False once no live version has the schedule: what passes then is not missed."""


class _Wanted(msgspec.Struct, frozen=True):
    """What a live version declares."""

    trigger: ScheduleTrigger
    delivery: Delivery
    deployed_at: float
    starting: bool
    """True if it was live when the node started: its position may be older than the version."""


class _Planned(msgspec.Struct, frozen=True):
    """A step that is to be written. It stays as it is until it could be."""

    expected: bytes | None
    wanted: _Wanted
    position: Position
    ticks: tuple[Tick, ...]


class _Schedule:
    """One schedule of one function."""

    def __init__(self, key: _Key, since: float) -> None:
        self.key = key
        self.since = since
        self.wanted: _Wanted | None = None
        self.loaded = False
        self.stored: bytes | None = None
        self.planned: _Planned | None = None
        self.failures = 0
        self.due: float | None = None
        self.busy = False
        self.again = False
        """It has changed while it was busy."""

    @property
    def position(self) -> str:
        """Name of its position in the project's data."""
        return f"schedule/{self.key[1]}/{self.key[2]}"


class Schedules:
    """All schedules of a node, with one timer for all of them."""

    def __init__(
        self,
        data: ProjectData,
        clock: Callable[[], float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        coordination: Coordination = ALONE,
    ) -> None:
        """Keep events in `data`. Nothing happens before `replace`.

        `clock` is Unix time, and may be set at any moment; `monotonic` tells of it. None: that of
        `coordination`, which is that of the data and says whether this node is the one that sends.
        """
        self._data = data
        self._coordination = coordination
        self._led: frozenset[str] = frozenset()
        """Projects whose schedules this node runs, as far as was looked."""
        self._clock = clock or coordination.clock
        self._monotonic = monotonic
        self._schedules: dict[_Key, _Schedule] = {}
        self._heap: list[tuple[float, int, _Schedule]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._piece = asyncio.Lock()
        """Of work on the loop, held to the loop's next turn: thousands of times may be missed."""
        self._started = False
        self._closed = False
        self._drift = 0.0
        """Wall clock less monotonic clock, as it was at the last look."""

    def replace(self, live: Iterable[Version]) -> None:
        """Take over the schedules of what is live: of each function the version that declares.

        Functions that are not named have none any more. Those named must have their inboxes
        (`Subscribe`).
        """
        wanted = {
            (version.project, version.function, trigger.name): _Wanted(
                trigger, version.spec.delivery, version.created_at, not self._started
            )
            for version in live
            for trigger in version.spec.triggers
            if isinstance(trigger, ScheduleTrigger)
        }
        if not self._started:
            self._started = True
            self._drift = self._measure_drift()
            self._coordination.watch(Watcher(changed=self._lead))
        for key in wanted.keys() | self._schedules.keys():
            self._want(key, wanted.get(key))
        self._seek()
        self._look()

    def _seek(self) -> None:
        """Lead where there are schedules, or were some whose end is still to be noted."""
        self._coordination.seek(SCHEDULES, {project for project, _, _ in self._schedules})

    def _lead(self) -> None:
        """Look at the schedules of projects that this node runs now, and did not before."""
        projects = {project for project, _, _ in self._schedules}
        led = frozenset(project for project in projects if self._leads(project))
        new, self._led = led - self._led, led
        for schedule in self._schedules.values():
            if schedule.key[0] in new:
                self._hurry(schedule)
        if new:
            self._look()

    def _leads(self, project: str) -> bool:
        return self._coordination.leads(SCHEDULES, project)

    def _hurry(self, schedule: _Schedule) -> None:
        """Have a schedule looked at as soon as that is possible."""
        if schedule.busy:
            schedule.again = True
        else:
            self._push(schedule, self._clock())

    def _want(self, key: _Key, wanted: _Wanted | None) -> None:
        schedule = self._schedules.get(key)
        if schedule is None:
            schedule = self._schedules[key] = _Schedule(key, self._clock())
        elif _same(schedule.wanted, wanted):
            return
        schedule.wanted = wanted
        schedule.failures = 0
        self._hurry(schedule)

    def statuses(self, project: str, function: str) -> tuple[ScheduleStatus, ...]:
        """Return the schedules of a function, by name."""
        found = [
            ScheduleStatus(
                name=key[2],
                cron=schedule.wanted.trigger.cron,
                every=schedule.wanted.trigger.every,
                timezone=schedule.wanted.trigger.timezone,
                next_at=schedule.due,
                failing=schedule.failures > 0,
            )
            for key, schedule in self._schedules.items()
            if key[:2] == (project, function) and schedule.wanted is not None
        ]
        return tuple(sorted(found, key=lambda status: status.name))

    async def close(self) -> None:
        """Stop. What is being written is written; what becomes due later is missed."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    # -- the timer -----------------------------------------------------------------------------

    def _measure_drift(self) -> float:
        return self._clock() - self._monotonic()

    def _push(self, schedule: _Schedule, due: float | None) -> None:
        schedule.due = due
        if due is not None:
            heapq.heappush(self._heap, (due, next(self._numbers), schedule))

    def _look(self) -> None:
        """Start a step of each schedule that is due, and sleep until the next one is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed:
            return
        now = self._clock()
        self._notice_a_set_clock(now)
        while self._heap and self._heap[0][0] <= now:
            due, _, schedule = heapq.heappop(self._heap)
            if due == schedule.due and not schedule.busy:
                schedule.busy = True
                task = asyncio.get_running_loop().create_task(self._serve(schedule, now))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        if self._heap:
            wait = min(self._heap[0][0] - now, LOOK_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(max(wait, 0.0), self._look)
        elif self._schedules:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _notice_a_set_clock(self, now: float) -> None:
        """Have all schedules looked at again if the clock was set since the last look."""
        drift = self._measure_drift()
        by, self._drift = drift - self._drift, drift
        if abs(by) <= _STEP_SECONDS:
            return
        _logger.warning("the clock was set by %.0f s", by)
        for schedule in self._schedules.values():
            if by > MISSED_SECONDS:
                schedule.since = now
            elif by < 0:
                schedule.since = min(schedule.since, now)
            if not schedule.busy:
                self._push(schedule, now)

    async def _serve(self, schedule: _Schedule, now: float) -> None:
        """Take one step of one schedule; others go on whatever becomes of it."""
        try:
            due = await self._step(schedule, now)
            schedule.failures = 0
        except InvalidInputError as error:
            # It cannot get better by trying again; the manifest's checks should have refused it.
            _logger.warning("schedule %s/%s %s is not run: %s", *schedule.key, error)
            due = None
        except Exception as error:  # noqa: BLE001 - one schedule must not end the others
            schedule.failures += 1
            schedule.loaded = False  # whether it was written is not known
            if schedule.failures == 1:
                _logger.warning("schedule %s/%s %s waits: %s", *schedule.key, type(error).__name__)
            due = self._clock() + min(2.0 ** min(schedule.failures - 1, 10), _LONGEST_RETRY)
        schedule.busy = False
        if schedule.again:
            schedule.again = False
            due = self._clock()
        elif due is None and schedule.wanted is None:
            self._schedules.pop(schedule.key, None)
            self._seek()
        self._push(schedule, due)
        self._look()

    # -- one schedule --------------------------------------------------------------------------

    async def _step(self, schedule: _Schedule, now: float) -> float | None:
        """Send what is due by `now`; return when it is due again."""
        project, wanted = schedule.key[0], schedule.wanted
        leads = self._leads(project)
        if not schedule.loaded or not leads:
            schedule.stored = await self._data.read(
                ShowPosition(project=project, position=schedule.position)
            )
            schedule.loaded = True
        before = _decode(schedule.stored)
        if not leads:
            return self._stand_by(schedule, before, now)
        if wanted is None:
            if before is not None and before.active:
                await self._write(schedule, replace(before, active=False, last=now), ())
            return None
        position, times = self._take_up(schedule, before, wanted, now)
        planned = schedule.planned
        if planned is None or (planned.expected, planned.wanted) != (schedule.stored, wanted):
            due = await self._due(times, position.last, now)
            if due is None:
                return None
            sent = ticks(due, wanted.trigger.missed, since=schedule.since)
            position = replace(position, last=due[-1]) if due else position
            planned = schedule.planned = _Planned(schedule.stored, wanted, position, sent)
        if msgspec.json.encode(planned.position) != schedule.stored:
            sends = await self._sends(schedule.key, wanted, planned.ticks)
            if not await self._write(schedule, planned.position, sends):
                schedule.loaded = False
                return now
        schedule.planned = None
        return times.after(planned.position.last)

    async def _due(self, times: Times, after: float, until: float) -> list[float] | None:
        """Return the latest times that are due, with others' turns in between; None: it ends."""
        looking = looked_for(times, after, until, MOST_MISSED)
        while not self._closed:
            async with self._piece:
                found = next(looking)
                await asyncio.sleep(0)
            if found is not None:
                return found
        return None

    async def _sends(
        self, key: _Key, wanted: _Wanted, due: Sequence[Tick]
    ) -> tuple[tuple[str, str, NewMessage], ...]:
        """Return what is sent for times, made with others' turns in between."""
        sends: list[tuple[str, str, NewMessage]] = []
        for at in range(0, len(due), _EVENTS_AT_ONCE):
            async with self._piece:
                piece = due[at : at + _EVENTS_AT_ONCE]
                sends += [("inbox", key[1], self._message(key, wanted, tick)) for tick in piece]
                await asyncio.sleep(0)
        return tuple(sends)

    def _stand_by(self, schedule: _Schedule, before: Position | None, now: float) -> float | None:
        """Return when to look again while another node sends: at the next time, which is shown."""
        schedule.loaded, schedule.planned = False, None
        if schedule.wanted is None:
            # Should nobody have noted its end yet, this node may be the one to do it.
            return now + _LONGEST_RETRY if before is not None and before.active else None
        position, times = self._take_up(schedule, before, schedule.wanted, now)
        return times.after(max(position.last, now))

    def _take_up(
        self, schedule: _Schedule, before: Position | None, wanted: _Wanted, now: float
    ) -> tuple[Position, Times]:
        """Return where to go on from, and the times from there."""
        definition = definition_of(wanted.trigger)
        if before is None or not before.active or before.definition != definition:
            begin = wanted.deployed_at if wanted.starting else now
            if before is not None:
                begin = max(begin, before.last)
            before = Position(definition, min(wanted.deployed_at, now), min(begin, now))
        times = times_of(wanted.trigger, before.anchor)
        if times.is_ahead(before.last, now):
            _logger.warning(
                "schedule %s/%s %s had come to a time in the future and goes on from now",
                *schedule.key,
            )
            schedule.since = now
            before = replace(before, last=now, anchor=now)
            times = times_of(wanted.trigger, now)
        return before, times

    async def _write(
        self,
        schedule: _Schedule,
        position: Position,
        sends: tuple[tuple[str, str, NewMessage], ...],
    ) -> bool:
        value = msgspec.json.encode(position)
        written = await self._data.change(
            AdvancePosition(
                project=schedule.key[0],
                position=schedule.position,
                value=value,
                expected=schedule.stored,
                sends=sends,
            )
        )
        if written:
            schedule.stored = value
        return written

    def _message(self, key: _Key, wanted: _Wanted, tick: Tick) -> NewMessage:
        event = event_of_tick(key[0], key[1], wanted.trigger, tick.at, tick.missed)
        return NewMessage(
            body=msgspec.json.encode(event), expires_at=self._clock() + wanted.delivery.max_age
        )


def event_of_tick(
    project: str, function: str, trigger: ScheduleTrigger, at: float, missed: int
) -> Event:
    """Return the event of a schedule at one of its times; the same time has the same id."""
    source = f"/projects/{project}/schedules/{function}/{trigger.name}"
    digest = hashlib.sha256(f"{source} {at!r}".encode()).hexdigest()
    return Event(
        id=f"tick_{digest[:24]}",
        source=source,
        type=_EVENT_TYPE,
        time=at,
        kind=TriggerKind.SCHEDULE,
        trigger=trigger.name,
        data=msgspec.Raw(trigger.data.encode()),
        detail={"name": trigger.name, "scheduled_at": at, "missed": missed},
    )


def _same(present: _Wanted | None, wanted: _Wanted | None) -> bool:
    """Tell whether nothing but the version's age has changed."""
    if present is None or wanted is None:
        return present is wanted
    return (present.trigger, present.delivery) == (wanted.trigger, wanted.delivery)


def _decode(value: bytes | None) -> Position | None:
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=decodable(Position))
    except DECODING_ERRORS:
        return None
