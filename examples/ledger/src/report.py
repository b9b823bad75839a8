"""Write the report of a day: sums by account. A schedule calls it every night."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from casemate import Context, Event

ZONE = ZoneInfo("Europe/Berlin")
"""The time zone of the schedule, which decides when a day ends."""
MAX_DAYS_BACK = 366


def handler(event: Event, context: Context) -> dict[str, Any]:
    """Report on the day that the event asks for, counted back from when it was due.

    `event.time` is the time of the schedule, not of this call: a night that was missed gets the
    report of its own day.
    """
    days_back = (event.data or {}).get("days_back", 1)
    if not isinstance(days_back, int) or not 0 <= days_back <= MAX_DAYS_BACK:
        raise ValueError(f"days_back is not 0 to {MAX_DAYS_BACK}")
    due = datetime.fromtimestamp(event.time, ZONE)
    day = (due.date() - timedelta(days=days_back)).isoformat()
    sums: defaultdict[str, int] = defaultdict(int)
    count = 0
    for item in context.table("entries").query(day, index="by-day"):
        sums[item.value["account"]] += item.value["cents"]
        count += 1
    report = {"day": day, "entries": count, "cents": dict(sorted(sums.items()))}
    context.bucket("archive").put(
        f"reports/{day}.json", json.dumps(report), content_type="application/json"
    )
    context.log.info("reported", day=day, entries=count)
    return report
