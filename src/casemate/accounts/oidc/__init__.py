"""Login by an OpenID provider: its settings, its keys, and the verification of ID tokens.

It verifies what a provider has signed and decides nothing about accounts. It follows OpenID
Connect Core 1.0 and RFC 8725 (best current practices for JWT). May import `model`, what
addresses are (`casemate.egress.addresses`), `http_deadline` and `casemate.accounts.errors` only.
"""

from casemate.accounts.oidc.id_token import Identity, verified_claims, verify_id_token
from casemate.accounts.oidc.nonces import Nonces
from casemate.accounts.oidc.provider import Issuer, KeySource, Provider

__all__ = [
    "Identity",
    "Issuer",
    "KeySource",
    "Nonces",
    "Provider",
    "verified_claims",
    "verify_id_token",
]
