"""The database: one file of blocks, found by an index, each part with its digest.

    line 1        the format and the digest of the header, which is padded to one page
    header        when and from where it was imported, and where the indexes lie
    blocks        all entries of one package; the description of one record, compressed
    two indexes   sorted rows: by ecosystem and name, by id

Opening checks header and index of packages; a block is checked when it is read. So opening takes
the same few milliseconds however much the file holds, and no byte is believed unchecked. The file
is read, not mapped: a disk that fails is an error, not the end of the process.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from casemate.advisories import limits
from casemate.advisories.entry import Block, Description
from casemate.advisories.errors import DatabaseMissingError, DatabaseUnreadableError
from casemate.advisories.packages import Ecosystem, normalised
from casemate.decoding import DECODING_ERRORS, decodable

MAGIC = b"casemate advisories 1 "
HEADER_BYTES = 4096
KEY_BYTES = 16
ROW_BYTES = KEY_BYTES + 8 + 4 + 32

OSV_DEV = "https://osv-vulnerabilities.storage.googleapis.com"
"""Where osv.dev publishes all records, laid out as a mirror."""
IMPORT = f"`casemate advisories import SOURCE`, such as {OSV_DEV}"
IMPORT_TO_NODE = f"`casemate advisories import {OSV_DEV} --ecosystem PyPI --node`"


class Index(msgspec.Struct, frozen=True):
    """Where an index lies in the file, and its digest."""

    at: int
    rows: int
    sha256: str


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a database as a whole. Times are seconds since 1970."""

    imported: float
    source: str
    newest: float
    """When the newest record was changed."""
    records: dict[str, int]
    """How many records there are of each ecosystem that was asked for."""
    packages: int
    withdrawn: int
    """Records that were left out since they were withdrawn."""
    others: int
    """Records that were left out since they are about nothing that is kept here."""
    undecided: int
    """Entries that name no version that can be compared."""
    exploited: int | None
    """Vulnerabilities known to be exploited; None without such a list."""
    likelihoods: int | None
    validators: dict[str, tuple[str, str]] = {}
    """ETag and Last-Modified of what came from a mirror, by address."""
    by_package: Index
    by_id: Index
    size: int


def key_of(kind: str, name: str) -> bytes:
    """Return what a row is found by."""
    return hashlib.sha256(f"{kind}\0{name}".encode("utf-8", "surrogatepass")).digest()[:KEY_BYTES]


def encode_header(header: Header) -> bytes:
    """Return the first page of a database. Raises ValueError if it does not fit."""
    text = msgspec.json.encode(header)
    room = HEADER_BYTES - len(MAGIC) - 64 - 1
    if len(text) > room:
        raise ValueError("The header is too large.")
    padded = text.ljust(room)
    return MAGIC + hashlib.sha256(padded).hexdigest().encode() + b"\n" + padded


