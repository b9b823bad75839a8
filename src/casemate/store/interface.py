"""The port every store adapter implements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from casemate.model.account import PolicyFile, Token, User, UserRoles
from casemate.model.denial import Denial, GrantApproval, GrantUse
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
from casemate.model.log_filter import EVERY_LINE, LineFilter


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
        self,
        *,
        project: str,
        function: str,
        digest: str,
        spec: FunctionSpec,
        created_by: str,
        approved: tuple[Grant, ...] = (),
    ) -> Version:
        """Do the same as `deploy_all` with one version."""
        ...

    async def deploy_all(
        self, wanted: Sequence[NewVersion], *, created_by: str
    ) -> tuple[Version, ...]:
        """Add versions and point `live` at each with 100 %, all in one transaction or none.

        What `created_by` approved of their grants is recorded with them.
        """
        ...

    async def functions(self) -> tuple[DeployedFunction, ...]:
        """Return every function, sorted by project and name."""
        ...

    async def alias_history(
        self, project: str, function: str, name: str, limit: int = 20
    ) -> tuple[Alias, ...]:
        """Return the states an alias has had, newest (the present one) first."""
        ...

    async def remove_version(self, project: str, function: str, number: int) -> tuple[str, ...]:
        """Delete one version; return its digest if no version has it any more.

        Raises NotFoundError, and ConflictError if an alias leads to it.
        """
        ...

    async def remove_function(self, project: str, function: str) -> tuple[str, ...]:
        """Forget a function; return the digests that nothing refers to any more."""
        ...

    async def add_user(self, user: User) -> None:
        """Keep a user. ConflictError if the name, or its OIDC issuer and subject, is taken."""
        ...

    async def replace_user(self, user: User) -> None:
        """Replace the user of that name (NotFoundError if there is none)."""
        ...

    async def accept_totp_step(self, name: str, step: int) -> bool:
        """Set `totp_last` if `step` is later; False if it is not: that code was used before."""
        ...

    async def remove_user(self, name: str) -> None:
        """Forget a user with its roles, and revoke its tokens (NotFoundError if there is none)."""
        ...

    async def users(self) -> tuple[User, ...]:
        """Return every user, by name."""
        ...

    async def set_roles(self, roles: UserRoles) -> None:
        """Replace a user's roles (NotFoundError if there is no such user)."""
        ...

    async def roles(self) -> tuple[UserRoles, ...]:
        """Return the roles of every user that has any."""
        ...

    async def add_token(self, token: Token) -> None:
        """Keep a token; NotFoundError if it is a session of a user who is not there.

        ConflictError if its id, or its name by a service token in force, is taken.
        """
        ...

    async def tokens(self) -> tuple[Token, ...]:
        """Return every token, oldest first; those that ended a month ago may be left out."""
        ...

    async def revoke_tokens(self, token_ids: tuple[str, ...]) -> tuple[Token, ...]:
        """Mark tokens revoked, all or none (NotFoundError if one is missing), and return them.

        Revoking twice changes nothing.
        """
        ...

    async def revoke_tokens_of(self, user: str) -> int:
        """Mark every token of a user revoked; return how many were in force."""
        ...

    async def touch_tokens(self, used: dict[str, float]) -> None:
        """Note when tokens were last used; unknown ids are left out."""
        ...

    async def put_policy(self, policy: PolicyFile) -> None:
        """Keep a policy file in place of the one of that name."""
        ...

    async def remove_policy(self, name: str) -> None:
        """Forget a policy file (NotFoundError if there is none)."""
        ...

    async def policies(self) -> tuple[PolicyFile, ...]:
        """Return every policy file, by name."""
        ...

    async def add_approval(self, approval: GrantApproval) -> None:
        """Keep an approval."""
        ...

    async def approvals(self, project: str, function: str) -> tuple[GrantApproval, ...]:
        """Return the approvals of a function, newest first."""
        ...

    async def add_uses(self, uses: Sequence[GrantUse]) -> None:
        """Add counts to what is stored for the same version, grant, action and prefix."""
        ...

    async def uses(
        self, project: str, function: str, version: int | None = None
    ) -> tuple[GrantUse, ...]:
        """Return what a function's versions used, newest version first."""
        ...

    def deny(self, denial: Denial) -> None:
        """Queue the record of a denied attempt, as `record` does. Any thread."""
        ...

    async def denials(
        self,
        *,
        project: str | None = None,
        function: str | None = None,
        invocation: str | None = None,
        limit: int = 100,
    ) -> tuple[Denial, ...]:
        """Return the newest denials, newest first."""
        ...

    async def node_value(self, name: str) -> bytes | None:
        """Return a small value that the node keeps for itself, such as a certificate."""
        ...

    async def set_node_value(self, name: str, value: bytes) -> None:
        """Keep a small value of the node itself."""
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
        self,
        *,
        project: str | None = None,
        function: str | None = None,
        limit: int = 100,
        only: RecordFilter = EVERY_RECORD,
    ) -> tuple[InvocationRecord, ...]:
        """Return the newest invocations, newest first."""
        ...

    async def errors(
        self,
        *,
        project: str | None = None,
        function: str | None = None,
        limit: int = 100,
        only: RecordFilter = EVERY_RECORD,
    ) -> tuple[ErrorSummary, ...]:
        """Return the newest errors, newest first."""
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
        only: LineFilter = EVERY_LINE,
    ) -> tuple[LogLine, ...]:
        """Return lines with `sequence > after`, ascending; with after=0 the newest `limit`."""
        ...

    async def rekey(self, new_key: bytes) -> None:
        """Encrypt everything with another key (32 bytes). Other calls wait meanwhile.

        A crash leaves the one key or the other in force; StoreKeyError at the next start tells.
        """
        ...

    async def snapshot(self, path: Path) -> None:
        """Write a consistent copy, with the same key, to the new file `path`; calls go on."""
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
