"""Operations on how far something has come that sends messages. The node's own.

For schedules and for sources outside: what came in, and how far, are kept together.
"""

from __future__ import annotations

from casemate.model.messages import NewMessage
from casemate.operations.declaration import Decided, Declaration, Effect, Operation
from casemate.operations.fields import Name


class AdvancePosition(Operation[bool], frozen=True, kw_only=True):
    """Set a position and send messages, in one transaction, if it is `expected`; tell if.

    `sends` are a kind, a name and a message each.
    """

    declared = Declaration(decided=Decided.INSIDE)
    project: Name
    position: str
    value: bytes
    expected: bytes | None
    sends: tuple[tuple[str, str, NewMessage], ...] = ()


class ShowPosition(Operation[bytes | None], frozen=True, kw_only=True):
    """Return a position, None if it was never set."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    project: Name
    position: str
