"""The handles through which a handler uses what it is granted.

Each call is one request on the instance's own socket, which is its identity, and one reply. The
host decides every use; nothing here is a check. Request head: `{"n": number, "op": name, ...}`,
reply head: `{"n": number, "ok": {...}}` or `{"n": number, "error": code, "message": text}`.
"""

from __future__ import annotations

import _thread
import array
import json
import os
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

from . import wire

MAX_PART = 4 << 20
"""Bytes of an object that one request or reply carries."""
_PAGE = 500
_MAX_DESCRIPTORS = 1
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


class CapabilityError(Exception):
    """A use of a bucket, table, queue, secret or function did not succeed."""


class DeniedError(CapabilityError):
    """The function is not granted this, or a policy forbids it."""


class NotFoundError(CapabilityError):
    """There is no such object, item, secret or function."""


class ConflictError(CapabilityError):
    """A condition such as `if_revision` does not hold."""


class InvalidError(CapabilityError):
    """The request is not valid."""


class LimitError(CapabilityError):
    """A limit on size or number is reached."""


class UnavailableError(CapabilityError):
    """The service cannot do this at the moment; the same call can succeed later."""


class InvocationError(CapabilityError):
    """The function that was invoked did not succeed. `status` is as an HTTP caller would see it."""

    def __init__(self, message: str, status: int, error_id: str | None) -> None:
        """Keep the status and the id under which the owner finds the error."""
        super().__init__(message)
        self.status = status
        self.error_id = error_id


PUBLIC = (
    "Bucket",
    "CapabilityError",
    "ConflictError",
    "DeniedError",
    "InvalidError",
    "InvocationError",
    "Item",
    "LimitError",
    "NotFoundError",
    "ObjectInfo",
    "Queue",
    "Table",
    "Topic",
    "UnavailableError",
)
"""What a handler can import from `casemate`, beside `Context`."""

_ERRORS: dict[str, type[CapabilityError]] = {
    "denied": DeniedError,
    "not-found": NotFoundError,
    "conflict": ConflictError,
    "invalid": InvalidError,
    "limit": LimitError,
    "unavailable": UnavailableError,
}


class Channel:
    """Requests on the instance's socket, one at a time, from any of its threads."""

    __slots__ = ("_number", "_pid", "_reader", "_sock", "_turn", "open", "sending")

    def __init__(self, sock: socket.socket) -> None:
        """Share `sock` with the instance's loop, which reads it only between invocations."""
        self._sock = sock
        self._turn = _thread.allocate_lock()
        self._number = 0
        self._pid = os.getpid()
        self._reader = wire.FrameReader(frozenset((wire.REPLY,)), 1 << 31)
        self.sending = _thread.RLock()
        """Held while a frame is written, so that those of two threads do not mix."""
        self.open = False
        """True while an invocation runs."""

    def send(self, frame: bytes) -> None:
        """Write one whole frame."""
        with self.sending:
            self._sock.sendall(frame)

    def finish(self, frame: bytes) -> None:
        """Send the answer. A request under way in another thread gets its reply first."""
        with self._turn:
            self.open = False
            self.send(frame)

    def call(
        self, operation: str, body: bytes = b"", **arguments: object
    ) -> tuple[dict[str, Any], bytes, int | None]:
        """Make one request; return the reply's fields, body and descriptor. CapabilityError."""
        if os.getpid() != self._pid:
            raise UnavailableError("only the instance's first process can use its capabilities")
        try:
            text = {name: value for name, value in arguments.items() if value is not None}
            head = _encode(text | {"op": operation}).encode()
        except (TypeError, ValueError) as error:
            raise InvalidError(f"the arguments of {operation} cannot be sent: {error}") from error
        with self._turn:
            if not self.open:
                raise UnavailableError("the invocation is over; its capabilities ended with it")
            self._number += 1
            head = b'{"n":%d,%b' % (self._number, head[1:])
            self.send(wire.pack(wire.CAPABILITY, head, body))
            reply, content, descriptor = self._receive()
        code = reply.get("error")
        if code is not None:
            raise _ERRORS.get(str(code), CapabilityError)(str(reply.get("message")))
        return reply["ok"], content, descriptor

    def _receive(self) -> tuple[dict[str, Any], bytes, int | None]:
        descriptor: int | None = None
        while True:
            data, ancillary, _flags, _address = self._sock.recvmsg(
                self._reader.read_size, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC
            )
            for level, kind, payload in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    descriptor = array.array("i", payload[:4])[0]
            if not data:
                raise UnavailableError("the host has ended the invocation")
            for _kind, head, body in self._reader.feed(data):
                return _decode(head.decode()), body, descriptor


