"""What a provider of web hooks must tell: what proves its sender, and what a request says.

Proofs are taken from the head and the raw bytes; nothing of a body is parsed before one holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Protocol

import msgspec

from casemate.decoding import DECODING_ERRORS, is_slow_to_read
from casemate.model.errors import CasemateError, InvalidInputError
from casemate.model.http import HttpHead
from casemate.vault import Mac

DIGEST_BYTES = 32
CLOCK_TOLERANCE = 300.0
"""Seconds by which a signed time may be off, either way."""
MAX_SIGNATURES = 8
"""In one header, as while a sender changes its key."""
_MAX_TEXT = 1024
_MAX_ID = 200


class UnprovenError(CasemateError):
    """The request does not show who sent it. The message is a fixed text, for records."""


class MalformedError(InvalidInputError):
    """The request of a proven sender is not what this provider sends."""


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """Proof by signature: any one of them must be that of the message."""

    message: bytes
    signatures: tuple[bytes, ...]
    algorithm: Mac = Mac.SHA256


class Shown(msgspec.Struct, frozen=True):
    """Proof by showing the secret itself."""

    value: bytes


Proof = Signed | Shown


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a proven request tells of."""

    event: str
    """The provider's word for it: `push`."""
    deduplication: str
    """The same for the same thing told again, by whoever."""
    data: msgspec.Raw = msgspec.Raw(b"null")
    source: str = ""
    """URI of what it is about, if known."""
    subject: str = ""
    branch: str | None = None
    """Branch it is about; empty if it is about another kind of ref, None if about none."""
    ping: bool = False
    """True only asks whether somebody is there."""
    time: float | None = None
    """When it happened, Unix time in seconds, if told."""
    made_after: float | None = None
    """The earliest time at which it can have been taken before, as its signature tells."""
    detail: dict[str, object] = {}


class Provider(Protocol):
    """Reads the web hooks of one kind of sender."""

    def proof(self, head: HttpHead, body: bytes, now: float) -> Proof:
        """Return what proves the sender. Raises UnprovenError if there is nothing that could."""
        ...

    def notices(self, head: HttpHead, body: bytes) -> tuple[Notice, ...]:
        """Return what a proven request tells. Raises MalformedError."""
        ...


def header(head: HttpHead, name: bytes) -> str:
    """Return a header's value, empty if it is not there or not ASCII."""
    value = head.header(name) or b""
    return value.decode() if value.isascii() else ""


def hexadecimal(text: str) -> tuple[bytes, ...]:
    """Return a SHA-256 digest given in hexadecimal; nothing if it is none."""
    try:
        digest = bytes.fromhex(text) if len(text) == 2 * DIGEST_BYTES else b""
    except ValueError:
        return ()
    return (digest,) if digest else ()


def standard_webhook(head: HttpHead, body: bytes, now: float) -> Signed:
    """Return the proof of a request signed as Standard Webhooks 1.0 has it (`v1`)."""
    identity = header(head, b"webhook-id")
    timestamp = header(head, b"webhook-timestamp")
    if not 0 < len(identity) <= _MAX_ID or not (timestamp.isdigit() and len(timestamp) <= 12):
        raise UnprovenError("no signed id and time")
    if abs(now - int(timestamp)) > CLOCK_TOLERANCE:
        raise UnprovenError("signed too long ago, or in the future")
    signatures = []
    for part in header(head, b"webhook-signature").split()[:MAX_SIGNATURES]:
        scheme, _, encoded = part.partition(",")
        if scheme == "v1":
            try:
                signatures.append(base64.b64decode(encoded, validate=True))
            except binascii.Error:
                continue
    found = tuple(s for s in signatures if len(s) == DIGEST_BYTES)
    if not found:
        raise UnprovenError("no signature")
    return Signed(
        message=b".".join((identity.encode(), timestamp.encode(), body)),
        signatures=found,
        algorithm=Mac.STANDARD,
    )


def made_after(head: HttpHead) -> float:
    """Return the earliest time at which a request that `standard_webhook` proves was taken."""
    return int(header(head, b"webhook-timestamp")) - CLOCK_TOLERANCE


def json_object(body: bytes) -> dict[str, object]:
    """Return a body that is a JSON object. Raises MalformedError."""
    try:
        found = None if is_slow_to_read(body) else msgspec.json.decode(body)
    except DECODING_ERRORS:
        found = None
    if not isinstance(found, dict):
        raise MalformedError("The body is not a JSON object in UTF-8.")
    return found


def within(payload: object, *path: str) -> object:
    """Return what is at a path of keys, None if nothing is."""
    for key in path:
        if not isinstance(payload, dict):
            return None
        payload = payload.get(key)
    return payload


def text(payload: object, *path: str) -> str:
    """Return the text at a path of keys, empty if there is none; cut if it is very long."""
    found = within(payload, *path)
    return found[:_MAX_TEXT] if isinstance(found, str) else ""


def branch_of(ref: str) -> str:
    """Return the branch that a full ref names, empty for another kind of ref."""
    return ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ""


def digest(*parts: bytes) -> str:
    """Return a token that is the same for the same parts and no others."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()
