"""Values sealed to the vault's public key, so that who passes them on cannot read them.

HPKE (RFC 9180) with the hybrid of ML-KEM-768 and X25519 (draft-ietf-hpke-pq), HKDF-SHA-256 and
AES-256-GCM: what is recorded on the way stays closed to whoever can break one of the two later.
Layout: format byte, encapsulated key (1120 bytes), ciphertext and tag. What was sealed before, to
X25519 alone, is opened by `sealed_x25519`.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from casemate.model.vault import MAX_VALUE_BYTES, SEAL_OVERHEAD
from casemate.vault.envelope import KEY_BYTES, context
from casemate.vault.errors import VaultInputError

MIN_VALUE_BYTES = 6
ALGORITHM = "MLKEM768-X25519"
FORMAT = b"\x02"
_SEED_BYTES = 64
"""Of ML-KEM (FIPS 203, d and z)."""
_MLKEM_PUBLIC_BYTES = 1184
PUBLIC_KEY_BYTES = _MLKEM_PUBLIC_BYTES + KEY_BYTES
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def check_value(value: bytes) -> None:
    """Refuse a secret that is too short to be redacted, or too long. Raises VaultInputError."""
    if not MIN_VALUE_BYTES <= len(value) <= MAX_VALUE_BYTES:
        raise VaultInputError(
            f"The value has {len(value)} bytes, expected {MIN_VALUE_BYTES} to {MAX_VALUE_BYTES}.",
            next_step="A shorter one could not be found in texts to redact it; "
            "keep a longer one in a bucket.",
        )


def new_private_key() -> bytes:
    """Return a new private key: the seed of ML-KEM-768, then X25519, independent of each other."""
    mlkem, x25519 = MLKEM768PrivateKey.generate(), X25519PrivateKey.generate()
    return mlkem.private_bytes_raw() + x25519.private_bytes_raw()


def _private(private_key: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    return (
        MLKEM768PrivateKey.from_seed_bytes(private_key[:_SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(private_key[_SEED_BYTES:]),
    )


def public_key_of(private_key: bytes) -> bytes:
    """Return the public key (1216 bytes): ML-KEM-768, then X25519."""
    mlkem, x25519 = _private(private_key)
    return mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()


def refused() -> VaultInputError:
    """Return the one error for whatever does not open: it says nothing of why."""
    return VaultInputError(
        "The sealed value was not sealed to this vault for this use, or was changed on the way.",
        next_step="Seal it again, with the public key of GET /api/v1/vault/key.",
    )


def _info(info: bytes) -> bytes:
    return context("sealed", FORMAT, info)


def seal(public_key: bytes, info: bytes, value: bytes) -> bytes:
    """Seal `value` to a public key, bound to `info`. Raises VaultInputError."""
    try:
        recipient = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public_key[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public_key[_MLKEM_PUBLIC_BYTES:]),
        )
        return FORMAT + _SUITE.encrypt(value, recipient, _info(info))
    except ValueError:
        raise VaultInputError(
            f"The public key is not one ({len(public_key)} bytes), expected {PUBLIC_KEY_BYTES} "
            f"bytes of {ALGORITHM}.",
            next_step="Get it again: GET /api/v1/vault/key; one of 32 bytes is that of an older "
            "node, which has to be updated.",
        ) from None


def unseal(private_key: bytes, info: bytes, sealed: bytes) -> bytes:
    """Return what was sealed. Raises VaultInputError unless it is exactly that, for `info`."""
    if len(sealed) < SEAL_OVERHEAD or sealed[:1] != FORMAT:
        raise refused()
    try:
        recipient = MLKEM768X25519PrivateKey(*_private(private_key))
        return _SUITE.decrypt(sealed[1:], recipient, _info(info))
    except (ValueError, InvalidTag):
        raise refused() from None


def secret_info(project: str, name: str) -> bytes:
    """Return what a sealed secret is bound to."""
    return context("sealed secret", project, name)


def seal_value(public_key: bytes, project: str, name: str, value: bytes) -> bytes:
    """Seal a secret's value (6 bytes to 64 KiB) for one name. Raises VaultInputError."""
    check_value(value)
    return seal(public_key, secret_info(project, name), value)


def lent_info(project: str, name: str) -> bytes:
    """Return what a lent secret is bound to: it cannot be kept again as one that was set."""
    return context("lent secret", project, name)


def open_lent(private_key: bytes, project: str, name: str, sealed: bytes) -> bytes:
    """Return the value of a secret that the vault has lent to this key. Raises VaultInputError."""
    return unseal(private_key, lent_info(project, name), sealed)
