"""What others need to verify the tokens of functions: the public keys, and where they are.

OpenID Connect Discovery 1.0 and RFC 7517, as far as a verifier of signed tokens asks for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from casemate.model.http import HttpHead, HttpRequest, HttpResponse
from casemate.vault.interface import Vault

KEYS_PATH = "/.well-known/jwks.json"
DISCOVERY_PATH = "/.well-known/openid-configuration"
_CACHE_SECONDS = 2.0
_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"public, max-age=30"),
)
Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]
BodyLimit = Callable[[HttpHead], "int | HttpResponse"]


class IdentityRoutes:
    """Answers GET of the keys and of the discovery document; passes every other request on.

    Both are public: they hold no more than what verifies a signature.
    """

    def __init__(
        self, vault: Vault, issuer: Callable[[], str], handler: Handler, body_limit: BodyLimit
    ) -> None:
        """Stand before `handler` and `body_limit`, as `HttpServer` takes them."""
        self._vault = vault
        self._issuer = issuer
        self._handler = handler
        self._body_limit = body_limit
        self._keys: tuple[float, bytes] = (0.0, b"")
        self._asking: asyncio.Future[bytes] | None = None

    def body_limit(self, head: HttpHead) -> int | HttpResponse:
        """Let these be asked without a body, or ask the other one."""
        return 0 if _is_ours(head) else self._body_limit(head)

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer or pass on."""
        if not _is_ours(request.head):
            return await self._handler(request)
        if request.head.path == KEYS_PATH:
            return HttpResponse(200, _HEADERS, await self._public_keys())
        issuer = self._issuer()
        document = {
            "issuer": issuer,
            "jwks_uri": issuer + KEYS_PATH,
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
        }
        return HttpResponse(200, _HEADERS, msgspec.json.encode(document))

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


def _is_ours(head: HttpHead) -> bool:
    return head.method in ("GET", "HEAD") and head.path in (KEYS_PATH, DISCOVERY_PATH)
