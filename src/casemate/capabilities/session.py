"""The capability requests of one invocation: read, decided, done, answered."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from casemate.capabilities import requests
from casemate.capabilities.deciding import Decisions
from casemate.capabilities.errors import NotGrantedError, TooMuchError, code_of
from casemate.capabilities.flow import caller_of
from casemate.capabilities.kept_frames import KeptFrames
from casemate.capabilities.operations import Answer, Operations
from casemate.capabilities.rights import Rights
from casemate.decoding import decodable
from casemate.model.errors import (
    CasemateError,
    NotFoundError,
    OutOfServiceError,
    UnavailableError,
)
from casemate.model.granted import CompiledGrants
from casemate.model.http import HttpResponse
from casemate.model.path import Admitted, RawInvocation
from casemate.model.tracing import AMBIENT, MAX_SPANS, Span, TraceContext, handed_on
from casemate.operations.objects import (
    AbortObject,
    AddPart,
    BeginObject,
    CommitObject,
    ReadObject,
)
from casemate.operations.uses import IdentityToken, InvokeFunction, SignedToken
from casemate.sandbox.instance import Instance
from casemate.sandbox.outgoing import ReplyRoom

_log = logging.getLogger(__name__)
_MAX_UPLOADS = 16
_DENIED_AT_ONCE = 100
"""How many denied requests of one invocation are answered at once; each after that is held up."""
_DENIED_PAUSE_SECONDS = 0.04
_encode = msgspec.json.Encoder().encode

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


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions of a gateway work with."""

    operations: Operations
    decisions: Decisions
    room: ReplyRoom
    call: Callable[[RawInvocation, Invoke | None], Awaitable[HttpResponse]]
    """Invokes a function for another one; without a path it keeps the event for it."""


class Session:
    """The capability requests of one invocation."""

    __slots__ = (
        "_admitted",
        "_ceilings",
        "_deadline",
        "_denied",
        "_path",
        "_rights",
        "_shared",
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
        shared: Shared,
        rights: Rights,
        admitted: Admitted,
        deadline: float,
        path: Invoke,
    ) -> None:
        """Made by `Broker.serve` only."""
        self.spans: Sequence[Span] = ()
        """The first uses that were answered."""
        self.more_spans = 0
        self.unavailable: tuple[str, CasemateError] | None = None
        """What was told last of a use that what we work with could not do, and why that was."""
        self._shared = shared
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
        room = self._shared.room.held(self._rights.principal.id, requests.reply_bytes(request))
        loop = asyncio.get_running_loop()
        since = loop.time()
        async with turn, room as resize:
            try:
                if loop.time() > since:  # which stands still while the loop does not turn
                    self._authorize(request, again=True)
                answer = await self._perform(request, body)
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
        # What says what to do was foreseen: where it was raised would bury it, on each request.
        foreseen = isinstance(error, CasemateError) and error.next_step
        _log.error(
            "%s in a capability of %s: %s",
            error_id,
            self._rights.principal.id,
            error if foreseen else type(error).__name__,
            exc_info=error.__cause__ if foreseen else error,
        )
        return f"the host failed ({error_id})"

    async def _perform(self, request: Any, body: bytes) -> Answer:
        operations = self._shared.operations
        operation = requests.read(self._rights.version.project, request, body)
        if isinstance(operation, IdentityToken):
            flow = self._admitted.flow
            return await operations.identity_token(
                self._rights.version,
                self._admitted.request.id,
                flow.chain if flow is not None else (),
                operation.audience,
            )
        if isinstance(operation, InvokeFunction):
            return await self._invoke(operation, request)
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
        return self._shared.operations.perform_at_once(operation)

    def _authorize(self, request: Any, *, again: bool = False) -> None:
        """Let a request pass or raise NotGrantedError. A function may always say who it is.

        `again` is for one that passed before, and has waited since for its turn, for room or for
        an instance: what was taken meanwhile counts.
        """
        wanted, kind = requests.wanted(request), requests.kind_of(request)
        if kind in (AddPart, CommitObject, AbortObject):
            begun = self._uploads.get(request.upload)
            if wanted is None or begun is None or begun[0] != request.bucket:
                raise NotFoundError("This invocation has begun no such upload.")
            wanted = wanted._replace(key=begun[1])
        if wanted is not None:
            self._shared.decisions.require(
                self._rights, self._admitted.request.id, self._ceilings, wanted, again=again
            )
        elif kind is not IdentityToken:
            raise NotGrantedError("This is nothing that can be granted.")

    async def _invoke(self, operation: InvokeFunction, request: Any) -> Answer:
        version = self._rights.version
        lost: list[NotGrantedError] = []

        def still() -> bool:
            try:
                self._authorize(request, again=True)
            except NotGrantedError as error:
                lost.append(error)
            return not lost

        caller = caller_of(self._admitted, self._rights.principal, self._deadline, operation.allow)
        response = await self._shared.call(
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
                still=still,
            ),
            self._path if operation.wait else None,
        )
        if lost:
            raise lost[0]
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
                await self._shared.operations.perform(forget)
            except CasemateError as error:
                _log.warning("an unfinished upload stays until it expires: %s", error)
