"""Whether a stranger knows a secret, told without giving it away.

Both comparisons take the same time whatever differs: they compare digests of one length.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from casemate.vault.interface import Mac

MAX_SIGNED_BYTES = 8 * 1024 * 1024
MAX_SIGNATURE_BYTES = 64
_PREFIX = b"whsec_"
HARD_TO_GUESS_BYTES = 20
"""Of a secret, and half as many different ones: what is made at random has more in common use."""


def is_signed(key: bytes, algorithm: Mac, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` is the HMAC of `message` under a secret's value."""
    right = signature_of(key, algorithm, message)
    return right is not None and hmac.compare_digest(right, signature)


def signature_of(key: bytes, algorithm: Mac, message: bytes) -> bytes | None:
    """Return the HMAC of `message` under a secret's value, None where that is no key."""
    if algorithm is Mac.STANDARD and key.startswith(_PREFIX):
        try:
            key = base64.b64decode(key[len(_PREFIX) :].strip(), validate=True)
        except binascii.Error:
            return None
    if not key:
        return None  # an empty key is one that everybody has
    return hmac.digest(key, message, hashlib.sha256)


def is_equal(value: bytes, shown: bytes) -> bool:
    """Tell whether two values are equal, without telling how long the first one is."""
    return hmac.compare_digest(hashlib.sha256(value).digest(), hashlib.sha256(shown).digest())


def is_hard_to_guess(value: bytes) -> bool:
    """Tell whether a value is too long for whoever can try only so many in a second."""
    text = value.removeprefix(_PREFIX)
    return len(text) >= HARD_TO_GUESS_BYTES and len(set(text)) >= HARD_TO_GUESS_BYTES // 2
