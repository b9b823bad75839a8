"""How an operation is done over HTTP: read from the request, decided, performed, answered."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from casemate.access_reviews import OnlyHolder
from casemate.accounts import token_id_of
from casemate.api.authorization import actor, function_of, principal
from casemate.api.held_response import HeldResponse
from casemate.api.inputs import (
    MAX_JSON_BYTES,
    MAX_QUERY_BYTES,
    declared_length,
    optional_body,
    required_body,
)
from casemate.api.meant import told_unnamed
from casemate.api.named import is_empty, require_named, told_missing
from casemate.api.problems import RequestError
from casemate.api.service import Service, json_response
from casemate.model.errors import CasemateError, HeldByAnotherError, NoFunctionError, NoNamedError
from casemate.model.facts import Actor, OperationPerformed
from casemate.model.principal import NODE, Action, Principal, Resource, ResourceKind
from casemate.model.still import asked_again
from casemate.operations.declaration import NDJSON, Effect, Operation
from casemate.operations.form import Form, form_of
from casemate.operations.reading import pairs_of, read, read_body, read_part, read_path, read_query
from casemate.vault.errors import VaultUnavailableError

MAX_DATA_QUERY_BYTES = 7 * 1024
"""A key, a prefix and the start of a page may all be there, percent-encoded."""

encode_lines = msgspec.json.Encoder().encode_lines
"""Returns an answer of NDJSON."""

OperationT = TypeVar("OperationT", bound=Operation[Any])
_SAID = ("name", "user", "roles", "issuer", "digest", "prefixes", "hosts")
"""Fields of operations on the node that say to whom or what they do something; none is secret."""
_IDS = ("id", "number")
_MAX_WHAT = 400
_MOST_NAMED = 20
"""Of what was let be done in an operation, by what is told of one that was cut short."""
AnswerT = TypeVar("AnswerT")


class Named(Protocol):
    """What has a name within its project."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


NamedT = TypeVar("NamedT", bound=Named)


@dataclass(frozen=True)
class Call:
    """One request for an operation, beside the operation itself."""

    service: Service
    request: Request
    """For who streams a body or an answer; the operation's fields are read from it already."""
    allowed: list[tuple[Action, Resource]] = field(default_factory=list)
    """What was decided for who asks, and has to hold as long as it is not done."""
    empty: list[Resource] = field(default_factory=list)
    """What nothing is in, of what is dropped."""
    on_allowed: list[Callable[[], None]] = field(default_factory=list)
    """Called whenever something more was allowed, as long as not much was."""

    def shown(
        self, action: Action, kind: ResourceKind, project: str, found: Iterable[NamedT]
    ) -> tuple[NamedT, ...]:
        """Return those of the things found in a project that who asks is shown in a listing."""
        return tuple(
            each
            for each in found
            if self.may(action, Resource(kind=kind, project=project, name=each.name))
        )

    def may(self, action: Action, resource: Resource) -> bool:
        """Tell whether who asks may do this; nothing is recorded."""
        return self.service.may(self.request, action, resource)

    @property
    def token_id(self) -> str | None:
        """Id of the token or session that the request came with; None for any other credential."""
        return token_id_of(self.request.headers.get("authorization"))

    @property
    def answerable(self) -> str:
        """Who answers for who asks, as `Principal.text`: of a token its maker."""
        return self.service.accounts.answerable(self.principal.text)

    def may_approve(self, project: str, function: str) -> bool:
        """Tell whether who asks may have a function be granted more; nothing is recorded."""
        wanted = (Action.GRANT_APPROVE, function_of(project, function))
        approves = self.may(*wanted)
        if approves:
            self._allow(wanted)
        return approves

    def require(self, action: Action, resource: Resource, *, told: Resource | None = None) -> None:
        """Let who asks do this, or record the denial and raise RequestError (403).

        It names `told` where who asks must not learn that there is such a resource.
        """
        self.service.require(self.request, action, resource, told=told)
        self._allow((action, resource))

    def _allow(self, wanted: tuple[Action, Resource]) -> None:
        self.allowed.append(wanted)
        if len(self.allowed) <= _MOST_NAMED:
            for each in self.on_allowed:
                each()

    def told(self, error: HeldByAnotherError) -> CasemateError:
        """Return what who asks is told: whose something is only if that may be seen."""
        project, function = error.project, error.function
        kind = ResourceKind.FUNCTION if function else ResourceKind.PROJECT
        seen = self.may(Action.FUNCTION_READ, Resource(kind=kind, project=project, name=function))
        return error if seen else error.told_strangers()

    def still(self) -> None:
        """Decide all of it once more, by what is in force now: a change may have had to wait.

        Raises RequestError (401, 403), UnavailableError, and records what was denied.
        """
        self.service.require_again(self.request, self.allowed)

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return principal(self.request)

    @property
    def actor(self) -> Actor:
        """Who asks, and from where, as facts tell it."""
        return actor(self.request)


