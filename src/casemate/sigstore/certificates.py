"""Certificates of signers: from a trusted authority, in time, logged, and for signing."""

from __future__ import annotations

import calendar
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.certificate_transparency import LogEntryType, SignedCertificateTimestamp
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from casemate.sigstore.bundle import MAX_CERTIFICATE_BYTES
from casemate.sigstore.errors import AttestationError
from casemate.sigstore.root import Authority, TrustedRoot

_UNREADABLE = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    x509.ExtensionNotFound,
    UnsupportedAlgorithm,
)


def read_certificate(data: bytes) -> x509.Certificate:
    """Return a certificate whose extensions can be read. Raises AttestationError."""
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise AttestationError(f"Its certificate is larger than {MAX_CERTIFICATE_BYTES} bytes.")
    try:
        certificate = x509.load_der_x509_certificate(data)
        _ = certificate.extensions, certificate.public_key(), certificate.issuer
        canonical = certificate.public_bytes(Encoding.DER) == data
    except _UNREADABLE as error:
        raise AttestationError("Its certificate cannot be read.") from error
    if not canonical:
        raise AttestationError("Its certificate is followed by something else.")
    return certificate


def check_certificate(certificate: x509.Certificate, moment: datetime, root: TrustedRoot) -> None:
    """Raise AttestationError unless a certificate could sign at a moment, by what is trusted."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= moment <= end:
        raise AttestationError(
            f"It was logged at {moment:%Y-%m-%d %H:%M:%S}; its certificate was valid from "
            f"{start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S}."
        )
    issuer = _issuer(certificate, moment, root.authorities)
    try:
        _check_usage(certificate)
        timestamps = certificate.extensions.get_extension_for_class(
            x509.PrecertificateSignedCertificateTimestamps
        ).value
    except x509.ExtensionNotFound as error:
        raise AttestationError("Its certificate is not said to be in a log.") from error
    if len(timestamps) != 1:
        raise AttestationError(f"Its certificate has {len(timestamps)} log timestamps, not one.")
    _check_logged(certificate, issuer, timestamps[0], root)


def _issuer(
    certificate: x509.Certificate, moment: datetime, authorities: Iterable[Authority]
) -> x509.Certificate:
    """Return what issued a certificate, once the path from a trusted root to it was verified."""
    named = [each for each in authorities if each.chain[0].subject == certificate.issuer]
    if not named:
        raise AttestationError("Its certificate is of no authority of the trusted root.")
    current = [each for each in named if each.period.covers(moment)]
    if not current:
        raise AttestationError("Its certificate's authority was not in use when it was logged.")
    for authority in current:
        if _leads_to(certificate, moment, authority):
            return authority.chain[0]
    raise AttestationError("Its certificate was not signed by the authority that it names.")


def _leads_to(certificate: x509.Certificate, moment: datetime, authority: Authority) -> bool:
    # Only the usage of keys differs from what the web has: signing code, looked at by us.
    usage = x509.ExtendedKeyUsage
    place = Criticality.NON_CRITICAL
    of_authorities = ExtensionPolicy.webpki_defaults_ca().may_be_present(usage, place, None)
    of_signers = ExtensionPolicy.webpki_defaults_ee().may_be_present(usage, place, None)
    verifier = (
        PolicyBuilder()
        .store(Store([authority.chain[-1]]))
        .time(moment)
        .extension_policies(ca_policy=of_authorities, ee_policy=of_signers)
        .build_client_verifier()
    )
    try:
        found = verifier.verify(certificate, list(authority.chain[:-1])).chain
    except (VerificationError, *_UNREADABLE):
        return False
    return found[1] == authority.chain[0]


def _check_usage(certificate: x509.Certificate) -> None:
    extensions = certificate.extensions
    try:
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
        used = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as error:
        raise AttestationError("Its certificate does not say what it is for.") from error
    if not signs or ExtendedKeyUsageOID.CODE_SIGNING not in used:
        raise AttestationError("Its certificate is not for signing code.")


def _check_logged(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    timestamp: SignedCertificateTimestamp,
    root: TrustedRoot,
) -> None:
    """Raise unless a log of the trusted root signed that it has the certificate (RFC 6962)."""
    key = root.certificate_logs.get(timestamp.log_id)
    if key is None:
        raise AttestationError("Its certificate was logged by no log of the trusted root.")
    if not key.period.covers(timestamp.timestamp.replace(tzinfo=UTC)):
        raise AttestationError("Its certificate was logged when that log was not in use.")
    if timestamp.entry_type is not LogEntryType.PRE_CERTIFICATE or not isinstance(
        timestamp.signature_hash_algorithm, hashes.SHA256
    ):
        raise AttestationError("Its certificate's log timestamp is of another kind.")
    if not key.signed(timestamp.signature, logged_message(certificate, issuer, timestamp)):
        raise AttestationError("The log's signature of its certificate does not hold.")


def logged_message(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    timestamp: SignedCertificateTimestamp,
) -> bytes:
    """Return what a log of certificates signs: RFC 6962, section 3.2, of a precertificate."""
    moment = timestamp.timestamp
    milliseconds = calendar.timegm(moment.timetuple()) * 1000 + moment.microsecond // 1000
    public = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = certificate.tbs_precertificate_bytes
    more = timestamp.extension_bytes
    return b"".join(
        (
            b"\0\0",  # version 1, of a certificate's timestamp
            milliseconds.to_bytes(8, "big"),
            (1).to_bytes(2, "big"),  # of a precertificate
            hashlib.sha256(public).digest(),
            len(body).to_bytes(3, "big"),
            body,
            len(more).to_bytes(2, "big"),
            more,
        )
    )
