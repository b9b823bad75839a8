"""Handles of buckets and their objects, whole or piece by piece."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from .channel import Channel, InvalidError, NotFoundError, UnavailableError

MAX_PART = 4 << 20
"""Bytes of an object that one request or reply carries."""
_PAGE = 500
_OUTSIDE = [["", "", ""]]
"""The label of what is from outside as a whole."""


class ObjectInfo(NamedTuple):
    """An object without its content. Revisions of a key only count up, over its deletion too."""

    key: str
    revision: int
    size: int
    content_type: str
    metadata: dict[str, str]
    modified_at: float
    sha256: str


_PLAIN = re.compile(r"[\w ./:@+-]{0,1024}")
"""Keys and metadata of this kind change no structure, but for `..`; they have no labels."""


def _object(fields: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(*(fields[name] for name in ObjectInfo._fields))


def _content(content: object) -> bytes:
    """Return what an object shall hold. A number is none, although `bytes` makes zeros of it."""
    if isinstance(content, str):
        return content.encode()
    try:
        return bytes(memoryview(content))  # type: ignore[arg-type]
    except TypeError as error:
        kind = type(content).__name__
        raise InvalidError(f"the content is {kind}, expected bytes or text") from error


class ObjectReader:
    """Reads an object in pieces, all of one revision. A binary file to read from."""

    def __init__(self, bucket: Bucket, info: ObjectInfo) -> None:
        """Made by `Bucket.open`."""
        self._bucket = bucket
        self.info = info
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, all that is left if negative; empty at the end."""
        left = self.info.size - self._at
        wanted = left if size is None or size < 0 else min(size, left)
        pieces = []
        while wanted > 0:
            length = min(wanted, MAX_PART)
            piece = self._bucket._piece(self.info, self._at, length)
            if not piece:
                raise UnavailableError("the object ended before its size")
            pieces.append(piece)
            self._at += len(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place, as files do; return it."""
        if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            raise ValueError(f"whence is {whence!r}, expected 0, 1 or 2")
        base = (0, self._at, self.info.size)[whence]
        self._at = min(max(0, base + offset), self.info.size)
        return self._at

    def tell(self) -> int:
        """Return the place of the next read."""
        return self._at

    def readable(self) -> bool:
        """Be a file that can be read."""
        return True

    def seekable(self) -> bool:
        """Be a file in which one can go back."""
        return True

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    closed = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content in pieces of at most 4 MiB."""
        while piece := self.read(MAX_PART):
            yield piece

    def __enter__(self) -> ObjectReader:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


class ObjectWriter:
    """Writes an object in pieces; it appears whole when the `with` block ends without an error."""

    def __init__(self, bucket: Bucket, upload: str, if_revision: int | None) -> None:
        """Made by `Bucket.create`."""
        self._bucket = bucket
        self._upload = upload
        self._if_revision = if_revision
        self._pending = bytearray()
        self._labels: str | None = None
        self.info: ObjectInfo | None = None
        """What was written, once it is there."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take bytes; they are sent in parts of 4 MiB."""
        self._pending += data
        if self._labels is None:
            self._labels = self._bucket._channel.labels_of(bytes(data))
        while len(self._pending) >= MAX_PART:
            self._part(bytes(self._pending[:MAX_PART]))
            del self._pending[:MAX_PART]
        return len(data)

    def _part(self, data: bytes) -> None:
        self._bucket._call("part", data, upload=self._upload)

    def __enter__(self) -> ObjectWriter:
        """Return itself."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Make the object, or forget what was sent if there was an error."""
        if kind is not None:
            self._bucket._call("abort", upload=self._upload)
            return
        if self._pending:
            self._part(bytes(self._pending))
        committed = self._bucket._call(
            "commit", upload=self._upload, if_revision=self._if_revision, labels=self._labels
        )
        self.info = _object(committed[0])


class Bucket:
    """A bucket of the function's project."""

    def __init__(self, channel: Channel, name: str) -> None:
        """Made by `context.bucket`."""
        self._channel = channel
        self.name = name

    def _call(
        self, operation: str, body: bytes = b"", **arguments: object
    ) -> tuple[dict[str, Any], bytes]:
        fields, content, _ = self._channel.call(
            f"bucket.{operation}", body, bucket=self.name, **arguments
        )
        return fields, content

    def _info(self, fields: dict[str, Any]) -> ObjectInfo:
        """Return what the host tells of an object. Whoever wrote it chose its key and metadata."""
        info = _object(fields)
        texts = [info.key, info.content_type, *info.metadata, *info.metadata.values()]
        hostile = [t for t in texts if ".." in t or not _PLAIN.fullmatch(t)]
        if hostile:
            self._channel.came(f"bucket:{self.name}", hostile, _OUTSIDE)
        return info

    def _piece(self, info: ObjectInfo, offset: int, length: int) -> bytes:
        fields, content = self._call(
            "get", key=info.key, revision=info.revision, offset=offset, length=length
        )
        self._came(content, fields)
        return content

    def get(self, key: str, *, revision: int | None = None) -> bytes:
        """Return an object's content (NotFoundError if there is none)."""
        fields, content = self._call("get", key=key, revision=revision)
        size: int = fields["size"]
        if len(content) < size:
            reader = ObjectReader(self, _object(fields))
            reader.seek(len(content))
            content += reader.read()
        self._came(content, fields)
        return content

    def _came(self, content: bytes, fields: dict[str, Any]) -> None:
        self._channel.came(f"bucket:{self.name}", content, fields.get("labels"))

    def head(self, key: str, *, revision: int | None = None) -> ObjectInfo:
        """Return what is known of an object without reading it."""
        return self._info(self._call("head", key=key, revision=revision)[0])

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""
        try:
            self.head(key)
        except NotFoundError:
            return False
        return True

    def open(self, key: str, *, revision: int | None = None) -> ObjectReader:
        """Return a file to read a large object from, piece by piece."""
        return ObjectReader(self, self.head(key, revision=revision))

    def put(
        self,
        key: str,
        content: bytes | str,
        *,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
        if_revision: int | None = None,
    ) -> ObjectInfo:
        """Write an object. `if_revision=0`: only if there is none; n: only if that is present."""
        data = _content(content)
        if len(data) > MAX_PART:
            with self.create(
                key, content_type=content_type, metadata=metadata, if_revision=if_revision
            ) as writer:
                writer.write(data)
            return writer.info  # type: ignore[return-value]
        self._channel.storing(key, content, content_type)
        fields, _ = self._call(
            "put",
            data,
            key=key,
            content_type=content_type,
            metadata=metadata,
            if_revision=if_revision,
            labels=self._channel.labels_of(content),
        )
        return _object(fields)

    def create(
        self,
        key: str,
        *,
        content_type: str = "application/octet-stream",
        metadata: dict[str, str] | None = None,
        if_revision: int | None = None,
    ) -> ObjectWriter:
        """Return a file to write a large object to, to be used with `with`."""
        fields, _ = self._call("begin", key=key, content_type=content_type, metadata=metadata or {})
        return ObjectWriter(self, fields["upload"], if_revision)

    def delete(self, key: str, *, if_revision: int | None = None) -> None:
        """Delete an object; one that is not there is fine without a condition."""
        self._call("delete", key=key, if_revision=if_revision)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose keys start with `prefix`, in the order of their bytes."""
        after: str | None = None
        while True:
            fields, _ = self._call("list", prefix=prefix, after=after, limit=_PAGE)
            yield from map(self._info, fields["objects"])
            after = fields.get("after")
            if after is None:
                return
