"""Decides every use of a capability, has it done, and notes it.

    granted?   the manifest's grants of this very version, compiled
    narrowed?  every ceiling that callers up the chain have set
    allowed?   the policy, which sees whether it is granted, and may still forbid it

Whatever goes wrong on the way is a denial or an error; nothing is done before all three hold.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from casemate.baselines import Baselines
from casemate.capabilities import requests
from casemate.capabilities.errors import NotGrantedError, TooMuchError, code_of, how_to_grant
from casemate.capabilities.flow import caller_of, require_within
from casemate.capabilities.kept_frames import KeptFrames
from casemate.capabilities.operations import Answer, Operations
from casemate.capabilities.uses import use_of
from casemate.decoding import decodable
from casemate.facts import FactStream
from casemate.model.baseline import UNUSUAL
from casemate.model.denial import DenialKind, denied_to
from casemate.model.deployment import Version
from casemate.model.errors import (
    CasemateError,
    NotFoundError,
    OutOfServiceError,
    UnavailableError,
)
from casemate.model.facts import FunctionPlace, GrantUsed
from casemate.model.grant import GrantKind
from casemate.model.granted import CompiledGrants, learned_prefix
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, RawInvocation, RefusedError
from casemate.model.principal import (
    Action,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
)
from casemate.model.tracing import AMBIENT, MAX_SPANS, Span, TraceContext, handed_on
from casemate.operations.declaration import Operation
from casemate.operations.objects import (
    AbortObject,
    AddPart,
    BeginObject,
    CommitObject,
    ReadObject,
)
from casemate.operations.uses import IdentityToken, InvokeFunction, SignedToken
from casemate.policy.interface import Policy
from casemate.sandbox.instance import Instance
from casemate.sandbox.outgoing import ReplyRoom

_log = logging.getLogger(__name__)
_MAX_COMPILED = 10_000
_MAX_UPLOADS = 16
_DENIED_AT_ONCE = 100
"""How many denied requests of one invocation are answered at once; each after that is held up."""
_DENIED_PAUSE_SECONDS = 0.04
_RESOURCE_KINDS = {
    GrantKind.BUCKET: ResourceKind.BUCKET,
    GrantKind.TABLE: ResourceKind.TABLE,
    GrantKind.QUEUE: ResourceKind.QUEUE,
    GrantKind.TOPIC: ResourceKind.TOPIC,
    GrantKind.SECRET: ResourceKind.SECRET,
    GrantKind.FUNCTION: ResourceKind.FUNCTION,
}
_NOT_ALLOWED = "The token does not allow this."
"""What is said of every caller that may not: which of them a baseline refuses tells of others."""
_encode = msgspec.json.Encoder().encode

Withholds = Callable[[str, str, str], bool]
"""Tells whether a function of a project is not given a secret's value."""
Invoke = Callable[[RawInvocation], Awaitable[HttpResponse]]


class _Number(msgspec.Struct):
    n: int


class _Ok(msgspec.Struct):
    n: int
    ok: object


class _Error(msgspec.Struct):
    n: int
    error: str
    message: str


class Rights:
    """What one version is granted, compiled once, and who it is to the policy."""

    __slots__ = ("grants", "principal", "resources", "version")

    def __init__(self, version: Version) -> None:
        self.version = version
        self.grants = CompiledGrants(version.spec.grants)
        self.principal = Principal(
            kind=PrincipalKind.FUNCTION, id=f"{version.project}/{version.function}"
        )
        self.resources: dict[tuple[GrantKind, str], Resource] = {}

    def resource(self, kind: GrantKind, name: str) -> Resource:
        """Return the resource as the policy knows it. Functions only reach their own project."""
        known = self.resources.get((kind, name))
        if known is None:
            known = Resource(
                kind=_RESOURCE_KINDS[kind],
                project=self.version.project,
                name=name,
                internal=kind is GrantKind.FUNCTION,
            )
            if len(self.resources) < _MAX_COMPILED:
                self.resources[kind, name] = known
        return known


