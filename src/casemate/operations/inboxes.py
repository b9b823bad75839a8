"""Operations on functions' inboxes, and on what fills them. The node's own."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.messages import Depth, QueueInfo, Subscription
from casemate.operations.declaration import Decided, Declaration, Effect, Operation
from casemate.operations.delivery import Counted
from casemate.operations.fields import Name
from casemate.operations.messages import Purged


class Subscribe(Operation[None], frozen=True, kw_only=True):
    """Replace who is subscribed to what. Each function named has an inbox from then on.

    The inbox of a function that is not named any more keeps what it holds.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    subscriptions: tuple[Subscription, ...]


class ResumeDelivery(Operation[tuple[tuple[str, str, float], ...]], frozen=True, kw_only=True):
    """End the leases of a process before this one; return where something waits.

    That is (kind, name, when the next can be leased) of each queue and inbox that holds messages;
    empty for a project without data. Attempts stay counted. Only for a node that starts: nobody
    holds a lease that is known to be alive.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name


class ShowInbox(Operation[QueueInfo], frozen=True, kw_only=True):
    """Tell how much waits in a function's inbox."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name
    function: Name


class ShowDepths(Operation[tuple[Depth, ...]], frozen=True, kw_only=True):
    """Tell how much waits in every queue, topic and inbox of a project."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name


class PurgeInbox(Operation[Purged], frozen=True, kw_only=True):
    """Delete every message of a function's inbox."""

    declared = Declaration(effect=Effect.DESTROY, decided=Decided.INSIDE)
    project: Name
    function: Name


class DropInbox(Operation[None], frozen=True, kw_only=True):
    """Delete a function's inbox with its messages."""

    declared = Declaration(effect=Effect.DESTROY, decided=Decided.INSIDE)
    project: Name
    function: Name


class RedriveLetters(Operation[Counted], frozen=True, kw_only=True):
    """Have events of a queue or an inbox that were given up tried again, as `by` has asked for.

    Those of an inbox say so: that one has them handled from then on, and answers for it.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    kind: Annotated[str, msgspec.Meta(description="`queue` or `inbox`.", examples=["queue"])]
    name: Name
    ids: tuple[str, ...] | None
    by: Annotated[str, msgspec.Meta(min_length=1, description="As `Principal.text`.")]
    to: Name | None = None
    """Another function's inbox, which gets them."""


class GiveUpInbox(Operation[int], frozen=True, kw_only=True):
    """Give up what waits for a function that is removed; return how many events that were.

    Each becomes a dead letter. How invocations of it ended, and its idempotency keys, are
    forgotten: who has the name next is somebody else. Nothing of it is there: 0.
    """

    declared = Declaration(effect=Effect.DESTROY, decided=Decided.INSIDE)
    project: Name
    function: Name
