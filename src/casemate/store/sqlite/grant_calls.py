"""The store's calls about policies, grants and the node's own values."""

from __future__ import annotations

from collections.abc import Sequence

from casemate.model.account import PolicyFile
from casemate.model.denial import GrantApproval, GrantUse
from casemate.store.sqlite import grants, policies
from casemate.store.sqlite.session import StoreSession


class GrantCalls(StoreSession):
    """Documented in `casemate.store.interface.Store`."""

    async def put_policy(self, policy: PolicyFile) -> None:
        """Keep a policy file."""
        await self._change(policies.put_policy, policy)

    async def remove_policy(self, name: str) -> None:
        """Forget a policy file."""
        await self._change(policies.remove_policy, name)

    async def policies(self) -> tuple[PolicyFile, ...]:
        """Return every policy file."""
        return await self._read(policies.policies)

    async def add_approval(self, approval: GrantApproval) -> None:
        """Keep an approval."""
        await self._change(grants.add_approval, approval)

    async def approvals(self, project: str, function: str) -> tuple[GrantApproval, ...]:
        """Return the approvals of a function."""
        return await self._read(grants.approvals, project, function)

    async def add_uses(self, uses: Sequence[GrantUse]) -> None:
        """Add counts to what is stored."""
        await self._change(grants.add_uses, tuple(uses))

    async def uses(
        self, project: str, function: str, version: int | None = None
    ) -> tuple[GrantUse, ...]:
        """Return what a function's versions used."""
        return await self._read(grants.uses, project, function, version)

    async def node_value(self, name: str) -> bytes | None:
        """Return a small value of the node itself."""
        return await self._read(policies.node_value, name)

    async def set_node_value(self, name: str, value: bytes) -> None:
        """Keep a small value of the node itself."""
        await self._change(policies.set_node_value, name, value)