Perform = Callable[[Any, Call], Awaitable[Any]]
"""Returns the answer, or a whole response where the declaration is not all there is to it."""


class Performers:
    """What performs the operations of a part of the API."""

    of_all: ClassVar[dict[type[Operation[Any]], Perform]] = {}
    """What performs the operations of all parts."""

    def __init__(self) -> None:
        """Start with none."""
        self.by_type: dict[type[Operation[Any]], Perform] = {}

    def __call__(
        self, kind: type[Operation[AnswerT]]
    ) -> Callable[
        [Callable[[Any, Call], Awaitable[AnswerT | Response]]],
        Callable[[Any, Call], Awaitable[AnswerT | Response]],
    ]:
        """Return a decorator for what performs `kind`."""

        def keep(
            perform: Callable[[Any, Call], Awaitable[AnswerT | Response]],
        ) -> Callable[[Any, Call], Awaitable[AnswerT | Response]]:
            self.by_type[kind] = self.of_all[kind] = perform
            return perform

        return keep


async def respond(kind: type[Operation[Any]], perform: Perform, call: Call) -> Response:
    """Answer one request, whose action was allowed: nothing of a body is read before.

    Raises MalformedError, RequestError and whatever `perform` raises.
    """
    form, request = form_of(kind), call.request
    values = read_path(form, request.path_params)
    values |= read_query(form, _query(form, request))
    values |= await _body(form, request)
    operation = form.make(values)
    recorded = form.effect is not Effect.READ or form.declared.recorded
    with ExitStack() as until_told:
        if recorded:
            call.service.recorder.require()
            until_told.enter_context(_unfinished(form, call, operation))
        with asked_again(call.still):
            answer = await _performed(perform, operation, call)
        if form.narrowed and is_empty(answer):
            await require_named(operation, call.service, call.may)
        if recorded:
            try:
                tell(form, call, answer, operation)
                until_told.close()
                # What was done is on record before anybody is told that it was done.
                await call.service.recorder.durable()
            except BaseException:
                if isinstance(answer, HeldResponse):
                    await answer.release()
                raise
    if isinstance(answer, Response):
        return answer
    if form.answer is None:
        return Response(status_code=form.declared.status.value)
    if form.line is not None:
        return Response(encode_lines(answer), media_type=NDJSON)
    return json_response(answer, form.declared.status)


@contextmanager
def _unfinished(form: Form, call: Call, operation: Operation[Any]) -> Iterator[None]:
    """Have it on record that something was begun whose end nobody tells.

    The gateway may be killed within the block, or stop; without the vault, or by a fault of its
    own, it may have done a part. What is refused was not done.
    """

    def made() -> OperationPerformed:
        fact = _fact(form, call, None, operation)
        # What else was let be done to it: nothing of its own may tell that.
        others = [each.text for _, each in call.allowed[:_MOST_NAMED] if each.text != fact.resource]
        what = " ".join((fact.what, *dict.fromkeys(others))).strip()[:_MAX_WHAT]
        return replace(fact, what=what, unfinished=True)

    facts = call.service.facts
    if not facts.wanted(OperationPerformed):
        yield
        return
    with call.service.recorder.unfinished(made()) as instead:
        call.on_allowed.append(lambda: instead(made()))
        try:
            yield
        except BaseException as error:
            if isinstance(error, VaultUnavailableError) or not isinstance(error, CasemateError):
                facts.happened(made())
            raise
        finally:
            call.on_allowed.clear()


async def _performed(perform: Perform, operation: Operation[Any], call: Call) -> Any:
    """Perform it. Whose something is, and what is named nearly so, is told who may see that."""
    try:
        return await perform(operation, call)
    except NoFunctionError as error:
        raise await told_missing(error, call.service, call.may) from error
    except NoNamedError as error:
        raise await told_unnamed(error, call.may, partial(_listed, call)) from error
    except HeldByAnotherError as error:
        told = call.told(error)
        if told is error:
            raise
        raise told from error


