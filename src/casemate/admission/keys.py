"""API keys: made, hashed, recognised."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable

from casemate.model.deployment import Key, KeyRole

_PREFIX = "cm_"
_SCHEME = "bearer "
_MAX_CREDENTIAL = 256


def new_key(name: str, role: KeyRole) -> tuple[Key, str]:
    """Return a new key and its text, `cm_<id>_<secret>`, which is kept nowhere."""
    key_id = secrets.token_hex(8)
    text = f"{_PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
    key = Key(id=key_id, name=name, role=role, sha256=_digest(text), created_at=time.time())
    return key, text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Keyring:
    """The valid keys, in memory: a look-up is one hash and one comparison in constant time."""

    def __init__(self) -> None:
        """Start with no key: nobody is let in."""
        self._keys: dict[str, Key] = {}

    def replace(self, keys: Iterable[Key]) -> None:
        """Take over the stored keys; revoked ones are left out."""
        self._keys = {key.id: key for key in keys if key.revoked_at is None}

    def authenticate(self, authorization: str | None) -> Key | None:
        """Return the key in an Authorization header's value (RFC 6750), None if it holds none."""
        if authorization is None or len(authorization) > _MAX_CREDENTIAL:
            return None
        if authorization[: len(_SCHEME)].lower() != _SCHEME or not authorization.isascii():
            return None
        text = authorization[len(_SCHEME) :].strip(" ")
        if not text.startswith(_PREFIX):
            return None
        key = self._keys.get(text[len(_PREFIX) :].partition("_")[0])
        if key is None or not hmac.compare_digest(key.sha256, _digest(text)):
            return None
        return key
