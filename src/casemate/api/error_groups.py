"""The operation that says which errors are the same one."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.model.error_group import NEW_AMONG_SECONDS, grouped
from casemate.model.errors import NotFoundError
from casemate.model.invocation import ErrorRecord
from casemate.operations import error_groups
from casemate.operations.error_groups import ErrorGroups, ListErrorGroups
from casemate.operations.records import ListErrors, ShowError

_AT_ONCE = 8
"""Errors that are read at the same time: others ask the same thread."""

performs = Performers()


@performs(ListErrorGroups)
async def _groups(wanted: ListErrorGroups, call: Call) -> ErrorGroups:
    if wanted.function is not None and wanted.project is None:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The query has `function` but no `project`; expected both."
        )
    listed = await call.service.control.recorded(
        ListErrors(
            project=wanted.project,
            function=wanted.function,
            outcome=wanted.outcome,
            version=wanted.version,
            since=wanted.since,
            until=wanted.until,
            limit=wanted.limit,
        )
    )
    found: list[ErrorRecord] = []
    for start in range(0, len(listed.errors), _AT_ONCE):
        some = listed.errors[start : start + _AT_ONCE]
        read = await asyncio.gather(*(_one(each.id, call) for each in some))
        found += [error for error in read if error is not None]
    until = time.time() if wanted.until is None else min(wanted.until, time.time())
    since = wanted.since or min((error.at for error in found), default=until)
    if wanted.since is None and len(listed.errors) < wanted.limit:
        # There are no older ones: what began in the last ten minutes is new, and not rarer since.
        since = min(since, until - NEW_AMONG_SECONDS)
    groups = await asyncio.to_thread(grouped, found, since, until)
    return ErrorGroups(groups=groups, looked_at=len(found), since=since, until=until)


async def _one(identity: str, call: Call) -> ErrorRecord | None:
    """Return an error; None if it went meanwhile."""
    try:
        return await call.service.control.recorded(ShowError(id=identity))
    except NotFoundError:
        return None


OPERATIONS = all_served(error_groups, performs)
