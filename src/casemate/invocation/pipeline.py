"""The path. Every invocation, from whatever trigger, goes through `Pipeline.invoke`.

    (1) request  = parse(raw)                 well formed, within limits
    (2) admitted = admission.admit(request)   authenticated, authorized: deny unless allowed
    (3) placed   = dispatch.place(admitted)   an instance of its own, or a refusal
    (4) finished = run(placed)                within its deadline
    (5) response = seal.close(finished)       sealed, recorded

Each stage takes only the type that the one before returns. Refusals and faults skip to (5).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

import msgspec

from casemate.admission import Admission
from casemate.budgets import Allowance, Fields, Ticket
from casemate.capabilities import Broker, Session
from casemate.dispatch import Deadlines, Dispatcher
from casemate.invocation.injections import recorder
from casemate.invocation.overload import LoadRefusals
from casemate.invocation.parse import parse
from casemate.invocation.rendering import sent
from casemate.invocation.sampling import Sampling
from casemate.invocation.unfinished import again_after, broken, broken_off, failure_of
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import (
    Admitted,
    Finished,
    Placed,
    RawInvocation,
    RefusedError,
    Request,
    Sealed,
)
from casemate.model.tracing import begins_trace, text_of
from casemate.sandbox.frames import Output, Reply
from casemate.sandbox.instance import Instance
from casemate.sandbox.meter import Metered
from casemate.seal import Seal
from casemate.turn_end import TurnEnd

_TICK_SECONDS = 0.0005
"""The loop's clock is set once a turn: what ran within one has run, and is counted."""

_RATE_LIMIT = b"ratelimit"
"""As names begin of the fields that say what is left of a quota."""


class InvokeHead(msgspec.Struct, omit_defaults=True):
    """Head of an invoke frame, as `runner/instance.py` reads it."""

    id: str
    deadline: float
    http: bool
    version: str
    shape: str
    at: float
    """Unix time at which it came, in seconds."""
    open: tuple[str, ...] = ()
    """What its answer may tell of the inside."""
    guard_sampled: bool = False
    """Whether it is to tell what the sink guard's hooks took."""
    trace: str = ""
    """`traceparent` of the invocation itself, where it does not follow from `id` alone."""
    state: str = ""
    """`tracestate`."""


class Pipeline:
    """Stages 1 to 5."""

    def __init__(
        self,
        admission: Admission,
        dispatcher: Dispatcher,
        broker: Broker,
        seal: Seal,
        refusals: LoadRefusals,
        allowance: Allowance,
        trouble: Callable[[], str],
        offer: Callable[[Finished, Sealed], None],
    ) -> None:
        """Go through these; the broker serves what a running function asks for, and what may be
        used at the most is known to `allowance`.

        `trouble` says why nothing can be recorded or decided: then nothing runs. `offer` is shown
        how each invocation that ran has ended, and keeps of it what it keeps.
        """
        self._admission = admission
        self._dispatcher = dispatcher
        self._broker = broker
        self._seal = seal
        self._refusals = refusals
        self._allowance = allowance
        self._trouble = trouble
        self._offer = offer
        self._deadlines = Deadlines()
        self._turn_end = TurnEnd()
        self._sampling = Sampling()
        self._encode = msgspec.json.Encoder().encode

    async def invoke(self, raw: RawInvocation) -> HttpResponse:
        """Take one invocation along the path and return its answer. Never raises."""
        return (await self.finish(raw)).response

    async def finish(self, raw: RawInvocation) -> Sealed:
        """Do the same and tell how it ended. Never raises."""
        request: Request | None = None
        admitted: Admitted | None = None
        ticket: Ticket | None = None
        placed: Placed | None = None
        mark = self._allowance.mark
        try:
            if trouble := self._trouble():
                raise RefusedError(Outcome.UNAVAILABLE, trouble)
            request = parse(raw)  # (1)
            admitted = self._admission.admit(request)  # (2)
            ticket = self._allowance.enter(admitted)
            placed = await self._dispatcher.place(admitted)  # (3)
            if placed.queued:
                self._require_still(placed, mark)
            finished = await self._run(placed, ticket, mark)  # (4)
        except RefusedError as refusal:
            if ticket is not None:
                ticket.drop()
            sealed = self._refusals.refuse(raw, request, admitted, refusal)  # (5)
            return _refused_with(sealed, refusal.fields) if refusal.fields else sealed
        except Exception as error:  # noqa: BLE001 - whatever fails here must not reach a caller
            finished = broken(raw, request, error, ran=placed is not None)
        except BaseException:
            if ticket is not None:
                ticket.drop()
            raise
        self._settle(admitted, ticket, mark, finished)
        if finished.used_secret:
            finished = await self._seal.redact(finished)
        sealed = self._seal.complete(finished)  # (5)
        self._offer(finished, sealed)
        if ticket is not None and ticket.fields:
            answer = sealed.response
            answer.headers = _with_fields(answer.headers, ticket.fields)
        return sealed

    def _require_still(self, placed: Placed, mark: int) -> None:
        """Give the instance back if what let the call begin is over. Raises RefusedError.

        Who calls may have lost the right to it in line, and what may be used be used up.
        """
        try:
            self._admission.require_still(placed.admitted)
            self._allowance.require_still(placed.admitted, mark)
        except BaseException:
            self._dispatcher.release(placed)
            raise

    def _settle(
        self, admitted: Admitted | None, ticket: Ticket | None, mark: int, finished: Finished
    ) -> None:
        """Have what it used counted where that is bounded."""
        if ticket is not None:
            ticket.settle(finished)
        if admitted is not None and self._allowance.is_late(mark):
            self._allowance.settle_late(mark, admitted, finished)

    async def _run(self, placed: Placed, ticket: Ticket | None, mark: int) -> Finished:
        instance = placed.instance
        if not isinstance(instance, Instance):
            raise TypeError("an invocation is placed on an instance")
        admitted, version = placed.admitted, placed.admitted.version
        limits, flow, timeout = version.spec.limits, admitted.flow, version.spec.limits.timeout
        if flow is not None:
            timeout = min(timeout, flow.deadline - time.time())
        if timeout <= 0:
            self._dispatcher.release(placed)
            raise RefusedError(Outcome.TIMEOUT, "The time of the calling function is over.")
        deadline = time.time() + timeout
        output = Output(limits.log)
        loop = asyncio.get_running_loop()
        started = loop.time()
        self._deadlines.put(instance, started + timeout, instance.expire)
        instance.serving = admitted.request.id
        session = reply = None
        try:
            session = self._broker.serve(admitted, deadline, self.invoke)
            if ticket is not None and ticket.counts:
                self._seal.begin(placed, timeout)
            reply = await self._ask(instance, admitted, deadline, output, session)
        except BaseException:
            # Nobody waits for its answer any more: it must not meet the next caller.
            instance.close()
            raise
        finally:
            self._deadlines.drop(instance)
            if session is not None:
                session.close()
            ran = max(loop.time() - started, _TICK_SECONDS)
            used = None if instance.meter is None else instance.meter.ended(ran)
            self._dispatcher.release(placed)
            if reply is None and isinstance(sys.exception(), asyncio.CancelledError):
                # Whoever called it is gone; what it has used is used.
                finished = broken_off(placed, ran, used)
                self._settle(admitted, ticket, mark, finished)
                self._seal.complete(finished)
        return _finished(placed, reply, session, output, timeout, ran, used)

    def _ask(
        self,
        instance: Instance,
        admitted: Admitted,
        deadline: float,
        output: Output,
        session: Session,
    ) -> asyncio.Future[Reply]:
        """Send the event; the future holds the reply, however the invocation ends."""
        request, version = admitted.request, admitted.version
        shape, http, body = sent(admitted)
        instance.sampled = self._sampling.chooses(version.project, version.function)
        head = InvokeHead(
            request.id,
            deadline,
            http,
            str(version.number),
            shape,
            request.raw.received_at,
            version.spec.shown(request.raw.event),
            instance.sampled,
            *_trace(request),
        )
        return instance.invoke(
            self._encode(head),
            body,
            output,
            session.on_request,
            recorder(admitted, self._broker.facts.happened),
            # Beside others that run; alone it would only wait.
            self._turn_end if len(self._deadlines) > 1 else None,
        )


