"""Nonces that bind an ID token to one login (OpenID Connect Core 1.0, section 3.1.2.1).

A nonce carries its own time and a MAC, so that those who only begin to log in fill no memory. That
it was used is remembered by the store, for as long as it would be valid: one login begins on one
node and ends on another, and each nonce works once on all of them.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable
from hashlib import sha256

from casemate.model.nodes import MAX_CLOCK_OFF
from casemate.operations.accounts import UseOnce

LIFETIME = 600
KEY_BYTES = 32
_BYTES = 4 + 16 + 32


class Nonces:
    """Makes nonces under a key, and tells whether one was made under it."""

    def __init__(self, key: bytes, clock: Callable[[], float]) -> None:
        """Use a key of KEY_BYTES, which all nodes of a store have."""
        self._key = key
        self._clock = clock

    def new(self) -> str:
        """Return a nonce that is valid for LIFETIME seconds."""
        body = int(self._clock() + LIFETIME).to_bytes(4, "big") + secrets.token_bytes(16)
        return base64.urlsafe_b64encode(body + self._mac(body)).decode().rstrip("=")

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")

    def is_valid(self, nonce: str) -> bool:
        """Tell whether a nonce was made under the key and has not expired; not if it was used."""
        expires_at = self._expires_at(nonce)
        return expires_at is not None and expires_at > self._clock()

    @staticmethod
    def use(nonce: str) -> UseOnce:
        """Return what uses up a nonce that is valid. To be asked for verified ID tokens only."""
        return UseOnce(
            kind="nonce",
            name=sha256(nonce.encode()).hexdigest(),
            # A node whose clock is behind takes it for longer.
            seconds=LIFETIME + 2 * MAX_CLOCK_OFF,
        )

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