class ObjectInfo(NamedTuple):
    """An object without its content. Revisions count up from 1 for each key."""

    key: str
    revision: int
    size: int
    content_type: str
    metadata: dict[str, str]
    modified_at: float
    sha256: str


def _object(fields: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(*(fields[name] for name in ObjectInfo._fields))


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
        self.info: ObjectInfo | None = None
        """What was written, once it is there."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take bytes; they are sent in parts of 4 MiB."""
        self._pending += data
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
        committed = self._bucket._call("commit", upload=self._upload, if_revision=self._if_revision)
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

    def _piece(self, info: ObjectInfo, offset: int, length: int) -> bytes:
        return self._call(
            "get", key=info.key, revision=info.revision, offset=offset, length=length
        )[1]

    def get(self, key: str, *, revision: int | None = None) -> bytes:
        """Return an object's content (NotFoundError if there is none)."""
        fields, content = self._call("get", key=key, revision=revision)
        size: int = fields["size"]
        if len(content) == size:
            return content
        reader = ObjectReader(self, _object(fields))
        reader.seek(len(content))
        return content + reader.read()

    def head(self, key: str, *, revision: int | None = None) -> ObjectInfo:
        """Return what is known of an object without reading it."""
        return _object(self._call("head", key=key, revision=revision)[0])

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
        data = content.encode() if isinstance(content, str) else bytes(content)
        if len(data) > MAX_PART:
            with self.create(
                key, content_type=content_type, metadata=metadata, if_revision=if_revision
            ) as writer:
                writer.write(data)
            return writer.info  # type: ignore[return-value]
        fields, _ = self._call(
            "put",
            data,
            key=key,
            content_type=content_type,
            metadata=metadata,
            if_revision=if_revision,
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
            yield from map(_object, fields["objects"])
            after = fields.get("after")
            if after is None:
                return


class Item(NamedTuple):
    """A table's item: its attributes, and the revision that `if_revision` compares with."""

    value: dict[str, Any]
    revision: int
    modified_at: float


def _item(fields: dict[str, Any]) -> Item:
    return Item(fields["value"], fields["revision"], fields["modified_at"])


class Table:
    """A table of the function's project."""

    def __init__(self, channel: Channel, name: str) -> None:
        """Made by `context.table`."""
        self._channel = channel
        self.name = name

    def _call(self, operation: str, body: bytes = b"", **arguments: object) -> dict[str, Any]:
        return self._channel.call(f"table.{operation}", body, table=self.name, **arguments)[0]

    def get(self, key: str | float, sort: str | float | None = None) -> Item:
        """Return an item (NotFoundError if there is none)."""
        return _item(self._call("get", key=key, sort=sort))

    def put(self, value: dict[str, Any], *, if_revision: int | None = None) -> Item:
        """Write an item whole. `if_revision=0`: only if there is none; n: only if present."""
        try:
            body = _encode(value).encode()
        except (TypeError, ValueError) as error:
            raise InvalidError(f"the item is not JSON: {error}") from error
        fields = self._call("put", body, if_revision=if_revision)
        return Item(value, fields["revision"], fields["modified_at"])

    def delete(
        self,
        key: str | float,
        sort: str | float | None = None,
        *,
        if_revision: int | None = None,
    ) -> None:
        """Delete an item; one that is not there is fine without a condition."""
        self._call("delete", key=key, sort=sort, if_revision=if_revision)

    def query(
        self,
        key: str | float | None = None,
        *,
        index: str | None = None,
        equals: str | float | None = None,
        begins_with: str | None = None,
        at_least: str | float | None = None,
        less_than: str | float | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """Yield the items with a key, by the sort attribute; without a key, all of the table."""
        conditions = {
            "equals": equals,
            "begins_with": begins_with,
            "at_least": at_least,
            "less_than": less_than,
        }
        sort = {name: value for name, value in conditions.items() if value is not None}
        after: str | None = None
        left = limit
        while left is None or left > 0:
            fields = self._call(
                "query",
                key=key,
                index=index,
                sort=sort or None,
                after=after,
                descending=descending,
                limit=_PAGE if left is None else min(left, _PAGE),
            )
            yield from map(_item, fields["items"])
            if left is not None:
                left -= len(fields["items"])
            after = fields.get("after")
            if after is None:
                return


class Queue:
    """A queue of the function's project."""

    def __init__(self, channel: Channel, name: str) -> None:
        """Made by `context.queue`."""
        self._channel = channel
        self.name = name

    def send(
        self,
        message: object,
        *,
        delay: float = 0.0,
        deduplication: str | None = None,
        key: str = "",
        priority: int = 0,
    ) -> str:
        """Keep a message (JSON) and return its id; it is durable then.

        `delay` is seconds. The same `deduplication` text within an hour keeps the first only.
        Messages with the same `key` are handed out one after the other, in order; of those that
        are ready, a higher `priority` (-100 to 100) goes first.
        """
        try:
            body = _encode(message).encode()
        except (TypeError, ValueError) as error:
            raise InvalidError(f"the message is not JSON: {error}") from error
        fields, _, _ = self._channel.call(
            "queue.send",
            body,
            queue=self.name,
            delay=delay,
            deduplication=deduplication,
            key=key,
            priority=priority,
        )
        identity: str = fields["id"]
        return identity


class Topic:
    """A topic of the function's project."""

    def __init__(self, channel: Channel, name: str) -> None:
        """Made by `context.topic`."""
        self._channel = channel
        self.name = name

    def publish(self, message: object, *, deduplication: str | None = None) -> str:
        """Keep a message (JSON) for everyone who subscribes, and return its id."""
        try:
            body = _encode(message).encode()
        except (TypeError, ValueError) as error:
            raise InvalidError(f"the message is not JSON: {error}") from error
        fields, _, _ = self._channel.call(
            "topic.publish", body, topic=self.name, deduplication=deduplication
        )
        identity: str = fields["id"]
        return identity


def read_secret(channel: Channel, name: str, version: int | None) -> bytes:
    """Return a secret's value. It comes by a pipe from the vault, past the rest of the host."""
    _fields, _, descriptor = channel.call("secret.get", name=name, version=version)
    if descriptor is None:
        raise UnavailableError("the value did not come")
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read()


def invoke(
    channel: Channel, function: str, event: object, allow: list[str] | None, wait: bool
) -> Any:
    """Invoke another function of the project; return its result, or the id of what is kept."""
    try:
        body = _encode(event).encode()
    except (TypeError, ValueError) as error:
        raise InvalidError(f"the event is not JSON: {error}") from error
    fields, content, _ = channel.call(
        "function.invoke", body, function=function, allow=allow, wait=wait
    )
    status: int = fields["status"]
    if not 200 <= status < 300:
        error_id = fields.get("error_id")
        raise InvocationError(f"{function} answered with status {status}", status, error_id)
    if fields["type"] == "application/json":
        result = _decode(content.decode())
        return result if wait else result["id"]
    return content