def _refused_with(sealed: Sealed, fields: Fields) -> Sealed:
    """Return a refusal with fields more: itself may be kept for others like it."""
    answer = sealed.response
    headers = _with_fields(answer.headers, fields)
    replaced = HttpResponse(answer.status, headers, answer.body, paced=answer.paced)
    return msgspec.structs.replace(sealed, response=replaced)


def _with_fields(headers: Fields, fields: Fields) -> Fields:
    """Return headers with fields more, in place of any of their names."""
    for name, _ in headers:
        if name.startswith(_RATE_LIMIT):
            known = {name for name, _ in fields}
            headers = tuple(each for each in headers if each[0] not in known)
            break
    return (*headers, *fields)


def _finished(
    placed: Placed,
    reply: Reply,
    session: Session,
    output: Output,
    timeout: float,
    ran: float,
    used: Metered | None,
) -> Finished:
    """Return the end of an invocation that had a reply, be it that of its instance's end."""
    admitted, kept = placed.admitted, session.kept
    version, ok = admitted.version, reply.outcome is Outcome.OK
    again = again_after(reply, session.unavailable)
    return Finished(
        outcome=reply.outcome,
        status=None if again is None else 503,
        retry_after=again,
        request=admitted.request,
        frames=tuple(kept.frames) if kept is not None else (),
        held=reply.held,
        values=reply.values,
        frames_left_out=kept.left_out if kept is not None else 0,
        version=version,
        head=reply.head,
        body=reply.body,
        failure=None if ok else failure_of(reply, version.spec, timeout),
        queued=placed.queued,
        ran=ran,
        cold=placed.cold,
        output=output.entries,
        output_dropped=output.dropped,
        output_lines=output.lines,
        used_secret=placed.instance.holds_secret,
        own=reply.own,
        guard_us=reply.guard_us,
        spans=session.spans,
        more_spans=session.more_spans,
        principal=admitted.principal,
        used=used,
    )


def _trace(request: Request) -> tuple[str, ...]:
    """Return what its instance cannot know of the trace that an invocation is part of."""
    raw = request.raw
    if raw.trace is None and raw.attempt == 1 and (not raw.id or begins_trace(raw.id)):
        return ()
    state = "" if raw.trace is None else raw.trace.state
    return text_of(request.id, raw.trace, raw.attempt), state
