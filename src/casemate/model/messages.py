"""What the port of projects' data takes and returns about messages and invocations."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from casemate.model.function import Delivery
from casemate.model.trigger import AnyTrigger


class QueueInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits in a queue or topic."""

    name: str
    waiting: int
    oldest_at: float | None
    dead: int = 0
    """Dead letters."""


class Depth(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits in a queue, a topic or an inbox, what is too old included."""

    kind: str
    """`queue`, `topic` or `inbox`."""
    name: str
    waiting: int
    oldest_at: float | None
    dead: int
    """Dead letters."""


class LetterCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many dead letters a queue or an inbox has."""

    kind: str
    """`queue` or `inbox`."""
    name: str
    letters: int
    oldest_at: float
    """When the first of them was given up."""


class Lease(msgspec.Struct, frozen=True):
    """That somebody holds a message for a time. Whoever took it before has no say any more."""

    id: str
    """The message's."""
    fence: int
    """Counts the leases of the message; 0: it was never leased. Only the newest has an effect."""


REDRIVEN = "redriven"
"""The attribute of a message in an inbox that was sent again from the dead letters: by whom, as
`Principal.text`; `1` where an earlier release did not say."""
REDRIVEN_HERE = "redriven-here"
"""Beside it: from the dead letters of another function, which the right to invoke this one took."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message; `body` is JSON. In an inbox it is an encoded `casemate.model.event.Event`."""

    id: str
    body: bytes
    sent_at: float
    attempts: int = 0
    """Leases so far, this one included, without those that were taken back."""
    fence: int = 0
    """The number of this lease; a later one of the same message has a higher number."""
    key: str = ""
    """Messages with the same key (not empty) are handed out one after the other, in order."""
    priority: int = 0
    expires_at: float | None = None
    """Unix time after which it is not tried any more."""
    invocation: str = ""
    """Inboxes: the id that who sent it was given (202)."""
    qualifier: str = ""
    """Inboxes: alias or version asked for; empty: `live`."""
    labels: bytes = b""
    """What of it came from which event, as the runner told it; opaque here."""
    attributes: dict[str, str] = {}
    """Queues and topics: what its sender said beside the body. In an inbox the event has them, and
    there are `REDRIVEN` and what is beside that."""
    trace: str = ""
    """Queues and topics: `TraceContext.kept` of who sent it. In an inbox the event has it."""
    admitted: bytes = b""
    """Inboxes: what proves to the gateway that the event was looked at; opaque here."""

    @property
    def lease(self) -> Lease:
        """What shows that it was handed out, to settle, extend or acknowledge it."""
        return Lease(self.id, self.fence)


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to keep. Fields as in `Message`."""

    body: bytes
    delay: float = 0.0
    deduplication: str | None = None
    made_after: float | None = None
    """Its sender has signed that it was made after this time: it is refused where what was kept
    since then may be forgotten, for it may be among that."""
    key: str = ""
    priority: int = 0
    expires_at: float | None = None
    invocation: str = ""
    qualifier: str = ""
    labels: bytes = b""
    attributes: dict[str, str] = {}
    trace: str = ""
    admitted: bytes = b""
    caller: str = ""
    """Inboxes: whom it is kept for (a principal's text), who may have so many bytes waiting."""
    anonymous: bool = False
    """That is all callers without a token, who have less."""

    @property
    def is_plain(self) -> bool:
        """Whether it waits for nothing and overtakes nothing: its order is that of its arrival."""
        return not (self.delay or self.key or self.priority or self.deduplication is not None)


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """That a live function has a trigger. What its data changes is kept in its inbox.

    Changes of buckets, tables and topics reach the inboxes of those subscribed in the transaction
    of the change: none is lost, none is told that did not happen.
    """

    function: str
    trigger: AnyTrigger | None = None
    """None: the function has none; it has an inbox for what is sent to itself."""
    delivery: Delivery = Delivery()


class Fate(StrEnum):
    """What becomes of a leased message."""

    DONE = "done"
    RETRY = "retry"
    """It is handed out again at `again_at`."""
    DEAD = "dead"
    """It is a dead letter, for `reason`."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one attempt at one message. Ignored if the lease was lost in the meantime."""

    id: str
    fence: int
    """`Message.fence` of the lease: tells it from every other one."""
    attempt: int
    """`Message.attempts` of the lease."""
    fate: Fate
    counted: bool = True
    """False (with RETRY): nothing ran, so the attempt is taken back."""
    again_at: float = 0.0
    reason: str = ""
    """For people: `timeout`, `handler-error`, `contract /amount maximum`; never content."""
    error_id: str = ""
    status: int | None = None
    """HTTP status of the answer."""
    result: bytes | None = None
    """Inboxes: the answer's body, kept with the status if it is small enough."""
    content_type: str = ""
    sends: tuple[tuple[str, str, NewMessage], ...] = ()
    """(kind, name, message): destinations and result triggers, in the same transaction."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was given up."""

    id: str
    kind: str
    """`queue` or `inbox`."""
    name: str
    """The queue's name or the function's."""
    trigger: str
    event_type: str
    reason: str
    error_id: str
    attempts: int
    sent_at: float
    died_at: float
    size: int
    invocation: str = ""
    subject: str = ""
    """What the event is about, such as an object's key, cut; empty if it names none, for messages
    of queues, in lists of large events, and for who may not see what is in it."""


class InvocationState(StrEnum):
    """Where an asynchronous invocation is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It was given up and is a dead letter."""


class InvocationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an asynchronous invocation, or of one with an idempotency key."""

    id: str
    function: str
    state: InvocationState
    attempts: int
    accepted_at: float
    finished_at: float | None = None
    status: int | None = None
    """HTTP status of its last answer."""
    content_type: str = ""
    result: bytes | None = None
    reason: str = ""
    error_id: str = ""
