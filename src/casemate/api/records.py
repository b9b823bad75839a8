"""Operations on what invocations left behind: records, errors, denials, logs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from http import HTTPStatus

import msgspec
from starlette.responses import Response, StreamingResponse

from casemate.api.authorization import function_of
from casemate.api.performing import Call, Performers, encode_lines, resource_of
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.model.errors import NotFoundError, UnavailableError
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine, RecordFilter
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

POLL_SECONDS = 0.2
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


async def _read(wanted: ReadLogs, call: Call) -> tuple[LogLine, ...]:
    return await call.service.control.logs(
        project=wanted.project,
        function=wanted.function,
        invocation=wanted.invocation,
        after=wanted.after,
        limit=wanted.limit,
    )


@performs(ReadLogs)
async def _logs(wanted: ReadLogs, call: Call) -> tuple[LogLine, ...] | Response:
    _require_whole(wanted)
    if wanted.follow:
        call.service.followers.require()
    lines = await _read(wanted, call)
    if not wanted.follow:
        return lines
    return StreamingResponse(_follow(wanted, call, lines), media_type=NDJSON)


def _still_may(call: Call, resource: Resource) -> bool:
    """Tell whether who follows a log would be let in now: what was revoked ends it at once."""
    service = call.service
    asking = service.accounts.authenticate(call.request.headers.get("authorization"))
    return asking is not None and service.policy.allows(asking, Action.LOG_READ, resource)


async def _follow(wanted: ReadLogs, call: Call, lines: tuple[LogLine, ...]) -> AsyncIterator[bytes]:
    """Yield `lines`, then what is written later, until the client is gone or may no more."""
    resource = resource_of(form_of(ReadLogs), call.request)
    loop = asyncio.get_running_loop()
    with call.service.followers.counted():
        yield encode_lines(lines) or b"\n"
        sent = loop.time()
        while True:
            after = lines[-1].sequence if lines else wanted.after
            wanted = msgspec.structs.replace(wanted, after=after, limit=MAX_LINES)
            await asyncio.sleep(POLL_SECONDS)
            if not _still_may(call, resource):
                return
            try:
                lines = await _read(wanted, call)
            except UnavailableError:
                return  # the node stops
            except Exception:  # noqa: BLE001 - logged
                # The head of the response is sent: all that is left is to end it early.
                _log.exception("a followed log ended")
                return
            if lines:
                yield encode_lines(lines)
                sent = loop.time()
            elif loop.time() - sent >= HEARTBEAT_SECONDS:
                yield b"\n"
                sent = loop.time()


OPERATIONS = all_served(records, performs)