class Broker:
    """One per gateway."""

    def __init__(
        self,
        *,
        policy: Policy,
        operations: Operations,
        facts: FactStream,
        baselines: Baselines,
        keep: Invoke,
        withholds: Withholds | None = None,
        learn: bool = False,
    ) -> None:
        """`keep` takes what a function has run later; `withholds` tells which secrets it is not
        given although it is granted them.

        `learn` lets everything through that is not granted, and notes it; for development."""
        self.policy = policy
        self.operations = operations
        self.facts = facts
        self.baselines = baselines
        self._keep = keep
        self._withholds = withholds
        self.learn = learn
        self.room = ReplyRoom()
        self._rights: dict[tuple[str, str, int], Rights] = {}
        self._calls: set[asyncio.Task[HttpResponse]] = set()

    async def call(self, raw: RawInvocation, invoke: Invoke | None) -> HttpResponse:
        """Invoke a function for another one, or keep the event for it where `invoke` is None.

        If the caller ends first, the call goes on until it has to end, which is no later than the
        caller's deadline: taken back half-way, it would leave no record.
        """
        call: asyncio.Task[HttpResponse] = asyncio.ensure_future(self._whole(raw, invoke))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(call)

    async def _whole(self, raw: RawInvocation, invoke: Invoke | None) -> HttpResponse:
        return await (invoke or self._keep)(raw)

    def withholds(self, version: Version, kind: GrantKind, name: str) -> bool:
        """Tell whether something that is granted is held back for now."""
        if kind is not GrantKind.SECRET or self._withholds is None:
            return False
        return self._withholds(version.project, version.function, name)

    def rights(self, version: Version) -> Rights:
        """Return what a version is granted."""
        key = (version.project, version.function, version.number)
        rights = self._rights.get(key)
        if rights is None or rights.version is not version:
            if len(self._rights) >= _MAX_COMPILED:
                self._rights.clear()
            rights = self._rights[key] = Rights(version)
        return rights

    def serve(self, admitted: Admitted, deadline: float, invoke: Invoke) -> Session:
        """Return what serves one invocation's requests. RefusedError if it may not run at all.

        `invoke` is the path that it is on itself, which functions that it invokes take as well.
        """
        rights = self.rights(admitted.version)
        session = Session(self, rights, admitted, deadline, invoke)
        caller = admitted.principal
        if not self.baselines.admits(admitted.version, caller.text, admitted.request.id):
            target = rights.resource(GrantKind.FUNCTION, admitted.version.function)
            session.record(Action.FUNCTION_INVOKE, target, UNUSUAL)
            raise RefusedError(Outcome.DENIED, _NOT_ALLOWED, status=403, principal=caller)
        if admitted.request.raw.caller is None:
            return session
        try:
            require_within(admitted, rights.version.spec.grants)
        except RefusedError as refusal:
            if refusal.outcome is Outcome.DENIED:
                session.record(
                    Action.FUNCTION_INVOKE,
                    rights.resource(GrantKind.FUNCTION, admitted.version.function),
                    "the network is granted further than the calling function allows",
                )
            raise
        return session


