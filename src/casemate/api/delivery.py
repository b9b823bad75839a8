"""Operations on what runs later: how an asynchronous invocation stands, and dead letters."""

from __future__ import annotations

import base64
from collections.abc import Collection
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from casemate.api.authorization import function_of
from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.api.service import Service
from casemate.data.interface import InvocationStatus
from casemate.decoding import DECODING_ERRORS, is_slow_to_read
from casemate.model.errors import CasemateError, InvalidInputError, NoNamedError, NotFoundError
from casemate.model.messages import DeadLetter, LetterCount
from casemate.model.principal import Action, Resource, ResourceKind
from casemate.operations import delivery
from casemate.operations.declaration import Operation
from casemate.operations.delivery import (
    Counted,
    Letter,
    Letters,
    LettersOf,
    ListDeadLetterPlaces,
    ListFunctionDeadLetters,
    ListQueueDeadLetters,
    Places,
    PurgeFunctionDeadLetters,
    PurgeQueueDeadLetters,
    ReadDeadLetter,
    ReadLetterSubjects,
    RedriveFunctionDeadLetters,
    RedriveQueueDeadLetters,
    ShowFunctionDeadLetter,
    ShowInvocationStatus,
    ShowLetterCounts,
    ShowQueueDeadLetter,
    Status,
)
from casemate.operations.inboxes import RedriveLetters
from casemate.operations.invocations import FindInvocation

INBOX, QUEUE = "inbox", "queue"
MAX_PLACES = 1000
"""Functions and queues that are told together."""
_MAX_SUBJECT = 200
"""Characters that are shown of what an event is about; names differ at their end as often."""

OfFunction = (
    ListFunctionDeadLetters
    | ShowFunctionDeadLetter
    | RedriveFunctionDeadLetters
    | PurgeFunctionDeadLetters
)
OfQueue = (
    ListQueueDeadLetters | ShowQueueDeadLetter | RedriveQueueDeadLetters | PurgeQueueDeadLetters
)

performs = Performers()


# -- invocations ---------------------------------------------------------------------------------


@performs(ShowInvocationStatus)
async def _status(operation: ShowInvocationStatus, call: Call) -> Status:
    project, name, identity = operation.project, operation.function, operation.id
    missing = NotFoundError(
        f"There is no asynchronous invocation {identity} of {project}/{name}, or what was known "
        "of it is not kept any more.",
        next_step="Its record, if there is one, is shown by casemate invocations --id",
    )
    try:
        found = await call.service.data.read(FindInvocation(project=project, invocation=identity))
    except NotFoundError as error:
        raise missing from error
    if found.function != name:
        raise missing
    return _shown(found)


def _shown(found: InvocationStatus) -> Status:
    result, encoded = None, None
    if found.result is not None:
        try:
            if _is_json(found) and not is_slow_to_read(found.result):
                result = msgspec.json.decode(found.result)
        except DECODING_ERRORS:
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


class _Place(NamedTuple):
    """Whose dead letters: a function's, whose events wait in its inbox, or a queue's."""

    project: str
    kind: str
    name: str

    @property
    def resource(self) -> Resource:
        kind = ResourceKind.FUNCTION if self.kind == INBOX else ResourceKind.QUEUE
        return Resource(kind=kind, project=self.project, name=self.name)


def _place(operation: OfFunction | OfQueue) -> _Place:
    if isinstance(operation, OfFunction):
        return _Place(operation.project, INBOX, operation.function)
    return _Place(operation.project, QUEUE, operation.queue)


@performs(ListFunctionDeadLetters)
@performs(ListQueueDeadLetters)
async def _list(operation: ListFunctionDeadLetters | ListQueueDeadLetters, call: Call) -> Letters:
    place = _place(operation)
    try:
        found = await call.service.data.read(operation)
    except NotFoundError:
        await _require_there(call.service, place)
        return Letters(letters=())
    except InvalidInputError as error:
        raise _no_id(operation.after) from error
    told = await _subjects(place, found.letters, call)
    replaced = (
        msgspec.structs.replace(each, subject=told.get(each.id, "")) for each in found.letters
    )
    return Letters(letters=tuple(replaced), after=found.after) if told else found


async def _subjects(place: _Place, letters: tuple[DeadLetter, ...], call: Call) -> dict[str, str]:
    """Return what events are about, for who may see what is in them, without secrets."""
    if place.kind != INBOX or not call.may(Action.DEAD_LETTER_CONTENT, place.resource):
        return {}
    ids = tuple(each.id for each in letters)
    read = ReadLetterSubjects(project=place.project, ids=ids)
    try:
        told = await call.service.data.read(read) if ids else {}
        if not told:
            return {}
        texts = tuple(text.encode(errors="replace") for text in told.values())
        clean = await call.service.vault.redact(place.project, texts)
    except CasemateError:  # one that is damaged, or a busy vault, hides no letters
        return {}
    # Cut only now: of a secret that is cut through, nothing would be found.
    cut = (_cut(text.decode(errors="replace")) for text in clean)
    return dict(zip(told, cut, strict=True))


def _cut(text: str) -> str:
    half = _MAX_SUBJECT // 2
    return text if len(text) <= _MAX_SUBJECT else f"{text[:half]}…{text[-half:]}"


