"""Operations on what runs later: how an asynchronous invocation stands, and dead letters."""

from __future__ import annotations

import base64
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from casemate.api.authorization import ResourceOf, function, named
from casemate.api.inputs import ID_PATTERN, Query, json_body, path_id, path_name, whole
from casemate.api.operations import (
    Operation,
    QueryParameter,
    Service,
    json_response,
    number_parameter,
)
from casemate.api.problems import RequestError
from casemate.data.interface import MAX_PAGE, DeadLetter, InvocationState, InvocationStatus
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.principal import Action, ResourceKind

INBOX, QUEUE = "inbox", "queue"
MAX_IDS = 1000
Id = Annotated[str, msgspec.Meta(pattern=whole(ID_PATTERN))]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How an asynchronous invocation, or a call with an idempotency key, stands."""

    id: str
    function: str
    state: InvocationState
    attempts: int
    accepted_at: float
    finished_at: float | None = None
    status: int | None = None
    """HTTP status of its last answer."""
    reason: str = ""
    error_id: str = ""
    content_type: str = ""
    result: Any = None
    """The answer if it is JSON; null also if it was too large to be kept."""
    result_base64: str | None = None
    """The answer if it is anything else."""


class Letters(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters, oldest first. `after` continues, null at the end."""

    letters: tuple[DeadLetter, ...]
    after: str | None = None


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter, and what is in it for who may see that."""

    letter: DeadLetter
    withheld: bool
    """True if who asks may not see the content."""
    content: Any = None
    """The event, or the message; secrets of the project are taken out."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters are meant: these, or all that there are."""

    ids: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=MAX_IDS)] | None = None


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """How many dead letters it was."""

    letters: int


# -- invocations ---------------------------------------------------------------------------------


async def _status(request: Request, service: Service) -> Response:
    Query(request).end()
    project, name = path_name(request, "project"), path_name(request, "function")
    identity = path_id(request)
    missing = NotFoundError(
        f"There is no asynchronous invocation {identity} of {project}/{name}, or what was known "
        "of it is not kept any more.",
        next_step="its record, if there is one, is shown by casemate invocations --id",
    )
    try:
        found = await service.data.invocation_status(project, identity)
    except NotFoundError as error:
        raise missing from error
    if found.function != name:
        raise missing
    return json_response(_shown(found))


def _shown(found: InvocationStatus) -> Status:
    result, encoded = None, None
    if found.result is not None:
        try:
            result = msgspec.json.decode(found.result) if _is_json(found) else None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            result = None
        if result is None and found.result not in (b"", b"null"):
            encoded = base64.b64encode(found.result).decode()
    return Status(
        id=found.id,
        function=found.function,
        state=found.state,
        attempts=found.attempts,
        accepted_at=found.accepted_at,
        finished_at=found.finished_at,
        status=found.status,
        reason=found.reason,
        error_id=found.error_id,
        content_type=found.content_type,
        result=result,
        result_base64=encoded,
    )


def _is_json(found: InvocationStatus) -> bool:
    media_type = found.content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


# -- dead letters --------------------------------------------------------------------------------


def _place(kind: str, request: Request) -> tuple[str, str, str]:
    parameter = "function" if kind == INBOX else "queue"
    return path_name(request, "project"), kind, path_name(request, parameter)


async def _list(kind: str, request: Request, service: Service) -> Response:
    query = Query(request)
    after = query.id("after")
    limit = query.number("limit", default=100, minimum=1, maximum=MAX_PAGE)
    query.end()
    place = _place(kind, request)
    try:
        letters = await service.data.dead_letters(*place, after=after, limit=limit)
    except NotFoundError:
        await _require_there(service, place)
        letters = ()
    except InvalidInputError as error:
        raise _no_id(after) from error
    full = len(letters) == limit
    return json_response(Letters(letters=letters, after=letters[-1].id if full else None))


async def _show(kind: str, request: Request, service: Service) -> Response:
    Query(request).end()
    project, _, name = _place(kind, request)
    identity = path_id(request)
    try:
        letter, body = await service.data.dead_letter(project, identity)
    except (NotFoundError, InvalidInputError) as error:
        raise _missing(identity) from error
    if (letter.kind, letter.name) != (kind, name):
        raise _missing(identity)
    if not service.may(request, Action.DEAD_LETTER_CONTENT, _resource(kind)(request)):
        return json_response(Letter(letter=letter, withheld=True))
    (clean,) = await service.vault.redact(project, (body,))
    return json_response(Letter(letter=letter, withheld=False, content=_content(clean)))


