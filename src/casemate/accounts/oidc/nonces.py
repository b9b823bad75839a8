"""Nonces that bind an ID token to one login (OpenID Connect Core 1.0, section 3.1.2.1).

A nonce carries its own time and a MAC, so that those who only begin to log in fill no memory; it
is remembered when it is used, for as long as it would be valid.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable

LIFETIME = 600
MAX_USED = 65536

_BYTES = 4 + 16 + 32


class Nonces:
    """Makes nonces and accepts each once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start with a fresh key: nonces do not outlive the process."""
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._used: dict[str, float] = {}

    def new(self) -> str:
        """Return a nonce that is valid for LIFETIME seconds."""
        body = int(self._clock() + LIFETIME).to_bytes(4, "big") + secrets.token_bytes(16)
        return base64.urlsafe_b64encode(body + self._mac(body)).decode().rstrip("=")

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")

    def is_valid(self, nonce: str) -> bool:
        """Tell whether a nonce was made here, has not expired and was not used."""
        expires_at = self._expires_at(nonce)
        return expires_at is not None and expires_at > self._clock() and nonce not in self._used

    def use(self, nonce: str) -> bool:
        """Use up a nonce; False if it is not valid. To be called for verified ID tokens only."""
        expires_at = self._expires_at(nonce)
        now = self._clock()
        if expires_at is None or expires_at <= now or nonce in self._used:
            return False
        if len(self._used) >= MAX_USED:
            self._used = {n: at for n, at in self._used.items() if at > now}
            if len(self._used) >= MAX_USED:
                return False
        self._used[nonce] = expires_at
        return True

    def _expires_at(self, nonce: str) -> float | None:
        if len(nonce) != 70 or not nonce.isascii():
            return None
        try:
            raw = base64.b64decode(nonce + "==", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if len(raw) != _BYTES or base64.urlsafe_b64encode(raw).decode().rstrip("=") != nonce:
            return None  # two spellings of the last character would be two uses
        body, mac = raw[:20], raw[20:]
        return (
            float(int.from_bytes(body[:4], "big"))
            if hmac.compare_digest(mac, self._mac(body))
            else None
        )
