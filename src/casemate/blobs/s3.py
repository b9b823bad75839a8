"""Blobs in an S3-compatible store: each in segments of 2 MiB, `KIND/NAME/NUMBER` below the prefix.

Segments and not uploads in parts: whatever ends a node, all that is left of a blob is listed, and
swept. Of a part that nobody completes S3 lists nothing, and keeps it.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from casemate.blobs.errors import BlobsError, BlobsUnreachableError
from casemate.blobs.folder import create_file
from casemate.blobs.identity import claim, require_identity
from casemate.blobs.interface import GRACE_SECONDS, Listed, is_name, new_name, require_name
from casemate.blobs.s3_client import S3Client
from casemate.kernel.durability import write_all

SEGMENT_BYTES = 2 << 20
MAX_WRITERS = 256
"""Blobs that a node writes at once; each has up to a segment in memory."""
MAX_DELETIONS = 10_000
"""Blobs that wait to be deleted; what is beyond that is swept."""
MAX_LISTED = 100_000_000
_CLOSE_SECONDS = 5.0
_NUMBER = re.compile(r"[0-9]{8}\Z")
_KIND = re.compile(r"[a-z0-9-]{1,64}(?:/[a-z0-9-]{1,64})?\Z")


class S3Store:
    """One cluster's part of a bucket. Thread-safe."""

    def __init__(self, client: S3Client, cluster: str, bucket: str | None = None) -> None:
        """Make sure that it is this cluster's, or take it if it is nobody's and empty.

        `bucket` is the id of the one that the cluster has; None: it has none yet. Raises
        BlobsForeignError, BlobsError.
        """
        self.client = client
        self._cluster = cluster
        self.bucket = claim(client, cluster, bucket)
        self.writers = threading.BoundedSemaphore(MAX_WRITERS)
        self._deleting = ThreadPoolExecutor(1, thread_name_prefix="blobs-delete")
        self._waiting = threading.BoundedSemaphore(MAX_DELETIONS)

    def blobs(self, kind: str) -> S3Blobs:
        """Return the blobs of one kind and owner, such as `objects/shop`."""
        if _KIND.match(kind) is None:
            raise BlobsError("The kind of blobs is not valid.")
        return S3Blobs(self, kind)

    def require_own(self) -> None:
        """Raise BlobsForeignError if the bucket has become another's."""
        require_identity(self.client, self._cluster, self.bucket)

    def delete_soon(self, prefix: str) -> None:
        """Delete all below a prefix on a thread for it, if not too much waits for that."""
        if not self._waiting.acquire(blocking=False):
            return
        try:
            self._deleting.submit(self._delete, prefix)
        except RuntimeError:  # it is closed: the sweep has it
            self._waiting.release()

    def _delete(self, prefix: str) -> None:
        try:
            with suppress(BlobsError, OSError):  # what stays is swept
                self.delete_now(prefix)
        finally:
            self._waiting.release()

    def delete_now(self, prefix: str) -> None:
        """Delete all below a prefix. Raises BlobsError."""
        for key, _ in self.keys(prefix):
            self.client.delete(key)

    def keys(self, prefix: str) -> Iterator[tuple[str, float]]:
        """Give the keys below a prefix, without that of the bucket, and how old each is.

        Raises BlobsUnreachableError for keys that are not below it, or not in order.
        """
        token, last, number = "", "", 0
        before = self.client.url.prefix
        while True:
            page, now = self.client.list(prefix, token)
            for key, modified in page.entries:
                number += 1
                if not key.startswith(before + prefix) or key <= last or number > MAX_LISTED:
                    raise BlobsUnreachableError(
                        "The object store lists keys that were not asked for, that come twice, or "
                        f"more than {MAX_LISTED}."
                    )
                last = key
                yield key[len(before) :], max(0.0, now - modified)
            token = page.token
            if not token:
                return

    def close(self) -> None:
        """Delete what waits for it, for some seconds, and close; the sweep has the rest."""
        with suppress(TimeoutError, RuntimeError):
            self._deleting.submit(int).result(_CLOSE_SECONDS)
        self._deleting.shutdown(wait=False, cancel_futures=True)
        self.client.close()


