"""The column of an invocation that says where it stands in a trace, and how a trace is found.

An invocation with which a trace begins, and that used nothing, has nothing here: all that there is
to say follows from its id. Any other has the trace's id, which is indexed, and the rest as JSON.
"""

from __future__ import annotations

from typing import Any

import msgspec

from casemate.model.invocation import InvocationRecord
from casemate.model.tracing import Span, invocation_of, span_of, trace_of
from casemate.recorder.records.text import escaped
from casemate.sqlite import engine

_ID = 32


class _Kept(msgspec.Struct, array_like=True):
    attempt: int
    parent: str
    spans: tuple[Span, ...]
    more: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Kept).decode


def column(record: InvocationRecord) -> str | None:
    """Return what is stored. Only a trace from outside has a parent where its first span is."""
    if record.attempt == 1 and not (record.parent_id or record.spans or record.more_spans):
        return None
    trace = record.trace_id if len(record.trace_id) == _ID else trace_of(record.id)
    kept = _Kept(record.attempt, record.parent_id, record.spans, record.more_spans)
    return escaped(f"{trace}{_encode(kept).decode()}")


def fields(invocation: str, kept: str | None) -> dict[str, Any]:
    """Return the fields of a record that `column` became."""
    if kept is None:
        return {"trace_id": trace_of(invocation), "span_id": span_of(invocation)}
    more = _decode(kept[_ID:])
    return {
        "attempt": more.attempt,
        "trace_id": kept[:_ID],
        "span_id": span_of(invocation, more.attempt),
        "parent_id": more.parent,
        "spans": more.spans,
        "more_spans": more.more,
    }


def condition(connection: engine.Connection, wanted: str) -> tuple[str, tuple[str, str]]:
    """Return which rows are of a trace, or of the one that an invocation is part of."""
    if wanted.startswith("inv_"):
        found = connection.execute(
            "SELECT trace FROM invocation WHERE id = ? ORDER BY sequence DESC LIMIT 1", (wanted,)
        ).fetchone()
        if found is not None:
            wanted = trace_of(wanted) if found[0] is None else found[0][:_ID]
    where = "(id = ? AND trace IS NULL) OR (substr(trace, 1, 32) = ? AND trace IS NOT NULL)"
    return where, (invocation_of(wanted), wanted)
