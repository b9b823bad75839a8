"""Every operation on accounts: logging in, people, tokens, the OpenID provider, workloads."""

from __future__ import annotations

from casemate.api import login, oidc, tokens, users, workloads

OPERATIONS = (
    *login.OPERATIONS,
    *users.OPERATIONS,
    *tokens.OPERATIONS,
    *oidc.OPERATIONS,
    *workloads.OPERATIONS,
)
