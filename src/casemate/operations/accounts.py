"""Operations on people and tokens as they are stored. The node's own: its accounts ask for them."""

from __future__ import annotations

from typing import Any

from casemate.model.account import Token, User, UserRoles
from casemate.operations.declaration import Decided, Declaration, Effect, Operation


class ReadUsers(Operation[tuple[User, ...]], frozen=True, kw_only=True):
    """Return every user, by name."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)


class KeepUser(Operation[User], frozen=True, kw_only=True):
    """Keep a new user, and return it. ConflictError if the name or the OIDC identity is taken.

    Where nodes share a store it is there since now by the clock of its server, as all of which
    nodes say together when it was.
    """

    declared = Declaration(decided=Decided.INSIDE, secret=frozenset({"user"}))
    user: User
    after: float = 0.0
    """It is there since then at the earliest: when who had the name before was gone."""


class ReplaceUser(Operation[None], frozen=True, kw_only=True):
    """Replace the user of that name (NotFoundError if there is none).

    `totp_last` never goes back while there is a second factor.
    """

    declared = Declaration(decided=Decided.INSIDE, secret=frozenset({"user"}))
    user: User


class AcceptTotpStep(Operation[bool], frozen=True, kw_only=True):
    """Set `totp_last` if `step` is later; False if it is not: that code was used before."""

    declared = Declaration(decided=Decided.INSIDE)
    user: str
    step: int


class ForgetUser(Operation[None], frozen=True, kw_only=True):
    """Forget a user with its roles, and revoke its tokens (NotFoundError if there is none)."""

    declared = Declaration(decided=Decided.INSIDE)
    user: str


class ReadUserRoles(Operation[tuple[UserRoles, ...]], frozen=True, kw_only=True):
    """Return the roles of every user that has any, by name."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)


class KeepUserRoles(Operation[None], frozen=True, kw_only=True):
    """Replace a user's roles (NotFoundError if there is no such user)."""

    declared = Declaration(decided=Decided.INSIDE)
    roles: UserRoles


class ReadTokens(Operation[tuple[Token, ...]], frozen=True, kw_only=True):
    """Return every token, oldest first; those that ended a month ago may be left out."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)


class KeepToken(Operation[None], frozen=True, kw_only=True):
    """Keep a token; NotFoundError if it is a session of a user who is not there.

    ConflictError if its id, or its name by a service token in force, is taken.
    """

    declared = Declaration(decided=Decided.INSIDE, secret=frozenset({"token"}))
    token: Token


class RevokeTokens(Operation[tuple[Token, ...]], frozen=True, kw_only=True):
    """Mark tokens revoked, all or none (NotFoundError if one is missing), and return them.

    Revoking twice changes nothing.
    """

    declared = Declaration(decided=Decided.INSIDE)
    ids: tuple[str, ...]


class RevokeSessions(Operation[int], frozen=True, kw_only=True):
    """Mark every token of a user revoked; return how many were in force."""

    declared = Declaration(decided=Decided.INSIDE)
    user: str


class KeepTokenUse(Operation[None], frozen=True, kw_only=True):
    """Note when tokens were last used, by their ids; unknown ones are left out."""

    declared = Declaration(decided=Decided.INSIDE)
    used: dict[str, float]


class ReadTokenUse(Operation[dict[str, float]], frozen=True, kw_only=True):
    """Return when tokens were last used, by their ids: those used since a time (Unix)."""

    declared = Declaration(effect=Effect.READ, decided=Decided.INSIDE)
    since: float


class RequireUser(Operation[None], frozen=True, kw_only=True):
    """Have it that a user is still who was proven: StoreMovedError if what proves it, or whether
    the user may come in, is another now.
    """

    declared = Declaration(decided=Decided.INSIDE, secret=frozenset({"user"}))
    user: User


class UseOnce(Operation[bool], frozen=True, kw_only=True):
    """Use something up that works once in all nodes: False if it was used before.

    It is remembered for so many seconds by the store's clock. ConflictError if too much of its kind
    is remembered.
    """

    declared = Declaration(decided=Decided.INSIDE)
    kind: str
    name: str
    seconds: float


class ChangeAccounts(Operation[tuple[Any, ...]], frozen=True, kw_only=True):
    """Make several changes of accounts, all or none; return what each is answered with.

    UsedBeforeError if one of them uses up what was used before.
    """

    declared = Declaration(decided=Decided.INSIDE, secret=frozenset({"changes"}))
    changes: tuple[Operation[Any], ...]


class CountAttempt(Operation[float], frozen=True, kw_only=True):
    """Count an attempt to log in as failed; return 0.0.

    If it has to wait it does not count: then it returns for how many seconds.
    """

    declared = Declaration(decided=Decided.INSIDE)
    account: str | None
    address: str


class SettleAttempt(Operation[None], frozen=True, kw_only=True):
    """Take back an attempt that was counted.

    One that succeeded takes back all that failed of its account, and has the address known.
    """

    declared = Declaration(decided=Decided.INSIDE)
    account: str | None
    address: str
    succeeded: bool = False


class ForgetAttempts(Operation[None], frozen=True, kw_only=True):
    """Forget what is counted of an account, and from where it is known."""

    declared = Declaration(decided=Decided.INSIDE)
    account: str