async def _listed(call: Call, operation: Operation[Any]) -> Any:
    """List what there is, for who asks."""
    return await Performers.of_all[type(operation)](operation, call)


def tell(form: Form, call: Call, answer: Any, operation: Operation[Any] | None = None) -> None:
    """Tell who had what done, unless it was refused: nothing was changed then.

    `operation` says to whom or what, where the resource does not.
    """
    facts = call.service.facts
    refused = isinstance(answer, Response) and answer.status_code >= HTTPStatus.BAD_REQUEST
    if refused or not facts.wanted(OperationPerformed):
        return
    alone = form.declared.alone is not None and _is_alone(form.declared.alone, call)
    facts.happened(replace(_fact(form, call, answer, operation), alone=alone))


def _fact(
    form: Form, call: Call, answer: Any, operation: Operation[Any] | None
) -> OperationPerformed:
    # What is decided for each thing is on none of them by itself; their own facts name them.
    action = form.declared.action or form.declared.anywhere
    on = resource_of(form, call.request) if form.declared.action is not None else None
    return OperationPerformed(
        at=time.time(),
        by=call.actor.principal,
        remote_address=call.actor.remote_address,
        project=on.project if on is not None else "",
        function=on.name if on is not None and on.kind is ResourceKind.FUNCTION else "",
        operation=form.id,
        effect=form.effect.value,
        action=action.value if action is not None else "",
        resource=on.text if on is not None else "",
        empty=on is not None and on in call.empty,
        what=_what(form, operation, answer) if on is None or on == NODE else _id(operation),
    )


def _is_alone(action: Action, call: Call) -> bool:
    """Tell whether nobody but who asks may do this; unless that is found out, others may."""
    only = OnlyHolder(call.service.accounts, call.service.policy)
    try:
        return only.may_alone(action, NODE, call.actor)
    except Exception:  # noqa: BLE001 - what is not known to be so is found as the graver one
        return False


def _id(operation: Operation[Any] | None) -> str:
    """Return which recording, error, exception or version of the resource it was, by its id.

    The node has made it: nothing that a function or a caller keeps is told by it.
    """
    found = ((name, getattr(operation, name, None)) for name in _IDS)
    return " ".join(f"{name}={value}" for name, value in found if value)[:_MAX_WHAT]


def _what(form: Form, operation: Operation[Any] | None, answer: Any) -> str:
    """Return which person, token or policy was made, changed or removed."""
    said = {name: getattr(operation, name, None) for name in (*form.in_path, *_SAID)}
    said["token"] = getattr(getattr(answer, "token", None), "id", None)
    texts = {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in said.items()
        if isinstance(value, str) or (value and all(isinstance(each, str) for each in value))
    }
    return " ".join(f"{name}={value}" for name, value in texts.items())[:_MAX_WHAT]


def resource_of(form: Form, request: Request) -> Resource:
    """Return what a request acts on. Reads no more of it than that: the rest has no say yet.

    Raises MalformedError, RequestError.
    """

    def value(name: str) -> Any:
        if name in form.in_path:
            return read_part(form, request.path_params, name)
        text = _query(form, request).get(name)
        field = form.fields[name]
        return field.default if text is None else read(f"query's {name}", text, field.type)

    return form.declared.on(value)


def _query(form: Form, request: Request) -> dict[str, str]:
    raw: bytes = request.scope.get("query_string", b"")
    most = MAX_DATA_QUERY_BYTES if form.declared.tag == "data" else MAX_QUERY_BYTES
    if len(raw) > most:
        raise RequestError(
            HTTPStatus.REQUEST_URI_TOO_LONG,
            f"The query has {len(raw)} bytes, expected at most {most}.",
        )
    return pairs_of(raw)


async def _body(form: Form, request: Request) -> dict[str, Any]:
    most = form.declared.max_body
    if most is None:
        most = MAX_JSON_BYTES
    else:
        declared_length(request, most)
    if not form.in_body:
        return {}
    if form.declared.body_optional:
        body = await optional_body(request, most)
        return {} if body is None else read_body(form, body)
    return read_body(form, await required_body(request, most))