@performs(ListDeadLetterPlaces)
async def _places(operation: ListDeadLetterPlaces, call: Call) -> Places:
    service = call.service
    there = {(one.project, one.name) for one in await service.control.functions()}
    projects = [operation.project] if operation.project else await service.projects_with_data()
    found: list[LettersOf] = []
    for project in filter(partial(_may_in, call, there), projects):
        try:
            counts = await service.data.read(ShowLetterCounts(project=project))
        except CasemateError:
            # It has none, or waits for its database, which the node's health tells.
            continue
        for each in counts:
            place = _Place(project, each.kind, each.name)
            if not call.may(Action.DEAD_LETTER_READ, place.resource):
                continue
            if len(found) >= MAX_PLACES:
                return Places(places=tuple(found), more=True)
            found.append(_letters_of(place, each, (project, each.name) in there))
    return Places(places=tuple(found))


def _may_in(call: Call, there: Collection[tuple[str, str]], project: str) -> bool:
    """Tell whether who asks may see anything of a project: else its database is not opened."""
    whole = Resource(kind=ResourceKind.PROJECT, project=project)
    return (
        call.may(Action.DEAD_LETTER_READ, whole)
        or any(each.project == project for each in call.principal.bindings)
        or any(
            call.may(Action.DEAD_LETTER_READ, function_of(*name))
            for name in there
            if name[0] == project
        )
    )


def _letters_of(place: _Place, count: LetterCount, is_there: bool) -> LettersOf:
    is_function = place.kind == INBOX
    return LettersOf(
        project=place.project,
        name=place.name,
        kind=ResourceKind.FUNCTION.value if is_function else ResourceKind.QUEUE.value,
        letters=count.letters,
        removed=is_function and not is_there,
        oldest_at=count.oldest_at,
    )


@performs(ShowFunctionDeadLetter)
@performs(ShowQueueDeadLetter)
async def _show(operation: ShowFunctionDeadLetter | ShowQueueDeadLetter, call: Call) -> Letter:
    place, identity = _place(operation), operation.id
    try:
        letter, body = await call.service.data.read(
            ReadDeadLetter(project=place.project, id=identity)
        )
    except (NotFoundError, InvalidInputError) as error:
        raise _missing(place, identity) from error
    if (letter.kind, letter.name) != (place.kind, place.name):
        raise _missing(place, identity)
    if not call.may(Action.DEAD_LETTER_CONTENT, place.resource):
        return Letter(letter=letter, withheld=True)
    (clean,) = await call.service.vault.redact(place.project, (body,))
    return Letter(letter=letter, withheld=False, content=_content(clean))


def _content(body: bytes) -> Any:
    if is_slow_to_read(body):
        return body.decode(errors="replace")
    try:
        return msgspec.json.decode(body)
    except DECODING_ERRORS:
        return body.decode(errors="replace")


@performs(RedriveFunctionDeadLetters)
@performs(RedriveQueueDeadLetters)
@performs(PurgeFunctionDeadLetters)
@performs(PurgeQueueDeadLetters)
async def _change(
    operation: RedriveFunctionDeadLetters
    | RedriveQueueDeadLetters
    | PurgeFunctionDeadLetters
    | PurgeQueueDeadLetters,
    call: Call,
) -> Counted:
    if isinstance(operation, RedriveFunctionDeadLetters):
        await _require_receiver(operation, call)
    change: Operation[Counted] = operation
    if isinstance(operation, RedriveFunctionDeadLetters | RedriveQueueDeadLetters):
        change = _redrive(operation, call.principal.text)
    try:
        return await call.service.data.change(change)
    except NotFoundError:
        await _require_there(call.service, _place(operation))
        return Counted(letters=0)
    except InvalidInputError as error:
        raise _no_id(None) from error


def _redrive(
    operation: RedriveFunctionDeadLetters | RedriveQueueDeadLetters, by: str
) -> RedriveLetters:
    place = _place(operation)
    to = operation.to if isinstance(operation, RedriveFunctionDeadLetters) else None
    return RedriveLetters(
        project=place.project, kind=place.kind, name=place.name, ids=operation.ids, by=by, to=to
    )


async def _require_receiver(operation: RedriveFunctionDeadLetters, call: Call) -> None:
    """Raise where nobody would get what is sent again, or who asks may not have it sent there."""
    project, name, to = operation.project, operation.function, operation.to
    if to is not None and to != name:
        for action in (Action.DEAD_LETTER_WRITE, Action.FUNCTION_INVOKE):
            call.require(action, function_of(project, to))
        await call.service.control.function(project, to)
        await call.service.ensure_inbox(project)
        return
    try:
        await call.service.control.function(project, name)
    except NotFoundError as error:
        raise NotFoundError(
            f"There is no function {project}/{name} that would get its events.",
            next_step=f"Send them to another one: casemate dlq redrive {project}/{name} --all --to "
            f"FUNCTION. Or delete them: casemate dlq purge {project}/{name} --all",
        ) from error


async def _require_there(service: Service, place: _Place) -> None:
    """Raise NotFoundError, unless it is a function to which nothing was ever sent."""
    project, kind, name = place
    if kind == QUEUE:
        raise NoNamedError(
            QUEUE,
            name,
            f"There is no queue {project}/{name}.",
            next_step="`casemate queues ls` lists those that there are.",
            project=project,
        )
    await service.control.function(project, name)


def _missing(place: _Place, identity: str) -> NotFoundError:
    name = f"{place.project}/{place.name}"
    flag = " --queue" if place.kind == QUEUE else ""
    return NotFoundError(
        f"There is no dead letter {identity} of {name}.",
        next_step=f"`casemate dlq ls {name}{flag}` lists those that there are.",
    )


def _no_id(identity: str | None) -> RequestError:
    what = "An id" if identity is None else f"The id {identity}"
    return RequestError(
        HTTPStatus.BAD_REQUEST,
        f"{what} is not one of a dead letter.",
        next_step="Use ids as they are listed.",
    )


OPERATIONS = all_served(delivery, performs)
