"""What functions ran in the hours of the last days, as records tell it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from casemate.budgets.anomaly import Key
from casemate.model.usage import DAY, HOUR, Usage, UsageBy, UsageSpan
from casemate.operations.usage import ReadUsage

DAYS = 7
Read = Callable[[ReadUsage], Awaitable[tuple[Usage, ...]]]


async def days_run(read: Read, now: float) -> dict[Key, list[list[float]]]:
    """Return for how many seconds each function ran in each hour, the last day first.

    Not of the present hour, which is not over.
    """
    until = now // HOUR * HOUR
    days: dict[Key, list[list[float]]] = {}
    # A day at a time: of many functions a week has more sums than one answer.
    for ago in range(DAYS):
        last = until - ago * DAY
        rows = await read(
            ReadUsage(
                by=UsageBy.FUNCTION,
                each=UsageSpan.HOUR,
                since=max(0.0, last - DAY),
                until=last,
                # What is usual here is compared with what runs here.
                here=True,
            )
        )
        for row in rows:
            key = row.project, row.function
            days.setdefault(key, [[] for _ in range(DAYS)])[ago].append(row.run_us / 1e6)
    return days
