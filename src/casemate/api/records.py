"""Operations on what invocations left behind: records, errors, denials, logs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.responses import Response, StreamingResponse

from casemate.api.authorization import function_of
from casemate.api.performing import Call, Performers, encode_lines, resource_of
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.facts import Feed
from casemate.model.errors import NotFoundError, UnavailableError
from casemate.model.facts import LogsWritten
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine, RecordFilter
from casemate.model.log_filter import EVERY_LINE, LineFilter
from casemate.model.principal import NODE, Action, Resource
from casemate.operations import records
from casemate.operations.declaration import NDJSON
from casemate.operations.form import form_of
from casemate.operations.records import (
    MAX_LINES,
    Denials,
    Errors,
    Invocations,
    ListDenials,
    ListErrors,
    ListInvocations,
    ReadLogs,
    ShowError,
    ShowInvocation,
)

CHECK_SECONDS = 0.2
"""A followed log looks this often whether it may still be read, and reads no more often."""
HEARTBEAT_SECONDS = 10.0
"""A followed log that stays silent sends an empty line this often: a dead client is noticed."""

_log = logging.getLogger("casemate.api")

performs = Performers()


def _require_whole(wanted: ListInvocations | ListErrors | ListDenials | ReadLogs) -> None:
    if wanted.function is not None and wanted.project is None:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The query has `function` but no `project`, expected both."
        )


def _no_invocation(identity: str) -> NotFoundError:
    return NotFoundError(
        f"There is no invocation {identity}; records are kept for a limited time.",
        next_step="run casemate invocations to see those there are",
    )


def _no_error(identity: str) -> NotFoundError:
    return NotFoundError(
        f"There is no error {identity}; records are kept for a limited time.",
        next_step="run casemate invocations to see what failed lately",
    )


def _require(
    call: Call,
    action: Action,
    record: InvocationRecord | ErrorRecord,
    missing: NotFoundError,
) -> None:
    """Let who may read a record pass; to others it looks as if there were none."""
    try:
        # What led nowhere is of no function: it is the node's.
        named = record.project and record.function
        call.require(action, function_of(record.project, record.function) if named else NODE)
    except RequestError as error:
        raise missing from error


def _only(wanted: ListInvocations | ListErrors) -> RecordFilter:
    return RecordFilter(
        version=wanted.version or None,
        outcome=wanted.outcome,
        since=wanted.since,
        until=wanted.until,
    )


@performs(ListInvocations)
async def _invocations(wanted: ListInvocations, call: Call) -> Invocations:
    _require_whole(wanted)
    only, control = _only(wanted), call.service.control
    running = tuple(
        one
        for one in control.running(wanted.project, wanted.function)
        if only.outcome is None
        and only.version in (None, one.version)
        and (only.since is None or one.started_at >= only.since)
        and (only.until is None or one.started_at < only.until)
    )
    found = await control.invocations(
        project=wanted.project, function=wanted.function, limit=wanted.limit, only=only
    )
    return Invocations(running=running[: wanted.limit], invocations=found)


@performs(ShowInvocation)
async def _invocation(wanted: ShowInvocation, call: Call) -> InvocationRecord:
    record = await call.service.control.invocation(wanted.id)
    _require(call, Action.INVOCATION_READ, record, _no_invocation(wanted.id))
    return record


@performs(ShowError)
async def _error(wanted: ShowError, call: Call) -> ErrorRecord:
    record = await call.service.control.error(wanted.id)
    _require(call, Action.ERROR_READ, record, _no_error(wanted.id))
    return record


@performs(ListErrors)
async def _errors(wanted: ListErrors, call: Call) -> Errors:
    _require_whole(wanted)
    found = await call.service.control.errors(
        project=wanted.project, function=wanted.function, limit=wanted.limit, only=_only(wanted)
    )
    return Errors(errors=found)


@performs(ListDenials)
async def _denials(wanted: ListDenials, call: Call) -> Denials:
    _require_whole(wanted)
    found = await call.service.control.denials(
        project=wanted.project,
        function=wanted.function,
        invocation=wanted.invocation,
        limit=wanted.limit,
    )
    return Denials(denials=found)


def _lines_of(wanted: ReadLogs) -> LineFilter:
    return LineFilter(
        since=wanted.since,
        level=wanted.level,
        search=wanted.search,
        version=wanted.version or None,
    )


async def _read(
    wanted: ReadLogs, call: Call, after: int, limit: int, only: LineFilter = EVERY_LINE
) -> tuple[LogLine, ...]:
    return await call.service.control.logs(
        project=wanted.project,
        function=wanted.function,
        invocation=wanted.invocation,
        after=after,
        limit=limit,
        only=only,
    )


async def _begin(wanted: ReadLogs, call: Call) -> tuple[tuple[LogLine, ...], int]:
    """Return the first lines of a followed log, and from where it goes on.

    A log is followed line by line and filtered here: the place to go on from would stand still
    else, as long as no line is wanted, and each look would begin there again.
    """
    only, after = _lines_of(wanted), wanted.after
    if after:
        read = await _read(wanted, call, after, wanted.limit)
        lines = tuple(line for line in read if only.wants(line))
        return lines, read[-1].sequence if read else after
    newest = await _read(wanted, call, 0, 1)
    lines = await _read(wanted, call, 0, wanted.limit, only)
    return lines, max((line.sequence for line in (*newest, *lines)), default=0)


@performs(ReadLogs)
async def _logs(wanted: ReadLogs, call: Call) -> tuple[LogLine, ...] | Response:
    _require_whole(wanted)
    if not wanted.follow:
        return await _read(wanted, call, wanted.after, wanted.limit, _lines_of(wanted))
    call.service.followers.require()
    call.service.facts.require_room()
    lines, after = await _begin(wanted, call)
    return StreamingResponse(_follow(wanted, call, lines, after), media_type=NDJSON)


def _still_may(call: Call, resource: Resource) -> bool:
    """Tell whether who follows a log would be let in now: what was revoked ends it at once."""
    service = call.service
    asking = service.accounts.authenticate(call.request.headers.get("authorization"))
    return asking is not None and service.policy.allows(asking, Action.LOG_READ, resource)


def _feed(wanted: ReadLogs, call: Call) -> Feed:
    """Return what tells that there are lines to read. Room for it was asked for before."""

    def concerns(written: LogsWritten) -> bool:
        return (
            wanted.project in (None, written.project)
            and wanted.function in (None, written.function)
            and wanted.invocation in (None, written.invocation)
        )

    return call.service.facts.feed(LogsWritten, only=concerns)


async def _follow(
    wanted: ReadLogs, call: Call, lines: tuple[LogLine, ...], after: int
) -> AsyncIterator[bytes]:
    """Yield `lines`, then what is written later, until the client is gone or may no more."""
    resource, only = resource_of(form_of(ReadLogs), call.request), _lines_of(wanted)
    loop = asyncio.get_running_loop()
    with call.service.followers.counted(), _feed(wanted, call) as feed:
        yield encode_lines(lines) or b"\n"
        sent = loop.time()
        told = True  # nobody told of what was written before there was a feed
        while True:
            # What they say is in the store: one look there brings what all of them tell of.
            if not told:
                told = any(await feed.take(CHECK_SECONDS))
            if feed.ended or not _still_may(call, resource):
                return
            try:
                read = await _read(wanted, call, after, MAX_LINES) if told else ()
            except UnavailableError:
                return  # the node stops
            except Exception:  # noqa: BLE001 - logged
                # The head of the response is sent: all that is left is to end it early.
                _log.exception("a followed log ended")
                return
            after = read[-1].sequence if read else after
            lines = tuple(line for line in read if only.wants(line))
            if lines:
                yield encode_lines(lines)
                sent = loop.time()
            elif loop.time() - sent >= HEARTBEAT_SECONDS:
                yield b"\n"
                sent = loop.time()
            if told:
                # However much is written, the store is asked no more often than this.
                await asyncio.sleep(CHECK_SECONDS)
                told = len(read) == MAX_LINES


OPERATIONS = all_served(records, performs)
