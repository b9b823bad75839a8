"""Operations on what invocations left behind: records, errors, logs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from casemate.api.authorization import function_of, queried
from casemate.api.inputs import MOMENT_PATTERN, Query, path_id, whole
from casemate.api.operations import (
    FUNCTION,
    NDJSON,
    PROJECT,
    Operation,
    QueryParameter,
    Service,
    json_response,
    number_parameter,
)
from casemate.api.problems import RequestError
from casemate.model.denial import Denial
from casemate.model.errors import NotFoundError, UnavailableError
from casemate.model.invocation import (
    ErrorRecord,
    ErrorSummary,
    InvocationRecord,
    LogLine,
    Outcome,
    RecordFilter,
    RunningInvocation,
)
from casemate.model.log_filter import (
    EVERY_LINE,
    MAX_LINES_SEARCHED,
    MAX_SEARCH,
    LineFilter,
    LogLevel,
)
from casemate.model.principal import NODE, Action, Resource

MAX_INVOCATIONS = 1000
MAX_LINES = 10_000
MAX_SEQUENCE = 2**53
POLL_SECONDS = 0.2
HEARTBEAT_SECONDS = 10.0
"""A followed log that stays silent sends an empty line this often: a dead client is noticed."""

_log = logging.getLogger("casemate.api")
_encoder = msgspec.json.Encoder()


class Invocations(msgspec.Struct, frozen=True, kw_only=True):
    """Invocations, newest first."""

    running: tuple[RunningInvocation, ...] = ()
    """Those that run now, the longest first; empty where those of an outcome are asked for."""
    invocations: tuple[InvocationRecord, ...]
    """Those that have ended."""


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """Errors, newest first, without their traces."""

    errors: tuple[ErrorSummary, ...]


class Denials(msgspec.Struct, frozen=True, kw_only=True):
    """Denied attempts, newest first."""

    denials: tuple[Denial, ...]


def _scope(query: Query) -> tuple[str | None, str | None]:
    project, function = query.name("project"), query.name("function")
    if function is not None and project is None:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, "The query has `function` but no `project`, expected both."
        )
    return project, function


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
    request: Request,
    service: Service,
    action: Action,
    record: InvocationRecord | ErrorRecord,
    missing: NotFoundError,
) -> None:
    """Let who may read a record pass; to others it looks as if there were none."""
    try:
        # What led nowhere is of no function: it is the node's.
        named = record.project and record.function
        resource = function_of(record.project, record.function) if named else NODE
        service.require(request, action, resource)
    except RequestError as error:
        raise missing from error


def _only(query: Query) -> RecordFilter:
    version = query.number("version", default=0, minimum=0, maximum=MAX_SEQUENCE)
    return RecordFilter(
        version=version or None,
        outcome=query.choice("outcome", Outcome),
        since=query.moment("since"),
        until=query.moment("until"),
    )


async def _invocations(request: Request, service: Service) -> Response:
    query = Query(request)
    project, function = _scope(query)
    limit = query.number("limit", default=100, minimum=1, maximum=MAX_INVOCATIONS)
    only = _only(query)
    query.end()
    running = tuple(
        one
        for one in service.control.running(project, function)
        if only.outcome is None
        and only.version in (None, one.version)
        and (only.since is None or one.started_at >= only.since)
        and (only.until is None or one.started_at < only.until)
    )
    found = await service.control.invocations(
        project=project, function=function, limit=limit, only=only
    )
    return json_response(Invocations(running=running[:limit], invocations=found))


async def _invocation(request: Request, service: Service) -> Response:
    Query(request).end()
    identity = path_id(request)
    record = await service.control.invocation(identity)
    _require(request, service, Action.INVOCATION_READ, record, _no_invocation(identity))
    return json_response(record)


async def _error(request: Request, service: Service) -> Response:
    Query(request).end()
    identity = path_id(request)
    record = await service.control.error(identity)
    _require(request, service, Action.ERROR_READ, record, _no_error(identity))
    return json_response(record)


async def _errors(request: Request, service: Service) -> Response:
    query = Query(request)
    project, function = _scope(query)
    limit = query.number("limit", default=100, minimum=1, maximum=MAX_INVOCATIONS)
    only = _only(query)
    query.end()
    found = await service.control.errors(project=project, function=function, limit=limit, only=only)
    return json_response(Errors(errors=found))


async def _denials(request: Request, service: Service) -> Response:
    query = Query(request)
    project, function = _scope(query)
    invocation = query.id("invocation")
    limit = query.number("limit", default=100, minimum=1, maximum=MAX_INVOCATIONS)
    query.end()
    found = await service.control.denials(
        project=project, function=function, invocation=invocation, limit=limit
    )
    return json_response(Denials(denials=found))


@dataclass(frozen=True)
class _LogFilter:
    project: str | None
    function: str | None
    invocation: str | None
    only: LineFilter

    async def read(
        self, service: Service, after: int, limit: int, only: LineFilter = EVERY_LINE
    ) -> tuple[LogLine, ...]:
        return await service.control.logs(
            project=self.project,
            function=self.function,
            invocation=self.invocation,
            after=after,
            limit=limit,
            only=only,
        )

    async def begin(
        self, service: Service, after: int, limit: int
    ) -> tuple[tuple[LogLine, ...], int]:
        """Return the first lines of a followed log, and from where it goes on.

        A log is followed line by line and filtered here: the place to go on from would stand
        still else, as long as no line is wanted, and each look would begin there again.
        """
        if after:
            read = await self.read(service, after, limit)
            lines = tuple(line for line in read if self.only.wants(line))
            return lines, read[-1].sequence if read else after
        newest = await self.read(service, 0, 1)
        lines = await self.read(service, 0, limit, self.only)
        return lines, max((line.sequence for line in (*newest, *lines)), default=0)


async def _logs(request: Request, service: Service) -> Response:
    query = Query(request)
    wanted = _LogFilter(*_scope(query), query.id("invocation"), _lines_of(query))
    after = query.number("after", default=0, minimum=0, maximum=MAX_SEQUENCE)
    limit = query.number("limit", default=1000, minimum=1, maximum=MAX_LINES)
    follow = query.flag("follow")
    query.end()
    if not follow:
        lines = await wanted.read(service, after, limit, wanted.only)
        return Response(_encoder.encode_lines(lines), media_type=NDJSON)
    service.followers.require()
    lines, after = await wanted.begin(service, after, limit)
    return StreamingResponse(_follow(request, service, wanted, lines, after), media_type=NDJSON)


def _lines_of(query: Query) -> LineFilter:
    version = query.number("version", default=0, minimum=0, maximum=MAX_SEQUENCE)
    return LineFilter(
        since=query.moment("since"),
        level=query.choice("level", LogLevel),
        search=query.words("search", MAX_SEARCH),
        version=version or None,
    )


def _still_may(request: Request, service: Service, resource: Resource) -> bool:
    """Tell whether who follows a log would be let in now: what was revoked ends it at once."""
    asking = service.accounts.authenticate(request.headers.get("authorization"))
    return asking is not None and service.policy.allows(asking, Action.LOG_READ, resource)


async def _follow(
    request: Request,
    service: Service,
    wanted: _LogFilter,
    lines: tuple[LogLine, ...],
    after: int,
) -> AsyncIterator[bytes]:
    """Yield `lines`, then what is written later, until the client is gone or may no more."""
    resource = queried(request)
    loop = asyncio.get_running_loop()
    with service.followers.counted():
        yield _encoder.encode_lines(lines) or b"\n"
        sent = loop.time()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if not _still_may(request, service, resource):
                return
            try:
                read = await wanted.read(service, after, MAX_LINES)
            except UnavailableError:
                return  # the node stops
            except Exception:  # noqa: BLE001 - logged
                # The head of the response is sent: all that is left is to end it early.
                _log.exception("a followed log ended")
                return
            after = read[-1].sequence if read else after
            lines = tuple(line for line in read if wanted.only.wants(line))
            if lines:
                yield _encoder.encode_lines(lines)
                sent = loop.time()
            elif loop.time() - sent >= HEARTBEAT_SECONDS:
                yield b"\n"
                sent = loop.time()


def _moment(name: str, description: str) -> QueryParameter:
    schema = {"type": "string", "pattern": whole(MOMENT_PATTERN)}
    return QueryParameter(name=name, description=description, schema=schema)


_NEWEST_OF = (
    PROJECT,
    FUNCTION,
    number_parameter("limit", "How many at most.", default=100, minimum=1, maximum=MAX_INVOCATIONS),
    number_parameter(
        "version",
        "Only those of this version; 0 is all.",
        default=0,
        minimum=0,
        maximum=MAX_SEQUENCE,
    ),
    QueryParameter(
        name="outcome",
        description="Only those that ended so.",
        schema={"type": "string", "enum": [outcome.value for outcome in Outcome]},
    ),
    _moment("since", "Only those that began, or happened, at this Unix time or later."),
    _moment("until", "Only those that began, or happened, before this Unix time."),
)

OPERATIONS = (
    Operation(
        method="GET",
        path="/invocations",
        id="listInvocations",
        tag="records",
        summary="List the newest invocations, and those that run now",
        endpoint=_invocations,
        action=Action.INVOCATION_READ,
        resource=queried,
        query=_NEWEST_OF,
        response=Invocations,
    ),
    Operation(
        method="GET",
        path="/invocations/{id}",
        id="showInvocation",
        tag="records",
        summary="Show one invocation",
        endpoint=_invocation,
        response=InvocationRecord,
        problems=(404,),
    ),
    Operation(
        method="GET",
        path="/errors",
        id="listErrors",
        tag="records",
        summary="List the newest errors",
        endpoint=_errors,
        action=Action.ERROR_READ,
        resource=queried,
        query=_NEWEST_OF,
        response=Errors,
    ),
    Operation(
        method="GET",
        path="/errors/{id}",
        id="showError",
        tag="records",
        summary="Show all there is to know of an error that a caller got the id of",
        endpoint=_error,
        response=ErrorRecord,
        problems=(404,),
    ),
    Operation(
        method="GET",
        path="/denials",
        id="listDenials",
        tag="records",
        summary="List what was tried and not allowed",
        endpoint=_denials,
        action=Action.DENIAL_READ,
        resource=queried,
        query=(
            PROJECT,
            FUNCTION,
            QueryParameter(
                name="invocation",
                description="Only those of this invocation.",
                schema={"$ref": "#/components/schemas/Id"},
            ),
            number_parameter(
                "limit", "How many at most.", default=100, minimum=1, maximum=MAX_INVOCATIONS
            ),
        ),
        response=Denials,
    ),
    Operation(
        method="GET",
        path="/logs",
        id="readLogs",
        tag="records",
        summary="Read what functions wrote",
        description=(
            "One JSON object a line (NDJSON), ascending by `sequence`. With `follow=true` the "
            "answer goes on with new lines until the client ends it; an empty line says only "
            "that the node is there. For `since`, `level`, `search` and `version` the newest "
            f"{MAX_LINES_SEARCHED} lines are looked at."
        ),
        endpoint=_logs,
        action=Action.LOG_READ,
        resource=queried,
        query=(
            PROJECT,
            FUNCTION,
            QueryParameter(
                name="invocation",
                description="Only those of this invocation.",
                schema={"$ref": "#/components/schemas/Id"},
            ),
            number_parameter(
                "after",
                "Only lines with a greater `sequence`; 0 gives the newest ones.",
                default=0,
                minimum=0,
                maximum=MAX_SEQUENCE,
            ),
            number_parameter(
                "limit", "How many at most at once.", default=1000, minimum=1, maximum=MAX_LINES
            ),
            _moment("since", "Only lines that were written at this Unix time or later."),
            QueryParameter(
                name="level",
                description="Only lines of this level or a more severe one; plain output counts "
                "as `info`.",
                schema={"type": "string", "enum": [level.value for level in LogLevel]},
            ),
            QueryParameter(
                name="search",
                description="Only lines with this text; letters of ASCII match in both cases.",
                schema={"type": "string", "minLength": 1, "maxLength": MAX_SEARCH},
            ),
            number_parameter(
                "version",
                "Only lines of this version; 0 is all.",
                default=0,
                minimum=0,
                maximum=MAX_SEQUENCE,
            ),
            QueryParameter(
                name="follow",
                description="Go on with new lines as they are written.",
                schema={"type": "boolean", "default": False},
            ),
        ),
        response=LogLine,
        response_media_type=NDJSON,
        problems=(429,),
    ),
)