class S3Blobs:
    """The blobs of one kind and owner. Thread-safe."""

    grace = GRACE_SECONDS
    read_bytes = 8 * SEGMENT_BYTES

    def __init__(self, store: S3Store, kind: str) -> None:
        """Use the store."""
        self._store = store
        self._kind = kind

    def create(self) -> S3Writer:
        """Begin a blob. BlobsUnreachableError if the node writes too many at once."""
        return S3Writer(self._store, self._kind)

    def read(self, name: str, size: int, offset: int, length: int) -> bytes:
        """Return a piece of a blob, each segment of which has to have its size."""
        require_name(name)
        client, parts = self._store.client, []
        if length <= 0:
            # Nothing is to be read, but that it is what it should be is to be known.
            number = _segments(size) - 1
            last = size - number * SEGMENT_BYTES
            client.get(self._key(name, number), size=last, start=0, length=min(2, last))
            return b""
        while length > 0:
            number, start = divmod(offset, SEGMENT_BYTES)
            there = min(SEGMENT_BYTES, size - number * SEGMENT_BYTES)
            piece = min(length, there - start)
            if piece <= 0:
                break
            # There are servers that take the range 0-0 for all that there is.
            asked = max(piece, min(2, there - start))
            part = client.get(self._key(name, number), size=there, start=start, length=asked)
            parts.append(part[:piece])
            offset, length = offset + piece, length - piece
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def exists(self, name: str) -> bool:
        """Tell whether there is a first segment."""
        return self._store.client.exists(self._key(require_name(name), 0))

    def delete(self, names: Iterable[str]) -> None:
        """Delete blobs soon."""
        for name in names:
            if is_name(name):
                self._store.delete_soon(f"{self._kind}/{name}/")

    def require_own(self) -> None:
        """Raise BlobsForeignError if the bucket has become another's."""
        self._store.require_own()

    def listed(self) -> Iterator[Listed]:
        """Give all blobs; what else is below the prefix is nobody's business here."""
        self._store.require_own()
        last: Listed | None = None
        before = f"{self._kind}/"
        for key, age in self._store.keys(before):
            name, _, number = key[len(before) :].partition("/")
            if not is_name(name) or _NUMBER.match(number) is None:
                continue
            if last is not None and last.name == name:
                last = Listed(name, min(last.age, age))
                continue
            if last is not None:
                yield last
            last = Listed(name, age)
        if last is not None:
            yield last

    def copy(self, name: str, size: int, target: Path) -> None:
        """Fetch a blob, segment by segment."""
        out = create_file(target)
        try:
            for offset in range(0, size, SEGMENT_BYTES):
                write_all(out, self.read(name, size, offset, min(SEGMENT_BYTES, size - offset)))
            os.fsync(out)
        finally:
            os.close(out)

    def close(self) -> None:
        """Nothing is held: the store is closed by who opened it."""

    def _key(self, name: str, number: int) -> str:
        return _key(self._kind, name, number)


class S3Writer:
    """Writes one blob, a segment of it in memory."""

    def __init__(self, store: S3Store, kind: str) -> None:
        """Begin. Raises BlobsUnreachableError."""
        if not store.writers.acquire(blocking=False):
            raise BlobsUnreachableError(
                f"This node writes {MAX_WRITERS} large objects at once, which is the most.",
                next_step="Send the request again in a moment.",
            )
        self.name = new_name()
        self._store = store
        self._kind = kind
        self._buffer = bytearray()
        self._number = 0
        self._open = True

    def write(self, data: bytes) -> None:
        """Append. Raises BlobsError."""
        self._buffer += data
        while len(self._buffer) >= SEGMENT_BYTES:
            self._put(bytes(memoryview(self._buffer)[:SEGMENT_BYTES]))
            del self._buffer[:SEGMENT_BYTES]

    def finish(self) -> None:
        """Write what is left. Raises BlobsError."""
        if self._buffer or not self._number:
            self._put(bytes(self._buffer))
        self._end()

    def discard(self) -> None:
        """Delete what was written, if it is not finished."""
        if self._open:
            self._end()
            if self._number:
                self._store.delete_soon(f"{self._kind}/{self.name}/")

    def _put(self, segment: bytes) -> None:
        number, self._number = self._number, self._number + 1
        self._store.client.put(_key(self._kind, self.name, number), segment)

    def _end(self) -> None:
        self._open = False
        self._buffer = bytearray()
        self._store.writers.release()


def _key(kind: str, name: str, number: int) -> str:
    return f"{kind}/{name}/{number:08d}"


def _segments(size: int) -> int:
    return max(1, -(-size // SEGMENT_BYTES))
