"""Encryption of objects' content: whole for small ones, in chunks for those in files.

AES-256-GCM throughout. Small content is encrypted with a key derived from the project's OBJECTS
key, and bound to project, bucket, key and revision. A file has a random key of its own, which is
kept encrypted and bound in the same way; each chunk is bound to the file's random name, its number
and whether it is the last (STREAM: Hoang, Reyhanitabar, Rogaway, Vizár, CRYPTO 2015). A chunk that
is changed, moved, left out or taken from another file does not decrypt.
"""

from __future__ import annotations

import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from casemate.data.errors import DataCorruptError
from casemate.vault.interface import DataKey

CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
_NONCE_BYTES = 12
FILE_KEY_BYTES = 32
_NEXT = "Restore the object from a backup; its bytes on disk were damaged or changed."


class ObjectKey:
    """One version of a project's OBJECTS key, ready to use. It does not show itself."""

    __slots__ = ("_content", "_files", "version")

    def __init__(self, key: DataKey) -> None:
        """Derive the two keys that are used (HKDF-SHA-256, RFC 5869)."""
        self.version = key.version
        self._content = AESGCM(_derive(key.key, b"casemate object content"))
        self._files = AESGCM(_derive(key.key, b"casemate object file key"))

    def seal(self, content: bytes, context: bytes, *, file: bool) -> bytes:
        """Encrypt content, or with `file` a file's key, bound to `context`."""
        nonce = os.urandom(_NONCE_BYTES)
        cipher = self._files if file else self._content
        return nonce + cipher.encrypt(nonce, content, context)

    def open(self, sealed: bytes, context: bytes, *, file: bool) -> bytes:
        """Return what `seal` was given. DataCorruptError if it is not exactly that."""
        cipher = self._files if file else self._content
        try:
            return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as error:
            raise DataCorruptError(
                "An object's content is not authentic.", next_step=_NEXT
            ) from error


def context_of(project: str, bucket: str, key: str, revision: int) -> bytes:
    """Return what an object's content is bound to, in one encoding that cannot be mistaken."""
    return msgspec.msgpack.encode(("casemate-object-1", project, bucket, key, revision))


class ChunkCipher:
    """Encrypts and decrypts the chunks of one file."""

    def __init__(self, key: bytes, file: str) -> None:
        """Use the file's own key; `file` is its name."""
        self._cipher = AESGCM(key)
        self._context = file.encode()

    def seal(self, number: int, chunk: bytes, *, last: bool) -> bytes:
        """Encrypt chunk `number`, counted from 0. No number may be used twice."""
        return self._cipher.encrypt(_nonce(number, last), chunk, self._context)

    def open(self, number: int, sealed: bytes | memoryview, *, last: bool) -> bytes:
        """Decrypt chunk `number`. DataCorruptError if it is another one or was changed."""
        try:
            return self._cipher.decrypt(_nonce(number, last), sealed, self._context)
        except (InvalidTag, ValueError) as error:
            raise DataCorruptError(
                f"Chunk {number} of an object's file is not authentic.", next_step=_NEXT
            ) from error


def chunk_count(size: int) -> int:
    """Return how many chunks hold `size` bytes."""
    return max(1, -(-size // CHUNK_BYTES))


def file_size(size: int) -> int:
    """Return how long the file of an object of `size` bytes is."""
    return size + chunk_count(size) * TAG_BYTES


def wrong_size(found: int, expected: int) -> DataCorruptError:
    """Return the error for a file that was cut or extended."""
    return DataCorruptError(
        f"An object's file has {found} bytes, expected {expected}.", next_step=_NEXT
    )


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\1" if last else b"\0")


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(key)
