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
    return f"{schedule_text(schedule)}, {due}"


def schedule_text(schedule: ScheduleStatus | ScheduleTrigger, *, zone: bool = True) -> str:
    """Return the times of a schedule: `every 1h`, or `'0 3 * * *' UTC`, without zone if wanted."""
    if schedule.every:
        return f"every {seconds(schedule.every)}"
    return f"{schedule.cron!r} {schedule.timezone}" if zone else repr(schedule.cron)


def listens_to(trigger: AnyTrigger) -> str:
    """Return the kind of a trigger and what it listens to: `bucket pictures, created, in/*`."""
    kind = kind_of(trigger).value
    match trigger:
        case BucketTrigger():
            keys = f"{trigger.prefix}*{trigger.suffix}"
            keys = f", {keys}" if keys != "*" else ""
            what = f"{trigger.bucket}, {' and '.join(trigger.events)}{keys}"
        case TableTrigger():
            what = f"{trigger.table}, {', '.join(trigger.events)}"
        case TopicTrigger():
            what = f"{trigger.topic}{', filtered' if trigger.filter else ''}"
        case QueueTrigger():
            what = trigger.queue
        case ScheduleTrigger():
            what = schedule_text(trigger)
        case RepositoryTrigger():
            what = f"at {trigger.provider}"
        case OutsideTrigger():
            what = f"at {trigger.host}:{trigger.port}"
        case ResultTrigger():
            what = f"of {trigger.function}"
        case _:
            return kind
    return f"{kind} {what}"
