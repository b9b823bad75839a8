"""Operations on invocations with an idempotency key and on those that run later. The node's own."""

from __future__ import annotations

from casemate.model.messages import InvocationStatus, NewMessage
from casemate.operations.declaration import Decided, Declaration, Effect, Operation
from casemate.operations.fields import Name


class BeginInvocation(Operation[InvocationStatus | None], frozen=True, kw_only=True):
    """Claim an idempotency key for `invocation`; the status of the first if it is claimed.

    `event` goes into the function's inbox in the same transaction, if the key was free: both are
    kept or neither is. ConflictError if it was claimed with another `fingerprint` (hash of the
    request); with an event NotFoundError and LimitError as KeepMessages.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    function: Name
    idempotency: str
    fingerprint: str
    invocation: str
    event: NewMessage | None = None


class FinishInvocation(Operation[None], frozen=True, kw_only=True):
    """Keep the end of an invocation that began with an idempotency key and was not sent."""

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    status: InvocationStatus


class AbandonInvocation(Operation[None], frozen=True, kw_only=True):
    """Forget an invocation that began with an idempotency key but did not run."""

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    invocation: str


class FindInvocation(Operation[InvocationStatus], frozen=True, kw_only=True):
    """Return what is known of an invocation (NotFoundError once it is not kept any more)."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name
    invocation: str
