"""When a signature was there at the latest, by timestamp authorities (RFC 3161).

An authority is trusted by the certificate that the trusted root has of it; certificates in a
timestamp are passed over. What of RFC 3161 and CMS is not needed for that is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from casemate.sigstore import der
from casemate.sigstore.errors import AttestationError
from casemate.sigstore.root import Authority

MAX_TIMESTAMP_BYTES = 1 << 14
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_TIMESTAMP = bytes.fromhex("2a864886f70d0109100104")
_CONTENT_TYPE = bytes.fromhex("2a864886f70d010903")
_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
_DIGESTS = {
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
_ECDSA: dict[bytes, hashes.HashAlgorithm] = {
    bytes.fromhex("2a8648ce3d040302"): hashes.SHA256(),
    bytes.fromhex("2a8648ce3d040303"): hashes.SHA384(),
    bytes.fromhex("2a8648ce3d040304"): hashes.SHA512(),
}
_GRANTED = (b"\0", b"\1")
_TIME_DIGITS = 14
_MAX_FRACTION = 9


def stamped_at(data: bytes, signature: bytes, authorities: Sequence[Authority]) -> datetime:
    """Return when an authority saw a signature. Raises AttestationError."""
    if len(data) > MAX_TIMESTAMP_BYTES:
        raise AttestationError(f"A timestamp is larger than {MAX_TIMESTAMP_BYTES} bytes.")
    told, signer = _signed_data(data)
    moment = _told(told, signature)
    current = [each for each in authorities if each.period.covers(moment)]
    if not current:
        raise AttestationError(
            f"A timestamp is of {moment:%Y-%m-%d %H:%M:%S}, when no timestamp authority of the "
            "trusted root was in use."
        )
    algorithm, made, attributes = _signer(signer, told)
    signed = [each for each in current if _signed(each, algorithm, made, attributes)]
    if not signed:
        raise AttestationError("A timestamp is signed by no authority of the trusted root.")
    if not any(_may_stamp(each, moment) for each in signed):
        raise AttestationError("A timestamp's authority had no certificate for that at the time.")
    return moment


def _signed_data(data: bytes) -> tuple[bytes, der.Reader]:
    """Return what is said, and by whom (RFC 3161, section 2.4.2; RFC 5652, section 5.1)."""
    whole = der.Reader(data)
    answer = whole.inside(der.SEQUENCE)
    whole.end()
    if answer.inside(der.SEQUENCE).value(der.INTEGER) not in _GRANTED:
        raise AttestationError("A timestamp authority refused to give a timestamp.")
    token = answer.inside(der.SEQUENCE)
    answer.end()
    if token.value(der.OBJECT) != _SIGNED_DATA:
        raise AttestationError("A timestamp is not signed data.")
    signed = token.inside(der.context(0)).inside(der.SEQUENCE)
    token.end()
    signed.value(der.INTEGER)
    signed.value(der.SET)
    content = signed.inside(der.SEQUENCE)
    if content.value(der.OBJECT) != _TIMESTAMP:
        raise AttestationError("What is signed is not a timestamp.")
    told = content.inside(der.context(0)).value(der.OCTETS)
    content.end()
    signed.skip(der.context(0))  # certificates
    signed.skip(der.context(1))  # what was revoked
    signers = signed.inside(der.SET)
    signed.end()
    signer = signers.inside(der.SEQUENCE)
    signers.end()
    return told, signer


def _told(told: bytes, signature: bytes) -> datetime:
    """Return the time that is told of a signature (TSTInfo)."""
    whole = der.Reader(told)
    info = whole.inside(der.SEQUENCE)
    whole.end()
    if info.value(der.INTEGER) != b"\1":
        raise AttestationError("A timestamp is of another version, expected 1.")
    info.value(der.OBJECT)
    imprint = info.inside(der.SEQUENCE)
    name = _digest_name(imprint)
    if imprint.value(der.OCTETS) != hashlib.new(name, signature).digest():
        raise AttestationError("A timestamp is of another signature.")
    imprint.end()
    info.value(der.INTEGER)
    moment = _moment(info.value(der.TIME))
    for optional in (der.SEQUENCE, der.BOOLEAN, der.INTEGER, der.context(0)):
        info.skip(optional)
    info.end()
    return moment


def _moment(told: bytes) -> datetime:
    text = told.decode("latin-1")
    whole, _, fraction = text.removesuffix("Z").partition(".")
    digits = f"{whole}{fraction}"
    sound = text.endswith("Z") and digits.isascii() and digits.isdecimal()
    if not sound or len(whole) != _TIME_DIGITS or len(fraction) > _MAX_FRACTION:
        raise AttestationError("The time of a timestamp is none.")
    try:
        return datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise AttestationError("The time of a timestamp is none.") from error


def _signer(signer: der.Reader, told: bytes) -> tuple[hashes.HashAlgorithm, bytes, bytes]:
    """Return how what was signed, once it is known that what was signed is what is told.

    Who signed is not read: only keys of the trusted root are tried.
    """
    signer.value(der.INTEGER)
    if signer.tag == der.context(0) & ~0x20:
        signer.value(der.context(0) & ~0x20)
    else:
        signer.value(der.SEQUENCE)
    digest = hashlib.new(_digest_name(signer), told).digest()
    attributes = signer.value(der.context(0))
    found: dict[bytes, bytes] = {}
    reader = der.Reader(attributes)
    while reader.tag is not None:
        attribute = reader.inside(der.SEQUENCE)
        name = attribute.value(der.OBJECT)
        if name in found:
            raise AttestationError("A timestamp has an attribute twice.")
        found[name] = attribute.value(der.SET)
        attribute.end()
    if _only(found, _CONTENT_TYPE, der.OBJECT) != _TIMESTAMP:
        raise AttestationError("What was signed of a timestamp is of another kind.")
    if _only(found, _MESSAGE_DIGEST, der.OCTETS) != digest:
        raise AttestationError("What was signed of a timestamp is not what it tells.")
    kind = signer.inside(der.SEQUENCE)
    algorithm = _ECDSA.get(kind.value(der.OBJECT))
    kind.end()
    if algorithm is None:
        raise AttestationError("A timestamp is signed in a way that is not known, expected ECDSA.")
    made = signer.value(der.OCTETS)
    signer.skip(der.context(1))
    signer.end()
    return algorithm, made, der.of_set(attributes)


def _only(found: dict[bytes, bytes], name: bytes, tag: int) -> bytes:
    """Return the one value of an attribute."""
    values = der.Reader(found.get(name, b""))
    value = values.value(tag)
    values.end()
    return value


def _digest_name(reader: der.Reader) -> str:
    kind = reader.inside(der.SEQUENCE)
    name = _DIGESTS.get(kind.value(der.OBJECT))
    kind.skip(der.NULL)
    kind.end()
    if name is None:
        raise AttestationError("A timestamp has a digest of a kind that is not known.")
    return name


def _signed(
    authority: Authority, algorithm: hashes.HashAlgorithm, made: bytes, attributes: bytes
) -> bool:
    public = authority.chain[0].public_key()
    if not isinstance(public, EllipticCurvePublicKey):
        return False
    try:
        public.verify(made, attributes, ECDSA(algorithm))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _may_stamp(authority: Authority, moment: datetime) -> bool:
    """Tell whether a chain leads from its root to a certificate for timestamps, at a moment."""
    leaf = authority.chain[0]
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        return False
    # RFC 3161, section 2.3: for this alone, and whoever does not know that refuses it.
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        return False
    agnostic = Criticality.AGNOSTIC
    of_authorities = ExtensionPolicy.webpki_defaults_ca().may_be_present(
        x509.ExtendedKeyUsage, agnostic, None
    )
    of_stamps = (
        ExtensionPolicy.webpki_defaults_ee()
        .may_be_present(x509.ExtendedKeyUsage, agnostic, None)
        .may_be_present(x509.SubjectAlternativeName, agnostic, None)
    )
    verifier = (
        PolicyBuilder()
        .store(Store([authority.chain[-1]]))
        .time(moment)
        .extension_policies(ca_policy=of_authorities, ee_policy=of_stamps)
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf, list(authority.chain[1:-1]))
    except (VerificationError, ValueError, TypeError):
        return False
    return True
