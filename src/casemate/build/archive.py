"""Bundles as one file: packing, and unpacking of what may be hostile.

An archive is a gzip-compressed tar (RFC 1952, ustar) that begins with `bundle.json`; the files
follow in its order. Nothing in it is decided by the archive: the expected digest fixes the
manifest, the manifest fixes the bytes of every header, and a header that differs in one bit is
refused. There is no entry left to interpret, so there are no links, devices, folders, duplicates,
sparse files, odd owners or surprising names.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from casemate.build.contents import MANIFEST_NAME, check_digest, decode_manifest
from casemate.build.errors import ArchiveError, SourceTreeError
from casemate.build.limits import (
    MAX_BUNDLE_FILES,
    MAX_MANIFEST_BYTES,
    MAX_RATIO,
    RATIO_FREE_BYTES,
    UNPACK_TIMEOUT,
)
from casemate.build.tar_format import BLOCK, END, describe, entry_header, padding
from casemate.build.tree import hash_file, open_regular, publish, remove_tree, walk_files
from casemate.model.bundle import BundleFile, BundleManifest, piece_of

_CHUNK = 1 << 16
_LEVEL = 3
QUICK_LEVEL = 1
"""Of zlib's levels, what takes two thirds of the time, for some 6 % more bytes."""
_NONE: Mapping[str, Path] = MappingProxyType({})
_GZIP = 31
"""Window bits for zlib that select the gzip format."""


def pack(
    bundle: Path, target: BinaryIO, *, without: Collection[str] = (), level: int = _LEVEL
) -> int:
    """Write the bundle folder (named by its digest) to `target`; return the bytes written.

    The same bundle always gives the same bytes with the same zlib and level. `without` these pieces
    of its dependencies it is for who has them. Raises ArchiveError if the folder is not what its
    name says.
    """
    data, manifest = _read_manifest(bundle)
    compressor = zlib.compressobj(level, zlib.DEFLATED, _GZIP)
    written = 0

    def put(plain: bytes) -> None:
        nonlocal written
        written += target.write(compressor.compress(plain))

    put(entry_header(MANIFEST_NAME, len(data)) + data + padding(len(data)))
    for file in manifest.files:
        if piece_of(file.path) in without:
            continue
        put(entry_header(file.path, file.size))
        digest, size = hashlib.sha256(), 0
        with os.fdopen(_open(bundle, file.path), "rb") as source:
            while chunk := source.read(min(_CHUNK, file.size - size + 1)):
                digest.update(chunk)
                size += len(chunk)
                if size > file.size:
                    break
                put(chunk)
        if size != file.size or digest.hexdigest() != file.sha256:
            raise ArchiveError(f"{file.path} is not what {MANIFEST_NAME} names.")
        put(padding(file.size))
    put(END)
    return written + target.write(compressor.flush())


def unpack(
    archive: BinaryIO,
    into: Path,
    expected_digest: str,
    *,
    pieces: Mapping[str, Path] = _NONE,
    timeout: float = UNPACK_TIMEOUT,
) -> BundleManifest:
    """Unpack an archive to the new folder `into` and return its manifest.

    Reads `archive` as a stream. The folder appears complete and durable or not at all; a damaged
    one of that name is replaced, a sound one kept. A file that the archive leaves out is copied
    where its piece of the dependencies is among `pieces`, from that bundle folder; what comes from
    there is checked like what comes from the stream. Raises ArchiveError for anything that is not
    exactly the bundle with the expected digest, or takes longer than `timeout` seconds.
    """
    check_digest(expected_digest)
    stream = _Stream(archive, timeout)
    into = into.absolute()
    work = Path(tempfile.mkdtemp(prefix=".unpack-", dir=into.parent))
    try:
        staged = work / "bundle"
        staged.mkdir()
        staged.chmod(0o755)
        data = _unpack_manifest(stream)
        manifest = decode_manifest(data, expected_digest)
        _write_new(staged / MANIFEST_NAME).write_bytes(data)
        (staged / MANIFEST_NAME).chmod(0o644)
        for file in manifest.files:
            there = pieces.get(piece_of(file.path) or "")
            if there is not None and not stream.has_next(entry_header(file.path, file.size)):
                _copy_file(stream, there, staged, file)
            else:
                _unpack_file(stream, staged, file)
        if stream.take(len(END)) != END:
            raise ArchiveError("The archive goes on after its last file.")
        stream.finish()
        if not _is_sound(into, expected_digest):
            publish(staged, into, trash=work)
    finally:
        remove_tree(work)
    return manifest


