"""`vault.sealed`: everything the vault knows but the values of secrets, in one file.

One file, because one rename(2) then changes all of it or nothing: there is no half-made rotation.
Layout: magic (8 bytes), version (1), length of the head (4), the head as JSON, its SHA-256, and
the encrypted body. The head says how to get the master key; all that stands before the body is its
associated data. The hash tells damage from a wrong master key, both of which fail the same check.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.vault import envelope, folder
from casemate.vault.envelope import KEY_BYTES
from casemate.vault.errors import DecryptionError, VaultDamagedError, WrongMasterKeyError
from casemate.vault.sealed import PUBLIC_KEY_BYTES
from casemate.vault.sources import KeyParameters

STATE_FILE = folder.STATE_FILE
_MAGIC = b"CSMVAULT"
NEW = 1
"""The generation of a vault that was made and not changed yet."""
_VERSION = 1
_START = len(_MAGIC) + 1 + 4
_HASH_BYTES = 32
_MAX_HEAD = 256 * 1024
_SHOWN_ID = 16
_SHOWN_SOURCE = 256
"""Characters of an id and of a source that are shown."""


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be known before the master key is. Not secret."""

    vault: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
    """Random; makes the files of one vault worthless in another."""
    generation: Annotated[int, msgspec.Meta(ge=1, lt=1 << 62)]
    """Counts the writes, so that an older file beside newer ones is noticed."""
    created_at: float
    source: Annotated[str, msgspec.Meta(max_length=4096)]
    """For people. It is never read to get the key: whoever writes the file would choose it."""
    parameters: KeyParameters
    key_id: str
    rotated_at: float
    public_key: Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=PUBLIC_KEY_BYTES)]
    """To which values are sealed. 32 bytes in a vault that was last opened before the hybrid."""


class DataKeyRecord(msgspec.Struct, frozen=True, array_like=True):
    """One version of a project's key, wrapped with the master key."""

    project: str
    version: int
    created_at: float
    wrapped: bytes
    starts: int = 0
    """In the node's own: the number of its newest start, where it is alone (`Counts`)."""
    backups: int = 0
    """In the node's own: how many backups were made of it."""
    entries: int = 0
    """In the node's own: how many entries its journal had, where it is alone."""


class SecretRecord(msgspec.Struct, frozen=True, array_like=True):
    """One version of a secret; its value is in the file `file`, under key version `key`."""

    project: str
    name: str
    version: int
    created_at: float
    created_by: str
    key: int
    file: str
    seal: bytes
    """Start of a hash of the sealed value, to know it again."""
    made: str = ""
    """How a rotation has made it that is not ended; empty: it is in use, or was."""
    replaced_at: float = 0.0
    """When a rotation has put another one in its place; 0: none has."""
    until: float = 0.0
    """Until when it is accepted beside that one."""
    value_of: int = 0
    """The version that was gone back to by it; 0: it has a value of its own."""

    def serves(self, now: float) -> bool:
        """Tell whether it is given and accepted. A clock that is set back lengthens nothing."""
        return not self.replaced_at or self.replaced_at <= now < self.until


class SigningRecord(msgspec.Struct, frozen=True, array_like=True):
    """An Ed25519 key, wrapped."""

    kid: str
    created_at: float
    retired_at: float | None
    wrapped: bytes
    public_key: bytes


class JournalKeyRecord(msgspec.Struct, frozen=True, array_like=True):
    """The Ed25519 key that signs the heads of the node's journal, wrapped."""

    created_at: float
    wrapped: bytes
    public_key: bytes


