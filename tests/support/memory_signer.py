"""What signs versions of playbooks as a vault does, by a key in memory."""

from __future__ import annotations

import hmac
import secrets


class MemorySigner:
    """Signs statements; nobody else has its key."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self.fails: Exception | None = None
        """Raised in place of an answer."""
        self.asked = 0

    async def sign_playbook(self, statement: bytes) -> bytes:
        if self.fails is not None:
            raise self.fails
        return hmac.digest(self._key, statement, "sha256")

    async def verify_playbook(self, statement: bytes, signature: bytes) -> bool:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return hmac.compare_digest(hmac.digest(self._key, statement, "sha256"), signature)
