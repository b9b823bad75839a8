"""The operation on traces: what of one a reader may see."""

from __future__ import annotations

from casemate.api.authorization import function_of
from casemate.api.performing import Call, Performers
from casemate.api.problems import RequestError
from casemate.api.served import all_served
from casemate.model.invocation import InvocationRecord, Outcome
from casemate.model.principal import NODE, Action, Resource
from casemate.model.tracing import Span
from casemate.operations import traces
from casemate.operations.traces import FindTrace, ShowTrace, Trace, TraceSpan

performs = Performers()


@performs(ShowTrace)
async def _trace(wanted: ShowTrace, call: Call) -> Trace:
    records = await call.service.control.recorded(FindTrace(id=wanted.id))
    asked = next((one for one in records if one.id == wanted.id), None)
    seen = [record for record in records if call.may(Action.INVOCATION_READ, _place(record))]
    # Who asks by an invocation must be allowed to see that one, or would learn of its trace.
    if records and (not seen or (asked is not None and asked not in seen)):
        try:
            call.require(Action.INVOCATION_READ, _place(asked or records[0]))
        except RequestError as error:
            raise wanted.missing from error
    if not seen:
        raise wanted.missing
    spans = [span for record in seen for span in spans_of(record)]
    spans.sort(key=lambda span: span.started_at)
    return Trace(id=seen[0].trace_id, spans=tuple(spans))


def _place(record: InvocationRecord) -> Resource:
    # What led nowhere is of no function: it is the node's.
    named = record.project and record.function
    return function_of(record.project, record.function) if named else NODE


def spans_of(record: InvocationRecord) -> list[TraceSpan]:
    """Return an invocation as a span, and what it waited for, did and used as those below it."""
    ok = record.outcome is Outcome.OK
    whole = TraceSpan(
        id=record.span_id,
        parent=record.parent_id,
        name=record.trigger,
        started_at=record.started_at,
        ms=record.queued_ms + record.run_ms,
        ok=ok,
        invocation=record.id,
        project=record.project,
        function=record.function,
        version=record.version,
        attempt=record.attempt,
        outcome=record.outcome.value,
        more=record.more_spans,
    )
    parts = [span for span in record.spans if span.start_ms < 0]
    if record.queued_ms:
        # With a cold start most of the wait is the start; one cannot be told from the other here.
        name = "start" if record.cold else "queue"
        parts.append(Span(name=name, start_ms=0.0, ms=record.queued_ms))
    if record.run_ms:
        parts.append(Span(name="run", start_ms=record.queued_ms, ms=record.run_ms, ok=ok))
    parts += [span for span in record.spans if span.start_ms >= 0]
    return [whole, *(_part(record, number, span) for number, span in enumerate(parts, 1))]


def _part(record: InvocationRecord, number: int, span: Span) -> TraceSpan:
    return TraceSpan(
        id=f"{record.span_id}.{number}",
        parent=record.span_id,
        name=span.name,
        on=span.on,
        started_at=record.started_at + span.start_ms / 1000,
        ms=span.ms,
        ok=span.ok,
        invocation=record.id,
        project=record.project,
        function=record.function,
        version=record.version,
    )


OPERATIONS = all_served(traces, performs)
