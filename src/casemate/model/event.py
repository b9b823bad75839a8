"""Something that happened, in the one shape that every source brings it in.

The attributes are those of CloudEvents 1.0 (`id`, `source`, `type`, `time`, `subject`, `data`);
what else the source knows is in `detail`.
"""

from __future__ import annotations

import msgspec

from casemate.model.trigger import TriggerKind


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event. Its text form is how inboxes keep it."""

    id: str
    source: str
    """URI reference: `/projects/shop/buckets/uploads` of our own, the sender's otherwise."""
    type: str
    """`casemate.bucket.created` and the like of our own, the sender's otherwise."""
    time: float
    """Unix time in seconds at which it happened, as far as its source says."""
    kind: TriggerKind
    trigger: str = ""
    """Name of the trigger that brought it."""
    subject: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    """JSON."""
    detail: dict[str, object] = {}
    """What only this kind of source has: `{"key": ..., "revision": ...}` of a bucket."""
    trace: str = ""
    """`TraceContext.kept` of what it came of; empty: a trace begins with it."""
    kept_by: str = ""
    """In an inbox alone: `Principal.text` of the person, the token or the caller without one that
    had it kept, without whose right it is not handled any more. Empty: nobody is asked about."""


def as_handed_over(event: Event) -> dict[str, object]:
    """Return an event as an instance is handed it: its detail under the name of its kind."""
    kind = event.kind.value
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time,
        "kind": kind,
        "subject": event.subject,
        "data": event.data,
        kind: event.detail,
    }


MAX_CLOCK_AHEAD = 300.0
"""Seconds by which an event may come from the future before its time is set to when it came."""
