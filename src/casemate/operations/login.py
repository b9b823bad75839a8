"""Operations to log in and out, to enrol, and to see who one is. No text shows what is secret."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import Meta

from casemate.model.oidc import ProviderLoginStart
from casemate.operations.declaration import Decided, Declaration, Operation
from casemate.operations.fields import text

MAX_BODY = 20 * 1024
"""Bytes; the longest honest body is that of an ID token."""

_PERSON = Annotated[str, text("The person's name.", most=64, example="ada")]
_PASSWORD = Annotated[str, Meta(max_length=1024, description="The password.")]
_CODE = Annotated[
    str, Meta(max_length=16, description="Code of the authenticator.", examples=["123456"])
]
_ONE_TIME_CODE = Annotated[
    str, Meta(max_length=64, description="The one-time code that an owner was shown.")
]


class OpenedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A new session. This is the only time that its text is shown."""

    text: str
    user: str
    expires_at: float

    def __repr__(self) -> str:
        """Leave out the text."""
        return f"OpenedSession(user={self.user!r})"


class SecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """What to set up in the authenticator. It counts once confirmed."""

    otpauth_uri: str

    def __repr__(self) -> str:
        """Leave out the address, which holds the secret."""
        return "SecondFactor()"


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """The person can log in now, with the next code of the authenticator."""

    user: str


class LoggedOut(msgspec.Struct, frozen=True, kw_only=True):
    """False if the credential is a service token, which only revoking ends."""

    ended: bool


class WhoAmI(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, as the node sees it."""

    principal: str
    roles: tuple[str, ...]
    expires_at: float | None = None


class Login(Operation[OpenedSession], frozen=True, kw_only=True):
    """Open a session with a password and a second factor."""

    declared = Declaration(
        http="POST /login",
        tag="login",
        decided=Decided.OPEN,
        status=HTTPStatus.CREATED,
        problems=(401, 413, 415, 429, 503),
        max_body=MAX_BODY,
        secret=frozenset({"password", "code"}),
    )
    name: _PERSON
    password: _PASSWORD
    code: _CODE


class BeginOidcLogin(Operation[ProviderLoginStart], frozen=True, kw_only=True):
    """Begin a login with the OpenID provider.

    Put the nonce into the authorization request. It can be used once.
    """

    declared = Declaration(
        http="POST /login/oidc/begin",
        tag="login",
        decided=Decided.OPEN,
        problems=(404, 413, 503),
        max_body=MAX_BODY,
    )


class OidcLogin(Operation[OpenedSession], frozen=True, kw_only=True):
    """Open a session with an ID token of the OpenID provider."""

    declared = Declaration(
        http="POST /login/oidc",
        tag="login",
        decided=Decided.OPEN,
        status=HTTPStatus.CREATED,
        problems=(401, 404, 413, 415, 429, 503),
        max_body=MAX_BODY,
        secret=frozenset({"id_token"}),
    )
    id_token: Annotated[
        str,
        Meta(
            max_length=16 * 1024,
            description="Issued by the provider for the nonce of `/login/oidc/begin`.",
        ),
    ]


class OpenedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token of a workload. This is the only time that its text is shown."""

    text: str
    name: str
    roles: tuple[str, ...]
    expires_at: float

    def __repr__(self) -> str:
        """Leave out the text."""
        return f"OpenedToken(name={self.name!r})"


class WorkloadLogin(Operation[OpenedToken], frozen=True, kw_only=True):
    """Open a session of a workload with an ID token of its CI system. Each ID token works once."""

    declared = Declaration(
        http="POST /login/workload",
        tag="login",
        decided=Decided.OPEN,
        status=HTTPStatus.CREATED,
        problems=(401, 409, 413, 415, 429, 503),
        max_body=MAX_BODY,
        secret=frozenset({"id_token"}),
    )
    name: Annotated[str, text("The workload's name.", most=64, example="shop-main")]
    id_token: Annotated[
        str,
        Meta(
            max_length=16 * 1024,
            description="Issued by the CI system for the audience of the workload.",
        ),
    ]


class BeginEnrolment(Operation[SecondFactor], frozen=True, kw_only=True):
    """Choose a password with a one-time code, and get a second factor to set up."""

    declared = Declaration(
        http="POST /enrol",
        tag="login",
        decided=Decided.OPEN,
        problems=(401, 413, 415, 422, 429, 503),
        max_body=MAX_BODY,
        secret=frozenset({"code", "password"}),
    )
    name: _PERSON
    code: _ONE_TIME_CODE
    password: _PASSWORD


class ConfirmEnrolment(Operation[Enrolled], frozen=True, kw_only=True):
    """Confirm the second factor with a code of it. This completes the enrolment."""

    declared = Declaration(
        http="POST /enrol/confirm",
        tag="login",
        decided=Decided.OPEN,
        problems=(401, 413, 415, 429, 503),
        max_body=MAX_BODY,
        secret=frozenset({"code", "totp"}),
    )
    name: _PERSON
    code: _ONE_TIME_CODE
    totp: _CODE


class Logout(Operation[LoggedOut], frozen=True, kw_only=True):
    """End the session that the request is sent with."""

    declared = Declaration(
        http="POST /logout",
        tag="login",
        decided=Decided.SELF,
        problems=(413,),
        max_body=MAX_BODY,
    )


class Whoami(Operation[WhoAmI], frozen=True, kw_only=True):
    """Show who you are to the node, and your roles."""

    declared = Declaration(http="GET /whoami", tag="login", decided=Decided.SELF, max_body=MAX_BODY)
