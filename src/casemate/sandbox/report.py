"""What a zygote tells while it starts: descriptors first, then whether its import succeeded.

The first frame is sent by trusted code before the function's module is imported; descriptors are
taken from it alone. All that comes later may be the function's own words, which are read once it is
known how the import ended: whoever read them at once would take the core that the zygote is on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import CasemateError, UnavailableError
from casemate.runner import wire
from casemate.runner.control import descriptors_of
from casemate.sandbox.frames import ErrorHead, decode_loaded

_PRINTED_BYTES = 64 * 1024
_MAX_DESCRIPTORS = 64
_BUFFER_BYTES = 256 * 1024
"""Room for all that trusted code says: a list of files, an error. More would wait for us."""
_MOST_BYTES = 1 << 20
"""What is read at most: who says more than fits has others write to it."""
_log = logging.getLogger(__name__)
_decode_error = msgspec.json.Decoder(ErrorHead).decode


class _Descriptors(msgspec.Struct, forbid_unknown_fields=True):
    """The head of the first frame: how many of the descriptors are listeners, and whether the
    filter's notifications come after them."""

    listeners: int
    notifies: bool = True


class Report:
    """The gateway's ends of a starting zygote's socket and output."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_descriptors: Callable[[], None]) -> None:
        """Begin to read. `on_descriptors` is called once, when `take_descriptors` has some."""
        self._loop = loop
        self._on_descriptors = on_descriptors
        self._sock, self._other = socket.socketpair()
        self._output, self._other_output = os.pipe2(os.O_CLOEXEC)
        self._sock.setblocking(False)
        self._other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._left = _MOST_BYTES
        os.set_blocking(self._output, False)
        self._reader = wire.FrameReader(wire.KINDS_FROM_ZYGOTE, 0)
        self._received: list[int] = []
        self._first = True
        self._error: ErrorHead | None = None
        self._loaded: list[str] = []
        self._printed = bytearray()
        self._listeners = 0
        self._notifies = True
        self._connected = False
        self._taken: list[int] = []
        """Descriptors that `on_descriptors` has got and not returned with yet."""
        loop.add_reader(self._sock.fileno(), self._readable)
        loop.add_reader(self._output, self._collect)

    @contextlib.contextmanager
    def other_ends(self) -> Iterator[list[int]]:
        """Yield the descriptors that the zygote gets, and close them here afterwards."""
        try:
            yield [self._other.fileno(), self._other_output]
        finally:
            self._other.close()
            os.close(self._other_output)
            self._other_output = -1

    def _collect(self) -> None:
        """Read what an import prints, so that it never waits for us; keep the first of it."""
        try:
            data = os.read(self._output, 65536)
        except OSError:
            return
        if not data:
            self._loop.remove_reader(self._output)
        self._printed += data[: _PRINTED_BYTES - len(self._printed)]

    def _readable(self) -> bool:
        """Read once; return whether there may be more."""
        if self._left <= 0:
            return False
        space = socket.CMSG_SPACE(_MAX_DESCRIPTORS * 4) if self._first else 0
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(
                wire.MAX_HEAD_BYTES, space, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return False
        except OSError:
            data, ancillary, flags = b"", [], 0
        received = descriptors_of(ancillary)
        self._left -= len(data)
        if self._first and data:
            self._first = False
            self._loop.remove_reader(self._sock.fileno())
            self._received = received
            self._begin(data, cut=bool(flags & socket.MSG_CTRUNC))
            return True
        if not data:
            self._loop.remove_reader(self._sock.fileno())
            return False
        return self._feed(data)

    def _begin(self, data: bytes, *, cut: bool) -> None:
        """Read the first frame, which trusted code has sent in one piece."""
        try:
            frames = self._reader.feed(data)
            kind, head, _ = frames[0]
            if kind != wire.DESCRIPTORS or cut:
                raise wire.FrameError("the first frame does not bring descriptors")
            told = msgspec.json.decode(head, type=decodable(_Descriptors))
            self._listeners, self._notifies = told.listeners, told.notifies
        except (wire.FrameError, ValueError, IndexError, *DECODING_ERRORS):
            self._drop()
            return
        try:
            self._on_descriptors()
        except (CasemateError, OSError) as failure:
            _log.error("a zygote's descriptors cannot be used: %s", failure)
            self._drop()
            for descriptor in self._taken:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            return
        finally:
            self._taken = []
        self._connected = True
        for frame in frames[1:]:
            self._take(*frame)

    def _feed(self, data: bytes) -> bool:
        try:
            for frame in self._reader.feed(data):
                self._take(*frame)
        except wire.FrameError:
            self._loop.remove_reader(self._sock.fileno())
            return False
        return True

    def _take(self, kind: bytes, head: bytes, _body: bytes) -> None:
        if kind == wire.LOADED and not self._loaded:
            with contextlib.suppress(*DECODING_ERRORS):
                self._loaded = decode_loaded(head).files
        if kind == wire.ERROR and self._error is None:
            with contextlib.suppress(*DECODING_ERRORS):
                self._error = _decode_error(head)

    def take_descriptors(self, listeners: int) -> tuple[list[int], int | None]:
        """Return the listeners and the descriptor of the filter's notifications, if it has any.

        Raises UnavailableError, all of them closed, if it is not exactly what was asked for.
        """
        received, self._received = self._received, []
        expected = listeners + self._notifies
        sound = self._listeners == listeners and len(received) == expected
        if not (sound and all(map(_is_listener, received[:listeners]))):
            for descriptor in received:
                os.close(descriptor)
            raise UnavailableError("The zygote did not send the descriptors that it was to send.")
        self._taken = received
        return received[:listeners], received[listeners] if self._notifies else None

    def _drop(self) -> None:
        for descriptor in self._received:
            os.close(descriptor)
        self._received = []

    def require_descriptors(self) -> None:
        """Raise UnavailableError unless the descriptors came and are in use."""
        if self._first:
            self._readable()
        if not self._connected:
            raise UnavailableError(
                "The function's way out of its sandbox could not be put under control."
            )

    def error(self) -> ErrorHead | None:
        """Return what the zygote said went wrong, reading what has come of it."""
        while self._readable():
            pass
        return self._error

    def loaded(self) -> list[str]:
        """Return which files of dependencies the import loaded, by its own word."""
        while self._readable():
            pass
        return self._loaded

    def printed(self) -> str:
        """Return what the import printed."""
        self._collect()
        return self._printed.decode(errors="replace")

    def close(self) -> None:
        """Read no more."""
        self._drop()
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_reader(self._output)
        self._sock.close()
        os.close(self._output)
        if self._other_output >= 0:
            self._other.close()
            os.close(self._other_output)


def _is_listener(descriptor: int) -> bool:
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError:
        return False
    try:
        return (
            sock.family == socket.AF_INET
            and sock.type == socket.SOCK_STREAM
            and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        )
    except OSError:
        return False
    finally:
        sock.detach()
