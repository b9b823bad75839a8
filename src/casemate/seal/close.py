"""Closes an invocation: response out, record written, whatever happened."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec

from casemate.metrics import Registry
from casemate.model.deployment import LIVE, Version
from casemate.model.function import Logs
from casemate.model.http import HttpResponse
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine, Outcome
from casemate.model.path import (
    Admitted,
    Failure,
    Finished,
    Placed,
    RawInvocation,
    Sealed,
    Used,
)
from casemate.model.problem import FUNCTION_FAILED, FUNCTION_TOO_SLOW, problem_response
from casemate.model.tracing import Span, TraceContext, handed_on
from casemate.model.usage import GuardSampled
from casemate.seal.answer import AnswerError, response
from casemate.seal.firewall import inside
from casemate.seal.ids import new_invocation_id
from casemate.seal.lines import MAX_LINES, Writer, told
from casemate.seal.redaction import Redactor

_STATUS = {
    Outcome.OK: 200,
    Outcome.INVALID: 400,
    Outcome.DENIED: 401,
    Outcome.NOT_FOUND: 404,
    Outcome.THROTTLED: 429,
    Outcome.UNAVAILABLE: 503,
    Outcome.TIMEOUT: 504,
}
"""Every other outcome is 500: a caller is not told how a function failed."""
_KINDS = {500: FUNCTION_FAILED, 504: FUNCTION_TOO_SLOW}
"""What these say of an invocation; all other statuses say it themselves."""
_OF_THE_FUNCTION = frozenset(
    {
        Outcome.INIT_ERROR,
        Outcome.HANDLER_ERROR,
        Outcome.BLOCKED,
        Outcome.BAD_RESULT,
        Outcome.RESPONSE_TOO_LARGE,
        Outcome.EXPOSED,
        Outcome.TIMEOUT,
        Outcome.OUT_OF_MEMORY,
        Outcome.CRASHED,
        Outcome.PROTOCOL_VIOLATION,
    }
)
"""Failures of the function itself: each leaves a line in its log."""


def problem(
    status: int, error_id: str, detail: str | None = None, retry_after: int | None = None
) -> HttpResponse:
    """Return the problem that an invocation ended with: nothing of the inside is in it."""
    return problem_response(
        status, detail, kind=_KINDS.get(status), error_id=error_id, retry_after=retry_after
    )


class Written(Protocol):
    """What a running invocation has written, of which whole lines can be taken away."""

    lines: int
    """How many lines were made of what was taken."""

    def take(self) -> list[tuple[float, str, bytes]]:
        """Take away what is there in whole lines."""
        ...


class Seal:
    """Stage 5."""

    def __init__(
        self,
        redactor: Redactor,
        figures: Registry | None = None,
        exists: Callable[[str], bool] | None = None,
    ) -> None:
        """Record through `redactor`, and count in `figures`.

        `exists` tells whether there is a project: what led nowhere in one that is made up is
        recorded as the node's. Each name would have a share of the room for records else, for
        which those who have more give way.
        """
        self._redactor = redactor
        self._exists = exists
        self._figures = Registry() if figures is None else figures

    async def redact(self, finished: Finished) -> Finished:
        """Take secrets out of the answer of a function that was given one."""
        try:
            return await self._redactor.redact(finished)
        except Exception as error:  # noqa: BLE001 - what was not looked through must not leave
            failure = Failure(type=type(error).__qualname__, message=str(error))
            return msgspec.structs.replace(
                finished, outcome=Outcome.INTERNAL_ERROR, head=b"", body=b"", failure=failure
            )

    def close(self, finished: Finished) -> HttpResponse:
        """Return the response and record the invocation."""
        return self.complete(finished).response

    def complete(self, finished: Finished) -> Sealed:
        """Do the same and say how the invocation ended."""
        if not isinstance(finished, Finished):
            raise TypeError("stage 5 takes a Finished")
        answer = None
        if finished.outcome is Outcome.OK:
            finished = inside(finished)
        if finished.outcome is Outcome.OK:
            try:
                answer = response(finished.head, finished.body)
            except AnswerError as error:
                failure = Failure(type="BadResult", message=str(error))
                finished = msgspec.structs.replace(
                    finished, outcome=Outcome.BAD_RESULT, failure=failure
                )
        record: ErrorRecord | None = None
        if answer is None:
            status = finished.status or _STATUS.get(finished.outcome, 500)
            error_id = "err_" + secrets.token_hex(12)
            answer = problem(status, error_id, finished.detail, finished.retry_after)
            answer.paced = answer.paced or finished.retry_after is not None
            record = self._error(error_id, finished)
        request_id = _id_of(finished)
        answer.headers = (*answer.headers, (b"x-request-id", request_id.encode()))
        trace = self._record(finished, answer, record, request_id)
        return Sealed(
            outcome=finished.outcome,
            response=answer,
            error_id=record.id if record is not None else "",
            retry_after=finished.retry_after,
            id=request_id,
            trace=trace,
        )

    def begin(self, placed: Placed, seconds: float) -> None:
        """Have an invocation on record, and what it used, although this process ends while it runs.

        It may run for so many seconds. It has to be completed.
        """
        admitted = placed.admitted
        raw, version = admitted.request.raw, admitted.version
        record = InvocationRecord(
            id=admitted.request.id,
            project=version.project,
            function=version.function,
            version=version.number,
            trigger=raw.trigger,
            outcome=Outcome.CRASHED,
            status=500,
            started_at=raw.received_at,
            queued_ms=placed.queued * 1000,
            run_ms=0.0,
            cold=placed.cold,
            request_bytes=_size(raw),
            response_bytes=0,
            error_id=None,
            attempt=raw.attempt,
            caller=admitted.principal.text,
            route="" if raw.event is None else _route(raw.event),
            memory=version.spec.limits.memory,
        )
        self._redactor.begin(record, version.spec.logs, seconds)

    def count_alike(self, version: Version, outcome: Outcome) -> None:
        """Count an invocation that was refused like the one before it, and is not recorded."""
        self._figures.of(version.project, version.function).outcomes[outcome] += 1

    def _recorded_of(self, finished: Finished, raw: RawInvocation | None) -> tuple[str, str]:
        """Return of which project and function an invocation is recorded; empty: the node's."""
        if raw is None:
            return "", ""
        if finished.version is None and self._exists is not None and not self._exists(raw.project):
            return "", ""
        return raw.project, raw.function

    def _error(self, error_id: str, finished: Finished) -> ErrorRecord:
        raw = finished.raw or (finished.request.raw if finished.request else None)
        failure = finished.failure or Failure(type=finished.outcome.value, message="")
        project, function = self._recorded_of(finished, raw)
        message = failure.message
        if raw is not None and raw.project and not project:
            message = f"{raw.project}/{raw.function}: {message or 'there is no such project'}"
        return ErrorRecord(
            id=error_id,
            invocation=finished.request.id if finished.request else "",
            project=project,
            function=function,
            version=finished.version.number if finished.version else 0,
            outcome=finished.outcome,
            at=time.time(),
            type=failure.type,
            message=message,
            trace=failure.trace,
        )

    def _record(
        self,
        finished: Finished,
        answer: HttpResponse,
        error: ErrorRecord | None,
        request_id: str,
    ) -> TraceContext | None:
        """Record and count it; return where what comes of it stands in a trace, unless that is
        where one stands that begins with it."""
        raw = finished.raw or (finished.request.raw if finished.request else None)
        if raw is None:
            return None
        body, used = answer.body, finished.used
        project, function = self._recorded_of(finished, raw)
        # For all others it follows from the id; see `casemate.model.tracing`.
        is_part = raw.trace is not None or raw.attempt > 1
        trace = handed_on(request_id, raw.trace, raw.attempt) if is_part else None
        record = InvocationRecord(
            id=request_id,
            project=project,
            function=function,
            version=finished.version.number if finished.version else 0,
            trigger=raw.trigger,
            outcome=finished.outcome,
            status=answer.status,
            started_at=raw.received_at,
            queued_ms=finished.queued * 1000,
            run_ms=finished.ran * 1000,
            cold=finished.cold,
            request_bytes=_size(raw),
            response_bytes=len(body) if isinstance(body, bytes) else 0,
            error_id=error.id if error else None,
            attempt=raw.attempt,
            trace_id="" if trace is None else trace.trace_id,
            span_id="" if trace is None else trace.parent_id,
            parent_id="" if raw.trace is None else raw.trace.parent_id,
            spans=_spans(raw, finished),
            more_spans=finished.more_spans,
            caller="" if finished.principal is None else finished.principal.text,
            route="" if raw.event is None else _route(raw.event),
            memory=finished.version.spec.limits.memory if finished.version else 0,
            uses=len(finished.spans) + finished.more_spans,
            # Where that is not known yet it is as much as it can have been.
            cpu_us=0 if used is None else used.cpu_us if used.known else int(finished.ran * 1e6),
            peak=0 if used is None else used.memory,
        )
        wrote = finished.output or finished.output_dropped or finished.output_lines > MAX_LINES
        silent = error is None and not wrote
        lines = () if silent else self._lines(finished, record, error)
        version = finished.version
        self._count(finished, record, lines, by_chance=raw.qualifier in (None, LIVE))
        logs = version.spec.logs if version else Logs()
        if not silent or (used is not None and not used.known):
            # It is answered before all of that is known, and billed whatever becomes of this node.
            self._redactor.expect(record, error, lines, logs)
        if used is None:
            self._redactor.record(record, error, lines, logs)
        else:
            used.then(partial(self._keep, record, error, lines, logs))
            if finished.guard_us is not None:
                used.then(partial(self._sample, record, finished.guard_us))
        return trace

    def _keep(
        self,
        record: InvocationRecord,
        error: ErrorRecord | None,
        lines: Sequence[LogLine],
        logs: Logs,
        used: Used,
    ) -> None:
        """Record it, now that is known what it used."""
        cpu_us, peak = used.cpu_us, used.memory
        if error is None and not lines and self._redactor.record_expected(record, cpu_us, peak):
            return
        record = msgspec.structs.replace(record, cpu_us=cpu_us, peak=peak)
        self._redactor.record(record, error, lines, logs)

    def _sample(self, record: InvocationRecord, guard_us: int, used: Used) -> None:
        """Record what the sink guard took: at most what the call used, whatever its process says.

        Where that was not counted it is bounded by the time that the call ran.
        """
        self._redactor.sample(
            GuardSampled(
                record.project,
                record.function,
                record.trigger,
                record.caller,
                record.route,
                min(guard_us, used.cpu_us),
            )
        )

    def _count(
        self,
        finished: Finished,
        record: InvocationRecord,
        lines: Sequence[LogLine],
        *,
        by_chance: bool,
    ) -> None:
        figures = self._figures.of(record.project, record.function)
        figures.outcomes[finished.outcome] += 1
        figures.request_bytes += record.request_bytes
        figures.response_bytes += record.response_bytes
        if finished.ran:
            figures.ran(finished.queued, finished.ran, cold=finished.cold)
        # Of calls by chance alone: who names a version could decide what becomes of its trial.
        if figures.versions and by_chance:
            figures.ended(record.version, finished.outcome, record.status, finished.ran)
        if lines:
            figures.wrote(lines)
        if finished.own:
            figures.own.add(finished.own)

    @staticmethod
    def _lines(
        finished: Finished, record: InvocationRecord, error: ErrorRecord | None
    ) -> Sequence[LogLine]:
        failed = error if finished.outcome in _OF_THE_FUNCTION else None
        writer = Writer(
            record.id, record.project, record.function, record.version, record.started_at
        )
        before, now = finished.output_lines, time.time()
        lines, made = writer.lines(finished.output, before)
        if before + made > MAX_LINES:
            text = f"more than {MAX_LINES} lines; the rest was dropped"
            lines.append(writer.line(now, "warning", text, now))
        if finished.output_dropped:
            dropped = finished.output_dropped
            text = f"output over the log limit: {dropped} bytes or more were dropped"
            lines.append(writer.line(now, "warning", text, now))
        if failed is not None:
            lines.append(writer.line(failed.at, "error", told(failed), now))
        return lines

    def write(self, admitted: Admitted, output: Written) -> None:
        """Record what an invocation has written up to now, in whole lines, while it runs."""
        request, version = admitted.request, admitted.version
        writer = Writer(
            request.id,
            version.project,
            version.function,
            version.number,
            request.raw.received_at,
        )
        lines, made = writer.lines(output.take(), output.lines)
        output.lines += made
        if lines:
            self._figures.of(version.project, version.function).wrote(lines)
            self._redactor.write(lines, version.spec.logs)


def _size(raw: RawInvocation) -> int:
    return len(raw.body) or sum([len(bytes(each.data)) for each in raw.events])


def _route(event: Mapping[str, object]) -> str:
    """Return the template of the route that an event came by."""
    route = event.get("route")
    return route if isinstance(route, str) else ""


def _spans(raw: RawInvocation, finished: Finished) -> tuple[Span, ...]:
    """Return what an invocation waited for before it came, and what it used."""
    if not raw.sent_at:
        return tuple(finished.spans)
    waited = max(0.0, raw.received_at - raw.sent_at) * 1000
    return (Span(name="delivery", start_ms=-waited, ms=waited), *finished.spans)


def _id_of(finished: Finished) -> str:
    """Return the id of an invocation; one that was refused before it got any has one from here."""
    if finished.request is not None:
        return finished.request.id
    return (finished.raw.id if finished.raw else "") or new_invocation_id()
