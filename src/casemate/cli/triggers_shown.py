"""How triggers are shown: what they listen to, and when a schedule is due."""

from __future__ import annotations

from casemate.cli.text import moment_with_zone, seconds
from casemate.model.trigger import (
    AnyTrigger,
    BucketTrigger,
    OutsideTrigger,
    QueueTrigger,
    RepositoryTrigger,
    ResultTrigger,
    ScheduleStatus,
    ScheduleTrigger,
    TableTrigger,
    TopicTrigger,
    kind_of,
)


def schedule_shown(schedule: ScheduleStatus) -> str:
    """Return when a schedule is due, and when next: `every 1h, next 2026-12-01 10:00 UTC`."""
    at = schedule.next_at
    due = "not due" if at is None else f"next {moment_with_zone(at)}"
    return f"{_when(schedule)}, {due}"


def _when(schedule: ScheduleStatus | ScheduleTrigger) -> str:
    if schedule.every:
        return f"every {seconds(schedule.every)}"
    return f"{schedule.cron!r} {schedule.timezone}"


def listens_to(trigger: AnyTrigger) -> str:
    """Return the kind of a trigger and what it listens to: `bucket pictures, created, in/*`."""
    kind = kind_of(trigger).value
    if isinstance(trigger, BucketTrigger):
        keys = f", {trigger.prefix}*{trigger.suffix}" if trigger.prefix or trigger.suffix else ""
        return f"{kind} {trigger.bucket}, {' and '.join(trigger.events)}{keys}"
    if isinstance(trigger, TableTrigger):
        return f"{kind} {trigger.table}, {', '.join(trigger.events)}"
    if isinstance(trigger, TopicTrigger):
        return f"{kind} {trigger.topic}{', filtered' if trigger.filter else ''}"
    if isinstance(trigger, QueueTrigger):
        return f"{kind} {trigger.queue}"
    if isinstance(trigger, ScheduleTrigger):
        return f"{kind} {_when(trigger)}"
    if isinstance(trigger, RepositoryTrigger):
        return f"{kind} at {trigger.provider}"
    if isinstance(trigger, OutsideTrigger):
        return f"{kind} at {trigger.host}:{trigger.port}"
    if isinstance(trigger, ResultTrigger):
        return f"{kind} of {trigger.function}"
    return kind
