"""What an entry of a log of signatures is of: this very signature, of this statement, by this key.

    Rekor 1, dsse 0.0.1            hash of the statement; certificate in PEM
    Rekor 2, dsse 0.0.2            hash of the statement; certificate
    Rekor 2, hashedrekord 0.0.2    hash of what was signed; certificate

`intoto`, which came before `dsse`, is not read: its hashes are of another encoding of the envelope.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.signing import signing_payload
from casemate.sigstore.bundle import Entry, Signed
from casemate.sigstore.errors import AttestationError


class _Camel(msgspec.Struct, frozen=True, rename="camel"):
    """Names as protobuf's JSON has them."""


class _Hash(_Camel, frozen=True):
    algorithm: str
    value: str


class _LoggedSignature(_Camel, frozen=True):
    signature: bytes
    verifier: bytes


class _Dsse1(_Camel, frozen=True):
    payload_hash: _Hash
    signatures: list[_LoggedSignature]


class _Digest(_Camel, frozen=True):
    algorithm: str
    digest: bytes


class _Raw(_Camel, frozen=True):
    raw_bytes: bytes


class _Verifier(_Camel, frozen=True):
    x509_certificate: _Raw = msgspec.field(name="x509Certificate")


class _Signature(_Camel, frozen=True):
    content: bytes
    verifier: _Verifier


class _Dsse2(_Camel, frozen=True):
    payload_hash: _Digest
    signatures: list[_Signature]


class _HashedRekord2(_Camel, frozen=True):
    data: _Digest
    signature: _Signature


class _Spec2(_Camel, frozen=True):
    dsse: _Dsse2 | None = msgspec.field(default=None, name="dsseV002")
    hashed: _HashedRekord2 | None = msgspec.field(default=None, name="hashedRekordV002")


class _Body1(_Camel, frozen=True):
    api_version: str
    kind: str
    spec: _Dsse1


class _Body2(_Camel, frozen=True):
    api_version: str
    kind: str
    spec: _Spec2


class _Logged(NamedTuple):
    """What an entry says. `signed` is whether the digest is of all that was signed."""

    digest: bytes
    signed: bool
    signatures: list[tuple[bytes, bytes]]


def require_kind(entry: Entry) -> None:
    """Raise AttestationError for an entry of a kind that is not read."""
    if (entry.kind, entry.version) not in _READERS:
        expected = " or ".join(f"{kind} {version}" for kind, version in _READERS)
        raise AttestationError(
            f"Its log entry is a {entry.kind[:40]!r} {entry.version[:20]}, expected {expected}."
        )


def require_logged(signed: Signed, certificate: x509.Certificate) -> None:
    """Raise AttestationError unless a signature is the one that its entry is of."""
    logged = _logged(signed)
    told = signing_payload(signed.payload_type, signed.payload) if logged.signed else signed.payload
    if logged.digest != hashlib.sha256(told).digest():
        raise AttestationError("Its log entry is of another statement.")
    if logged.signatures != [(signed.signature, certificate.public_bytes(Encoding.DER))]:
        raise AttestationError("Its log entry is of another signature.")


def _logged(signed: Signed) -> _Logged:
    entry = signed.entry
    require_kind(entry)
    try:
        kind, version, logged = _READERS[entry.kind, entry.version](entry.body)
    except (ValueError, *DECODING_ERRORS) as error:
        raise AttestationError("Its log entry is not one of a signed statement.") from error
    if (kind, version) != (entry.kind, entry.version):
        raise AttestationError(
            f"Its log entry is a {kind[:40]!r} {version[:20]}, expected {entry.kind} "
            f"{entry.version}."
        )
    return logged


def _dsse1(data: bytes) -> tuple[str, str, _Logged]:
    body = msgspec.json.decode(data, type=decodable(_Body1))
    told = body.spec.payload_hash
    digest = bytes.fromhex(told.value) if told.algorithm == "sha256" else b""
    signatures = [(one.signature, _der(one.verifier)) for one in body.spec.signatures]
    return body.kind, body.api_version, _Logged(digest, False, signatures)


def _dsse2(data: bytes) -> tuple[str, str, _Logged]:
    body, spec = _body2(data)
    if spec.dsse is None or spec.hashed is not None:
        raise ValueError("not of a DSSE envelope alone")
    signatures = [_signature(one) for one in spec.dsse.signatures]
    digest = _digest(spec.dsse.payload_hash)
    return body.kind, body.api_version, _Logged(digest, False, signatures)


def _hashed2(data: bytes) -> tuple[str, str, _Logged]:
    body, spec = _body2(data)
    if spec.hashed is None or spec.dsse is not None:
        raise ValueError("not of a digest alone")
    digest = _digest(spec.hashed.data)
    return body.kind, body.api_version, _Logged(digest, True, [_signature(spec.hashed.signature)])


def _body2(data: bytes) -> tuple[_Body2, _Spec2]:
    body = msgspec.json.decode(data, type=decodable(_Body2))
    return body, body.spec


def _digest(told: _Digest) -> bytes:
    return told.digest if told.algorithm == "SHA2_256" else b""


def _signature(told: _Signature) -> tuple[bytes, bytes]:
    return told.content, told.verifier.x509_certificate.raw_bytes


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


_READERS = {
    ("dsse", "0.0.1"): _dsse1,
    ("dsse", "0.0.2"): _dsse2,
    ("hashedrekord", "0.0.2"): _hashed2,
}