def _content(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body.decode(errors="replace")


async def _redrive(kind: str, request: Request, service: Service) -> Response:
    return await _change(kind, request, service, redrive=True)


async def _purge(kind: str, request: Request, service: Service) -> Response:
    return await _change(kind, request, service, redrive=False)


async def _change(kind: str, request: Request, service: Service, *, redrive: bool) -> Response:
    Query(request).end()
    place = _place(kind, request)
    chosen = await json_body(request, Chosen, default=Chosen())
    change = service.data.redrive if redrive else service.data.purge_dead
    try:
        count = await change(*place, chosen.ids)
    except NotFoundError:
        await _require_there(service, place)
        count = 0
    except InvalidInputError as error:
        raise _no_id(None) from error
    return json_response(Counted(letters=count))


async def _require_there(service: Service, place: tuple[str, str, str]) -> None:
    """Raise NotFoundError, unless it is a function to which nothing was ever sent."""
    project, kind, name = place
    if kind == QUEUE:
        raise NotFoundError(f"There is no queue {project}/{name}.", next_step="casemate queues ls")
    await service.control.function(project, name)


def _missing(identity: str) -> NotFoundError:
    return NotFoundError(
        f"There is no dead letter {identity} here.", next_step="casemate dlq ls lists them"
    )


def _no_id(identity: str | None) -> RequestError:
    what = "An id" if identity is None else f"The id {identity}"
    return RequestError(
        HTTPStatus.BAD_REQUEST,
        f"{what} is not one of a dead letter.",
        next_step="Use ids as they are listed.",
    )


def _resource(kind: str) -> ResourceOf:
    return function if kind == INBOX else named(ResourceKind.QUEUE, "queue")


def _operations(kind: str) -> tuple[Operation, ...]:
    word, of = ("Function", "a function") if kind == INBOX else ("Queue", "a queue")
    root = "/functions/{project}/{function}" if kind == INBOX else "/queues/{project}/{queue}"
    path, resource = root + "/dead-letters", _resource(kind)
    after = QueryParameter(
        name="after",
        description="Go on behind this letter.",
        schema={"$ref": "#/components/schemas/Id"},
    )
    limit = number_parameter("limit", "How many at most.", default=100, minimum=1, maximum=MAX_PAGE)
    change = {"body": Chosen, "body_optional": True, "response": Counted, "problems": (404, 413)}
    return (
        Operation(
            method="GET",
            path=path,
            id=f"list{word}DeadLetters",
            tag="delivery",
            summary=f"List the events of {of} that were given up",
            endpoint=partial(_list, kind),
            query=(after, limit),
            response=Letters,
            problems=(404,),
            action=Action.DEAD_LETTER_READ,
            resource=resource,
        ),
        Operation(
            method="GET",
            path=path + "/{id}",
            id=f"show{word}DeadLetter",
            tag="delivery",
            summary=f"Show an event of {of} that was given up",
            description="Its content is shown to those who may `dead-letter:content`.",
            endpoint=partial(_show, kind),
            response=Letter,
            problems=(404,),
            action=Action.DEAD_LETTER_READ,
            resource=resource,
        ),
        Operation(
            method="POST",
            path=path + "/redrive",
            id=f"redrive{word}DeadLetters",
            tag="delivery",
            summary=f"Have events of {of} that were given up tried again",
            description="No attempts count as used. Without a body, or with `ids` null: all.",
            endpoint=partial(_redrive, kind),
            action=Action.DEAD_LETTER_WRITE,
            resource=resource,
            **change,  # type: ignore[arg-type]
        ),
        Operation(
            method="POST",
            path=path + "/purge",
            id=f"purge{word}DeadLetters",
            tag="delivery",
            summary=f"Delete events of {of} that were given up",
            description="Without a body, or with `ids` null: all.",
            endpoint=partial(_purge, kind),
            action=Action.DEAD_LETTER_WRITE,
            resource=resource,
            **change,  # type: ignore[arg-type]
        ),
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/functions/{project}/{function}/invocations/{id}",
        id="showInvocationStatus",
        tag="delivery",
        summary="Tell how an asynchronous invocation stands",
        description="As long as the function keeps results (`keep_results`), with its answer.",
        endpoint=_status,
        response=Status,
        problems=(404,),
        action=Action.INVOCATION_STATUS,
        resource=function,
    ),
    *_operations(INBOX),
    *_operations(QUEUE),
)
