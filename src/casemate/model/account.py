"""People, service tokens and their roles, as stored."""

from __future__ import annotations

import msgspec

from casemate.model.function import NAME_PATTERN
from casemate.model.principal import RoleBinding

_NAME = NAME_PATTERN.removeprefix("^").removesuffix("$")
BINDING_PATTERN = rf"^{_NAME}(?:@{_NAME}(?:/{_NAME})?)?$"
"""A role and where it holds, as text: `ROLE[@PROJECT[/FUNCTION]]`."""
MAX_BINDINGS = 64
MAX_DAYS = 365
"""Longest life of a service token that expires."""
ENDED_KEPT = 30 * 86_400.0
"""Seconds that a token is kept after it expired or was revoked."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person. `password` is an argon2id hash in PHC form, never a password."""

    name: str
    password: str | None = None
    """None until the person has enrolled, and for those who come by OIDC only."""
    totp: bytes | None = None
    """The second factor's secret as sealed by the vault for `user/<name>`; None: not enrolled."""
    totp_last: int = 0
    """Time step of the last code accepted: none is accepted twice (RFC 6238, section 5.2)."""
    oidc_issuer: str | None = None
    oidc_subject: str | None = None
    enrolment_sha256: str | None = None
    """Hash of the one-time code with which the person sets password and second factor."""
    enrolment_expires_at: float | None = None
    created_at: float
    disabled_at: float | None = None
    made_with: str | None = None
    """Id of the token or session with which the person was added, or last reset: revoking that
    ends a one-time code that was not used yet."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A service token or a session, as stored: its hash, never its text.

    The text is `cm_<id>_<secret><checksum>`: 16 hexadecimal digits, 32 random bytes in URL-safe
    base64 (43 characters), 6 characters of CRC-32 in base 62, so that scanners for leaked secrets
    can tell it without asking. With 256 bits of entropy plain SHA-256 is a sound hash (NIST SP
    800-63B, look-up secrets).
    """

    id: str
    name: str
    sha256: str
    user: str | None = None
    """The person whose session this is; it has that person's roles. None for service tokens."""
    bindings: tuple[RoleBinding, ...] = ()
    created_at: float
    created_by: str
    made_with: str | None = None
    """Id of the token or session that was shown when this one was made; None: of neither."""
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None


class UserRoles(msgspec.Struct, frozen=True, kw_only=True):
    """The roles of one user."""

    user: str
    bindings: tuple[RoleBinding, ...]


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True):
    """A custom policy file in Cedar, as stored."""

    name: str
    text: str
    changed_at: float
    changed_by: str


class PolicySummary(msgspec.Struct, frozen=True, kw_only=True):
    """One custom policy: what decisions call it, and where it stands."""

    id: str
    file: str
    line: int
    effect: str
