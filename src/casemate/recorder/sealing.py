"""Entries as they stand in the journal: who and which in clear, what happened encrypted.

    version (1) | session (8) | number (8) | key id (8) | nonce (12) | AES-256-GCM ciphertext

All before the nonce is bound to the ciphertext. The random nonce makes the hash of an entry tell
nothing of its text, so that once a project's key is erased its entries are noise, and the log still
verifies. Sessions and numbers let a fact that is sent twice be known again without any key.
"""

from __future__ import annotations

import hashlib
import os
import struct

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casemate.recorder.errors import RecorderError

_HEADER = struct.Struct(">B8sQ8s")
_VERSION = 1
_NONCE_BYTES = 12
_KEY_ID_BYTES = 8


class EntryKey:
    """The key of the entries of one project, in one version."""

    def __init__(self, project: str, version: int, key: bytes) -> None:
        """Use these 32 bytes."""
        self.project = project
        self.version = version
        self.id = hashlib.sha256(b"journal entry key" + key).digest()[:_KEY_ID_BYTES]
        self._cipher = AESGCM(key)

    def seal(self, session: bytes, number: int, text: bytes) -> bytes:
        """Return the entry that holds `text`."""
        header = _HEADER.pack(_VERSION, session, number, self.id)
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + self._cipher.encrypt(nonce, text, header)

    def open(self, entry: bytes) -> bytes:
        """Return the text of an entry of this key. Raises RecorderError."""
        at = _HEADER.size
        nonce = entry[at : at + _NONCE_BYTES]
        try:
            return self._cipher.decrypt(nonce, entry[at + _NONCE_BYTES :], entry[:at])
        except (InvalidTag, ValueError) as error:
            raise RecorderError(
                "An entry of the journal cannot be opened.",
                next_step="Run casemate journal verify.",
            ) from error


class Opening(msgspec.Struct, frozen=True):
    """What an entry says in clear."""

    session: bytes
    number: int
    key_id: bytes

    @property
    def id(self) -> str:
        """Return the id by which people name the entry."""
        return f"{self.session.hex()}-{self.number}"


def opening(entry: bytes) -> Opening | None:
    """Return what an entry says in clear, None for what is none of this version."""
    if len(entry) < _HEADER.size + _NONCE_BYTES:
        return None
    version, session, number, key_id = _HEADER.unpack_from(entry)
    return Opening(session, number, key_id) if version == _VERSION else None
