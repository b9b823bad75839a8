"""What others need to verify the tokens of functions: the public keys, and where they are.

OpenID Connect Discovery 1.0 and RFC 7517, as far as a verifier of signed tokens asks for them.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from casemate.front.asking import Asking
from casemate.front.nowhere import Nowhere
from casemate.model.http import Destination, HttpHead, HttpRequest, HttpResponse
from casemate.vault.interface import Vault

KEYS_PATH = "/.well-known/jwks.json"
DISCOVERY_PATH = "/.well-known/openid-configuration"
_READING = ("GET", "HEAD")
_CACHE_SECONDS = 2.0
_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"public, max-age=30"),
)


class Identity:
    """Answers with the keys and the discovery document.

    Both are public: they hold no more than what verifies a signature.
    """

    def __init__(self, vault: Vault, issuer: str, nowhere: Nowhere) -> None:
        """`issuer` is what identity tokens name as theirs: the node's address."""
        self._vault = vault
        self._nowhere = nowhere
        self._keys: tuple[float, bytes] = (0.0, b"")
        self._asking: asyncio.Future[bytes] | None = None
        self._discovery = msgspec.json.encode(
            {
                "issuer": issuer,
                "jwks_uri": issuer + KEYS_PATH,
                "id_token_signing_alg_values_supported": ["EdDSA"],
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
            }
        )

    def find(self, head: HttpHead, asking: Asking) -> Destination | HttpResponse:
        """Let these be asked for without a body."""
        if head.method not in _READING:
            return self._nowhere.only(head, asking, _READING)
        return Destination(0, self._answer)

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        if request.head.path == KEYS_PATH:
            return HttpResponse(200, _HEADERS, await self._public_keys())
        return HttpResponse(200, _HEADERS, self._discovery)

    async def _public_keys(self) -> bytes:
        """Return the JWKS, asked for again every two seconds: a flood costs the vault nothing."""
        asked_at, keys = self._keys
        if keys and time.monotonic() - asked_at <= _CACHE_SECONDS:
            return keys
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bytes:
        try:
            keys = msgspec.json.encode(await self._vault.public_keys())
            self._keys = (time.monotonic(), keys)
            return keys
        finally:
            self._asking = None
