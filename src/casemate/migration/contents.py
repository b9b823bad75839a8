"""Contents of objects: opened where they were, sealed anew where they go, and compared by hash.

A large one is in a blob, whose chunks are bound to its name, so it cannot be copied as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from casemate.data.content import CHUNK_BYTES, ObjectKey, context_of
from casemate.data.errors import DataCorruptError
from casemate.data.files import FileWriter, ObjectFiles, read_range
from casemate.migration.forms import Row
from casemate.migration.tables import PROJECT
from casemate.vault.interface import DataKey

OBJECTS: Final = next(table for table in PROJECT if table.name == "object")
_PIECE: Final = 64 * CHUNK_BYTES
Told = Callable[[int], None]
"""Is told how many bytes have passed."""


class Contents:
    """Those of one project, on one side."""

    def __init__(
        self,
        project: str,
        files: ObjectFiles,
        key_of: Callable[[int | None], DataKey],
        told: Told,
    ) -> None:
        """`key_of` gives versions of the OBJECTS key, the newest for None."""
        self._project = project
        self._files = files
        self._key_of = key_of
        self._told = told
        self._keys: dict[int, ObjectKey] = {}
        self._newest: ObjectKey | None = None
        self.buckets: dict[int, str] = {}
        """Their names; to be filled before anything is read or written."""

    def pieces(self, row: Row) -> Iterator[bytes]:
        """Give the content of an object. Raises DataCorruptError if it is not what was kept."""
        found = self._found(row)
        context = self._context(found)
        key = self._key(found["key_version"])
        file, size = found["file"], found["size"]
        hashed = sha256()
        total = 0
        try:
            secret = key.open(found["sealed"], context, file=file is not None)
            for piece in self._read(file, secret, size):
                hashed.update(piece)
                total += len(piece)
                self._told(len(piece))
                yield piece
        except FileNotFoundError as error:
            raise self._damaged(found, "its file is gone") from error
        except DataCorruptError as error:
            raise self._damaged(found, error.message.rstrip(".")) from error
        if total != size or hashed.hexdigest() != found["sha256"]:
            raise self._damaged(found, "its content is not what was kept")

    def verify(self, row: Row) -> None:
        """Read the content of an object. Raises DataCorruptError if it is not what was kept."""
        for _ in self.pieces(row):
            pass

    def keep(self, row: Row, pieces: Iterator[bytes]) -> Row:
        """Keep the content of an object here; return its row as it is here."""
        found = self._found(row)
        newest = self._newest_key()
        writer: FileWriter | None = None
        try:
            if found["file"] is None:
                secret, file = b"".join(pieces), None
            else:
                writer = FileWriter(self._files)
                for piece in pieces:
                    writer.write(piece)
                file, secret = writer.finish()
        except BaseException:
            if writer is not None:
                with suppress(Exception):
                    writer.discard()
            raise
        sealed = newest.seal(secret, self._context(found), file=file is not None)
        found.update(key_version=newest.version, file=file, sealed=sealed)
        return tuple(found.values())

    def _found(self, row: Row) -> dict[str, Any]:
        return dict(zip(OBJECTS.columns, row, strict=True))

    def _context(self, found: dict[str, Any]) -> bytes:
        bucket = self.buckets[found["bucket"]]
        return context_of(self._project, bucket, found["key"], found["revision"])

    def _read(self, file: str | None, secret: bytes, size: int) -> Iterator[bytes]:
        if file is None:
            yield secret
            return
        for offset in range(0, max(size, 1), _PIECE):
            length = min(_PIECE, size - offset)
            yield read_range(self._files, file, secret, size, offset=offset, length=length)

    def _key(self, version: int) -> ObjectKey:
        if version not in self._keys:
            self._keys[version] = ObjectKey(self._key_of(version))
        return self._keys[version]

    def _newest_key(self) -> ObjectKey:
        if self._newest is None:
            self._newest = ObjectKey(self._key_of(None))
        return self._newest

    def _damaged(self, found: dict[str, Any], what: str) -> DataCorruptError:
        return DataCorruptError(
            f"The object {found['key']!r} (number {found['id']}) of the bucket "
            f"{self.buckets[found['bucket']]} of {self._project} is damaged: {what}.",
            next_step="Delete it on the node, or restore it from a backup, and move again.",
        )
