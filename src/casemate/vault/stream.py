"""Encryption of files of any size in chunks: the STREAM construction.

Hoang, Reyhanitabar, Rogaway, Vizár: "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance" (CRYPTO 2015). Each chunk of 64 KiB is AES-256-GCM with a nonce of a random
prefix, the chunk's number and whether it is the last, so that no chunk can be removed, repeated,
moved, or added. The key of a file is derived from its own random salt, so prefixes cannot meet.

Layout: magic (8 bytes), salt (16), prefix (7), then the chunks, each with its tag. There is always
a last chunk, and it is shorter than or as long as the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from casemate.vault.envelope import TAG_BYTES, context, derive
from casemate.vault.errors import DecryptionError, VaultInputError

CHUNK_BYTES = 64 * 1024
_MAGIC = b"CSMSTRM\x01"
_SALT_BYTES = 16
_PREFIX_BYTES = 7
HEADER_BYTES = len(_MAGIC) + _SALT_BYTES + _PREFIX_BYTES
_SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES
_MAX_CHUNKS = 1 << 32


class Reader(Protocol):
    """What is read from: a binary file."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, empty at the end."""
        ...


class Writer(Protocol):
    """What is written to: a binary file, buffered or not."""

    def write(self, data: bytes, /) -> int | None:
        """Write; return how many bytes were taken, None for all."""
        ...


def sealed_size(size: int) -> int:
    """Return the bytes that `size` bytes take encrypted."""
    chunks = max(1, -(-size // CHUNK_BYTES))
    return HEADER_BYTES + size + chunks * TAG_BYTES


def _damaged(what: str) -> DecryptionError:
    return DecryptionError(
        f"The encrypted file {what}.", next_step="Restore the file from a backup."
    )


def _read(reader: Reader, size: int) -> bytes:
    """Read exactly `size` bytes, or fewer at the end of the file."""
    data = reader.read(size)
    if len(data) == size or not data:
        return data
    parts = [data]
    missing = size - len(data)
    while missing and (data := reader.read(missing)):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


def _write(writer: Writer, data: bytes) -> None:
    view = memoryview(data)
    while view:
        taken = writer.write(view)  # type: ignore[arg-type]  # files take any buffer
        if taken is None:
            return
        view = view[taken:]


class _Cipher:
    """The chunks' key and nonces of one file."""

    def __init__(self, key: bytes, header: bytes, info: bytes) -> None:
        salt = header[len(_MAGIC) : len(_MAGIC) + _SALT_BYTES]
        self._prefix = header[-_PREFIX_BYTES:]
        self._data = context("stream chunk", header, info)
        self._aead = AESGCM(derive(key, context("stream", info), salt=salt))

    def _nonce(self, number: int, *, last: bool) -> bytes:
        return self._prefix + number.to_bytes(4, "big") + (b"\x01" if last else b"\x00")

    def seal(self, chunk: bytes, number: int, *, last: bool) -> bytes:
        if number >= _MAX_CHUNKS:
            raise VaultInputError(
                "The file is larger than 256 TiB.", next_step="Split it into smaller files."
            )
        return self._aead.encrypt(self._nonce(number, last=last), chunk, self._data)

    def open(self, chunk: bytes, number: int, *, last: bool) -> bytes:
        if number >= _MAX_CHUNKS or len(chunk) < TAG_BYTES:
            raise _damaged("is cut off")
        try:
            return self._aead.decrypt(self._nonce(number, last=last), chunk, self._data)
        except InvalidTag:
            raise _damaged(
                f"fails its check at chunk {number}: it was changed or cut off, "
                "belongs elsewhere, or was made with another key"
            ) from None


def _header(source: Reader) -> bytes:
    header = _read(source, HEADER_BYTES)
    if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
        raise _damaged("does not start as one that Casemate wrote")
    return header


def encrypt_stream(key: bytes, context: bytes, reader: Reader, writer: Writer) -> int:
    """Encrypt all of `reader` into `writer`, bound to `context`; return the bytes read.

    Blocks as its files do. On an error what was written so far is no valid file.
    """
    header = _MAGIC + os.urandom(_SALT_BYTES + _PREFIX_BYTES)
    cipher = _Cipher(key, header, context)
    _write(writer, header)
    chunk, number, total = _read(reader, CHUNK_BYTES), 0, 0
    while True:
        following = _read(reader, CHUNK_BYTES) if len(chunk) == CHUNK_BYTES else b""
        total += len(chunk)
        _write(writer, cipher.seal(chunk, number, last=not following))
        if not following:
            return total
        chunk, number = following, number + 1


def decrypted_chunks(key: bytes, context: bytes, reader: Reader) -> Iterator[bytes]:
    """Give what was encrypted, chunk by chunk; each was checked before it is given.

    Only when this ends without DecryptionError is it known that nothing is missing at the end.
    """
    cipher = _Cipher(key, _header(reader), context)
    chunk, number = _read(reader, _SEALED_CHUNK), 0
    while True:
        following = _read(reader, _SEALED_CHUNK) if len(chunk) == _SEALED_CHUNK else b""
        yield cipher.open(chunk, number, last=not following)
        if not following:
            return
        chunk, number = following, number + 1


def decrypt_stream(key: bytes, context: bytes, reader: Reader, writer: Writer) -> int:
    """Decrypt all of `reader` into `writer`; return the bytes written.

    Raises DecryptionError for a file that was changed in any way, or is not that of `context`.
    Use nothing that was written before this has returned.
    """
    total = 0
    for chunk in decrypted_chunks(key, context, reader):
        _write(writer, chunk)
        total += len(chunk)
    return total