def verify(bundle: Path) -> BundleManifest:
    """Check a bundle folder, named by its digest, against its manifest: every file and no other.

    Returns the manifest. Raises ArchiveError.
    """
    _, manifest = _read_manifest(bundle)
    named = {file.path: file for file in manifest.files}
    named.pop(MANIFEST_NAME, None)
    try:
        for path, size in walk_files(bundle, max_files=MAX_BUNDLE_FILES + 1):
            if path == MANIFEST_NAME:
                continue
            file = named.pop(path, None)
            if file is None:
                raise ArchiveError(f"{path!a} is not named by {MANIFEST_NAME}.")
            if size != file.size or hash_file(bundle, path) != file:
                raise ArchiveError(f"{path} is not what {MANIFEST_NAME} names.")
    except SourceTreeError as error:
        raise ArchiveError(f"The bundle on disk is damaged. {error.message}") from error
    if named:
        raise ArchiveError(f"{len(named)} file(s) are missing, {min(named)} among them.")
    return manifest


class _Stream:
    """Decompresses exactly as much as is asked for, within the bounds on time and ratio."""

    def __init__(self, source: BinaryIO, timeout: float) -> None:
        self._source = source
        self._deadline = time.monotonic() + timeout
        self._inflate = zlib.decompressobj(_GZIP)
        self._held = self._ahead = b""
        self._read = self._given = 0

    def has_next(self, expected: bytes) -> bool:
        """Tell whether these bytes are what comes next. Nothing is taken."""
        missing = len(expected) - len(self._ahead)
        if missing > 0:
            ahead, self._ahead = self._ahead, b""
            self._ahead = ahead + self.take(missing)
        return self._ahead.startswith(expected)

    def take(self, size: int) -> bytes:
        """Return `size` bytes, or fewer at the end."""
        parts, self._ahead = [self._ahead[:size]], self._ahead[size:]
        missing = size - len(parts[0])
        while missing:
            part = self._next(missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Raise ArchiveError unless the compressed data ends here, checksum included."""
        if self._ahead or self._next(1):
            raise ArchiveError("The archive goes on after its end mark.")
        if not self._inflate.eof:
            raise ArchiveError("The archive is cut off.")
        if self._inflate.unused_data or self._held or self._source.read(1):
            raise ArchiveError("The archive goes on after its compressed data.")

    def require_time(self) -> None:
        """Raise ArchiveError once it takes too long."""
        if time.monotonic() > self._deadline:
            raise ArchiveError("The archive takes too long to unpack.")

    def _next(self, limit: int) -> bytes:
        """Return up to `limit` bytes; nothing at the end."""
        while not self._inflate.eof:
            self.require_time()
            data = self._held or self._source.read(_CHUNK)
            self._read += 0 if self._held else len(data)
            try:
                plain = self._inflate.decompress(data, min(limit, _CHUNK))
            except zlib.error as error:
                raise ArchiveError("The archive is not valid gzip data.") from error
            self._held = self._inflate.unconsumed_tail
            self._given += len(plain)
            if self._given > max(RATIO_FREE_BYTES, MAX_RATIO * self._read):
                raise ArchiveError(f"The archive is compressed more than {MAX_RATIO} times.")
            if plain:
                return plain
            if not data and not self._inflate.eof:
                raise ArchiveError("The archive is cut off.")
        return b""


def _unpack_manifest(stream: _Stream) -> bytes:
    """Return the content of the first entry. Its size is the one thing that is read from tar."""
    header = stream.take(BLOCK)
    digits = header[124:135]
    size = int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else -1
    if not 0 <= size <= MAX_MANIFEST_BYTES or header != entry_header(MANIFEST_NAME, size):
        raise ArchiveError(
            f"The archive begins with {describe(header)}, expected exactly the file "
            f"{MANIFEST_NAME}.",
            next_step="Send an archive that `casemate build` made.",
        )
    data = stream.take(size)
    if stream.take(len(padding(size))) != padding(size) or len(data) != size:
        raise ArchiveError("The archive is cut off, or its padding is not empty.")
    return data


def _unpack_file(stream: _Stream, root: Path, file: BundleFile) -> None:
    """Write the next entry, which must be `file`."""
    expected = entry_header(file.path, file.size)
    header = stream.take(len(expected))
    if header != expected:
        raise ArchiveError(
            f"The archive has {describe(header[-BLOCK:])}, expected exactly the file "
            f"{file.path!a} of {file.size} bytes."
        )
    digest, missing = hashlib.sha256(), file.size
    with _write_new(root / file.path).open("wb") as target:
        while missing:
            chunk = stream.take(min(missing, _CHUNK))
            if not chunk:
                raise ArchiveError("The archive is cut off.")
            digest.update(chunk)
            target.write(chunk)
            missing -= len(chunk)
        os.fchmod(target.fileno(), 0o644)
    if digest.hexdigest() != file.sha256:
        raise ArchiveError(f"The content of {file.path!a} does not have the hash it should.")
    if stream.take(len(padding(file.size))) != padding(file.size):
        raise ArchiveError(f"The padding after {file.path!a} is not empty.")


def _copy_file(stream: _Stream, source: Path, root: Path, file: BundleFile) -> None:
    """Write `file` as another bundle has it, which must be what this one names."""
    digest, missing = hashlib.sha256(), file.size
    with (
        os.fdopen(_open(source, file.path), "rb") as there,
        _write_new(root / file.path).open("wb") as target,
    ):
        # One byte more than it should have, where it has more.
        while missing >= 0 and (chunk := there.read(min(missing + 1, _CHUNK))):
            stream.require_time()
            digest.update(chunk)
            target.write(chunk)
            missing -= len(chunk)
        os.fchmod(target.fileno(), 0o644)
    if missing or digest.hexdigest() != file.sha256:
        raise ArchiveError(f"{file.path!a} of the other bundle is not what this one names.")


def _write_new(path: Path) -> Path:
    """Return the path of a file that does not exist yet, its folders made."""
    missing = []
    parent = path.parent
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    for folder in reversed(missing):
        folder.mkdir()
        folder.chmod(0o755)
    if path.exists():
        raise ArchiveError(f"{path.name!a} is there twice.")
    return path


def _is_sound(bundle: Path, digest: str) -> bool:
    if bundle.is_symlink() or not bundle.is_dir() or bundle.name != digest:
        return False
    try:
        verify(bundle)
    except ArchiveError:
        return False
    return True


def manifest_of(archive: BinaryIO, digest: str) -> BundleManifest:
    """Return the manifest that an archive begins with, which has to be the one with this digest.

    Nothing is known of what follows. Raises ArchiveError.
    """
    return decode_manifest(_unpack_manifest(_Stream(archive, UNPACK_TIMEOUT)), digest)


def require_manifest(file: BinaryIO, digest: str) -> BundleManifest:
    """Return the manifest that an open file holds, which has to be the one with this digest.

    Raises ArchiveError.
    """
    return decode_manifest(file.read(MAX_MANIFEST_BYTES + 1), digest)


def _read_manifest(bundle: Path) -> tuple[bytes, BundleManifest]:
    with os.fdopen(_open(bundle, MANIFEST_NAME), "rb") as file:
        data = file.read(MAX_MANIFEST_BYTES + 1)
    return data, decode_manifest(data, bundle.name)


def _open(bundle: Path, path: str) -> int:
    try:
        return open_regular(bundle / path)
    except SourceTreeError as error:
        raise ArchiveError(f"The bundle on disk is damaged. {error.message}") from error
