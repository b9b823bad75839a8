"""DSSE envelopes (Dead Simple Signing Envelope 1.0), read more strictly than they have to be.

Every signature has to be one of a known key and hold: what cannot be checked is not skipped, so an
envelope has nothing in it that somebody could mean by it and we do not.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from casemate.model.errors import InvalidInputError
from casemate.model.signing import Envelope, Signature, signing_payload
from casemate.signing.keys import SIGNATURE_BYTES, SigningKey, decoded, verify

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class SignatureError(InvalidInputError):
    """A signature, or what was signed, is not what it should be."""


def sealed(payload: bytes, keys: Iterable[SigningKey]) -> Envelope:
    """Return an envelope of an in-toto statement, signed with each of the keys."""
    message = signing_payload(PAYLOAD_TYPE, payload)
    return Envelope(
        payloadType=PAYLOAD_TYPE,
        payload=base64.b64encode(payload).decode(),
        signatures=tuple(
            Signature(keyid=key.id, sig=base64.b64encode(key.sign(message)).decode())
            for key in keys
        ),
    )


def opened(envelope: Envelope, public_keys: Mapping[str, bytes]) -> tuple[bytes, frozenset[str]]:
    """Return an envelope's payload, and the ids of the keys that signed it: all it names.

    Raises SignatureError if the type is another, a key is not among `public_keys`, is named twice,
    or one signature does not hold.
    """
    if envelope.payloadType != PAYLOAD_TYPE:
        raise SignatureError(
            f"The envelope holds {envelope.payloadType[:80]!r}, expected {PAYLOAD_TYPE}."
        )
    payload = _payload(envelope)
    message = signing_payload(PAYLOAD_TYPE, payload)
    signed: set[str] = set()
    for one in envelope.signatures:
        public = public_keys.get(one.keyid)
        if public is None:
            raise SignatureError(
                f"The key {one.keyid[:12]} is not known here.",
                next_step="Sign with a key that is enrolled: casemate keys ls",
            )
        if one.keyid in signed:
            raise SignatureError(f"The key {one.keyid[:12]} signs twice, expected once.")
        if not verify(public, decoded(one.sig, SIGNATURE_BYTES, "signature"), message):
            raise SignatureError(
                f"The signature of the key {one.keyid[:12]} does not hold.",
                next_step="Build and sign again; the signed bundle has changed since.",
            )
        signed.add(one.keyid)
    return payload, frozenset(signed)


def _payload(envelope: Envelope) -> bytes:
    try:
        payload = base64.b64decode(envelope.payload, validate=True)
    except ValueError as error:
        raise SignatureError("The payload of the envelope is not base64.") from error
    if base64.b64encode(payload).decode() != envelope.payload:
        raise SignatureError("The payload of the envelope is not spelled as base64 should be.")
    return payload
