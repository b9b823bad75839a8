"""The columns of an invocation that say where it stands in a trace, and how a trace is found.

What follows from the invocation's id is not stored, so most invocations have nothing here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from casemate.model.invocation import InvocationRecord
from casemate.model.tracing import Span, invocation_of, span_of, trace_of
from casemate.operations.traces import MAX_INVOCATIONS
from casemate.sqlite import engine
from casemate.store.sqlite.text import clean, escaped

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[tuple[Span, ...], int]).decode
_OLDEST = " ORDER BY sequence LIMIT ?"


def row(record: InvocationRecord) -> tuple[str | int | None, ...]:
    """Return attempt, trace_id, parent_id and spans as they are stored."""
    own = not record.trace_id or record.trace_id == trace_of(record.id)
    spans = None
    if record.spans or record.more_spans:
        spans = escaped(_encode((record.spans, record.more_spans)).decode())
    return (
        None if record.attempt == 1 else record.attempt,
        None if own else clean(record.trace_id),
        clean(record.parent_id) or None,
        spans,
    )


def fields(
    invocation: str, attempt: int | None, trace: str | None, parent: str | None, spans: str | None
) -> dict[str, Any]:
    """Return the fields of a record that `row` became."""
    known, more = _decode(spans) if spans else ((), 0)
    return {
        "attempt": attempt or 1,
        "trace_id": trace or trace_of(invocation),
        "span_id": span_of(invocation, attempt or 1),
        "parent_id": parent or "",
        "spans": known,
        "more_spans": more,
    }


def invocations(connection: engine.Connection, select: str, wanted: str) -> list[tuple[Any, ...]]:
    """Return rows of the trace with this id, or of the one that this invocation is part of.

    `select` is all of the question but its condition.
    """
    if wanted.startswith("inv_"):
        found = connection.execute(
            "SELECT trace_id FROM invocation WHERE id = ? ORDER BY sequence DESC LIMIT 1", (wanted,)
        ).fetchone()
        if found is None:
            return []
        wanted = found[0] or trace_of(wanted)
    rows: list[tuple[Any, ...]] = []
    if first := invocation_of(wanted):
        query = f"{select} WHERE id = ? AND trace_id IS NULL{_OLDEST}"
        rows += connection.execute(query, (first, MAX_INVOCATIONS)).fetchall()
    query = f"{select} WHERE trace_id = ?{_OLDEST}"
    rows += connection.execute(query, (wanted, MAX_INVOCATIONS)).fetchall()
    return rows[:MAX_INVOCATIONS]
