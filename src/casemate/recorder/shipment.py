"""What recorders of nodes tell each other: batches of records, sealed, in an order that is proven.

A batch names its node, its stream, its number in it, and the hash of the one before. All of that is
attested by the node's vault, which says so of its own node alone; what is in it is sealed with the
keys of the projects that it is of. So whoever keeps the batches can withhold the newest, and can
neither read them nor change, remove, swap or repeat one without being found.
"""

from __future__ import annotations

import hashlib
import os
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casemate.decoding import decodable
from casemate.recorder.errors import RecorderInputError

MAX_SHIPPED_BYTES = 6 << 20
"""As the store has it (`store/shipped_records.py`)."""
STREAM_BYTES = 16
"""When it began, in milliseconds, and a random number."""
FIRST = bytes(32)
"""In the place of the hash before the first one."""
_NONCE_BYTES = 12
_LABEL = b"casemate shipped records\0"

Node = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Stream = Annotated[bytes, msgspec.Meta(min_length=STREAM_BYTES, max_length=STREAM_BYTES)]
Order = Annotated[int, msgspec.Meta(ge=0, lt=1 << 56)]
Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Section(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What of a batch is sealed with one key."""

    project: Annotated[str, msgspec.Meta(max_length=63)]
    """Empty: the node's own key, for what is of no project for certain."""
    version: Annotated[int, msgspec.Meta(ge=1, lt=1 << 31)]
    """Of the key."""
    sealed: bytes


class Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A batch."""

    node: Node
    """As the vaults know it."""
    stream: Stream
    number: Order
    previous: Hash
    """SHA-256 of the body before it in its stream."""
    previous_at: float
    """When that was made; 0 where there is none."""
    made_at: float
    until: float
    """What the node kept up to then is in this one, or before it."""
    name: Annotated[str, msgspec.Meta(max_length=128)]
    """As people know the node."""
    journal: Annotated[str, msgspec.Meta(max_length=512)]
    """The key of the node's journal, as verifiers take it."""
    head: Annotated[str, msgspec.Meta(max_length=4096)]
    """The newest signed head of it, empty before the first."""
    proof_of: Order
    """Entries of the head in the batch before."""
    proof: Annotated[tuple[Hash, ...], msgspec.Meta(max_length=128)]
    """That the head goes on from those."""
    sections: Annotated[tuple[Section, ...], msgspec.Meta(max_length=4096)]


class Shipped(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A batch as it is stored."""

    body: bytes
    code: Hash
    """The vault's, of its SHA-256."""


def new_stream(now: float) -> bytes:
    """Return the name of a stream that begins now: later ones are greater."""
    return int(now * 1000).to_bytes(8, "big") + os.urandom(STREAM_BYTES - 8)


def read_body(content: bytes) -> Body:
    """Return what a batch is that was stored. Raises DECODING_ERRORS."""
    shipped = msgspec.msgpack.decode(content, type=decodable(Shipped))
    return msgspec.msgpack.decode(shipped.body, type=decodable(Body))


def digest_of(body: bytes) -> bytes:
    """Return what of a body is attested, and what the next one names."""
    return hashlib.sha256(body).digest()


def seal(key: bytes, place: tuple[str, bytes, int], project: str, text: bytes) -> bytes:
    """Return a section's content, bound to its node, stream, number and project."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, text, _bound(place, project))


def unsealed(key: bytes, place: tuple[str, bytes, int], section: Section) -> bytes:
    """Return what is in a section. Raises RecorderInputError."""
    nonce, text = section.sealed[:_NONCE_BYTES], section.sealed[_NONCE_BYTES:]
    try:
        return _cipher(key).decrypt(nonce, text, _bound(place, section.project))
    except (InvalidTag, ValueError) as error:
        raise RecorderInputError("Records of another node cannot be opened.") from error


def _cipher(key: bytes) -> AESGCM:
    # Not the journal's own key: what is sealed for the one can never be taken for the other's.
    return AESGCM(hashlib.sha256(_LABEL + key).digest())


def _bound(place: tuple[str, bytes, int], project: str) -> bytes:
    return msgspec.msgpack.encode((_LABEL, *place, project))
