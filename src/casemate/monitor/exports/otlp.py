"""Invocations and lines of logs as OTLP 1 has them (opentelemetry-proto), encoded.

Names of attributes are those of OpenTelemetry's semantic conventions where there is one, else they
begin with `casemate.`. What stands in a record may come from hostile code: numbers are held to what
the format takes, ids that are none are left out.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache

from casemate import __version__
from casemate.model.invocation import InvocationRecord, LogLine, Outcome
from casemate.model.tracing import Span
from casemate.monitor.exports import protobuf as pb
from casemate.recorder.reading_protocol import Line

_SERVER, _CONSUMER, _CLIENT, _INTERNAL = 2, 5, 3, 1
_OK, _ERROR = 1, 2
_MOST_NANOSECONDS = (1 << 63) - 1
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_CALLED = frozenset(("invoke", "http"))
_SEVERITIES: Mapping[str, int] = {
    "debug": 5,
    "stdout": 9,
    "info": 9,
    "warning": 13,
    "error": 17,
    "critical": 21,
}
_UNKNOWN_SEVERITY = 0
SCOPE = pb.message(1, (pb.text(1, "casemate"), pb.text(2, __version__)))
"""By whom spans, lines and numbers were made."""

_DONE = pb.message(15, (pb.number(3, _OK),))
_FAILED = pb.message(15, (pb.number(3, _ERROR),))

Owner = tuple[str, str, int]
"""Project, function and version."""
Value = str | int | float | bool


def attribute(field: int, key: str, value: Value) -> bytes:
    """Return one attribute."""
    if isinstance(value, bool):
        encoded = pb.number(2, int(value))
    elif isinstance(value, int):
        encoded = pb.number(3, value)
    elif isinstance(value, float):
        encoded = pb.double(4, value)
    else:
        encoded = pb.text(1, value)
    return pb.data(field, _key(key) + pb.data(2, encoded))


@lru_cache(maxsize=256)
def _key(name: str) -> bytes:
    return pb.text(1, name)


_known = lru_cache(maxsize=2048, typed=True)(attribute)
"""Of values that few records do not share."""


def nanoseconds(seconds: float) -> int:
    """Return a Unix time as OTLP has it; one that cannot be is the nearest that can."""
    if not seconds > 0:  # nor is what is no number
        return 0
    if seconds >= _MOST_NANOSECONDS / 1e9:
        return _MOST_NANOSECONDS
    # By the microsecond: a float holds no more of the time of these years.
    return round(seconds * 1e6) * 1000


def resource(node: str, owner: Owner | None) -> bytes:
    """Return whose records these are: a function's, or (None) the node's own."""
    named: dict[str, Value] = {"service.name": "casemate"}
    if owner is not None:
        project, function, version = owner
        named = {
            "service.name": function or "unknown",
            "service.namespace": project,
            "service.version": str(version),
        }
    named["host.name"] = node
    return pb.message(1, (attribute(1, key, value) for key, value in named.items()))


def traces(node: str, records: Sequence[InvocationRecord]) -> bytes:
    """Return the request that exports what invocations did."""
    grouped: defaultdict[Owner, list[bytes]] = defaultdict(list)
    for record in records:
        owner = record.project, record.function, record.version
        grouped[owner] += _spans_of(record)
    return b"".join(
        pb.message(1, (resource(node, owner), pb.message(2, (SCOPE, *spans))))
        for owner, spans in grouped.items()
    )


def _spans_of(record: InvocationRecord) -> list[bytes]:
    trace, own = _id(record.trace_id, _TRACE_BYTES), _id(record.span_id, _SPAN_BYTES)
    if not trace or not own:
        return []
    parent = _id(record.parent_id, _SPAN_BYTES)
    begun = record.started_at
    # Nothing beyond what its caller got is a fault of its own (`Outcome`).
    failed = record.outcome is not Outcome.OK
    parts = [
        pb.data(1, trace),
        pb.data(2, own),
        pb.data(4, parent) if parent else b"",
        pb.text(5, record.function or "unknown"),
        pb.number(6, _SERVER if record.trigger in _CALLED else _CONSUMER),
        pb.fixed64(7, nanoseconds(begun)),
        pb.fixed64(8, nanoseconds(begun + (record.queued_ms + record.run_ms) / 1000)),
        _FAILED if failed else _DONE,
        attribute(9, "faas.invocation_id", record.id),
        _known(9, "faas.name", f"{record.project}/{record.function}"),
        _known(9, "faas.version", str(record.version)),
        _known(9, "faas.trigger", record.trigger),
        _known(9, "faas.coldstart", record.cold),
        _known(9, "http.response.status_code", record.status),
        _known(9, "casemate.outcome", record.outcome.value),
        _known(9, "casemate.attempt", record.attempt),
        attribute(9, "casemate.queued_ms", record.queued_ms),
        attribute(9, "casemate.run_ms", record.run_ms),
        attribute(9, "casemate.request_bytes", record.request_bytes),
        attribute(9, "casemate.response_bytes", record.response_bytes),
    ]
    if record.error_id is not None:
        parts.append(attribute(9, "casemate.error_id", record.error_id))
    if record.more_spans:
        parts.append(attribute(9, "casemate.more_uses", record.more_spans))
    uses = [_use(trace, own, begun, place, span) for place, span in enumerate(record.spans)]
    return [pb.message(2, parts), *uses]


def _use(trace: bytes, parent: bytes, begun: float, place: int, span: Span) -> bytes:
    """Return what an invocation used or waited for. Its id follows from the other's, and is the
    same whenever it is sent."""
    id = hashlib.sha256(trace + parent + place.to_bytes(4, "big")).digest()[:_SPAN_BYTES]
    start = begun + span.start_ms / 1000
    return pb.message(
        2,
        (
            pb.data(1, trace),
            pb.data(2, id),
            pb.data(4, parent),
            pb.text(5, span.name),
            pb.number(6, _CLIENT if span.on else _INTERNAL),
            pb.fixed64(7, nanoseconds(start)),
            pb.fixed64(8, nanoseconds(start + span.ms / 1000)),
            attribute(9, "casemate.on", span.on) if span.on else b"",
            _DONE if span.ok else _FAILED,
        ),
    )


def logs(node: str, lines: Sequence[Line]) -> bytes:
    """Return the request that exports lines which functions wrote."""
    grouped: defaultdict[Owner, list[bytes]] = defaultdict(list)
    for each in lines:
        line = each.line
        grouped[line.project, line.function, line.version].append(_log_record(line, each))
    return b"".join(
        pb.message(1, (resource(node, owner), pb.message(2, (SCOPE, *records))))
        for owner, records in grouped.items()
    )


def _log_record(line: LogLine, each: Line) -> bytes:
    trace, span = _id(each.trace_id, _TRACE_BYTES), _id(each.span_id, _SPAN_BYTES)
    return pb.message(
        2,
        (
            pb.fixed64(1, nanoseconds(line.at)),
            pb.number(2, _SEVERITIES.get(line.level, _UNKNOWN_SEVERITY)),
            pb.text(3, line.level),
            pb.message(5, (pb.text(1, line.text),)),
            attribute(6, "faas.invocation_id", line.invocation),
            # By which a receiver knows a line that it has had already.
            attribute(6, "log.record.uid", str(line.sequence)),
            pb.data(9, trace) + pb.data(10, span) if trace and span else b"",
            pb.fixed64(11, nanoseconds(each.stored_at)),
        ),
    )


def _id(digits: str, size: int) -> bytes:
    """Return an id of so many bytes, nothing for what is none."""
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        return b""
    return found if len(found) == size and any(found) else b""


def rejected(answer: bytes) -> tuple[int, str]:
    """Return how many items a collector says it did not take, and why; what is no answer: none."""
    count, why = 0, ""
    try:
        for field, value in pb.fields(answer):
            if field != 1 or not isinstance(value, bytes):
                continue
            for inner, told in pb.fields(value):
                if inner == 1 and isinstance(told, int):
                    count = told
                elif inner == 2 and isinstance(told, bytes):
                    why = told.decode("utf-8", "replace")
    except pb.MalformedError:
        return 0, ""
    return (count if count < 1 << 31 else 0), why
