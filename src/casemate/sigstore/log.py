"""The log of signatures (Rekor, version 1): that it has an entry, and since when.

The log signs the time of each entry, and heads of its Merkle tree (RFC 6962), to which a proof
leads from the entry. Both are verified, without asking the log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from casemate.decoding import decodable
from casemate.sigstore.bundle import Entry, Proof, Signed
from casemate.sigstore.errors import AttestationError
from casemate.sigstore.root import LogKey, TrustedRoot

_MAX_CHECKPOINT = 8192
_SIGNATURE = re.compile(r"\u2014 (\S{1,200}) ([A-Za-z0-9+/=]{8,2000})")
_KEY_HINT = 4
_HASH = 32


class _Digest(msgspec.Struct, frozen=True):
    algorithm: str
    value: str


class _LoggedSignature(msgspec.Struct, frozen=True):
    signature: bytes
    verifier: bytes


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    payload_hash: _Digest
    signatures: list[_LoggedSignature]


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    spec: _Spec


def logged_at(signed: Signed, certificate: x509.Certificate, root: TrustedRoot) -> datetime:
    """Return when a signature was logged. Raises AttestationError."""
    entry = signed.entry
    key = root.signature_logs.get(entry.log)
    if key is None:
        raise AttestationError(
            f"It was logged by {entry.log.hex()[:16]}, which is no log of the trusted root."
        )
    moment = _promised(entry, key)
    if not key.period.covers(moment):
        raise AttestationError(f"It was logged on {moment:%Y-%m-%d}, when that log was not in use.")
    _check_head(entry.proof, entry.log, key)
    _check_inclusion(entry.proof, entry.body)
    _check_body(signed, certificate)
    return moment


def _promised(entry: Entry, key: LogKey) -> datetime:
    """Return the time that the log signed (its signed entry timestamp)."""
    if not entry.promise or not entry.time:
        raise AttestationError("Its log entry has no time that the log signed.")
    # RFC 8785: names sorted, no white space, integers as they are.
    message = msgspec.json.encode(
        {
            "body": base64.b64encode(entry.body).decode(),
            "integratedTime": entry.time,
            "logID": entry.log.hex(),
            "logIndex": entry.index,
        }
    )
    if not key.signed(entry.promise, message):
        raise AttestationError("The log's signature of the time of its entry does not hold.")
    try:
        return datetime.fromtimestamp(entry.time, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise AttestationError("The time of its log entry is none.") from error


def _check_head(proof: Proof, log: bytes, key: LogKey) -> None:
    """Raise unless the head of the tree that a proof leads to was signed by the log."""
    text, separator, signatures = proof.checkpoint.partition("\n\n")
    lines = text.split("\n")
    if len(proof.checkpoint) > _MAX_CHECKPOINT or not separator or len(lines) < 3:
        raise AttestationError("The signed head of the log is not in the form of one.")
    message = f"{text}\n".encode("utf-8", "surrogatepass")
    if not any(_signed_head(line, log, key, message) for line in signatures.split("\n")):
        raise AttestationError("The log's signature of its head does not hold.")
    told = (lines[1], lines[2])
    if told != (str(proof.size), base64.b64encode(proof.root).decode()):
        raise AttestationError("The proof of its log entry is of another head than the signed one.")


def _signed_head(line: str, log: bytes, key: LogKey, message: bytes) -> bool:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        return False
    try:
        data = base64.b64decode(match.group(2), validate=True)
    except (binascii.Error, ValueError):
        return False
    hint, signature = data[:_KEY_HINT], data[_KEY_HINT:]
    return hint == log[:_KEY_HINT] and key.signed(signature, message)


def _check_inclusion(proof: Proof, body: bytes) -> None:
    """Raise unless the hashes lead from the entry to the head (RFC 9162, section 2.1.3.2)."""
    if not 0 <= proof.index < proof.size or any(len(each) != _HASH for each in proof.hashes):
        raise AttestationError("The proof of its log entry is not in the form of one.")
    node, last = proof.index, proof.size - 1
    found = hashlib.sha256(b"\0" + body).digest()
    for each in proof.hashes:
        if last == 0:
            raise AttestationError("The proof of its log entry is longer than the log is deep.")
        if node & 1 or node == last:
            found = hashlib.sha256(b"\1" + each + found).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + each).digest()
        node, last = node >> 1, last >> 1
    if last:
        raise AttestationError("The proof of its log entry is cut short.")
    if found != proof.root:
        raise AttestationError("The proof of its log entry does not lead to the head of the log.")


def _check_body(signed: Signed, certificate: x509.Certificate) -> None:
    """Raise unless what was logged is this very signature, of this statement, by this key."""
    entry = signed.entry
    try:
        body = msgspec.json.decode(entry.body, type=decodable(_Body))
        logged = [(one.signature, _der(one.verifier)) for one in body.spec.signatures]
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise AttestationError("Its log entry is not one of a signed statement.") from error
    if {(body.kind, body.api_version), (entry.kind, entry.version)} != {("dsse", "0.0.1")}:
        raise AttestationError(
            f"Its log entry is a {body.kind[:40]!r} {body.api_version[:20]}, expected dsse 0.0.1."
        )
    digest = hashlib.sha256(signed.payload).hexdigest()
    if (body.spec.payload_hash.algorithm, body.spec.payload_hash.value) != ("sha256", digest):
        raise AttestationError("Its log entry is of another statement.")
    if logged != [(signed.signature, certificate.public_bytes(Encoding.DER))]:
        raise AttestationError("Its log entry is of another signature.")


def _der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
