"""The port of a project's data: objects in buckets, items in tables, messages in queues.

What can be asked are the operations of `casemate.operations`: `resources`, `objects`, `items`,
`messages`, `leases`, `inboxes`, `invocations`, `positions`, and those on dead letters of
`delivery`. They are values, so that the data need not be in this process; what one backend alone
has, such as copies of its files, is not of the port.

Everything is durable when the call returns and encrypted at rest. Sizes are bytes, times Unix
seconds. Raises NotFoundError, ConflictError (a condition does not hold), InvalidInputError, and
LimitError (of `casemate.data`) when a size or count limit is reached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from casemate.data.coordination import Coordination
from casemate.model.data import (
    MAX_KEY_BYTES,
    MAX_PAGE,
    MAX_PART,
    Item,
    ItemPage,
    ObjectInfo,
    ObjectPage,
    Range,
)
from casemate.model.grant import BucketSpec, QueueSpec, TableSpec
from casemate.model.messages import (
    DeadLetter,
    Fate,
    InvocationState,
    InvocationStatus,
    Lease,
    Message,
    NewMessage,
    QueueInfo,
    Settlement,
    Subscription,
)
from casemate.operations.declaration import Operation
from casemate.operations.objects import ReadObject

AnswerT = TypeVar("AnswerT")


class ProjectData(Protocol):
    """The data of all projects. Nothing of one project is reachable by another's name."""

    @property
    def coordination(self) -> Coordination:
        """What this node is to the others that have the same data."""
        ...

    async def read(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer an operation that changes nothing. TypeError for one that does."""
        ...

    async def change(self, operation: Operation[AnswerT]) -> AnswerT:
        """Do an operation, durably. TypeError for one that only reads."""
        ...

    def recent(self, operation: ReadObject) -> tuple[ObjectInfo, bytes] | None:
        """Return the present revision if that takes no waiting, else None."""
        ...

    def watch(self, ready: Callable[[str, str, str], None]) -> None:
        """Have `ready(project, kind, name)` called on the loop when a message can be leased.

        Also when one came that can be leased later, so that who sleeps until then asks anew
        (FindNextDue). Called after the commit, once for many; a hint, not a promise. The loop is
        the one that runs when `watch` is called.
        """
        ...

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words for the operator: what calls met, and missing files."""
        ...

    async def close(self) -> None:
        """Write what is queued and release the files. Closing twice is fine."""
        ...


__all__ = [
    "MAX_KEY_BYTES",
    "MAX_PAGE",
    "MAX_PART",
    "BucketSpec",
    "DeadLetter",
    "Fate",
    "InvocationState",
    "InvocationStatus",
    "Item",
    "ItemPage",
    "Lease",
    "Message",
    "NewMessage",
    "ObjectInfo",
    "ObjectPage",
    "ProjectData",
    "QueueInfo",
    "QueueSpec",
    "Range",
    "Settlement",
    "Subscription",
    "TableSpec",
]
