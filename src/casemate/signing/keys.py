"""Ed25519 keys (RFC 8032) of builders: their ids, and the proof that somebody has one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from casemate.model.errors import InvalidInputError

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_PROOF = "casemate builder key 1\n"
_FIELD = 2**255 - 19
_SIGN_BIT = 1 << 255
# Of such a point a signature can be made that holds for many messages, by anybody.
_SMALL_ORDER_Y = frozenset(
    (
        0,
        1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        _FIELD - 1,
    )
)


class BuilderKeyError(InvalidInputError):
    """That is not a builder's public key."""


class SigningKey:
    """The private half of a builder's key. The representation does not show it."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        """Sign with this."""
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        self.id = key_id(self.public)

    @classmethod
    def made(cls) -> SigningKey:
        """Return a new one."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, raw: bytes) -> SigningKey:
        """Return the key of 32 bytes. ValueError for any other number of them."""
        return cls(Ed25519PrivateKey.from_private_bytes(raw))

    def to_bytes(self) -> bytes:
        """Return the private half, to be kept for its owner alone."""
        return self._private.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        """Leave out the private half."""
        return f"SigningKey({self.id})"


def key_id(public: bytes) -> str:
    """Return the id of a public key: the SHA-256 of its 32 bytes, in hex."""
    return hashlib.sha256(public).hexdigest()


def decoded(text: str, size: int, what: str) -> bytes:
    """Return the bytes of a base64 text that is spelled in the one way there is.

    Raises InvalidInputError.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInputError(f"The {what} is not base64.") from error
    if len(data) != size or base64.b64encode(data).decode() != text:
        raise InvalidInputError(
            f"The {what} has {len(data)} bytes, or another spelling than it should; expected the "
            f"base64 of {size}."
        )
    return data


def require_public(text: str) -> bytes:
    """Return the public key that a base64 text holds. Raises InvalidInputError.

    One of small order is none: signatures of it can be made without a private half.
    """
    public = decoded(text, KEY_BYTES, "public key")
    y = int.from_bytes(public, "little") & (_SIGN_BIT - 1)
    if y >= _FIELD or y in _SMALL_ORDER_Y:
        raise BuilderKeyError(
            "The public key is not one that a private key belongs to.",
            next_step="Make another key: remove the old file, and a new one is created.",
        )
    return public


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether a signature of a message is that of a key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def proof_of(key: SigningKey, token: str) -> str:
    """Return the proof that who shows the token with this id has the key: no other can use it."""
    return base64.b64encode(key.sign(_message(token))).decode()


def require_proof(public: bytes, token: str, proof: str) -> None:
    """Raise InvalidInputError unless `proof` is one of `proof_of` for that key and token."""
    signature = decoded(proof, SIGNATURE_BYTES, "proof")
    if not re.fullmatch(r"[!-~]{1,128}", token) or not verify(public, signature, _message(token)):
        raise BuilderKeyError(
            "The proof does not show that who asks has the key's private half.",
            next_step="Sign with the key itself, for the token that the request carries.",
        )


def _message(token: str) -> bytes:
    return _PROOF.encode() + token.encode()
