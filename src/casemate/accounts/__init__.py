"""People, service tokens, sessions, and login by an OpenID provider: who a caller is.

Not what a caller may do: that is `casemate.policy`. May import `model` and the interfaces of
`store` and `vault`, nothing else of ours.
"""

from casemate.accounts.accounts import Accounts
from casemate.accounts.bindings import binding_text, parse_binding, parse_bindings
from casemate.accounts.credential import token_id_of
from casemate.accounts.errors import (
    EscalationError,
    IdTokenError,
    LastOwnerError,
    LoginRefusedError,
    OidcProviderError,
    OidcSettingsError,
    PasswordRefusedError,
    TooManyAttemptsError,
)
from casemate.accounts.issuing import Issued
from casemate.accounts.service_tokens import DAY, DEFAULT_DAYS
from casemate.model.oidc import OidcSettings

__all__ = [
    "DAY",
    "DEFAULT_DAYS",
    "Accounts",
    "EscalationError",
    "IdTokenError",
    "Issued",
    "LastOwnerError",
    "LoginRefusedError",
    "OidcProviderError",
    "OidcSettings",
    "OidcSettingsError",
    "PasswordRefusedError",
    "TooManyAttemptsError",
    "binding_text",
    "parse_binding",
    "parse_bindings",
    "token_id_of",
]
