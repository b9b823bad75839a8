"""Opens values that were sealed before there was a hybrid: to X25519 alone. Seals none.

An ephemeral X25519 key (RFC 7748), HKDF-SHA-256 over the shared secret, AES-256-GCM. Each key
encrypts one value only, hence the constant nonce. Layout: format byte, ephemeral public key
(32 bytes), ciphertext and tag.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casemate.vault.envelope import KEY_BYTES, NONCE_BYTES, TAG_BYTES, context, derive
from casemate.vault.sealed import refused

FORMAT = b"\x01"
_NONCE = bytes(NONCE_BYTES)
_OVERHEAD = len(FORMAT) + KEY_BYTES + TAG_BYTES


def _key(shared: bytes, ephemeral: bytes, recipient: bytes, info: bytes) -> bytes:
    return derive(shared, context("sealed", info), salt=ephemeral + recipient)


def unseal(private_key: bytes, info: bytes, sealed: bytes) -> bytes:
    """Return what was sealed. Raises VaultInputError unless it is exactly that, for `info`."""
    if len(sealed) < _OVERHEAD or sealed[:1] != FORMAT:
        raise refused()
    private = X25519PrivateKey.from_private_bytes(private_key)
    ephemeral = sealed[1 : 1 + KEY_BYTES]
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        key = _key(shared, ephemeral, private.public_key().public_bytes_raw(), info)
        return AESGCM(key).decrypt(_NONCE, sealed[1 + KEY_BYTES :], FORMAT + info)
    except (ValueError, InvalidTag):
        raise refused() from None
