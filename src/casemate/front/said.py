"""What the head of a call says besides which function is meant: read once for a head.

A client that calls again sends the same head again. Nothing here depends on anything but its bytes,
so that it holds for as long as they do; who may do what is decided anew for each call.
"""

from __future__ import annotations

from urllib.parse import unquote

from casemate.delivery.wish import IDEMPOTENCY_KEY, NOTHING, PREFER, Wish, read_wish
from casemate.invocation.cloudevents import STRUCTURED, media_type_of
from casemate.model.http import HttpHead
from casemate.model.path import RefusedError
from casemate.model.route import host_of

_KEPT_OR_REPLAYED = frozenset((PREFER, IDEMPOTENCY_KEY))
"""Headers of calls that may be answered without an instance."""


class Said:
    """The wishes of one head."""

    __slots__ = (
        "attributes",
        "content_type",
        "event_wanted",
        "head",
        "host",
        "is_plain",
        "may_wait",
        "refusal",
        "trace",
        "wish",
    )

    def __init__(self, head: HttpHead, *, later: bool) -> None:
        """Read them; `later` is what the route says of when the call runs."""
        self.head = head
        content_type = head.header(b"content-type")
        self.content_type = content_type.decode("latin-1") if content_type else ""
        self.attributes = attributes_of(head)
        self.host = host_of(head.header(b"host"))
        self.event_wanted = _accepts_cloud_event(head)
        """Whether its answer is to be a CloudEvent."""
        self.may_wait = any(name in _KEPT_OR_REPLAYED for name, _ in head.headers)
        """Whether it may be answered without an instance."""
        self.trace = head.trace
        self.wish: Wish = NOTHING
        self.refusal: RefusedError | None = None
        """Why its wishes cannot be met."""
        try:
            self.wish = read_wish(head, later=later)
        except RefusedError as refusal:
            self.refusal = refusal.with_traceback(None)
        answered = self.wish is NOTHING and not self.event_wanted
        kept = self.wish.later and self.wish.idempotency is None
        self.is_plain = self.refusal is None and (answered or kept)
        """Whether it asks for nothing but the function's answer, or that its event is kept: then
        it waits for futures alone."""


def attributes_of(head: HttpHead) -> tuple[tuple[str, str], ...]:
    """Return the attributes of a CloudEvent in binary mode, percent-decoded as its binding says."""
    return tuple(
        (name[3:].decode("latin-1"), unquote(value.decode("latin-1"), errors="replace"))
        for name, value in head.headers
        if name.startswith(b"ce-")
    )


def _accepts_cloud_event(head: HttpHead) -> bool:
    """Tell whether a caller asks for its answer as a CloudEvent, by name."""
    value = head.header(b"accept")
    return value is not None and any(
        media_type_of(one) == STRUCTURED for one in value.decode("latin-1").split(",")
    )
