"""Users, their roles and tokens as the node knows them: in memory, written through to the store.

Every change is made under one lock, stored first and then taken over. Where several nodes have one
store, it is decided on what is stored at that moment: see `casemate.store.deciding`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

import msgspec

from casemate.accounts.authentication import TokenIndex, begins_at
from casemate.accounts.bindings import is_node_owner
from casemate.accounts.errors import EscalationError, LastOwnerError
from casemate.accounts.seen import PeopleSeen
from casemate.model.account import ENDED_KEPT, Token, User
from casemate.model.errors import NoNamedError, NotFoundError
from casemate.model.principal import Principal, PrincipalKind, RoleBinding
from casemate.model.workload import MADE_BY
from casemate.operations.accounts import (
    AcceptTotpStep,
    ChangeAccounts,
    ForgetUser,
    KeepToken,
    KeepTokenUse,
    KeepUser,
    KeepUserRoles,
    ReadTokens,
    ReadTokenUse,
    ReadUserRoles,
    ReadUsers,
    ReplaceUser,
    RevokeSessions,
    RevokeTokens,
)
from casemate.operations.declaration import Operation
from casemate.store import AloneDecisions, Decisions
from casemate.store.interface import SharedStore, Store

OWNER_TOKEN_LEFT = 86400.0
"""Seconds for which an owner's token must still be valid to count as a way in."""
FORGET_SECONDS = 3600.0
"""Between looks at which tokens ended so long ago that the store forgets them."""
MAX_PIPELINES = 50_000
"""Sessions of workloads that are over of which it is known whose they were."""

USE_TOLD_SECONDS = 300.0
"""Of how long ago uses of tokens by other nodes are asked for, each few seconds."""
TOPICS = frozenset(
    {"user", "user_roles", "token", "value accounts/oidc", "value accounts/workloads"}
)
"""What is decided on here: changes of it by other nodes."""
AnswerT = TypeVar("AnswerT")
Changes = tuple[Operation[Any], ...]


