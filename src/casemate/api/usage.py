"""Operations on what functions have used."""

from __future__ import annotations

import time
from http import HTTPStatus

import msgspec

from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.metering.bill import day_of, moment_of, month_of
from casemate.model.estimate import mean
from casemate.model.usage import DAY, Usage, UsageBy, add
from casemate.operations import usage
from casemate.operations.usage import MAX_ROWS, ReadUsage, ShowUsage, UsageFound

performs = Performers()


@performs(ShowUsage)
async def _usage(wanted: ShowUsage, call: Call) -> UsageFound:
    if wanted.function is not None and wanted.project is None:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The query has `function` but no `project`, expected both."
        )
    now = time.time()
    since = wanted.since or moment_of(month_of(day_of(now))[0])
    until = wanted.until or now + 1
    # Hours are kept of the last days alone; whole days say the same of older ones.
    if until > now:
        until = (until // DAY + 1) * DAY
    if since < now - 7 * DAY:
        since = since // DAY * DAY
        until = -(-until // DAY) * DAY
    if since >= until:
        raise RequestError(HTTPStatus.BAD_REQUEST, "The requested time ends before it begins.")
    rows = await call.service.control.recorded(
        ReadUsage(
            project=wanted.project,
            function=wanted.function,
            by=wanted.by,
            each=wanted.each,
            since=since,
            until=until,
            limit=MAX_ROWS + 1,
        )
    )
    more, rows = len(rows) > MAX_ROWS, rows[:MAX_ROWS]
    if wanted.by is UsageBy.ACCOUNT:
        rows = _by_account(rows, call)
    for row in rows:
        row.guard = mean(row.guard_sampled, row.guard_us, row.guard_squares)
    return UsageFound(
        since=since,
        until=until,
        rows=rows,
        more=more,
        behind=call.service.behind(),
    )


def _by_account(rows: tuple[Usage, ...], call: Call) -> tuple[Usage, ...]:
    """Return sums of callers as those of who answers for them."""
    found: dict[tuple[str, float], Usage] = {}
    for row in rows:
        account = call.service.accounts.answerable(row.caller)
        own = msgspec.structs.replace(row, caller="", account=account)
        before = found.setdefault((account, row.start), own)
        if before is not own:
            add(before, row)
    return tuple(found[key] for key in sorted(found))


OPERATIONS = all_served(usage, performs)
