"""What comes with a signature: attestations of package indexes (PEP 740), and Sigstore bundles.

Both are read into one form. Nothing of it is believed yet.
"""

from __future__ import annotations

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.sigstore.errors import AttestationError

IN_TOTO = "application/vnd.in-toto+json"
MAX_BUNDLE_BYTES = 4 << 20
MAX_CERTIFICATE_BYTES = 1 << 16
MAX_HASHES = 64
MAX_TIMESTAMPS = 4
_BUNDLE = "application/vnd.dev.sigstore.bundle"
_INTEGER_DIGITS = 18


class _Snake(msgspec.Struct, frozen=True):
    """Names as PEP 740 has them."""


class _Camel(msgspec.Struct, frozen=True, rename="camel"):
    """Names as protobuf's JSON has them, which leaves out what is zero or empty."""


class _Checkpoint(_Camel, frozen=True):
    envelope: str


class _Proof(_Camel, frozen=True):
    root_hash: bytes
    tree_size: str | int
    hashes: list[bytes] = []
    log_index: str | int = 0
    checkpoint: _Checkpoint | None = None


class _Promise(_Camel, frozen=True):
    signed_entry_timestamp: bytes


class _LogId(_Camel, frozen=True):
    key_id: bytes


class _Kind(_Camel, frozen=True):
    kind: str
    version: str


class _Entry(_Camel, frozen=True):
    log_id: _LogId
    kind_version: _Kind
    canonicalized_body: bytes
    log_index: str | int = 0
    integrated_time: str | int = 0
    inclusion_promise: _Promise | None = None
    inclusion_proof: _Proof | None = None


class Envelope(_Snake, frozen=True):
    """The envelope of an attestation of an index."""

    statement: bytes
    signature: bytes


class _Material(_Snake, frozen=True):
    certificate: bytes
    transparency_entries: list[_Entry]


class Attestation(_Snake, frozen=True):
    """An attestation as an index has it (PEP 740)."""

    version: int
    envelope: Envelope
    verification_material: _Material | None = None


class _Signature(_Camel, frozen=True):
    sig: bytes


class _Dsse(_Camel, frozen=True):
    payload: bytes
    payload_type: str
    signatures: list[_Signature]


class _Raw(_Camel, frozen=True):
    raw_bytes: bytes


class _Pool(_Camel, frozen=True):
    certificates: list[_Raw]


class _Timestamp(_Camel, frozen=True):
    signed_timestamp: bytes


class _Timestamps(_Camel, frozen=True):
    rfc3161_timestamps: list[_Timestamp] = msgspec.field(default=[], name="rfc3161Timestamps")


class _BundleMaterial(_Camel, frozen=True):
    tlog_entries: list[_Entry]
    timestamp_verification_data: _Timestamps | None = None
    certificate: _Raw | None = None
    x509_certificate_chain: _Pool | None = msgspec.field(default=None, name="x509CertificateChain")


class _Bundle(_Camel, frozen=True):
    media_type: str
    verification_material: _BundleMaterial
    dsse_envelope: _Dsse | None = None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That an entry is in a log, whose head was signed."""

    index: int
    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a log of signatures. `promise` is the log's signature of the time, if any."""

    log: bytes
    index: int
    time: int
    kind: str
    version: str
    body: bytes
    promise: bytes
    proof: Proof


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A statement, who is said to have signed it, and where that was logged."""

    payload: bytes
    payload_type: str
    signature: bytes
    certificate: bytes
    entry: Entry
    timestamps: tuple[bytes, ...] = ()
    """Of timestamp authorities, of the signature."""


def of_attestation(attestation: Attestation) -> Signed:
    """Return what an attestation of an index holds. Raises AttestationError."""
    if attestation.version != 1:
        raise AttestationError(f"Its version is {attestation.version}, expected 1.")
    material = attestation.verification_material
    if material is None:
        raise AttestationError("It has no certificate and no entry of a log.")
    return Signed(
        payload=attestation.envelope.statement,
        payload_type=IN_TOTO,
        signature=attestation.envelope.signature,
        certificate=material.certificate,
        entry=_entry(material.transparency_entries),
    )


def read_bundle(data: bytes) -> Signed:
    """Return what a Sigstore bundle (0.1 to 0.3) of a DSSE envelope holds.

    Raises AttestationError.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise AttestationError(f"The bundle is larger than {MAX_BUNDLE_BYTES} bytes.")
    try:
        told = msgspec.json.decode(data, type=decodable(_Bundle))
    except DECODING_ERRORS as error:
        raise AttestationError(f"It is no Sigstore bundle: {str(error)[:200]}.") from error
    if not told.media_type.startswith(_BUNDLE):
        raise AttestationError(f"It is a {told.media_type[:80]!r}, expected a Sigstore bundle.")
    envelope, material = told.dsse_envelope, told.verification_material
    if envelope is None or len(envelope.signatures) != 1:
        raise AttestationError("It has no DSSE envelope with one signature.")
    pool = material.x509_certificate_chain
    # Of a chain the first is the signer's; the others are not needed, as ours are trusted alone.
    given = material.certificate or (pool.certificates[0] if pool and pool.certificates else None)
    if given is None:
        raise AttestationError("It has no certificate.")
    return Signed(
        payload=envelope.payload,
        payload_type=envelope.payload_type,
        signature=envelope.signatures[0].sig,
        certificate=given.raw_bytes,
        entry=_entry(material.tlog_entries),
        timestamps=_timestamps(material.timestamp_verification_data),
    )


def _timestamps(told: _Timestamps | None) -> tuple[bytes, ...]:
    stamps = told.rfc3161_timestamps if told is not None else []
    if len(stamps) > MAX_TIMESTAMPS:
        raise AttestationError(f"It has more than {MAX_TIMESTAMPS} timestamps.")
    return tuple(each.signed_timestamp for each in stamps)


def _entry(entries: list[_Entry]) -> Entry:
    if len(entries) != 1:
        raise AttestationError(f"It has {len(entries)} entries of logs, expected one.")
    (told,) = entries
    if told.inclusion_proof is None:
        raise AttestationError("Its log entry has no proof that it is in the log.")
    return Entry(
        log=told.log_id.key_id,
        index=_integer(told.log_index),
        time=_integer(told.integrated_time),
        kind=told.kind_version.kind,
        version=told.kind_version.version,
        body=told.canonicalized_body,
        promise=told.inclusion_promise.signed_entry_timestamp if told.inclusion_promise else b"",
        proof=_proof(told.inclusion_proof),
    )


def _proof(told: _Proof) -> Proof:
    if told.checkpoint is None:
        raise AttestationError("The proof of its log entry has no signed head of the log.")
    if len(told.hashes) > MAX_HASHES:
        raise AttestationError(f"The proof of its log entry has more than {MAX_HASHES} hashes.")
    return Proof(
        index=_integer(told.log_index),
        size=_integer(told.tree_size),
        root=told.root_hash,
        hashes=tuple(told.hashes),
        checkpoint=told.checkpoint.envelope,
    )


def _integer(told: str | int) -> int:
    text = str(told) if isinstance(told, str) or abs(told) < 1 << 63 else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= _INTEGER_DIGITS):
        raise AttestationError("A number of its log entry is none.")
    return int(text)
