"""Verifies a signed statement, without a network."""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

from casemate.model.signing import signing_payload
from casemate.sigstore.bundle import IN_TOTO, Signed
from casemate.sigstore.certificates import check_certificate, read_certificate
from casemate.sigstore.errors import AttestationError
from casemate.sigstore.identity import identity_of, is_signer, reference_of
from casemate.sigstore.log import moments_of
from casemate.sigstore.root import TrustedRoot, is_signed


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that holds: `payload`, signed by `identity`, and logged or seen at `logged`."""

    payload: bytes
    identity: tuple[str, ...]
    logged: datetime
    reference: str
    """The branch or tag that was built; empty if the certificate tells none."""
    signing: str
    """SHA-256, in hex, of certificate and statement: of this signing, whatever else is changed."""

    def is_by(self, wanted: str) -> bool:
        """Tell whether `wanted` signed, such as `GitHub:owner/repository:build.yml`.

        With `@refs/heads/main` behind it, only if that was built.
        """
        return is_signer(wanted, self.identity, self.reference)


def verified(signed: Signed, root: TrustedRoot) -> Verified:
    """Return a statement that somebody signed, and who. Raises AttestationError.

    What the statement says is not looked at.
    """
    if signed.payload_type != IN_TOTO:
        raise AttestationError(f"It is a {signed.payload_type[:80]!a}, expected {IN_TOTO}.")
    # (1) the signature, by the key of the certificate that came with it
    certificate = read_certificate(signed.certificate)
    message = signing_payload(IN_TOTO, signed.payload)
    if not is_signed(certificate.public_key(), signed.signature, message):
        raise AttestationError("Its signature does not hold.")
    # (2) when, by the log that has it, or by who has seen the signature
    moments = moments_of(signed, certificate, root)
    # (3) the certificate, at each such moment
    for moment in moments:
        check_certificate(certificate, moment, root)
    # (4) who
    return Verified(
        payload=signed.payload,
        identity=identity_of(certificate),
        logged=min(moments),
        reference=reference_of(certificate),
        signing=hashlib.sha256(signed.certificate + signed.payload).hexdigest(),
    )