class State(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The body. What is not there is left out, so that an older Casemate reads what it knows."""

    sealing: bytes
    """The private key of `Header.public_key`, wrapped."""
    sealing_x25519: bytes | None = None
    """That of X25519 alone, wrapped, in a vault that had one before the hybrid."""
    keys: tuple[DataKeyRecord, ...] = ()
    secrets: tuple[SecretRecord, ...] = ()
    signing: tuple[SigningRecord, ...] = ()
    journal: JournalKeyRecord | None = None
    records: bool = False
    """Whether the recorder has had records of invocations: they are missed from then on."""
    founder: str = ""
    """Which node has given this vault to the nodes of a cluster; empty: none has. `journal` and
    `records` are of that one alone: the others have their own (`own_record`)."""
    changes: tuple[bytes, ...] = ()
    """Ids of the newest changes of a vault that nodes share: who does not know whether one of his
    was made looks for it here."""


def _body_key(header: Header, master: bytes) -> bytes:
    return envelope.derive(master, envelope.context("state", header.vault))


def wrapping_key(vault: str, master: bytes) -> bytes:
    """Return the key under which the master key wraps other keys."""
    return envelope.derive(master, envelope.context("wrap keys", vault))


def encode_state(header: Header, state: State, master: bytes) -> bytes:
    """Return the file."""
    head = msgspec.json.encode(header)
    start = _MAGIC + bytes([_VERSION]) + len(head).to_bytes(4, "big")
    start += head + hashlib.sha256(head).digest()
    body = msgspec.msgpack.encode(state)
    return start + envelope.encrypt(_body_key(header, master), body, start)


def _damaged(what: str) -> VaultDamagedError:
    return VaultDamagedError(
        f"The vault's file {STATE_FILE} {what}.",
        next_step="Restore the folder data/vault from a backup.",
    )


def _split(data: bytes) -> tuple[Header, int]:
    """Return the head and where the body starts."""
    if len(data) < _START or not data.startswith(_MAGIC):
        raise _damaged("is not one that Casemate wrote")
    if data[len(_MAGIC)] != _VERSION:
        raise _damaged(
            f"has the format {data[len(_MAGIC)]}, expected {_VERSION}: a newer Casemate wrote it, "
            "or it was changed"
        )
    length = int.from_bytes(data[_START - 4 : _START], "big")
    end = _START + length
    if length > _MAX_HEAD or len(data) < end + _HASH_BYTES + envelope.OVERHEAD:
        raise _damaged(f"is cut off at {len(data)} bytes")
    head, found = data[_START:end], data[end : end + _HASH_BYTES]
    if not hmac.compare_digest(hashlib.sha256(head).digest(), found):
        raise _damaged("has a damaged head")
    try:
        return msgspec.json.decode(head, type=decodable(Header)), end + _HASH_BYTES
    except DECODING_ERRORS as error:
        raise _damaged("has a head that does not say what it must") from error


def read_header(data: bytes) -> Header:
    """Return the head, of which only accidents are noticed so far. Raises VaultDamagedError."""
    return _split(data)[0]


def unproven(header: Header) -> str:
    """Say what a head tells of the master key before that has proven it: text, not to be run."""
    return (
        f"The head of {STATE_FILE}, which nothing proves without that key, says that it has the id "
        f"{header.key_id[:_SHOWN_ID]!r} and was in {header.source[:_SHOWN_SOURCE]!r}."
    )


def decode_state(data: bytes, master: bytes) -> tuple[Header, State]:
    """Return head and body. Raises WrongMasterKeyError, VaultDamagedError."""
    header, start = _split(data)
    found = envelope.key_id(master)
    if not hmac.compare_digest(found.encode(), header.key_id.encode()):
        raise WrongMasterKeyError(
            f"The master key is another one (id {found}) than that of this vault. "
            f"{unproven(header)} Nothing was changed.",
            next_step="Start with --master-key naming where you keep this vault's key.",
        )
    try:
        body = envelope.decrypt(_body_key(header, master), data[start:], data[:start])
        return header, msgspec.msgpack.decode(body, type=decodable(State))
    except DecryptionError as error:
        raise _damaged("fails its check: it was changed or cut off") from error
    except DECODING_ERRORS as error:
        raise _damaged("holds what this Casemate does not understand") from error
