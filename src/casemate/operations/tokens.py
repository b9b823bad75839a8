"""Operations on service tokens and sessions: list, make, revoke.

What may be done is decided for each role a token is to have, and for each token shown: those who
may make tokens in a project need no right on the node, and everybody sees and revokes its own.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.account import MAX_DAYS
from casemate.model.principal import Action
from casemate.operations.declaration import Decided, Declaration, Operation
from casemate.operations.fields import Id, Name, Roles, number
from casemate.operations.given import Given
from casemate.operations.login import MAX_BODY


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token as shown: neither its text, which is not stored, nor the hash of it."""

    id: str
    name: str
    user: str | None = None
    """Whose session it is; absent for service tokens."""
    roles: tuple[str, ...]
    created_at: float
    created_by: str
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None


class RevokedToken(TokenView, frozen=True, kw_only=True):
    """A token that is revoked now, with those that ended because they were made with it."""

    line: tuple[TokenView, ...] = ()
    """Made with it, or with one of these; each has ended."""
    codes: tuple[str, ...] = ()
    """People who were added or reset with one of these, and whose unused codes have ended."""
    people: tuple[str, ...] = ()
    """People who were added or reset with one of these, and can log in still."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, oldest first."""

    tokens: tuple[TokenView, ...]


class CreatedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token. This is the only time that its text is shown."""

    token: TokenView
    text: str

    def __repr__(self) -> str:
        """Leave out the text."""
        return f"CreatedToken(token={self.token!r})"


class ListTokens(Operation[Tokens], frozen=True, kw_only=True):
    """List service tokens: all of them with `account:read`, otherwise your own."""

    declared = Declaration(http="GET /tokens", tag="tokens", decided=Decided.FOR_EACH)
    sessions: Annotated[bool, msgspec.Meta(description="Include sessions of people.")] = False


class AddToken(Operation[CreatedToken], frozen=True, kw_only=True):
    """Make a service token, and show its text once.

    Needs `token:write` where each role applies, and roles of your own that cover them: a token
    cannot do more than its maker.
    """

    declared = Declaration(
        http="POST /tokens",
        tag="tokens",
        decided=Decided.FOR_EACH,
        alone=Action.TOKEN_WRITE,
        status=HTTPStatus.CREATED,
        problems=(409, 413, 415, 422),
        max_body=MAX_BODY,
    )
    name: Annotated[Name, msgspec.Meta(description="A name for it.")]
    roles: Roles
    days: (
        Annotated[
            int,
            number(
                "Without it 90, or less where a token that makes it expires before.",
                least=1,
                most=MAX_DAYS,
            ),
            Given("Days until it expires. Default: 90."),
        ]
        | None
    ) = None
    minutes: (
        Annotated[int, number("Minutes until it expires, instead of days.", least=1, most=1440)]
        | None
    ) = None
    no_expiry: Annotated[
        bool, msgspec.Meta(description="Let it never expire; for owners, and recorded.")
    ] = False


class RevokeToken(Operation[RevokedToken], frozen=True, kw_only=True):
    """Revoke a token or session at once: your own, or any with `account:write`.

    All tokens that were made with it, or with one of those, end too: whoever stole it may have made
    others.
    """

    declared = Declaration(
        http="DELETE /tokens/{id}",
        tag="tokens",
        decided=Decided.FOR_EACH,
        problems=(404, 409),
        max_body=MAX_BODY,
    )
    id: Annotated[Id, Given("The id, see `tokens ls`.")]
