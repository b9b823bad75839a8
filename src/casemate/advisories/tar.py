"""Reads tar archives as a stream: plain files and folders with bounded names, nothing else."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from typing import IO

from casemate.advisories import limits
from casemate.advisories.budget import Budget
from casemate.advisories.errors import CutShortError, SourceError
from casemate.advisories.filenames import is_record, too_large
from casemate.tar_headers import BLOCK, CutError, HeaderError, Member, next_member, padding

_CHUNK = 1 << 16
_XZ_MEMORY = 256 << 20
"""The strongest level that `xz` has by a number takes 65 MiB."""


class _Xz:
    """What comes out of an xz file, which says itself how much memory that takes (up to 4 GiB)."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end. Raises EOFError, LZMAError."""
        while True:
            data = b""
            if self._decoder.eof:
                # Another stream may follow, with zeros between.
                data = self._decoder.unused_data.lstrip(b"\0")
                while not data:
                    if not (more := self._file.read(_CHUNK)):
                        return b""
                    data = more.lstrip(b"\0")
                self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            elif self._decoder.needs_input and not (data := self._file.read(_CHUNK)):
                raise EOFError("it ends too early")
            if plain := self._decoder.decompress(data, size):
                return plain


class _Stream:
    """What comes out of a compressed file, counted as it comes."""

    def __init__(self, file: IO[bytes], name: str, budget: Budget) -> None:
        start = file.read(6)
        file.seek(0)
        self._name = name
        self._budget = budget
        self._plain: IO[bytes] | gzip.GzipFile | _Xz | bz2.BZ2File = file
        if start.startswith(b"\x1f\x8b"):
            self._plain = gzip.GzipFile(fileobj=file)
        elif start.startswith(b"\xfd7zXZ\x00"):
            self._plain = _Xz(file)
        elif start.startswith(b"BZh"):
            self._plain = bz2.BZ2File(file)

    def take(self, size: int) -> bytes:
        """Return `size` bytes, or fewer at the end."""
        parts = []
        try:
            while size > 0:
                part = self._plain.read(min(size, _CHUNK))
                if not part:
                    break
                self._budget.take(len(part))
                parts.append(part)
                size -= len(part)
        except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            raise CutShortError(
                f"{self._name[:200]!a} is damaged or cut off: {str(error)[:200]}."
            ) from error
        return b"".join(parts)

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes and pass over what pads them."""
        data = self.take(size)
        if len(data) != size or len(self.take(padding(size))) != padding(size):
            raise CutShortError(f"{self._name[:200]!a} is cut off.")
        return data

    def skip(self, size: int) -> None:
        """Pass over `size` bytes and what pads them."""
        rest = size + padding(size)
        while rest > 0:
            part = self.take(min(rest, _CHUNK))
            if not part:
                raise CutShortError(f"{self._name[:200]!a} is cut off.")
            rest -= len(part)


def tar_files(file: IO[bytes], name: str, budget: Budget) -> Iterator[tuple[str, bytes | None]]:
    """Yield the plain files of a tar archive, with their content if they may be records.

    Raises SourceError, CutShortError.
    """
    stream = _Stream(file, name, budget)
    while (member := _next(stream, name)) is not None:
        budget.file()
        inside = member.name
        if member.folder:
            stream.skip(member.size)
            continue
        if not member.plain:
            raise SourceError(f"{inside[:200]!a} is a link or no plain file.")
        inside = inside.removeprefix("./")
        if not is_record(inside):
            stream.skip(member.size)
            yield inside, None
            continue
        if member.size > limits.MAX_RECORD_BYTES:
            raise too_large(inside)
        yield inside, stream.exactly(member.size)


def _next(stream: _Stream, name: str) -> Member | None:
    try:
        return next_member(stream.take)
    except HeaderError as error:
        raise SourceError(f"{name[:200]!a} cannot be read: {error}.") from error
    except CutError as error:
        if len(error.block) != BLOCK:
            raise CutShortError(f"{name[:200]!a} is cut off, or no archive.") from error
        what = "HTML" if error.block.lstrip()[:1] == b"<" else "neither a zip nor a tar archive"
        raise SourceError(
            f"{name[:200]!a} is {what}.",
            next_step="Name a folder or an archive (.zip, .tar, .tar.gz) of OSV records.",
        ) from error