class Session:
    """The capability requests of one invocation."""

    __slots__ = (
        "_admitted",
        "_broker",
        "_ceilings",
        "_deadline",
        "_denied",
        "_path",
        "_rights",
        "_tasks",
        "_turn",
        "_uploads",
        "kept",
        "more_spans",
        "spans",
        "unavailable",
    )

    def __init__(
        self,
        broker: Broker,
        rights: Rights,
        admitted: Admitted,
        deadline: float,
        path: Invoke,
    ) -> None:
        self.spans: Sequence[Span] = ()
        """The first uses that were answered."""
        self.more_spans = 0
        self.unavailable: tuple[str, CasemateError] | None = None
        """What was told last of a use that what we work with could not do, and why that was."""
        self._broker = broker
        self._path = path
        self._rights = rights
        self._admitted = admitted
        self._deadline = deadline
        # Most invocations ask for nothing: what their requests need is made with the first.
        self._tasks: set[asyncio.Task[None]] | None = None
        self._turn: asyncio.Lock | None = None
        self._denied = 0
        self._uploads: dict[str, tuple[str, str]] = {}
        self.kept: KeptFrames | None = None
        """What was asked for and answered, where anything was."""
        flow = admitted.flow
        self._ceilings = tuple(map(CompiledGrants, flow.ceilings)) if flow is not None else ()

    def on_request(self, instance: Instance, head: bytes, body: bytes) -> None:
        """Take one request. What is no request at all raises, which ends the instance.

        Requests of one invocation are done one after the other, so that at most one large reply
        waits for an instance.
        """
        served, began = instance.served, time.time()
        if self.kept is None:
            self.kept = KeptFrames()
        self.kept.asked(head, body)
        try:
            request = requests.decode(head)
        except msgspec.ValidationError as error:
            number = msgspec.json.decode(head, type=decodable(_Number)).n
            instance.reply(served, _encode(_Error(number, "invalid", str(error))))
            return
        try:
            self._authorize(request)
            answer = self._perform_at_once(request)
        except Exception as error:  # noqa: BLE001 - whatever fails here must not pass as done
            self._note(request, began, ok=False)
            self._refuse(instance, served, request.n, error)
            return
        if answer is not None:
            self._note(request, began)
            reply = _encode(_Ok(request.n, answer.fields))
            self.kept.answered(reply, answer.body)
            instance.reply(served, reply, answer.body)
            return
        if self._tasks is None:
            self._tasks = set()
        if self._turn is None:
            self._turn = asyncio.Lock()
        task = asyncio.get_running_loop().create_task(
            self._serve(instance, served, request, body, self._turn, began)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def _trace(self) -> TraceContext:
        """Where what comes of its requests stands in a trace, whatever the function says of it."""
        request = self._admitted.request
        return handed_on(request.id, request.raw.trace, request.raw.attempt)

    def _note(self, request: Any, began: float, *, ok: bool = True) -> None:
        """Keep that a request was answered, for the trace."""
        if len(self.spans) >= MAX_SPANS:
            self.more_spans += 1
            return
        name, on = requests.told(request)
        came = self._admitted.request.raw.received_at
        start, took = (began - came) * 1000, (time.time() - began) * 1000
        span = Span(name=name, on=on, start_ms=round(start, 3), ms=round(took, 3), ok=ok)
        self.spans = (*self.spans, span)

    async def _serve(
        self,
        instance: Instance,
        served: int,
        request: Any,
        body: bytes,
        turn: asyncio.Lock,
        began: float,
    ) -> None:
        # What it changes happens in this trace; nothing else runs in the context of this task.
        AMBIENT.set(self._trace.kept)
        room = self._broker.room.held(self._rights.principal.id, requests.reply_bytes(request))
        async with turn, room as resize:
            try:
                answer = await self._perform(
                    requests.read(self._rights.version.project, request, body)
                )
            except Exception as error:  # noqa: BLE001 - whatever fails here must not pass as done
                self._note(request, began, ok=False)
                self._refuse(instance, served, request.n, error)
                return
            self._note(request, began)
            resize(len(answer.body))
            await self._deliver(instance, served, request.n, answer)

    async def _deliver(self, instance: Instance, served: int, number: int, answer: Answer) -> None:
        """Send an answer and wait until it is read: until then it takes room."""
        head = _encode(_Ok(number, answer.fields))
        if self.kept is not None:
            # A token of the function's identity is worth something to who reads a recording.
            token = isinstance(answer.fields, SignedToken)
            self.kept.answered(_encode(_Ok(number, None)) if token else head, answer.body)
        if answer.descriptor is None:
            instance.reply(served, head, answer.body)
            del answer
            await instance.taken()
            return
        instance.holds_secret = True
        try:
            if not instance.reply(served, head, answer.body, (answer.descriptor,)):
                message = "the value could not be delivered"
                instance.reply(served, _encode(_Error(number, "unavailable", message)))
        finally:
            os.close(answer.descriptor)

    def _refuse(self, instance: Instance, served: int, number: int, error: Exception) -> None:
        """Tell the function why its request was not done, if it is its own doing."""
        code = code_of(error) if isinstance(error, CasemateError) else None
        text = self._fault(error) if code is None else str(error)
        reply = _encode(_Error(number, code or "unavailable", text))
        if isinstance(error, UnavailableError | OutOfServiceError):
            self.unavailable = text, error
        if self.kept is not None:
            self.kept.answered(reply)
        if isinstance(error, NotGrantedError):
            self._denied += 1
            if self._denied > _DENIED_AT_ONCE:
                # Who only asks for what it may not have waits, and nobody else does.
                asyncio.get_running_loop().call_later(
                    _DENIED_PAUSE_SECONDS, instance.reply, served, reply
                )
                return
        instance.reply(served, reply)

    def _fault(self, error: BaseException) -> str:
        """Log a fault of ours; return what the function is told: no more than its id."""
        error_id = "err_" + secrets.token_hex(12)
        _log.error("%s in a capability of %s", error_id, self._rights.principal.id, exc_info=error)
        return f"the host failed ({error_id})"

    async def _perform(self, operation: Operation[Any]) -> Answer:
        operations = self._broker.operations
        if isinstance(operation, IdentityToken):
            flow = self._admitted.flow
            return await operations.identity_token(
                self._rights.version,
                self._admitted.request.id,
                flow.chain if flow is not None else (),
                operation.audience,
            )
        if isinstance(operation, InvokeFunction):
            return await self._invoke(operation)
        if isinstance(operation, BeginObject) and len(self._uploads) >= _MAX_UPLOADS:
            raise TooMuchError(f"An invocation has at most {_MAX_UPLOADS} uploads at a time.")
        answer = await operations.perform(operation)
        if isinstance(operation, BeginObject):
            self._uploads[answer.fields.upload] = (operation.bucket, operation.key)
        elif isinstance(operation, (CommitObject, AbortObject)):
            self._uploads.pop(operation.upload, None)
        return answer

    def _perform_at_once(self, request: Any) -> Answer | None:
        if requests.kind_of(request) is not ReadObject:
            return None
        operation = requests.read(self._rights.version.project, request, b"")
        return self._broker.operations.perform_at_once(operation)

    def _authorize(self, request: Any) -> None:
        """Let a request pass or raise NotGrantedError. A function may always say who it is."""
        wanted, kind = requests.wanted(request), requests.kind_of(request)
        if kind in (AddPart, CommitObject, AbortObject):
            begun = self._uploads.get(request.upload)
            if wanted is None or begun is None or begun[0] != request.bucket:
                raise NotFoundError("This invocation has begun no such upload.")
            wanted = wanted._replace(key=begun[1])
        if wanted is not None:
            self._decide(*wanted)
        elif kind is not IdentityToken:
            raise NotGrantedError("This is nothing that can be granted.")

    def _decide(self, kind: GrantKind, name: str, action: str, key: str) -> None:
        """Let a use pass or raise NotGrantedError; either is noted."""
        broker, rights = self._broker, self._rights
        found = rights.grants.find(kind, name, action, key)
        resource = rights.resource(kind, name)
        granted = found is not None
        within = all(ceiling.find(kind, name, action, key) for ceiling in self._ceilings)
        withheld = broker.withholds(rights.version, kind, name)
        if broker.learn and within and not withheld:
            prefix = learned_prefix(key) if kind is GrantKind.BUCKET else ""
            self._tell_use(f"{kind.value} {name}", action, prefix)
            return
        asked = Action(f"{kind.value}:{action}")
        unusual = False
        if (
            found is not None
            and within
            and not withheld
            and broker.policy.allows(rights.principal, asked, resource, granted=True)
            and not (unusual := self._is_refused(found[0].text, action))
        ):
            grant, prefix = found
            self._tell_use(grant.text, action, prefix)
            return
        if not granted:
            listed = any(g.kind is kind and g.name == name for g in rights.version.spec.grants)
            reason = "outside what is granted of it" if listed else "not granted"
        elif not within:
            reason = "outside what the calling function allows"
        elif withheld:
            reason = "held back until it has another value"
        elif unusual:
            reason = UNUSUAL
        else:
            reason = "forbidden by a policy"
        self.record(asked, resource, reason)
        raise NotGrantedError(
            f"{self._rights.principal.id} may not {action} {kind.value} {name}: {reason}.",
            next_step=None if granted else how_to_grant(rights.version.spec, kind, name, action),
        )

    def _is_refused(self, grant: str, action: str) -> bool:
        baselines, invocation = self._broker.baselines, self._admitted.request.id
        return not baselines.allows(self._rights.version, grant, action, invocation)

    def _tell_use(self, grant: str, action: str, prefix: str) -> None:
        facts = self._broker.facts
        if facts.wanted(GrantUsed):
            invocation = self._admitted.request.id
            facts.happened(
                use_of(self._rights.version, grant, action, prefix, invocation, at=time.time())
            )

    def record(self, action: Action, resource: Resource, reason: str) -> None:
        """Record that something was denied to this invocation."""
        version = self._rights.version
        place = FunctionPlace(
            version.project, version.function, version.number, self._admitted.request.id
        )
        self._broker.facts.happened(
            denied_to(
                place,
                at=time.time(),
                kind=DenialKind.CAPABILITY,
                action=action.value,
                resource=resource.text,
                reason=reason,
            )
        )

    async def _invoke(self, operation: InvokeFunction) -> Answer:
        version = self._rights.version
        caller = caller_of(self._admitted, self._rights.principal, self._deadline, operation.allow)
        response = await self._broker.call(
            RawInvocation(
                trigger="function",
                project=version.project,
                function=operation.function,
                qualifier=None,
                credential=None,
                content_type="application/json",
                body=operation.content,
                received_at=time.time(),
                caller=caller,
                trace=self._trace,
            ),
            self._path if operation.wait else None,
        )
        content = response.body if isinstance(response.body, bytes) else b""
        media_type = next((v for n, v in response.headers if n == b"content-type"), b"")
        fields: dict[str, object] = {
            "status": response.status,
            "type": media_type.partition(b";")[0].decode("latin-1"),
        }
        if response.status >= 400:
            fields["error_id"] = msgspec.json.decode(content).get("error_id")
            content = b""
        return Answer(fields, content)

    def close(self) -> None:
        """End what is under way and forget uploads that were not finished."""
        for task in self._tasks or ():
            task.cancel()
        if self._uploads:
            uploads, self._uploads = self._uploads, {}
            asyncio.ensure_future(self._abort(uploads))  # noqa: RUF006

    async def _abort(self, uploads: dict[str, tuple[str, str]]) -> None:
        for upload, (bucket, _key) in uploads.items():
            project = self._rights.version.project
            forget = AbortObject(project=project, bucket=bucket, upload=upload)
            try:
                await self._broker.operations.perform(forget)
            except CasemateError as error:
                _log.warning("an unfinished upload stays until it expires: %s", error)
