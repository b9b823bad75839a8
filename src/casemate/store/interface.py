"""The port every store adapter implements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from casemate.model.deployment import Alias, AliasTarget, DeployedFunction, Key, Version
from casemate.model.function import FunctionSpec
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine


class Store(Protocol):
    """Records of a node. Awaiting a change returns once it is durable (fsync), never before.

    No method blocks the event loop. Raises StoreError (of `casemate.store`) when the medium fails
    and UnavailableError when the store is closing.
    """

    async def add_version(
        self, *, project: str, function: str, digest: str, spec: FunctionSpec, created_by: str
    ) -> Version:
        """Record the next version of a function. A digest deployed before gets a new number."""
        ...

    async def set_alias(
        self, project: str, function: str, name: str, targets: Sequence[AliasTarget]
    ) -> Alias:
        """Point an alias at versions, all of which must exist (NotFoundError otherwise)."""
        ...

    async def deploy(
        self, *, project: str, function: str, digest: str, spec: FunctionSpec, created_by: str
    ) -> Version:
        """Add a version and point `live` at it with 100 %, in one transaction."""
        ...

    async def functions(self) -> tuple[DeployedFunction, ...]:
        """Return every function, sorted by project and name."""
        ...

    async def alias_history(
        self, project: str, function: str, name: str, limit: int = 20
    ) -> tuple[Alias, ...]:
        """Return the states an alias has had, newest (the present one) first."""
        ...

    async def remove_function(self, project: str, function: str) -> tuple[str, ...]:
        """Forget a function; return the digests that nothing refers to any more."""
        ...

    async def add_key(self, key: Key) -> None:
        """Keep a key. ConflictError if its id or its name (of one not revoked) is taken."""
        ...

    async def keys(self) -> tuple[Key, ...]:
        """Return every key, oldest first, revoked ones included."""
        ...

    async def revoke_key(self, key_id: str) -> Key:
        """Mark a key revoked (NotFoundError if there is none); revoking twice changes nothing."""
        ...

    def record(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None = None,
        log: Sequence[LogLine] = (),
    ) -> None:
        """Queue what an invocation left behind; written with the next group commit.

        Never blocks. Records are not dropped silently: see `lost_records`.
        """
        ...

    @property
    def lost_records(self) -> int:
        """Number of records that could not be written since the start (disk full, overload)."""
        ...

    async def invocation(self, invocation_id: str) -> InvocationRecord | None:
        """Return one invocation."""
        ...

    async def invocations(
        self, *, project: str | None = None, function: str | None = None, limit: int = 100
    ) -> tuple[InvocationRecord, ...]:
        """Return the newest invocations, newest first."""
        ...

    async def error(self, error_id: str) -> ErrorRecord | None:
        """Return one error."""
        ...

    async def logs(
        self,
        *,
        project: str | None = None,
        function: str | None = None,
        invocation: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> tuple[LogLine, ...]:
        """Return lines with `sequence > after`, ascending; with after=0 the newest `limit`."""
        ...

    async def flush(self) -> None:
        """Return once everything recorded before this call is durable."""
        ...

    async def close(self) -> None:
        """Write what is queued and release the files. Closing twice is fine."""
        ...
