"""Operations on people: add, roles, reset, disable, remove."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation
from casemate.operations.fields import Name, Roles, text
from casemate.operations.given import Given
from casemate.operations.login import MAX_BODY

_Person = Annotated[Name, Given("The person, see `users ls`.")]


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A person as shown: no hash, no second factor."""

    name: str
    roles: tuple[str, ...]
    enrolled: bool
    """True if it can log in with a password, or comes by the OpenID provider."""
    oidc_issuer: str | None = None
    oidc_subject: str | None = None
    created_at: float
    disabled_at: float | None = None
    enrolment_expires_at: float | None = None
    """Until when a one-time code can be used; absent if there is none."""


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody, by name."""

    users: tuple[UserView, ...]


class UserChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A person after a change."""

    user: UserView
    code: str | None = None
    """The one-time code to enrol with, shown this once."""
    tokens_left: tuple[str, ...] = ()
    """Ids of service tokens in force that the person made; they outlive its account."""

    def __repr__(self) -> str:
        """Leave out the code."""
        return f"UserChanged(user={self.user!r}, tokens_left={self.tokens_left!r})"


class ListUsers(Operation[Users], frozen=True, kw_only=True):
    """List the people."""

    declared = Declaration(
        http="GET /users", tag="users", action=Action.ACCOUNT_READ, max_body=MAX_BODY
    )


class AddUser(Operation[UserChanged], frozen=True, kw_only=True):
    """Add a person; show the one-time code to enrol with once."""

    declared = Declaration(
        http="POST /users",
        tag="users",
        action=Action.ACCOUNT_WRITE,
        status=HTTPStatus.CREATED,
        problems=(409, 413, 415, 422),
        max_body=MAX_BODY,
    )
    name: Annotated[Name, msgspec.Meta(description="What the person logs in as.")]
    roles: Roles
    oidc_subject: (
        Annotated[
            str,
            text(
                "The person logs in through the OpenID provider, with this subject (claim `sub`).",
                least=1,
                most=255,
            ),
            Given(metavar="SUB"),
        ]
        | None
    ) = None


class ShowUser(Operation[UserView], frozen=True, kw_only=True):
    """Show a person."""

    declared = Declaration(
        http="GET /users/{name}",
        tag="users",
        action=Action.ACCOUNT_READ,
        problems=(404,),
        max_body=MAX_BODY,
    )
    name: _Person


class RemoveUser(Operation[UserChanged], frozen=True, kw_only=True):
    """Remove a person; all sessions end at once."""

    declared = Declaration(
        http="DELETE /users/{name}",
        tag="users",
        action=Action.ACCOUNT_WRITE,
        problems=(404, 409),
        max_body=MAX_BODY,
    )
    name: _Person


class SetUserRoles(Operation[UserChanged], frozen=True, kw_only=True):
    """Replace a person's roles, at once for open sessions too."""

    declared = Declaration(
        http="PUT /users/{name}/roles",
        tag="users",
        action=Action.ACCOUNT_WRITE,
        problems=(404, 409, 413, 415, 422),
        max_body=MAX_BODY,
    )
    name: _Person
    roles: Roles


class SetUserState(Operation[UserChanged], frozen=True, kw_only=True):
    """Lock a person out, or let them in again."""

    declared = Declaration(
        http="PUT /users/{name}/state",
        tag="users",
        action=Action.ACCOUNT_WRITE,
        problems=(404, 409, 413, 415),
        max_body=MAX_BODY,
    )
    name: _Person
    disabled: Annotated[bool, msgspec.Meta(description="Whether the person is kept out.")]


class ResetUser(Operation[UserChanged], frozen=True, kw_only=True):
    """Remove a person's password, second factor and sessions; show a new one-time code."""

    declared = Declaration(
        http="POST /users/{name}/reset",
        tag="users",
        action=Action.ACCOUNT_WRITE,
        problems=(404, 409, 413),
        max_body=MAX_BODY,
    )
    name: _Person
