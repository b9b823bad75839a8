"""Proof that an event was looked at when it was kept, so that it is not looked at again.

What is looked at once is what depends on nothing but the event and the version: that it is JSON of
bounded depth, that it satisfies its contract, that nothing in it is hostile. A mark says that the
very bytes that are kept passed all of it for one bundle, whose digest tells its contracts. It is
made with a key that this process alone has, and that ends with it: nobody who sends events, and
nothing that writes to a database, can make one, and another release of ours looks for itself.

Who may call what is no part of it: that is decided each time by what is in force then.
"""

from __future__ import annotations

import hmac
import secrets
from functools import lru_cache
from hashlib import blake2b

_KEY_BYTES = 32
_TAG_BYTES = 32
_DIGEST_BYTES = 32
_BUNDLES = 1024
"""As many as are remembered."""
MARK_BYTES = _DIGEST_BYTES + _TAG_BYTES


class AdmissionMarks:
    """Makes marks and reads its own. One per gateway."""

    def __init__(self) -> None:
        """Take a new key."""
        self._key = secrets.token_bytes(_KEY_BYTES)

    def make(self, project: str, function: str, digest: str, body: bytes) -> bytes:
        """Return the mark of an encoded event that was admitted for the bundle `digest`.

        Nothing for a bundle without a proper digest: the event is looked at again.
        """
        named = _named(digest)
        return named + self._tag(project, function, named, body) if named else b""

    def digest(self, project: str, function: str, mark: bytes, body: bytes) -> str:
        """Return the bundle for which an event was admitted; empty unless the mark proves it."""
        if len(mark) != MARK_BYTES:
            return ""
        named, tag = mark[:_DIGEST_BYTES], mark[_DIGEST_BYTES:]
        if not hmac.compare_digest(tag, self._tag(project, function, named, body)):
            return ""
        return named.hex()

    def _tag(self, project: str, function: str, digest: bytes, body: bytes) -> bytes:
        # Neither name can hold a slash, and the digest has its length: no two inputs are one.
        place = f"{project}/{function}/".encode()
        told = blake2b(place, digest_size=_TAG_BYTES, key=self._key)
        told.update(digest)
        told.update(body)
        return told.digest()


@lru_cache(_BUNDLES)
def _named(digest: str) -> bytes:
    """Return the bytes of a bundle's digest, nothing for one that is no proper one."""
    try:
        named = bytes.fromhex(digest)
    except ValueError:
        return b""
    return named if len(named) == _DIGEST_BYTES and named.hex() == digest else b""
