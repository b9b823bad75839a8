"""Ed25519 keys (RFC 8032) that sign the node's tokens: JWT (RFC 7519) with EdDSA (RFC 8037).

The compact form (RFC 7515, 7.1) is three parts in base64url: too little to load a library for,
with the 50 modules it brings, in the process that holds the keys.
"""

from __future__ import annotations

import base64
import math
import time

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from casemate.decoding import DECODING_ERRORS
from casemate.set_clock import left_of
from casemate.vault.errors import DecryptionError, VaultDamagedError, VaultInputError
from casemate.vault.open_state import OpenState
from casemate.vault.protocol import MAX_CLAIMS_BYTES
from casemate.vault.state import STATE_FILE, SigningRecord

OVERLAP_SECONDS = 86_400.0
"""How long a key that signs no more is still published, and so the longest life of a token."""
_LABEL = "signing key"
_ALGORITHM = "EdDSA"
_KID_BYTES = 12


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _public(record: SigningRecord) -> dict[str, object]:
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": _encoded(record.public_key),
        "kid": record.kid,
        "alg": _ALGORITHM,
        "use": "sig",
    }


def check_claims(data: bytes) -> dict[str, object]:
    """Return the claims in JSON. Raises VaultInputError.

    They must say when they end, and that within a day of when they were made: after a rotation
    the old key is published for no longer.
    """
    step = "Give claims with numbers `iat` and `exp`, at most a day apart."
    try:
        claims = msgspec.json.decode(data, type=dict[str, object])
    except DECODING_ERRORS as error:
        raise VaultInputError("The claims are no JSON object.", next_step=step) from error
    if len(data) > MAX_CLAIMS_BYTES:
        raise VaultInputError(
            f"The claims have {len(data)} bytes, expected at most {MAX_CLAIMS_BYTES}.",
            next_step="Put less into the token.",
        )
    life = math.inf
    issued, expires = claims.get("iat"), claims.get("exp")
    if type(issued) in (int, float) and type(expires) in (int, float):
        life = float(str(expires)) - float(str(issued))
    if not 0 < life <= OVERLAP_SECONDS:
        raise VaultInputError(
            f"The claims would be valid for {life} s, expected more than 0 and at most "
            f"{OVERLAP_SECONDS:.0f}.",
            next_step=step,
        )
    return claims


def _sign(kid: str, key: Ed25519PrivateKey, claims: dict[str, object]) -> str:
    header = {"typ": "JWT", "alg": _ALGORITHM, "kid": kid}
    signed = ".".join(_encoded(msgspec.json.encode(part)) for part in (header, claims))
    return f"{signed}.{_encoded(key.sign(signed.encode()))}"


def sign_with_new_key() -> str:
    """Sign with a key that is forgotten at once, to have loaded all that signing needs."""
    return _sign("", Ed25519PrivateKey.generate(), {})


class SigningKeys:
    """The signing keys of a vault; the newest signs."""

    def __init__(self, opened: OpenState) -> None:
        """Use the keys in `opened`."""
        self._opened = opened
        self._current: tuple[str, Ed25519PrivateKey] | None = None

    def _newest(self) -> tuple[str, Ed25519PrivateKey]:
        records = self._opened.state.signing
        if not records:
            self.rotate()
            records = self._opened.state.signing
        record = records[-1]
        if self._current is None or self._current[0] != record.kid:
            try:
                private = self._opened.unwrap_key(_LABEL, record.wrapped, record.kid)
            except DecryptionError as error:
                raise VaultDamagedError(
                    f"The signing key {record.kid} in {STATE_FILE} fails its check.",
                    next_step="Restore the folder data/vault from a backup.",
                ) from error
            self._current = record.kid, Ed25519PrivateKey.from_private_bytes(private)
        return self._current

    def sign(self, claims: bytes) -> str:
        """Return a JWT of claims given in JSON. Raises VaultInputError."""
        checked = check_claims(claims)
        kid, key = self._newest()
        return _sign(kid, key, checked)

    def published(self) -> dict[str, object]:
        """Return the JWKS: the key that signs, and those that did a day ago or less."""
        self._newest()
        now = time.time()
        return {"keys": [_public(r) for r in self._opened.state.signing if _is_published(r, now)]}

    def rotate(self) -> str:
        """Make a new key, sign with it from now on; return its kid."""
        now = time.time()
        private = Ed25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        kid = _encoded(public[:_KID_BYTES])
        kept = tuple(
            record if record.retired_at is not None else replace(record, retired_at=now)
            for record in self._opened.state.signing
            if _is_published(record, now)
        )
        wrapped = self._opened.wrap_key(_LABEL, private.private_bytes_raw(), kid)
        added = SigningRecord(kid, now, None, wrapped, public)
        self._opened.commit(replace(self._opened.state, signing=(*kept, added)))
        return kid

    def rewrapped(self, wrapping: bytes) -> tuple[SigningRecord, ...]:
        """Return all records as another wrapping key protects them."""
        return tuple(
            replace(
                record,
                wrapped=self._opened.wrap_key(
                    _LABEL,
                    self._opened.unwrap_key(_LABEL, record.wrapped, record.kid),
                    record.kid,
                    wrapping=wrapping,
                ),
            )
            for record in self._opened.state.signing
        )


def _is_published(record: SigningRecord, now: float) -> bool:
    retired = record.retired_at
    return retired is None or left_of(retired, retired + OVERLAP_SECONDS, now) > 0.0
