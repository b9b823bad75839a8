"""The log of signatures (Rekor): that it has an entry, and since when.

The log signs heads of its Merkle tree (RFC 6962), to which a proof leads from the entry. Version 1
signs the time of each entry as well; with version 2 a timestamp authority tells the time of the
signature. All is verified, without asking the log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509

from casemate.sigstore.bundle import Entry, Proof, Signed
from casemate.sigstore.errors import AttestationError
from casemate.sigstore.logged import require_kind, require_logged
from casemate.sigstore.root import LogKey, TrustedRoot
from casemate.sigstore.timestamps import stamped_at

_MAX_CHECKPOINT = 8192
_SIGNATURE = re.compile(r"\u2014 (\S{1,200}) ([A-Za-z0-9+/=]{8,2000})")
_KEY_HINT = 4
_HASH = 32
_MOST_VALID = timedelta(days=1)
VERSION_1 = "0.0.1"
"""Of entries of Rekor 1; Rekor 2 has others."""


def moments_of(signed: Signed, certificate: x509.Certificate, root: TrustedRoot) -> list[datetime]:
    """Return when a signature was logged, and when it was seen; one at least. Raises
    AttestationError unless all of it holds.
    """
    entry = signed.entry
    key = root.signature_logs.get(entry.log)
    if key is None:
        raise AttestationError(
            f"It was logged by {entry.log.hex()[:16]}, which is no log of the trusted root."
        )
    require_kind(entry)
    if entry.version == VERSION_1:
        moments = [_promised(entry, key)]
    elif signed.timestamps:
        moments = []
        _check_short(certificate)
    else:
        raise AttestationError("Nothing tells when it was signed: it has no timestamp.")
    moments += [
        stamped_at(each, signed.signature, root.timestamp_authorities) for each in signed.timestamps
    ]
    for moment in moments:
        if not key.period.covers(moment):
            raise AttestationError(
                f"It was logged on {moment:%Y-%m-%d}, when that log was not in use."
            )
    _check_head(entry, key)
    _check_inclusion(entry.proof, entry.body)
    require_logged(signed, certificate)
    return moments


def _check_short(certificate: x509.Certificate) -> None:
    """Raise if a certificate holds for long: a signature could be dated anew as long as it does."""
    if certificate.not_valid_after_utc - certificate.not_valid_before_utc > _MOST_VALID:
        raise AttestationError(
            "Only a timestamp tells when it was signed, and its certificate is valid for more than "
            "a day."
        )


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


def _check_head(entry: Entry, key: LogKey) -> None:
    """Raise unless the head of the tree that a proof leads to was signed by the log."""
    proof = entry.proof
    text, separator, signatures = proof.checkpoint.partition("\n\n")
    lines = text.split("\n")
    if len(proof.checkpoint) > _MAX_CHECKPOINT or not separator or len(lines) < 3:
        raise AttestationError("The signed head of the log is not in the form of one.")
    message = f"{text}\n".encode("utf-8", "surrogatepass")
    # The first version names a tree beside its host, and was verified without the name so far.
    name = None if entry.version == VERSION_1 else key.origin
    if name is not None and (not name or lines[0] != name):
        raise AttestationError(f"The signed head is of {lines[0][:80]!a}, expected {name!a}.")
    found = (_signed_head(line, entry.log, key, message) for line in signatures.split("\n"))
    if not any(by is not None and name in (None, by) for by in found):
        raise AttestationError("The log's signature of its head does not hold.")
    told = (lines[1], lines[2])
    if told != (str(proof.size), base64.b64encode(proof.root).decode()):
        raise AttestationError("The proof of its log entry is of another head than the signed one.")


def _signed_head(line: str, log: bytes, key: LogKey, message: bytes) -> str | None:
    """Return the name by which a log signed its head; None if this line is not of that."""
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        return None
    try:
        data = base64.b64decode(match.group(2), validate=True)
    except (binascii.Error, ValueError):
        return None
    hint, signature = data[:_KEY_HINT], data[_KEY_HINT:]
    if hint != log[:_KEY_HINT] or not key.signed(signature, message):
        return None
    return match.group(1)


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
