"""What the provider publishes: its endpoints (OpenID Connect Discovery 1.0) and its keys.

Fetched over https from where the owner said, with limits on time and size. Redirects are not
followed: an answer from elsewhere is not the provider's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec

from casemate.accounts.errors import OidcProviderError, OidcSettingsError
from casemate.accounts.oidc.id_token import (
    MAX_KEYS,
    PublicKey,
    TooManyKeysError,
    import_keys,
)
from casemate.accounts.oidc.peers import Peers
from casemate.accounts.oidc.settings import require_safe_url
from casemate.decoding import decodable
from casemate.http_deadline import UNPACKED, is_packed
from casemate.model.loopback import is_loopback
from casemate.model.oidc import OidcSettings

MAX_BYTES = 512 * 1024
_MAX_PIECES = 4096
"""Of one answer: each of those that have come is read before anything else gets its turn."""
SECONDS = 5.0
KEEP = 3600.0
"""Seconds for which what was fetched is used."""
REFRESH_AFTER = 60.0
"""Seconds between two attempts to fetch, whatever tokens ask for."""
_HEADERS = {"accept": "application/json", **UNPACKED}


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """What every issuer of ID tokens publishes."""

    issuer: str
    jwks_uri: str


class Discovery(Issuer, frozen=True, kw_only=True):
    """The endpoints of a provider at which people log in."""

    authorization_endpoint: str
    token_endpoint: str


PublishedT = TypeVar("PublishedT", bound=Issuer)


class KeySource(Generic[PublishedT]):
    """What one issuer publishes. It is cached; an unknown key makes it look again."""

    def __init__(
        self, issuer: str, published: type[PublishedT], clock: Callable[[], float]
    ) -> None:
        """Fetch nothing yet; `published` is what there has to be."""
        self.issuer = issuer
        self._published = published
        self._clock = clock
        self._discovery: PublishedT | None = None
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def discovery(self) -> PublishedT:
        """Return the provider's endpoints. Raises OidcProviderError."""
        async with self._fetching:
            if self._discovery is None or self._is_over(self._fetched_at, KEEP):
                await self._fetch()
            if self._discovery is None or self._is_over(self._fetched_at, KEEP):
                raise self._failed("does not answer")
            return self._discovery

    async def keys(
        self, *, knows: Callable[[tuple[PublicKey, ...]], bool]
    ) -> tuple[PublicKey, ...]:
        """Return the provider's keys, fetched anew if these are old or `knows` says no to them."""
        async with self._fetching:
            old = self._is_over(self._fetched_at, KEEP)
            if old or not knows(self._keys):
                await self._fetch()
            if self._is_over(self._fetched_at, KEEP):
                raise self._failed("does not answer")  # a key may have been withdrawn meanwhile
            return self._keys

    def _is_over(self, at: float, seconds: float) -> bool:
        """Tell whether so many seconds have passed, or nobody knows: the clock was set back."""
        return not 0 <= self._clock() - at < seconds

    async def _fetch(self) -> None:
        """Fetch both documents, at most once in REFRESH_AFTER seconds."""
        now = self._clock()
        if not self._is_over(self._tried_at, REFRESH_AFTER):
            return
        self._tried_at = now
        base = self.issuer.rstrip("/")
        peers = Peers()
        async with httpx2.AsyncClient(
            follow_redirects=False,
            timeout=SECONDS,
            trust_env=not _is_here(base),
        ) as client:
            try:
                async with asyncio.timeout(2 * SECONDS):
                    document = await _get(client, f"{base}/.well-known/openid-configuration", peers)
                    discovery = self._checked(document)
                    keys = import_keys(await _get(client, discovery.jwks_uri, peers))
            except TooManyKeysError as error:
                raise self._failed(f"publishes more than {MAX_KEYS} keys") from error
            except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError) as error:
                raise self._failed(f"gives no usable answer ({type(error).__name__})") from error
        if not keys:
            raise self._failed("publishes no key that can verify ID tokens")
        self._discovery, self._keys, self._fetched_at = discovery, keys, now

    def _checked(self, document: Any) -> PublishedT:
        try:
            discovery = msgspec.convert(document, decodable(self._published))
        except msgspec.ValidationError as error:
            raise self._failed("publishes an incomplete configuration") from error
        if discovery.issuer != self.issuer:
            raise self._failed(f"calls itself {discovery.issuer[:120]!r}")
        for what in self._published.__struct_fields__:
            try:
                require_safe_url(getattr(discovery, what), what)
            except OidcSettingsError as error:
                raise self._failed(f"publishes a {what} that is not https") from error
            if _is_here(getattr(discovery, what)) and not _is_here(self.issuer):
                # Whoever is elsewhere does not have the node ask what only this machine can.
                raise self._failed(f"publishes a {what} on this machine")
        return discovery

    def _failed(self, what: str) -> OidcProviderError:
        return OidcProviderError(
            f"The OpenID provider {self.issuer} {what}.",
            next_step="Try again in a minute; `casemate oidc show` and `casemate workloads ls` "
            "print what the node uses.",
        )


class Provider(KeySource[Discovery]):
    """The provider at which people log in."""

    def __init__(self, settings: OidcSettings, clock: Callable[[], float]) -> None:
        """Fetch nothing yet."""
        super().__init__(settings.issuer, Discovery, clock)
        self.settings = settings


def _is_here(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")


async def _get(client: httpx2.AsyncClient, url: str, peers: Peers) -> Any:
    """Return a JSON document. Raises httpx2.HTTPError or ValueError."""
    extensions = peers.extensions(httpx2.URL(url).raw_host.decode("ascii"))
    async with client.stream("GET", url, headers=_HEADERS, extensions=extensions) as response:
        if response.status_code != httpx2.codes.OK:
            raise httpx2.HTTPError(f"status {response.status_code}")
        # Packed once or several times, a few bytes can be hours of unpacking to nothing, within
        # which no time is over: the event loop stands still.
        if is_packed(response.headers):
            raise httpx2.HTTPError("the answer is packed")
        body = bytearray()
        pieces = 0
        async for chunk in response.aiter_raw():
            body += chunk
            pieces += 1
            if pieces > _MAX_PIECES:
                raise httpx2.HTTPError("the answer comes in too many pieces")
            if len(body) > MAX_BYTES:
                raise httpx2.HTTPError("the answer is too large")
    try:
        return json.loads(bytes(body))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
