"""The cryptographic steps that everything in the vault is made of.

AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces, HKDF-SHA-256 (RFC 5869), and contexts:
associated data that states what a ciphertext is, so that it is worth nothing anywhere else.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from casemate.vault import random_key
from casemate.vault.errors import DecryptionError

KEY_BYTES, new_key = random_key.KEY_BYTES, random_key.new_key
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD = NONCE_BYTES + TAG_BYTES
"""Bytes by which a ciphertext of `encrypt` is longer than what it holds."""
_FORMAT = b"casemate/1"


def context(label: str, *parts: str | int | bytes) -> bytes:
    """Return the one encoding of a label and its parts: each follows its length."""
    encoded = [_FORMAT, label.encode()]
    for part in parts:
        if isinstance(part, int):
            encoded.append(part.to_bytes(8, "big"))
        else:
            encoded.append(part.encode() if isinstance(part, str) else part)
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def derive(key: bytes, info: bytes, *, salt: bytes | None = None) -> bytes:
    """Return the 32-byte key for the use that `info` names (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(key)


def key_id(key: bytes) -> str:
    """Return 16 hexadecimal digits that tell keys apart and say nothing about them."""
    return hashlib.sha256(context("key id", key)).hexdigest()[:16]


def encrypt(key: bytes, value: bytes, context: bytes) -> bytes:
    """Return nonce, ciphertext and tag of `value`, bound to `context`."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, value, context)


def decrypt(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Return what `encrypt` was given. Raises DecryptionError if anything is not the same."""
    if len(sealed) < OVERHEAD:
        raise DecryptionError(
            f"The ciphertext has {len(sealed)} bytes, expected at least {OVERHEAD}.",
            next_step="Restore it from a backup.",
        )
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
    except InvalidTag:
        raise DecryptionError(
            "The ciphertext was changed, belongs elsewhere, or was made with another key.",
            next_step="Restore it from a backup.",
        ) from None
