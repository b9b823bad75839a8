"""Writes a database: records in, one file out, which replaces the one before at once."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import msgspec

from casemate.advisories import limits
from casemate.advisories.database import (
    HEADER_BYTES,
    ROW_BYTES,
    Database,
    Header,
    Index,
    encode_header,
    key_of,
)
from casemate.advisories.entry import Block, Entry, Key, Known, described, entries_of
from casemate.advisories.errors import RecordError, SourceError
from casemate.advisories.packages import Ecosystem
from casemate.advisories.place import give
from casemate.advisories.record import OsvRecord
from casemate.decoding import decodable
from casemate.kernel.durability import sync_folder

_NAME_BYTES = 128
"""What an id or alias takes in memory and in the index."""


class _Kept(msgspec.Struct):
    """One record under way: the newest with its id so far."""

    modified: float
    withdrawn: bool
    entries: dict[Key, dict[bytes, None]]
    row: bytes
    names: tuple[str, ...]


class Compiler:
    """Takes records one by one and writes the database that holds them.

    Of several with one id the newest counts; where they are equally new, all that they say.
    """

    def __init__(
        self,
        path: Path,
        known: Mapping[str, Known],
        ecosystems: Iterable[Ecosystem],
        now: float,
    ) -> None:
        """Begin a file beside `path`. `now` is what withdrawals are held against."""
        self._path = path
        self._known = known
        self._ecosystems = tuple(ecosystems)
        self._now = now
        self._records: dict[str, _Kept] = {}
        self._others = 0
        self._newest = 0.0
        self._size = 0
        descriptor, name = tempfile.mkstemp(prefix=".advisories-", dir=path.parent)
        self._temporary: Path | None = Path(name)
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(bytes(HEADER_BYTES))
        self._at = HEADER_BYTES

    def add(self, record: OsvRecord) -> None:
        """Take a record. Raises RecordError, SourceError."""
        entries = self._encoded(record)
        if not entries:
            self._others += 1
            return
        modified, withdrawn = record.modified_at, record.withdrawn_at
        self._newest = max(self._newest, modified)
        gone = withdrawn is not None and withdrawn <= self._now
        before = self._records.get(record.id)
        if before is not None and before.modified > modified:
            return
        if before is not None and before.modified == modified:
            for key, encoded in entries.items():
                before.entries.setdefault(key, {}).update(encoded)
            before.withdrawn = before.withdrawn and gone
            return
        data = zlib.compress(msgspec.msgpack.encode(described(record, self._known)), 1)
        names = (record.id, *(record.aliases or ()))
        self._records[record.id] = _Kept(modified, gone, entries, self._write(data), names)

    def _encoded(self, record: OsvRecord) -> dict[Key, dict[bytes, None]]:
        """Return the entries of a record, as long as they are not too much. Raises SourceError."""
        found: dict[Key, dict[bytes, None]] = {}
        size = _NAME_BYTES * (1 + len(record.aliases or ()))
        for key, entry in entries_of(record, self._known):
            if key[0] not in self._ecosystems:
                continue
            encoded = msgspec.msgpack.encode(entry)
            size += len(encoded)
            if size > limits.MAX_COMPILED_RECORD_BYTES:
                raise RecordError(f"{record.id} says too much of too many packages.")
            found[key] = {encoded: None}
        self._size += size
        if self._size > limits.MAX_COMPILED_BYTES:
            raise SourceError("All records together are too much for a database.")
        return found

    def counts(self) -> dict[str, int]:
        """Return how many records there are of each ecosystem."""
        found = {one.value: 0 for one in self._ecosystems}
        for kept in self._records.values():
            if not kept.withdrawn:
                for ecosystem in {key[0] for key in kept.entries}:
                    found[ecosystem.value] += 1
        return found

    def finish(
        self,
        source: str,
        validators: Mapping[str, tuple[str, str]],
        exploited: int | None,
        likelihoods: int | None,
    ) -> Header:
        """Write the rest, make it durable, and put it in the place of what was there."""
        standing = [kept for kept in self._records.values() if not kept.withdrawn]
        packages, undecided = self._write_packages(standing)
        rows = {key_of("id", name.upper()) + kept.row for kept in standing for name in kept.names}
        header = Header(
            imported=self._now,
            source=source[:500],
            newest=self._newest,
            records=self.counts(),
            packages=len(packages),
            withdrawn=len(self._records) - len(standing),
            others=self._others,
            undecided=undecided,
            exploited=exploited,
            likelihoods=likelihoods,
            validators=dict(validators),
            by_package=self._write_index(packages),
            by_id=self._write_index(list(rows)),
            size=self._at,
        )
        self._file.seek(0)
        self._file.write(encode_header(header))
        _publish(self._file, self._taken(), self._path)
        self.close()
        return header

    def close(self) -> None:
        """Give up what was not finished."""
        self._file.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)

    def _taken(self) -> Path:
        taken, self._temporary = self._temporary, None
        if taken is None:
            raise ValueError("The database is finished already.")
        return taken

    def _write_packages(self, standing: list[_Kept]) -> tuple[list[bytes], int]:
        by_package: dict[Key, list[bytes]] = {}
        for kept in standing:
            for key, own in kept.entries.items():
                by_package.setdefault(key, []).extend(own)
        undecided, rows = 0, []
        for (ecosystem, name), encoded in by_package.items():
            entries = sorted(
                (msgspec.msgpack.decode(each, type=decodable(Entry)) for each in encoded),
                key=lambda entry: entry.id,
            )
            undecided += sum(bool(entry.undecided) for entry in entries)
            block = Block(ecosystem, name, tuple(entries))
            rows.append(key_of(ecosystem, name) + self._write(msgspec.msgpack.encode(block)))
        return rows, undecided

    def _write_index(self, rows: list[bytes]) -> Index:
        data = b"".join(sorted(rows))
        at = self._at
        self._write(data)
        return Index(at, len(data) // ROW_BYTES, hashlib.sha256(data).hexdigest())

    def _write(self, data: bytes) -> bytes:
        """Write a block; return the rest of a row that leads to it."""
        self._file.write(data)
        at, self._at = self._at, self._at + len(data)
        return at.to_bytes(8) + len(data).to_bytes(4) + hashlib.sha256(data).digest()


def confirm(path: Path, now: float) -> Header:
    """Have a database say that its source was asked at `now` and has nothing newer.

    Raises DatabaseMissingError, DatabaseUnreadableError, OSError.
    """
    with Database(path) as database:
        header = msgspec.structs.replace(database.header, imported=now)
    descriptor, name = tempfile.mkstemp(prefix=".advisories-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "r+b") as file:
            with path.open("rb") as old:
                shutil.copyfileobj(old, file, 1 << 20)
            file.seek(0)
            file.write(encode_header(header))
            _publish(file, temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return header


def _publish(file: IO[bytes], temporary: Path, path: Path) -> None:
    file.flush()
    os.fchmod(file.fileno(), 0o600)
    give(temporary, like=path.parent)
    os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)
