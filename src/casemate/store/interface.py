"""The port every store adapter implements: the records of a node.

What can be asked are the operations of `casemate.operations`: `records`, `deployments` and
`accounts`; of `functions` ListFunctions and SetAlias; of `grants`, `policies` and `node` those that
are the node's own, and RemovePolicy. They are values, so that the store need not be in this
process; what one backend alone has, such as copies of its files and their key, is not of the port.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from casemate.model.denial import Denial
from casemate.model.function import Logs
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.operations.declaration import Operation

AnswerT = TypeVar("AnswerT")


class Store(Protocol):
    """Records of a node. Awaiting a change returns once it is durable (fsync), never before.

    No method blocks the event loop. Raises StoreError (of `casemate.store`) when the medium fails
    and UnavailableError when the store is closing.
    """

    async def read(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer an operation that changes nothing. TypeError for one that does."""
        ...

    async def change(self, operation: Operation[AnswerT]) -> AnswerT:
        """Do an operation, durably. TypeError for one that only reads."""
        ...

    # `record` and `deny` are no operations: an invocation is answered without waiting for what it
    # leaves behind, and one that is awaited costs a future, a wake-up and a place in a transaction
    # each. What is recorded is written in groups instead, and `flush` waits for all of them.

    def record(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None = None,
        log: Sequence[LogLine] = (),
        logs: Logs = Logs(),  # noqa: B008 - frozen
    ) -> None:
        """Queue what an invocation left behind; written with the next group commit.

        Texts of errors and lines are masked before they are written, as `logs` say.

        Never blocks. Records are not dropped silently: see `lost_records`.
        """
        ...

    def write(self, lines: Sequence[LogLine], logs: Logs = Logs()) -> None:  # noqa: B008
        """Queue lines of an invocation that still runs, as `record` does; `lines` is not empty."""
        ...

    def deny(self, denial: Denial) -> None:
        """Queue the record of a denied attempt, as `record` does. Any thread."""
        ...

    @property
    def lost_records(self) -> int:
        """Number of records that could not be written since the start (disk full, overload)."""
        ...

    async def flush(self) -> None:
        """Return once everything recorded before this call is durable."""
        ...

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with the store's medium, in words; nothing if all is well."""
        ...

    async def close(self) -> None:
        """Write what is queued and release the files. Closing twice is fine."""
        ...
