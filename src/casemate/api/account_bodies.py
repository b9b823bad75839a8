"""Bodies and answers of the operations on accounts."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.accounts import BINDING_PATTERN, MAX_DAYS, OidcSettings
from casemate.api.inputs import whole
from casemate.model.function import NAME_PATTERN

Name = Annotated[str, msgspec.Meta(pattern=whole(NAME_PATTERN))]
Role = Annotated[str, msgspec.Meta(pattern=whole(BINDING_PATTERN))]
Roles = Annotated[tuple[Role, ...], msgspec.Meta(max_length=64)]
Password = Annotated[str, msgspec.Meta(max_length=1024)]
Code = Annotated[str, msgspec.Meta(max_length=16)]
OneTimeCode = Annotated[str, msgspec.Meta(max_length=64)]
IdToken = Annotated[str, msgspec.Meta(max_length=16 * 1024)]


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name, password and the code of the authenticator."""

    name: Annotated[str, msgspec.Meta(max_length=64)]
    password: Password
    code: Code


class OidcLogin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ID token that the provider issued for the nonce of `/login/oidc/begin`."""

    id_token: IdToken


class OpenedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A new session. This is the only time that its text is shown."""

    text: str
    user: str
    expires_at: float


class EnrolmentBegin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First step: the one-time code and the password to have."""

    name: Annotated[str, msgspec.Meta(max_length=64)]
    code: OneTimeCode
    password: Password


class SecondFactor(msgspec.Struct, frozen=True, kw_only=True):
    """What to set up in the authenticator. It counts once confirmed."""

    otpauth_uri: str


class EnrolmentConfirm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Second step: the one-time code again, and a code of the authenticator."""

    name: Annotated[str, msgspec.Meta(max_length=64)]
    code: OneTimeCode
    totp: Code


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


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The person to add. With `oidc_subject` it comes by the OpenID provider."""

    name: Name
    roles: Roles
    oidc_subject: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None


class UserChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A person after a change."""

    user: UserView
    code: str | None = None
    """The one-time code to enrol with, shown this once."""
    tokens_left: tuple[str, ...] = ()
    """Ids of service tokens in force that the person made; they outlive its account."""


class NewRoles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The roles to have from now on."""

    roles: Roles


class NewState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the person is kept out."""

    disabled: bool


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


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, oldest first."""

    tokens: tuple[TokenView, ...]


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token to make."""

    name: Name
    roles: Roles
    days: Annotated[int, msgspec.Meta(ge=1, le=MAX_DAYS)] | None = None
    """Without it 90, or less where a token that makes it expires before."""
    no_expiry: bool = False
    """True makes a token that does not expire; for owners, and recorded."""


class CreatedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token. This is the only time that its text is shown."""

    token: TokenView
    text: str


class OidcState(msgspec.Struct, frozen=True, kw_only=True):
    """The OpenID provider that the node trusts, if any."""

    provider: OidcSettings | None = None