class Database:
    """An open database. Use it in a `with`."""

    def __init__(self, path: Path) -> None:
        """Open and check it. Raises DatabaseMissingError, DatabaseUnreadableError."""
        self.path = path
        self._descriptor = _open(path)
        try:
            self.header = self._read_header()
            self._packages = self._read_index(self.header.by_package)
        except BaseException:
            self.close()
            raise
        self._ids: bytes | None = None

    def __enter__(self) -> Database:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def block(self, ecosystem: Ecosystem, name: str) -> Block | None:
        """Return the entries of a package; None if there are none. `name` is normalised.

        Raises DatabaseUnreadableError.
        """
        for data in self._blocks(self._packages, key_of(ecosystem, name)):
            try:
                block = msgspec.msgpack.decode(data, type=decodable(Block))
            except DECODING_ERRORS as error:
                raise self._damaged() from error
            if (block.ecosystem, block.name) == (ecosystem, name):
                return block
        return None

    def descriptions(self, id: str) -> list[Description]:
        """Return the records with an id or alias. Raises DatabaseUnreadableError."""
        if self._ids is None:
            self._ids = self._read_index(self.header.by_id)
        found = []
        for data in self._blocks(self._ids, key_of("id", id.upper())):
            try:
                inflate = zlib.decompressobj()
                plain = inflate.decompress(data, limits.MAX_RECORD_BYTES)
                description = msgspec.msgpack.decode(plain, type=decodable(Description))
            except (zlib.error, *DECODING_ERRORS) as error:
                raise self._damaged() from error
            if id.upper() in (each.upper() for each in (description.id, *description.aliases)):
                found.append(description)
        return found

    def check(self, pause: Callable[[], None] = lambda: None) -> None:
        """Read all of it, and raise DatabaseUnreadableError for what is not as it should be.

        `pause` is called after every block; it may sleep. A block is bounded as what others send.
        """
        if self._ids is None:
            self._ids = self._read_index(self.header.by_id)
        for index, kind in ((self._packages, Block), (self._ids, None)):
            rows = [index[at : at + ROW_BYTES] for at in range(0, len(index), ROW_BYTES)]
            if rows != sorted(rows):
                raise self._damaged()
            for row in rows:
                at, size = int.from_bytes(row[16:24]), int.from_bytes(row[24:28])
                data = self._read(at, size, row[28:], limits.MAX_RECEIVED_BLOCK_BYTES)
                if kind is not None:
                    self._check_block(row[:KEY_BYTES], data)
                pause()

    def _check_block(self, key: bytes, data: bytes) -> None:
        try:
            block = msgspec.msgpack.decode(data, type=decodable(Block))
        except DECODING_ERRORS as error:
            raise self._damaged() from error
        name = normalised(block.ecosystem, block.name)
        if name != block.name or key_of(block.ecosystem, block.name) != key:
            raise self._damaged()

    def _blocks(self, index: bytes, key: bytes) -> Iterator[bytes]:
        """Yield what the rows with a key lead to, by a search in halves."""
        low, high = 0, len(index) // ROW_BYTES
        while low < high:
            middle = (low + high) // 2
            if index[middle * ROW_BYTES : middle * ROW_BYTES + KEY_BYTES] < key:
                low = middle + 1
            else:
                high = middle
        while index[low * ROW_BYTES : low * ROW_BYTES + KEY_BYTES] == key:
            row = index[low * ROW_BYTES : (low + 1) * ROW_BYTES]
            at, size = int.from_bytes(row[16:24]), int.from_bytes(row[24:28])
            yield self._read(at, size, row[28:], limits.MAX_BLOCK_BYTES)
            low += 1

    def _read_header(self) -> Header:
        data = self._pread(0, HEADER_BYTES)
        head, body = data[: len(MAGIC) + 65], data[len(MAGIC) + 65 :]
        if head != MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n":
            raise self._damaged()
        try:
            header = msgspec.json.decode(body, type=decodable(Header))
        except DECODING_ERRORS as error:
            raise self._damaged() from error
        if os.fstat(self._descriptor).st_size != header.size:
            raise self._damaged()
        return header

    def _read_index(self, index: Index) -> bytes:
        try:
            digest = bytes.fromhex(index.sha256)
        except ValueError as error:
            raise self._damaged() from error
        return self._read(index.at, index.rows * ROW_BYTES, digest, limits.MAX_INDEX_BYTES)

    def _read(self, at: int, size: int, digest: bytes, most: int) -> bytes:
        if at < 0 or not 0 <= size <= most:
            raise self._damaged()
        data = self._pread(at, size)
        if hashlib.sha256(data).digest() != digest:
            raise self._damaged()
        return data

    def _pread(self, at: int, size: int) -> bytes:
        parts = []
        try:
            while size > 0:
                part = os.pread(self._descriptor, size, at)
                if not part:
                    raise self._damaged()
                parts.append(part)
                at, size = at + len(part), size - len(part)
        except OSError as error:
            raise self._damaged() from error
        return b"".join(parts)

    def _damaged(self) -> DatabaseUnreadableError:
        return unreadable(self.path)


def unreadable(path: Path) -> DatabaseUnreadableError:
    """Return the error of a database that is not what was written."""
    return DatabaseUnreadableError(
        f"The advisories in {path} are damaged or were not written by Casemate.",
        next_step=f"Import them again: {IMPORT}",
    )


def _open(path: Path) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except FileNotFoundError as error:
        # Where they would be is not told: a node has them elsewhere than who asks it can look.
        raise DatabaseMissingError("No advisories were imported yet.", next_step=IMPORT) from error
    except OSError as error:
        raise unreadable(path) from error
