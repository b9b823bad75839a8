"""Leased messages, and what is invoked with them: one event, or a batch of one trigger's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import msgspec

from casemate.data.interface import Message
from casemate.decoding import DECODING_ERRORS
from casemate.delivery.admitted import AdmissionMarks
from casemate.model.deployment import Version
from casemate.model.event import Event
from casemate.model.path import Caller, RawInvocation
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.tracing import kept_context
from casemate.model.trigger import INBOX, AnyTrigger, TriggerKind

Name = tuple[str, str]
"""Project and function."""
Place = tuple[str, str, str]
"""Project, kind (`inbox` or `queue`) and name of what messages come from."""

_PRINCIPALS = 1024
"""Of triggers that brought something, as many as are remembered."""
_decode = msgspec.json.Decoder(Event).decode


class Leased(msgspec.Struct, frozen=True, eq=False):
    """A message, where it came from, and until when it is nobody else's (monotonic time)."""

    place: Place
    message: Message
    until: float
    event: Event | None
    """None if an inbox holds what is no event."""
    admitted_under: str = ""
    """The bundle for which it was looked at when it was kept; empty if nothing proves it."""


class Known(msgspec.Struct, frozen=True):
    """An event that this gateway has just admitted, beside the bytes by which it is kept."""

    body: bytes
    event: Event
    """What is read of `body`."""
    digest: str
    """The bundle for which it was admitted."""


class Batch(msgspec.Struct, eq=False):
    """Messages of one place that are handed over together."""

    place: Place
    trigger: str
    qualifier: str
    messages: list[Leased]
    is_list: bool
    """True hands them over as a list even if there is one."""
    refusals: int = 0
    """How often in a row there was no instance for it."""
    ran: bool = False
    """Whether it was handed to the function, and answered."""

    @property
    def key(self) -> tuple[Place, str, str]:
        """What the messages of a batch have in common."""
        return self.place, self.trigger, self.qualifier


def read_message(
    place: Place, message: Message, until: float, trigger: str, marks: AdmissionMarks | None
) -> Leased:
    """Return a leased message as an event. `trigger` names the consumer of a queue.

    `marks` are of who kept it; with None nothing is proven.
    """
    project, kind, name = place
    if kind == INBOX:
        try:
            event = _decode(message.body)
        except DECODING_ERRORS:
            return Leased(place, message, until, None)
        proven = marks.digest(project, name, message.admitted, message.body) if marks else ""
        return Leased(place, message, until, event, proven)
    event = Event(
        id=message.id,
        source=f"/projects/{project}/queues/{name}",
        type="casemate.queue.message",
        time=message.sent_at,
        kind=TriggerKind.QUEUE,
        trigger=trigger,
        data=msgspec.Raw(message.body),
        detail={
            "queue": name,
            "attempt": message.attempts,
            "sent_at": message.sent_at,
            "key": message.key,
            "attributes": message.attributes,
        },
        trace=message.trace,
    )
    return Leased(place, message, until, event)


def read_known(
    place: Place,
    found: Sequence[Message],
    known: Sequence[Known | None],
    until: float,
    marks: AdmissionMarks,
) -> Iterator[Leased]:
    """Give messages of an inbox that were leased as they were kept, read only where need be."""
    for number, message in enumerate(found):
        one = known[number] if len(known) == len(found) else None
        if one is not None and one.body == message.body:
            yield Leased(place, message, until, one.event, one.digest)
        else:
            yield read_message(place, message, until, "", marks)


def batching(trigger: AnyTrigger | None) -> tuple[int, float]:
    """Return how many events a trigger hands over at once, and how long it waits for them."""
    return int(getattr(trigger, "batch", 1)), float(getattr(trigger, "window", 0.0))


def invocation_of(
    batch: Batch, version: Version, now: float, still: Callable[[], bool] | None = None
) -> RawInvocation:
    """Return what goes along the path for a batch whose messages are all events."""
    project, first = batch.place[0], batch.messages[0]
    events = tuple([_told(each.event) for each in batch.messages if each.event is not None])
    # One invocation is in one trace: a batch is in that of its first event.
    trace = kept_context(events[0].trace)
    principal = _principal(project, version.function, batch.trigger or INBOX)
    return RawInvocation(
        trigger=events[0].kind.value,
        project=project,
        function=version.function,
        qualifier=batch.qualifier or None,
        credential=None,
        content_type="application/json",
        body=b"",
        events=events,
        batch=batch.is_list,
        attempt=first.message.attempts,
        id="" if batch.is_list else first.message.invocation,
        received_at=now,
        caller=Caller(principal=principal, admitted_under=_admitted_under(batch)),
        trace=trace,
        sent_at=first.message.sent_at,
        still=still,
    )


def _told(event: Event) -> Event:
    """Return what a function is told of an event: not who had it kept."""
    return msgspec.structs.replace(event, kept_by="") if event.kept_by else event


@lru_cache(_PRINCIPALS)
def _principal(project: str, function: str, trigger: str) -> Principal:
    """Return whom a trigger calls as."""
    return Principal(kind=PrincipalKind.TRIGGER, id=f"{project}/{function}/{trigger}")


def _admitted_under(batch: Batch) -> str:
    """Return the bundle for which all events of a batch were looked at, empty without one."""
    if len(batch.messages) == 1:
        return batch.messages[0].admitted_under
    found = {leased.admitted_under for leased in batch.messages}
    return found.pop() if len(found) == 1 else ""
