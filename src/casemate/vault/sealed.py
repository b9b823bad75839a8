"""Values sealed to the vault's public key, so that who passes them on cannot read them.

An ephemeral X25519 key (RFC 7748), HKDF-SHA-256 over the shared secret, AES-256-GCM. Each key
encrypts one value only, hence the constant nonce. Layout: format byte, ephemeral public key
(32 bytes), ciphertext and tag.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casemate.vault.envelope import KEY_BYTES, NONCE_BYTES, TAG_BYTES, context, derive
from casemate.vault.errors import VaultInputError

MIN_VALUE_BYTES = 6
MAX_VALUE_BYTES = 64 * 1024
_FORMAT = b"\x01"
_NONCE = bytes(NONCE_BYTES)
SEAL_OVERHEAD = len(_FORMAT) + KEY_BYTES + TAG_BYTES
MAX_SEALED_BYTES = MAX_VALUE_BYTES + SEAL_OVERHEAD


def check_value(value: bytes) -> None:
    """Refuse a secret that is too short to be redacted, or too long. Raises VaultInputError."""
    if not MIN_VALUE_BYTES <= len(value) <= MAX_VALUE_BYTES:
        raise VaultInputError(
            f"The value has {len(value)} bytes, expected {MIN_VALUE_BYTES} to {MAX_VALUE_BYTES}.",
            next_step="a shorter one could not be found in texts to redact it; "
            "keep a longer one in a bucket",
        )


def _key(shared: bytes, ephemeral: bytes, recipient: bytes, info: bytes) -> bytes:
    return derive(shared, context("sealed", info), salt=ephemeral + recipient)


def seal(public_key: bytes, info: bytes, value: bytes) -> bytes:
    """Seal `value` to an X25519 public key (32 bytes), bound to `info`. Raises VaultInputError."""
    private = X25519PrivateKey.generate()
    ephemeral = private.public_key().public_bytes_raw()
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        raise VaultInputError(
            f"The public key is not one ({len(public_key)} bytes), expected 32 bytes of X25519.",
            next_step="get it again: GET /api/v1/vault/key",
        ) from None
    key = _key(shared, ephemeral, public_key, info)
    return _FORMAT + ephemeral + AESGCM(key).encrypt(_NONCE, value, _FORMAT + info)


def unseal(private_key: bytes, info: bytes, sealed: bytes) -> bytes:
    """Return what was sealed. Raises VaultInputError unless it is exactly that, for `info`."""
    refused = VaultInputError(
        "The sealed value was not sealed to this vault for this use, or was changed on the way.",
        next_step="seal it again, with the public key of GET /api/v1/vault/key",
    )
    if len(sealed) < SEAL_OVERHEAD or sealed[:1] != _FORMAT:
        raise refused
    private = X25519PrivateKey.from_private_bytes(private_key)
    ephemeral = sealed[1 : 1 + KEY_BYTES]
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        key = _key(shared, ephemeral, private.public_key().public_bytes_raw(), info)
        return AESGCM(key).decrypt(_NONCE, sealed[1 + KEY_BYTES :], _FORMAT + info)
    except (ValueError, InvalidTag):
        raise refused from None


def secret_info(project: str, name: str) -> bytes:
    """Return what a sealed secret is bound to."""
    return context("sealed secret", project, name)


def seal_value(public_key: bytes, project: str, name: str, value: bytes) -> bytes:
    """Seal a secret's value (6 bytes to 64 KiB) for one name. Raises VaultInputError."""
    check_value(value)
    return seal(public_key, secret_info(project, name), value)
