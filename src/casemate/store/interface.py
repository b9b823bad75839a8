"""The port every store adapter implements: what a node has been told to be.

What can be asked are the operations of `casemate.operations`: `deployments`, `accounts` and
`trials`; of `functions` ListFunctions and SetAlias; of `grants`, `policies` and `node` those that
are the node's own, and RemovePolicy. They are values, so that the store need not be in this
process; what one backend alone has, such as copies of its files and their key, is not of the port.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar, runtime_checkable

from casemate.model.nodes import StoreChanges
from casemate.operations.declaration import Operation

AnswerT = TypeVar("AnswerT")


class Store(Protocol):
    """State of a node. Awaiting a change returns once it is durable (fsync), never before.

    No method blocks the event loop. Raises StoreError (of `casemate.store`) when the medium fails
    and UnavailableError when the store is closing.
    """

    async def read(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer an operation that changes nothing. TypeError for one that does."""
        ...

    async def change(self, operation: Operation[AnswerT]) -> AnswerT:
        """Do an operation, durably. TypeError for one that only reads."""
        ...

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with the store's medium, in words; nothing if all is well."""
        ...

    async def close(self) -> None:
        """Write what is queued and release the files. Closing twice is fine."""
        ...


@runtime_checkable
class SharedStore(Store, Protocol):
    """A store that other nodes change as well."""

    async def changes_since(self, revision: int) -> StoreChanges:
        """Return the newest revision, and what was changed after an earlier one, by any node."""
        ...

    async def change_at(
        self, operation: Operation[AnswerT], revision: int, topics: Iterable[str]
    ) -> AnswerT:
        """Do an operation, durably, if nothing of `topics` was changed after a revision.

        Raises StoreMovedError if something was; then nothing is done.
        """
        ...
