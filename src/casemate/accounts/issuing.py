"""New tokens and sessions: their text exists here once, and is kept nowhere."""

from __future__ import annotations

import msgspec

from casemate.accounts.credential import digest, new_text
from casemate.model.account import Token
from casemate.model.principal import RoleBinding

SESSION_NAME = "session"


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A new token with its text, which is shown once. The representation leaves it out."""

    token: Token
    text: str

    def __repr__(self) -> str:
        """Leave out the text."""
        return f"Issued(token={self.token.id})"


def issue(
    *,
    name: str,
    created_by: str,
    made_with: str | None = None,
    created_at: float,
    expires_at: float | None,
    bindings: tuple[RoleBinding, ...] = (),
    user: str | None = None,
) -> Issued:
    """Return a new token, not stored yet."""
    token_id, text = new_text()
    token = Token(
        id=token_id,
        name=name,
        sha256=digest(text),
        user=user,
        bindings=bindings,
        created_at=created_at,
        created_by=created_by,
        made_with=made_with,
        expires_at=expires_at,
    )
    return Issued(token=token, text=text)
