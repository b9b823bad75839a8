"""Users, their roles and tokens as the node knows them: in memory, written through to the store.

Every change is made under one lock, stored first and then taken over; who calls holds `lock`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from casemate.accounts.authentication import TokenIndex
from casemate.accounts.bindings import is_node_owner
from casemate.accounts.errors import EscalationError, LastOwnerError
from casemate.accounts.seen import PeopleSeen
from casemate.model.account import ENDED_KEPT, Token, User, UserRoles
from casemate.model.errors import NotFoundError
from casemate.model.principal import Principal, PrincipalKind, RoleBinding
from casemate.model.workload import MADE_BY
from casemate.operations.accounts import (
    AcceptTotpStep,
    ForgetUser,
    KeepToken,
    KeepTokenUse,
    KeepUser,
    KeepUserRoles,
    ReadTokens,
    ReadUserRoles,
    ReadUsers,
    ReplaceUser,
    RevokeSessions,
    RevokeTokens,
)
from casemate.store.interface import Store

OWNER_TOKEN_LEFT = 86400.0
"""Seconds for which an owner's token must still be valid to count as a way in."""
FORGET_SECONDS = 3600.0
"""Between looks at which tokens ended so long ago that the store forgets them."""


class Directory:
    """What is stored of accounts. Reading it needs no lock."""

    def __init__(
        self, store: Store, clock: Callable[[], float], session_idle: float | None
    ) -> None:
        """Start empty; `load` reads the store."""
        self._store = store
        self.clock = clock
        self.lock = asyncio.Lock()
        self.users: dict[str, User] = {}
        self.roles: dict[str, tuple[RoleBinding, ...]] = {}
        self.tokens: dict[str, Token] = {}
        self.index = TokenIndex(clock, session_idle)
        self.seen = PeopleSeen(store)
        self._forgot_at = float("-inf")
        self.oidc_issuer: str | None = None
        """Issuer by whose word users can get in at present."""

    async def load(self) -> None:
        """Read what is stored, in the place of all that was known; at any time."""
        read = self._store.read
        await self.seen.load()
        # Tokens first: one of a user or with roles that are not there yet lets nobody in.
        tokens, users, roles = (
            await read(ReadTokens()),
            await read(ReadUsers()),
            await read(ReadUserRoles()),
        )
        self.users = {user.name: user for user in users}
        self.roles = {each.user: each.bindings for each in roles}
        self.index.remove(self.tokens.keys() - {token.id for token in tokens})
        self.tokens = {token.id: token for token in tokens}
        for token in tokens:
            self._let_in(token)

    def user(self, name: str) -> User:
        """Return a user (NotFoundError if there is none)."""
        found = self.users.get(name)
        if found is None:
            raise NotFoundError(
                f"There is no user {name!r}.", next_step="`casemate users ls` lists them."
            )
        return found

    def token(self, token_id: str) -> Token:
        """Return a token (NotFoundError if there is none)."""
        found = self.tokens.get(token_id)
        if found is None:
            raise NotFoundError(
                f"There is no token with the id {token_id!r}.",
                next_step="`casemate tokens ls` lists them.",
            )
        return found

    def token_principal(self, token_id: str) -> Principal | None:
        """Return who a service token in force is."""
        token = self.tokens.get(token_id)
        if token is None or token.user is not None or not self._in_force(token, 0.0):
            return None
        return Principal(
            kind=PrincipalKind.TOKEN,
            id=token.id,
            bindings=token.bindings,
            expires_at=token.expires_at,
        )

    def roles_of(self, user: str) -> tuple[RoleBinding, ...]:
        """Return a user's present roles."""
        return self.roles.get(user, ())

    def tokens_made_by(self, user: str) -> tuple[Token, ...]:
        """Return the service tokens in force that a user has made."""
        return tuple(
            token
            for token in self.tokens.values()
            if token.user is None
            and token.created_by == f"user:{user}"
            and self._in_force(token, 0.0)
        )

    def line_of(self, token_id: str) -> tuple[str, ...]:
        """Return a token's id, and those of all that were made with it, and with these, and so on.

        Each once, the token itself first; a circle, which nothing here makes, ends.
        """
        made: dict[str, list[str]] = {}
        for token in self.tokens.values():
            if token.made_with is not None:
                made.setdefault(token.made_with, []).append(token.id)
        line = {token_id: None}
        waiting = [token_id]
        while waiting:
            new = [i for i in made.get(waiting.pop(), ()) if i not in line]
            line.update(dict.fromkeys(new))
            waiting += new
        return tuple(line)

    def makers_of(self, caller: str) -> tuple[str, ...]:
        """Return who made a caller, given as `Principal.text`, who made that, and so on."""
        found: dict[str, None] = {}
        while (token := self._token_called(caller)) and token.created_by not in found:
            caller = token.created_by
            found[caller] = None
        return tuple(found)

    def _token_called(self, caller: str) -> Token | None:
        kind, _, name = caller.partition(":")
        return self.tokens.get(name) if kind == PrincipalKind.TOKEN else None

    def require_no_pipeline(self, by: Principal, what: str) -> None:
        """Raise EscalationError if `by` is the session of a pipeline, or was made with one.

        For what lasts: whoever had a session for some minutes would have it for good.
        """
        if any(maker.startswith(MADE_BY) for maker in self.makers_of(by.text)):
            raise EscalationError(
                f"{by.text} cannot {what}: it comes from a pipeline, which that would outlive.",
                next_step="Log in as a person.",
            )

    def require_current(self, by: Principal, made_with: str | None = None) -> None:
        """Raise EscalationError if `by` has lost what it had when its request began.

        `made_with` is the id of the token or session that it showed; that must be in force, too.
        """
        if by.kind is PrincipalKind.USER:
            user = self.users.get(by.id)
            current = self.roles_of(by.id) if user and user.disabled_at is None else ()
        else:
            token = self.tokens.get(by.id)
            current = token.bindings if token and self._in_force(token, 0.0) else ()
        shown = None if made_with is None else self.tokens.get(made_with)
        ended = made_with is not None and (shown is None or not self._in_force(shown, 0.0))
        if by.bindings != current or ended:
            raise EscalationError(
                f"What {by.text} may do has just changed.", next_step="Try again."
            )

    # -- changes -------------------------------------------------------------------------------

    async def add_user(self, user: User, bindings: tuple[RoleBinding, ...]) -> None:
        """Keep a new user with its roles (ConflictError if the name is taken)."""
        await self._store.change(KeepUser(user=user))
        self.users[user.name] = user
        await self.set_roles(user.name, bindings)

    async def replace_user(self, user: User) -> None:
        """Replace a user. One that is disabled loses its sessions for good."""
        await self._store.change(ReplaceUser(user=user))
        self.users[user.name] = user
        if user.disabled_at is not None:
            await self.revoke_sessions(user.name)

    async def accept_totp_step(self, name: str, step: int) -> bool:
        """Use up a time step; False if it, or a later one, was used before."""
        if not await self._store.change(AcceptTotpStep(user=name, step=step)):
            return False
        self.users[name] = msgspec.structs.replace(self.users[name], totp_last=step)
        return True

    async def remove_user(self, name: str) -> None:
        """Forget a user with roles and sessions."""
        self._shut_out(name)  # first: should the store fail, nobody is let in by mistake
        await self._store.change(ForgetUser(user=name))
        self.users.pop(name, None)
        self.roles.pop(name, None)

    async def set_roles(self, name: str, bindings: tuple[RoleBinding, ...]) -> None:
        """Replace a user's roles; its open sessions have them from now on."""
        roles = UserRoles(user=name, bindings=bindings)
        await self._store.change(KeepUserRoles(roles=roles))
        self.roles[name] = bindings
        for token in self.index.of_user(name):
            self._let_in(token)

    async def add_token(self, token: Token) -> None:
        """Keep a new token (ConflictError if its name is taken) and let it in."""
        await self._store.change(KeepToken(token=token))
        self.tokens[token.id] = token
        self._let_in(token)

    async def revoke_tokens(self, token_ids: tuple[str, ...]) -> tuple[Token, ...]:
        """Revoke tokens, all or none; they are refused from now on."""
        self.index.remove(token_ids)  # first: should the store fail, none is let in by mistake
        revoked = await self._store.change(RevokeTokens(ids=token_ids))
        self.tokens.update((token.id, token) for token in revoked)
        return revoked

    async def revoke_sessions(self, user: str) -> None:
        """Revoke all sessions of a user."""
        self._shut_out(user)
        await self._store.change(RevokeSessions(user=user))

    def _shut_out(self, user: str) -> None:
        now = self.clock()
        for token in self.index.of_user(user):
            self.tokens[token.id] = msgspec.structs.replace(token, revoked_at=now)
            self.index.remove([token.id])

    def _let_in(self, token: Token) -> None:
        """Put a token into the index with the bindings it has now; of nobody's, take it out."""
        if token.user is None:
            self.index.put(token, token.bindings)
            return
        user = self.users.get(token.user)
        if user is None or user.disabled_at is not None:
            self.index.remove([token.id])
            return
        self.index.put(token, self.roles_of(token.user))

    async def flush_usage(self) -> None:
        """Store when tokens were last used; forget sessions of people and workloads once over."""
        used = self.index.take_used()
        if used:
            await self._store.change(KeepTokenUse(used=used))
            await self.seen.note(self._seen_in(used), self.users)
        for token_id in self.index.drop_expired():
            token = self.tokens[token_id]
            if token.user is not None or token.created_by.startswith(MADE_BY):
                del self.tokens[token_id]
        self._forget_ended()

    def _forget_ended(self) -> None:
        """Forget tokens that ended long ago, before the store does.

        Revoking is for a whole line or for none of it: with one in it that the store does not
        have any more, none would be revoked.
        """
        now = self.clock()
        if 0 <= now - self._forgot_at < FORGET_SECONDS:
            return
        self._forgot_at = now
        before = now - ENDED_KEPT + 2 * FORGET_SECONDS
        ended = [
            token.id
            for token in self.tokens.values()
            if any(at is not None and at < before for at in (token.revoked_at, token.expires_at))
        ]
        for token_id in ended:
            del self.tokens[token_id]

    def _seen_in(self, used: dict[str, float]) -> dict[str, float]:
        """Return when people were seen, by the sessions among tokens that were used."""
        found: dict[str, float] = {}
        for token_id, at in used.items():
            token = self.tokens.get(token_id)
            if token is not None and token.user is not None:
                found[token.user] = max(at, found.get(token.user, 0.0))
        return found

    # -- the last owner ------------------------------------------------------------------------

    def _in_force(self, token: Token, left: float) -> bool:
        if token.revoked_at is not None:
            return False
        return token.expires_at is None or token.expires_at > self.clock() + left

    def can_get_in(self, user: User) -> bool:
        """Tell whether a person can log in: enrolled, or known to the present provider."""
        if user.disabled_at is not None:
            return False
        enrolled = user.password is not None and user.totp is not None
        by_provider = user.oidc_subject is not None and user.oidc_issuer == self.oidc_issuer
        return enrolled or by_provider

    def require_owner_left(
        self,
        *,
        without_user: str | None = None,
        without_tokens: tuple[str, ...] = (),
        issuer: str | msgspec.UnsetType | None = msgspec.UNSET,
    ) -> None:
        """Raise LastOwnerError if nobody could own the node without these, or with that issuer.

        Counts people who can log in and service tokens that are valid for a day more.
        """
        before = self.oidc_issuer
        try:
            if issuer is not msgspec.UNSET:
                self.oidc_issuer = issuer
            users = (u for u in self.users.values() if u.name != without_user)
            if any(is_node_owner(self.roles_of(u.name)) and self.can_get_in(u) for u in users):
                return
        finally:
            self.oidc_issuer = before
        tokens = (t for t in self.tokens.values() if t.user is None and t.id not in without_tokens)
        if any(is_node_owner(t.bindings) and self._in_force(t, OWNER_TOKEN_LEFT) for t in tokens):
            return
        raise LastOwnerError(
            "This would leave the node without an owner who can get in.",
            next_step="Make another owner first: `casemate users add NAME --role owner`, and have "
            "that person enrol.",
        )
