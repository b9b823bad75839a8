"""Reads tar archives as a stream: plain files and folders with bounded names, nothing else."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO

from casemate.advisories import limits
from casemate.advisories.budget import Budget
from casemate.advisories.errors import CutShortError, SourceError
from casemate.advisories.filenames import is_record, too_large

_BLOCK = 512
_MAX_NOTE = 64 * 1024
"""A long name, or the attributes of a file."""
_CHUNK = 1 << 16
_LONG_NAME, _ATTRIBUTES, _GLOBAL = b"L", b"x", b"g"


class _Stream:
    """What comes out of a compressed file, counted as it comes."""

    def __init__(self, file: IO[bytes], name: str, budget: Budget) -> None:
        start = file.read(6)
        file.seek(0)
        self._name = name
        self._budget = budget
        self._plain: IO[bytes] | gzip.GzipFile | lzma.LZMAFile | bz2.BZ2File = file
        if start.startswith(b"\x1f\x8b"):
            self._plain = gzip.GzipFile(fileobj=file)
        elif start.startswith(b"\xfd7zXZ\x00"):
            self._plain = lzma.LZMAFile(file)  # noqa: SIM115 - closed with the file below it
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
        padding = -size % _BLOCK
        if len(data) != size or len(self.take(padding)) != padding:
            raise CutShortError(f"{self._name[:200]!a} is cut off.")
        return data

    def skip(self, size: int) -> None:
        """Pass over `size` bytes and what pads them."""
        rest = size + (-size % _BLOCK)
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
    called = ""
    while True:
        header = _header(stream, name)
        if header is None:
            return
        budget.file()
        if header.size < 0:
            raise SourceError(f"{name[:200]!a} is no archive: a file has a size below nothing.")
        if header.type in (_LONG_NAME, _ATTRIBUTES, _GLOBAL):
            if header.size > _MAX_NOTE:
                raise SourceError(f"{name[:200]!a} has a name or attributes that are too long.")
            note = stream.exactly(header.size)
            called = _noted(header.type, note) or called
            continue
        inside, called = (called or header.name), ""
        if header.type == tarfile.DIRTYPE:
            stream.skip(header.size)
            continue
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise SourceError(f"{inside[:200]!a} is a link or no plain file.")
        inside = inside.removeprefix("./")
        if not is_record(inside):
            stream.skip(header.size)
            yield inside, None
            continue
        if header.size > limits.MAX_RECORD_BYTES:
            raise too_large(inside)
        yield inside, stream.exactly(header.size)


def _header(stream: _Stream, name: str) -> tarfile.TarInfo | None:
    block = stream.take(_BLOCK)
    if len(block) == _BLOCK and not any(block):
        return None  # two empty blocks end an archive; what follows them is not read
    if len(block) != _BLOCK:
        raise CutShortError(f"{name[:200]!a} is cut off, or no archive.")
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        what = "HTML" if block.lstrip()[:1] == b"<" else "neither a zip nor a tar archive"
        raise SourceError(
            f"{name[:200]!a} is {what}.",
            next_step="Name a folder or an archive (.zip, .tar, .tar.gz) of OSV records.",
        ) from error


def _noted(kind: bytes, note: bytes) -> str | None:
    """Return the name that the next file has by a note, if it says one."""
    if kind == _LONG_NAME:
        return note.rstrip(b"\0").decode("utf-8", "surrogateescape")
    found = None
    while kind == _ATTRIBUTES and note:
        digits, _, _ = note.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        if not len(digits) + 1 < length <= len(note):
            raise SourceError("The archive has attributes of a file that cannot be read.")
        line, note = note[len(digits) + 1 : length], note[length:]
        if line.startswith(b"path="):
            found = line[5:].rstrip(b"\n").decode("utf-8", "surrogateescape")
        if line.startswith((b"size=", b"GNU.sparse")):
            raise SourceError("The archive has a file of a kind that is not read here.")
    return found
