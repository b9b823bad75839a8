"""Operations on messages that are kept, leased and settled. The node's own: delivery asks for them.

A place is a project, a `kind` and the name of what is of that kind there.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.data import MAX_PAGE
from casemate.model.messages import Lease, Message, NewMessage, Settlement
from casemate.operations.declaration import Decided, Declaration, Effect, Operation
from casemate.operations.fields import Name, number

_Kind = Annotated[str, msgspec.Meta(description="`queue`, `topic` or `inbox`.", examples=["queue"])]
_LeasedKind = Annotated[str, msgspec.Meta(description="`queue` or `inbox`.", examples=["queue"])]
_ReceivedKind = Annotated[str, msgspec.Meta(description="`queue` or `topic`.", examples=["queue"])]
_Limit = Annotated[int, number("How many at most.", least=1, most=MAX_PAGE)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, description="How long leases hold, in seconds.")]


class KeepMessages(Operation[tuple[str, ...]], frozen=True, kw_only=True):
    """Keep messages in a queue, a topic or a function's inbox; all of them or none.

    Returns their ids; a known `deduplication` gives the first message's. LimitError if there is no
    room, NotFoundError for the inbox of a function that was never subscribed. What a topic gets
    goes to the inboxes of those subscribed; without any it stays in the topic until somebody is.
    Attributes of a message are handed over beside the body: at most 10, 4 KiB with their names. The
    same `deduplication` within an hour keeps nothing more.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    kind: _Kind
    name: Name
    messages: tuple[NewMessage, ...]


class KeepLeased(Operation[tuple[Message, ...]], frozen=True, kw_only=True):
    """Keep events in a function's inbox, and lease them in the same change; all or none.

    They are returned as `LeaseMessages` would. Nothing is returned, and they are kept as
    `KeepMessages` does, where others can be leased that came before, or where other nodes lease
    from the inbox as well. For messages without delay, key, priority and `deduplication`. Errors
    are those of `KeepMessages`.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    function: Name
    messages: tuple[NewMessage, ...]
    lease: _Seconds


class ReceiveMessages(Operation[tuple[Message, ...]], frozen=True, kw_only=True):
    """Lease the oldest messages; who does not acknowledge in time sees them again."""

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    kind: _ReceivedKind
    name: Name
    limit: _Limit = 1
    lease: _Seconds = 30.0


class AcknowledgeMessages(Operation[int], frozen=True, kw_only=True):
    """Delete messages that were handled; return how many were there, not leased again since."""

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    kind: _ReceivedKind
    name: Name
    leases: tuple[Lease, ...]


class LeaseMessages(Operation[tuple[Message, ...]], frozen=True, kw_only=True):
    """Lease messages: by priority, then age; one at a time of a key.

    What is too old or was leased too often in vain is left to the caller to settle.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    kind: _LeasedKind
    name: Name
    limit: _Limit
    lease: _Seconds


class ExtendLeases(Operation[int], frozen=True, kw_only=True):
    """Have leases end `lease` seconds from now; return how many were still held.

    A lease of a message that was leased again since is left alone.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    kind: _Kind
    name: Name
    leases: tuple[Lease, ...]
    lease: _Seconds


class SettleMessages(Operation[int], frozen=True, kw_only=True):
    """End attempts, all in one transaction; return how many were still leased.

    A lease is lost when a later LeaseMessages finds it over; a number (`fence`) tells it from those
    after it. If something in `sends` cannot be kept (NotFoundError, LimitError), nothing is
    settled.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    kind: _LeasedKind
    name: Name
    settlements: tuple[Settlement, ...]


class FindNextDue(Operation[float | None], frozen=True, kw_only=True):
    """Return when the next message can be leased (Unix time), None if nothing waits."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name
    kind: _LeasedKind
    name: Name
