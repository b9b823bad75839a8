"""Every operation on accounts: logging in, people, service tokens, the OpenID provider."""

from __future__ import annotations

from casemate.api import login, oidc, tokens, users

OPERATIONS = (
    *login.OPERATIONS,
    *users.OPERATIONS,
    *tokens.OPERATIONS,
    *oidc.OPERATIONS,
)