class Directory:
    """What is stored of accounts. Reading it needs no lock."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        session_idle: float | None,
        decisions: Decisions | None = None,
        deleting: Callable[[], float] | None = None,
    ) -> None:
        """Start empty; `load` reads the store. `decisions`, `deleting`: as in Accounts."""
        self._store = store
        self._decisions = decisions or AloneDecisions(store)
        self.shared = isinstance(store, SharedStore)
        self.renew: Callable[[], Awaitable[None]] = self.load
        """Reads again all that is decided on here; `lock` is held."""
        self.clock = clock
        self._deleting = deleting or clock
        self.lock = asyncio.Lock()
        self.users: dict[str, User] = {}
        self.roles: dict[str, tuple[RoleBinding, ...]] = {}
        self.tokens: dict[str, Token] = {}
        self._bound: frozenset[str] | None = None
        self.index = TokenIndex(clock, session_idle)
        self.seen = PeopleSeen(store)
        self.sessions_ended: dict[str, float] = {}
        """When the last session of a person was ended by somebody, by name; also of who is not
        there any more, for as long as sessions that have ended are kept."""
        self.pipelines: OrderedDict[str, str] = OrderedDict()
        """Who made sessions of workloads that are over, by their ids: what these have used is
        counted by who answers for them."""
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
        self._bound = None
        self.index.remove(self.tokens.keys() - {token.id for token in tokens})
        self.tokens = {token.id: token for token in tokens}
        self.sessions_ended = {}
        for token in tokens:
            self._note_end(token)
            self._let_in(token)

    def user(self, name: str) -> User:
        """Return a user (NotFoundError if there is none)."""
        found = self.users.get(name)
        if found is None:
            raise NoNamedError(
                "user",
                name,
                f"There is no user {name!r}.",
                next_step="`casemate users ls` lists them.",
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

    def is_bound(self, project: str) -> bool:
        """Tell whether some user has a role in a project, or in a function of it, by name."""
        if self._bound is None:  # asked often where somebody makes names up, changed seldom
            bindings = (each for of_one in self.roles.values() for each in of_one)
            self._bound = frozenset(one.project for one in bindings if one.project is not None)
        return project in self._bound

    def tokens_made_by(self, user: str) -> tuple[Token, ...]:
        """Return the service tokens in force that a user has made."""
        return tuple(
            token
            for token in self.tokens.values()
            if token.user is None
            and token.created_by == f"user:{user}"
            and self._in_force(token, 0.0)
        )

    def people_made_with(self, ids: Collection[str]) -> tuple[User, ...]:
        """Return who was added, or last reset, with one of these tokens or sessions; by name."""
        found = [user for user in self.users.values() if user.made_with in ids]
        return tuple(sorted(found, key=lambda user: user.name))

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

    def made_in_line_of(self, caller: str) -> int:
        """Return how many service tokens in force come from who stands first in a caller's line."""
        first = (caller, *self.makers_of(caller))[-1]
        return sum(
            self.makers_of(f"{PrincipalKind.TOKEN}:{token.id}")[-1:] == (first,)
            for token in self.tokens.values()
            if token.user is None and self._in_force(token, 0.0)
        )

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

    async def decide(
        self,
        decision: Callable[[], tuple[Changes, AnswerT]],
        topics: frozenset[str] = TOPICS,
        taken: Callable[[], None] = lambda: None,
    ) -> AnswerT:
        """Make the changes that `decision` returns, all or none, and return what else it does.

        It decides on what is in memory, and may raise instead. It is asked again if another node
        has changed any of `topics` meanwhile. `taken` is called once they are made.
        """
        made: list[tuple[Changes, AnswerT]] = []

        async def operation() -> ChangeAccounts:
            made[:] = [decision()]
            return self._begun(made[0][0])

        async with self.lock:
            answers = await self._decisions.make(operation, self.renew, topics)
            changes, answer = made[0]
            self._take_over(changes, answers)
            taken()
            return answer

    async def apply(self, decision: Callable[[], tuple[Changes, AnswerT]]) -> AnswerT:
        """Make changes that hold whatever another node does: the store looks itself."""
        async with self.lock:
            changes, answer = decision()
            if not changes:
                return answer
            self._take_over(changes, await self._store.change(self._begun(changes)))
            return answer

    def _begun(self, changes: Changes) -> ChangeAccounts:
        # Should the store fail, nobody is let in by mistake.
        for change in changes:
            match change:
                case RevokeTokens():
                    self.index.remove(change.ids)
                case ForgetUser() | RevokeSessions():
                    self._shut_out(change.user)
        return ChangeAccounts(changes=changes)

    def _take_over(self, changes: Changes, answers: tuple[Any, ...]) -> None:
        for change, answer in zip(changes, answers, strict=True):
            match change:
                case KeepUser():
                    self.users[answer.name] = answer
                case ReplaceUser():
                    self.users[change.user.name] = change.user
                case AcceptTotpStep():
                    user = self.users[change.user]
                    self.users[user.name] = msgspec.structs.replace(user, totp_last=change.step)
                case ForgetUser():
                    self.users.pop(change.user, None)
                    self.roles.pop(change.user, None)
                    self._bound = None
                case KeepUserRoles():
                    self.roles[change.roles.user] = change.roles.bindings
                    self._bound = None
                    for token in self.index.of_user(change.roles.user):
                        self._let_in(token)
                case KeepToken():
                    self.tokens[change.token.id] = change.token
                    self._let_in(change.token)
                case RevokeTokens():
                    for token in answer:
                        self.tokens[token.id] = token
                        self._note_end(token)

    def _shut_out(self, user: str) -> None:
        now = self.clock()
        for token in self.index.of_user(user):
            ended = msgspec.structs.replace(token, revoked_at=now)
            self.tokens[token.id] = ended
            self._note_end(ended)
            self.index.remove([token.id])

    def _note_end(self, token: Token) -> None:
        if token.user is not None and token.revoked_at is not None:
            before = self.sessions_ended.get(token.user, token.revoked_at)
            self.sessions_ended[token.user] = max(before, token.revoked_at)

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
        if self.shared:
            # Used elsewhere, a session is not idle, and a token not forgotten.
            since = self.clock() - USE_TOLD_SECONDS
            self.index.note_used(await self._store.read(ReadTokenUse(since=since)))
        for token_id in self.index.drop_expired(self._deleting()):
            token = self.tokens[token_id]
            if token.created_by.startswith(MADE_BY):
                self.pipelines[token_id] = token.created_by
                del self.tokens[token_id]
            elif token.user is not None:
                del self.tokens[token_id]
        while len(self.pipelines) > MAX_PIPELINES:
            self.pipelines.popitem(last=False)
        self._forget_ended()

    def _forget_ended(self) -> None:
        """Forget tokens that ended long ago, before the store does.

        Revoking is for a whole line or for none of it: with one in it that the store does not
        have any more, none would be revoked.
        """
        now = self._deleting()
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
        for name in [name for name, at in self.sessions_ended.items() if at < before]:
            del self.sessions_ended[name]

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
        if token.expires_at is None:
            return True
        return token.expires_at > self.clock() + left and begins_at(token) <= self.clock()

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
