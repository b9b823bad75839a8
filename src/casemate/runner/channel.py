"""The instance's socket to the host, its identity: requests, replies, and the errors they become.

Each call is one request on it and one reply. The host decides every use; nothing here is a check.
Request head: `{"n": number, "op": name, ...}`, reply head: `{"n": number, "ok": {...}}` or
`{"n": number, "error": code, "message": text}`.
"""

from __future__ import annotations

import _thread
import json
import os
import socket
from collections.abc import Callable
from typing import Any

from ..guard.labels import Labels
from ..guard.sinks.file import check_stored
from . import wire
from .control import descriptors_of

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
decode = json.JSONDecoder().decode


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


ERRORS: dict[str, type[CapabilityError]] = {
    "denied": DeniedError,
    "not-found": NotFoundError,
    "conflict": ConflictError,
    "invalid": InvalidError,
    "limit": LimitError,
    "unavailable": UnavailableError,
}


class Labelled:
    """What a way to the host does about the labels of values, if the sink guard gives any."""

    __slots__ = ()
    labels: Labels | None

    def labels_of(self, value: object) -> str | None:
        """Return the label of a value to be stored; None if there is nothing to tell."""
        return None if self.labels is None else self.labels.of(value)

    def storing(self, key: str, content: str | bytes, content_type: str) -> None:
        """Have the sink guard judge an object before it is stored (BlockedError)."""
        if self.labels is not None:
            check_stored(self.labels.guard, key, content, content_type)

    def came(self, source: str, value: object, labels: object) -> None:
        """Take in the label of a value that was read from `source`."""
        if self.labels is not None:
            self.labels.came(source, value, labels)


class Channel(Labelled):
    """Requests on the instance's socket, one at a time, from any of its threads."""

    __slots__ = (
        "_number",
        "_pid",
        "_reader",
        "_sender",
        "_sock",
        "_turn",
        "acting",
        "labels",
        "open",
        "sending",
    )

    def __init__(self, sock: socket.socket) -> None:
        """Share `sock` with the instance's loop, which reads it only between invocations."""
        self._sock = sock
        self._turn = _thread.allocate_lock()
        self._number = 0
        self._pid = self._sender = os.getpid()
        self._reader = wire.FrameReader(frozenset((wire.REPLY,)), 1 << 31)
        self.sending = _thread.RLock()
        """Held while a frame is written, so that those of two threads do not mix."""
        self.open = False
        """True while an invocation runs."""
        self.labels: Labels | None = None
        """Tells where data that is stored and read came from, for the sink guard."""
        self.acting: Callable[[str], None] | None = None
        """Is told of each operation before it is asked for; what it raises stops it."""

    def send(self, frame: bytes) -> None:
        """Write one whole frame."""
        pid = os.getpid()
        if pid != self._sender:
            # A child, which tells of a call that the guard stops in it: the thread that may have
            # held the lock when it was forked is not there.
            self.sending = _thread.RLock()
            self._sender = pid
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
        if self.acting is not None:
            self.acting(operation)
        try:
            text = {name: value for name, value in arguments.items() if value is not None}
            head = encode(text | {"op": operation}).encode()
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
            raise ERRORS.get(str(code), CapabilityError)(str(reply.get("message")))
        return reply["ok"], content, descriptor

    def _receive(self) -> tuple[dict[str, Any], bytes, int | None]:
        descriptor: int | None = None
        while True:
            data, ancillary, _flags, _address = self._sock.recvmsg(
                self._reader.read_size, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC
            )
            if ancillary:
                descriptor = next(iter(descriptors_of(ancillary)), descriptor)
            if not data:
                raise UnavailableError("the host has ended the invocation")
            for _kind, head, body in self._reader.feed(data):
                return decode(head.decode()), body, descriptor
