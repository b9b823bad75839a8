"""The OpenID provider that a node trusts, and what a login by it begins with."""

from __future__ import annotations

import msgspec


class OidcSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider and the client registered there: public, native, with PKCE (RFC 8252)."""

    issuer: str
    """Exactly as the provider spells it, for `iss` is compared character by character."""
    client_id: str
    audiences: tuple[str, ...] = ()
    """Audiences that an ID token may name beside the client id; any other is refused."""


class ProviderLoginStart(msgspec.Struct, frozen=True, kw_only=True):
    """What a client needs to send a person to the provider."""

    issuer: str
    client_id: str
    authorization_endpoint: str
    token_endpoint: str
    nonce: str
    """Valid once, for ten minutes."""
