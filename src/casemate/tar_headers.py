"""Headers of tar archives that may be hostile, read one after the other (POSIX pax, GNU tar).

What `tarfile` opens is more than that: it unfolds a sparse file of a few bytes to as many as it
says, reads notes of any size, and follows notes that stand before notes until there is no more
stack. Here notes are bounded, and say the name of the next file or nothing.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import NamedTuple

BLOCK = 512
MAX_NOTE = 64 * 1024
"""Bytes of a long name, or of the attributes of a file."""
MAX_NOTES = 16
"""Notes before one file."""
_LONG_NAME, _ATTRIBUTES, _GLOBAL = b"L", b"x", b"g"
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)


class HeaderError(Exception):
    """A header is not one that is read here; the text says why."""


class CutError(Exception):
    """The archive ends where it must not, or is none."""

    def __init__(self, block: bytes = b"") -> None:
        """Keep what was found in the place of a header."""
        super().__init__("it is cut off, or no archive")
        self.block = block


class Member(NamedTuple):
    """What a header says of the file behind it."""

    name: str
    size: int
    plain: bool
    folder: bool


def next_member(take: Callable[[int], bytes]) -> Member | None:
    """Return the next file, None at the end. Its content comes next, up to a whole block.

    `take` returns that many bytes, or fewer at the end. Raises HeaderError, CutError.
    """
    called = ""
    for _ in range(MAX_NOTES + 1):
        header = _header(take)
        if header is None:
            return None
        if header.size < 0:
            raise HeaderError("a file has a size below nothing")
        if header.type not in (_LONG_NAME, _ATTRIBUTES, _GLOBAL):
            return Member(
                called or header.name,
                header.size,
                plain=header.type in _PLAIN,
                folder=header.type == tarfile.DIRTYPE,
            )
        if header.size > MAX_NOTE:
            raise HeaderError("a name or attributes are too long")
        called = _noted(header.type, _exactly(take, header.size)) or called
    raise HeaderError(f"more than {MAX_NOTES} notes stand before one file")


def padding(size: int) -> int:
    """Return how many bytes follow a content of `size`, up to a whole block."""
    return -size % BLOCK


def _exactly(take: Callable[[int], bytes], size: int) -> bytes:
    data = take(size)
    if len(data) != size or len(take(padding(size))) != padding(size):
        raise CutError
    return data


def _header(take: Callable[[int], bytes]) -> tarfile.TarInfo | None:
    block = take(BLOCK)
    if len(block) == BLOCK and not any(block):
        return None  # two empty blocks end an archive; what follows them is not read
    if len(block) != BLOCK:
        raise CutError(block)
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise CutError(block) from error


def _noted(kind: bytes, note: bytes) -> str | None:
    """Return the name that the next file has by a note, if it says one."""
    if kind == _LONG_NAME:
        return note.rstrip(b"\0").decode("utf-8", "surrogateescape")
    found = None
    place = 0
    while kind == _ATTRIBUTES and place < len(note):
        digits = note[place : place + 8].partition(b" ")[0]
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        if not len(digits) + 1 < length <= len(note) - place:
            raise HeaderError("the attributes of a file cannot be read")
        line = note[place + len(digits) + 1 : place + length]
        place += length
        if line.startswith(b"path="):
            found = line[5:].rstrip(b"\n").decode("utf-8", "surrogateescape")
        if line.startswith((b"size=", b"GNU.sparse")):
            raise HeaderError("a file is of a kind that is not read here")
    return found
