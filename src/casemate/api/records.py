"""Operations on what invocations left behind: records, errors, denials, logs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus

import msgspec
from starlette.responses import Response

from casemate.api.authorization import function_of
from casemate.api.held_response import HeldResponse
from casemate.api.named import require_named
from casemate.api.performing import Call, Performers, encode_lines, resource_of
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.api.service import Turn
from casemate.facts import Feed
from casemate.model.errors import NotFoundError, UnavailableError
from casemate.model.facts import LogsWritten
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.model.principal import NODE, Action, Resource
from casemate.model.recording import ErrorSnapshot
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
    ShowErrorSnapshot,
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


def _require(
    call: Call,
    action: Action,
    wanted: ShowInvocation | ShowError,
    record: InvocationRecord | ErrorRecord,
) -> None:
    """Let who may read a record pass; to others it looks as if there were none."""
    try:
        # What led nowhere is of no function: it is the node's.
        named = record.project and record.function
        call.require(action, function_of(record.project, record.function) if named else NODE)
    except RequestError as error:
        raise wanted.missing from error


@performs(ListInvocations)
async def _invocations(wanted: ListInvocations, call: Call) -> Invocations:
    _require_whole(wanted)
    control = call.service.control
    running = tuple(
        one
        for one in control.running(wanted.project, wanted.function)
        if wanted.outcome is None
        and wanted.caller is None  # of whom it is, is recorded once it has ended
        and wanted.version in (0, one.version)
        and (wanted.since is None or one.started_at >= wanted.since)
        and (wanted.until is None or one.started_at < wanted.until)
    )
    ended = await control.recorded(wanted)
    return msgspec.structs.replace(
        ended, running=running[: wanted.limit], behind=call.service.behind()
    )


@performs(ShowInvocation)
async def _invocation(wanted: ShowInvocation, call: Call) -> InvocationRecord:
    record = await call.service.control.recorded(wanted)
    _require(call, Action.INVOCATION_READ, wanted, record)
    return record


@performs(ShowError)
async def _error(wanted: ShowError, call: Call) -> ErrorRecord:
    asked: ShowError | None = wanted
    try:
        if wanted.id.startswith("inv_"):  # who has the id of a call means its error
            of = await call.service.control.recorded(ShowInvocation(id=wanted.id))
            asked = ShowError(id=of.error_id) if of.error_id else None
        if asked is None:
            raise wanted.missing
        record = await call.service.control.recorded(asked)
    except NotFoundError as error:
        raise wanted.missing from error
    _require(call, Action.ERROR_READ, wanted, record)
    return record


@performs(ShowErrorSnapshot)
async def _snapshot(wanted: ShowErrorSnapshot, call: Call) -> ErrorSnapshot:
    return await call.service.recordings.snapshot(wanted.project, wanted.id)


@performs(ListErrors)
async def _errors(wanted: ListErrors, call: Call) -> Errors:
    _require_whole(wanted)
    found = await call.service.control.recorded(wanted)
    return msgspec.structs.replace(found, behind=call.service.behind())


@performs(ListDenials)
async def _denials(wanted: ListDenials, call: Call) -> Denials:
    _require_whole(wanted)
    found = await call.service.control.recorded(wanted)
    return msgspec.structs.replace(found, behind=call.service.behind())


async def _read(wanted: ReadLogs, call: Call, after: int, limit: int) -> tuple[LogLine, ...]:
    """Return lines whether they are wanted or not, of those whose lines are."""
    every = ReadLogs(
        project=wanted.project,
        function=wanted.function,
        invocation=wanted.invocation,
        after=after,
        limit=limit,
    )
    return await call.service.control.recorded(every)


async def _begin(wanted: ReadLogs, call: Call) -> tuple[tuple[LogLine, ...], int]:
    """Return the first lines of a followed log, and from where it goes on.

    A log is followed line by line and filtered here: the place to go on from would stand still
    else, as long as no line is wanted, and each look would begin there again.
    """
    only, after = wanted.only, wanted.after
    if after:
        read = await _read(wanted, call, after, wanted.limit)
        lines = tuple(line for line in read if only.wants(line))
        return lines, read[-1].sequence if read else after
    newest = await _read(wanted, call, 0, 1)
    lines = await call.service.control.recorded(wanted)
    return lines, max((line.sequence for line in (*newest, *lines)), default=0)


@performs(ReadLogs)
async def _logs(wanted: ReadLogs, call: Call) -> tuple[LogLine, ...] | Response:
    _require_whole(wanted)
    if not wanted.follow:
        return await call.service.control.recorded(wanted)
    call.service.facts.require_room()
    async with contextlib.AsyncExitStack() as stack:
        # Held from now on, not from when it is sent: many at once would all find it free.
        turn = stack.enter_context(call.service.followers.hold(call.answerable))
        lines, after = await _begin(wanted, call)
        if not lines:
            await require_named(wanted, call.service, call.may)
        pieces = _follow(wanted, call, lines, after, turn)
        return HeldResponse(pieces, stack.pop_all(), media_type=NDJSON, headers={})


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
    wanted: ReadLogs, call: Call, lines: tuple[LogLine, ...], after: int, turn: Turn
) -> AsyncIterator[bytes]:
    """Yield `lines`, then what is written later, until the client is gone, may no more, or its
    turn is over.
    """
    resource, only = resource_of(form_of(ReadLogs), call.request), wanted.only
    loop = asyncio.get_running_loop()
    with _feed(wanted, call) as feed:
        yield encode_lines(lines) or b"\n"
        sent = loop.time()
        told = True  # nobody told of what was written before there was a feed
        while True:
            # What they say is in the store: one look there brings what all of them tell of.
            if not told:
                told = any(await feed.take(CHECK_SECONDS))
            if turn.ended or feed.ended or not _still_may(call, resource):
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
