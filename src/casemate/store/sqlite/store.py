"""`SqliteStore`: the port's methods, each handed to the writer or to the reader."""

from __future__ import annotations

from collections.abc import Sequence

from casemate.model.denial import Denial
from casemate.model.deployment import Alias, AliasTarget, DeployedFunction, NewVersion, Version
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant
from casemate.model.invocation import (
    EVERY_RECORD,
    ErrorRecord,
    ErrorSummary,
    InvocationRecord,
    LogLine,
    RecordFilter,
)
from casemate.store.sqlite import denials, deployments, records
from casemate.store.sqlite.account_calls import AccountCalls
from casemate.store.sqlite.grant_calls import GrantCalls
from casemate.store.sqlite.session import MAX_LIMIT, StoreSession, require_range


class SqliteStore(AccountCalls, GrantCalls, StoreSession):
    """The embedded store. Satisfies `casemate.store.interface.Store`, which documents the calls.

    `open` opens one.
    """

    async def add_version(
        self, *, project: str, function: str, digest: str, spec: FunctionSpec, created_by: str
    ) -> Version:
        """Record the next version of a function."""
        return await self._change(
            deployments.add_version,
            project=project,
            function=function,
            digest=digest,
            spec=spec,
            created_by=created_by,
        )

    async def set_alias(
        self, project: str, function: str, name: str, targets: Sequence[AliasTarget]
    ) -> Alias:
        """Point an alias at versions."""
        return await self._change(deployments.set_alias, project, function, name, tuple(targets))

    async def deploy(
        self,
        *,
        project: str,
        function: str,
        digest: str,
        spec: FunctionSpec,
        created_by: str,
        approved: tuple[Grant, ...] = (),
    ) -> Version:
        """Deploy one."""
        new = NewVersion(
            project=project, function=function, digest=digest, spec=spec, approved=approved
        )
        return (await self.deploy_all((new,), created_by=created_by))[0]

    async def deploy_all(
        self, wanted: Sequence[NewVersion], *, created_by: str
    ) -> tuple[Version, ...]:
        """Add versions, with the approvals of what they have more, and point `live` at each."""
        return await self._change(deployments.deploy, tuple(wanted), created_by)

    async def functions(self) -> tuple[DeployedFunction, ...]:
        """Return every function."""
        return await self._read(deployments.functions)

    async def alias_history(
        self, project: str, function: str, name: str, limit: int = 20
    ) -> tuple[Alias, ...]:
        """Return the states an alias has had, newest first."""
        require_range("limit", limit, MAX_LIMIT)
        return await self._read(deployments.alias_history, project, function, name, limit)

    async def remove_function(self, project: str, function: str) -> tuple[str, ...]:
        """Forget a function (NotFoundError if there is none); its records stay until pruned."""
        return await self._change(deployments.remove_function, project, function)

    async def remove_version(self, project: str, function: str, number: int) -> tuple[str, ...]:
        """Delete one version; return its digest if no version has it any more."""
        return await self._change(deployments.remove_version, project, function, number)

    def record(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None = None,
        log: Sequence[LogLine] = (),
    ) -> None:
        """Queue what an invocation left behind. After `close` it counts as lost."""
        self._records.record(invocation, error, log)

    @property
    def lost_records(self) -> int:
        """Number of `record` and `deny` calls since the start whose content could not be kept."""
        return self._records.lost

    async def invocation(self, invocation_id: str) -> InvocationRecord | None:
        """Return one invocation."""
        return await self._read(records.invocation, invocation_id)

    async def invocations(
        self,
        *,
        project: str | None = None,
        function: str | None = None,
        limit: int = 100,
        only: RecordFilter = EVERY_RECORD,
    ) -> tuple[InvocationRecord, ...]:
        """Return the newest invocations."""
        require_range("limit", limit, MAX_LIMIT)
        return await self._read(records.invocations, project, function, limit, only)

    async def errors(
        self,
        *,
        project: str | None = None,
        function: str | None = None,
        limit: int = 100,
        only: RecordFilter = EVERY_RECORD,
    ) -> tuple[ErrorSummary, ...]:
        """Return the newest errors."""
        require_range("limit", limit, MAX_LIMIT)
        return await self._read(records.errors, project, function, limit, only)

    async def error(self, error_id: str) -> ErrorRecord | None:
        """Return one error."""
        return await self._read(records.error, error_id)

    async def logs(
        self,
        *,
        project: str | None = None,
        function: str | None = None,
        invocation: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> tuple[LogLine, ...]:
        """Return log lines."""
        require_range("limit", limit, MAX_LIMIT)
        require_range("after", after, 2**63 - 1)
        return await self._read(
            records.logs,
            project=project,
            function=function,
            invocation=invocation,
            after=after,
            limit=limit,
        )

    def deny(self, denial: Denial) -> None:
        """Queue the record of a denied attempt. After `close` it counts as lost."""
        self._records.deny(denial)

    async def denials(
        self,
        *,
        project: str | None = None,
        function: str | None = None,
        invocation: str | None = None,
        limit: int = 100,
    ) -> tuple[Denial, ...]:
        """Return the newest denials."""
        require_range("limit", limit, MAX_LIMIT)
        return await self._read(
            denials.denials,
            project=project,
            function=function,
            invocation=invocation,
            limit=limit,
        )
