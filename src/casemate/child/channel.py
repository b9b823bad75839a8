"""Frames, and descriptors with them, over a stream socket within an event loop."""

from __future__ import annotations

import array
import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice, takewhile
from typing import TYPE_CHECKING

import msgspec

from casemate.child.frames import FrameBuffer, FrameError, frame
from casemate.runner.control import descriptors_of

if TYPE_CHECKING:
    import asyncio

_READ_BYTES = 64 * 1024
_TOGETHER = 64
"""Frames that one system call sends at most."""
_RETRY_SECONDS = 0.02
ENDED = "it ended"
"""Why a connection ended whose other end was closed in order."""
SENT_WRONG = "it sent "
"""How it begins why a connection ended on which came what may not."""
SHORT_OF = frozenset((errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS, errno.EMFILE, errno.ENFILE))
"""What the kernel says when it has too little of something at the moment. ETOOMANYREFS: too many
descriptors are under way; the socket counts as writable all the same."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Of one connection, in bytes where nothing else is said."""

    frame: int
    unsent: int
    """What may wait for the other end to read it; with more the connection is closed."""
    buffer: int = 1 << 20
    """Of the socket, in the kernel."""
    descriptors: int = 64
    """How many may have come and not be taken yet."""
    pauses: bool = False
    """True reads no more while something waits to be sent: whoever does not read its answers is
    not asked for more questions."""

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a new connection. Raises OSError."""
        ends = socket.socketpair()
        for end in ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffer)
        return ends


class FrameSocket:
    """One end. In the event loop's thread only."""

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        bounds: Bounds,
        *,
        received: Callable[[bytes], None],
        ended: Callable[[str], None],
    ) -> None:
        """Take over a connected stream socket and begin to read.

        `received` gets each frame's body; whatever it raises ends the connection. `ended` is told
        why, once, unless `close` was called.
        """
        sock.setblocking(False)
        self._sock = sock
        self._loop = loop
        self._bounds = bounds
        self._received = received
        self._ended = ended
        self._frames = FrameBuffer(bounds.frame)
        self._descriptors: deque[int] = deque()
        self._space = socket.CMSG_SPACE(bounds.descriptors * array.array("i").itemsize)
        self._unsent: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        self.unsent_bytes = 0
        self._settling: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._waking = False
        self._reading = self._writing = self._feeding = False
        self._retry: asyncio.TimerHandle | None = None
        self.closed = False
        self._watch(reading=True, writing=False)

    def take_descriptor(self) -> int:
        """Return the oldest descriptor that came and was not taken, the caller's from now on.

        Raises FrameError if there is none.
        """
        if not self._descriptors:
            raise FrameError("A message came without its descriptor.")
        return self._descriptors.popleft()

    def take_descriptors(self, count: int) -> list[int]:
        """Return the descriptors of the message that is received now, at most `count`."""
        return [self._descriptors.popleft() for _ in range(min(count, len(self._descriptors)))]

    # -- sending -------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many frames wait to be sent."""
        return len(self._unsent)

    def send(self, body: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a frame, now or later in order. Copies of the descriptors go with it.

        Raises OSError where they cannot be copied; nothing of it is sent then.
        """
        if self.closed:
            return
        data = frame(body)
        at_once = not (self._unsent or self._feeding or descriptors)
        sent = self._send_now(data) if at_once else 0
        if sent == len(data) or self.closed:
            return
        # The caller may close its own at any time. Copies go with the first byte, so that the
        # other end gets them in the order of their frames.
        self._unsent.append((memoryview(data)[sent:], _copies(descriptors)))
        self.unsent_bytes += len(data) - sent
        if self.unsent_bytes > self._bounds.unsent:
            self._end("it does not read what it is sent")
        elif not (self._feeding or self._writing or self._retry):
            self._flush()

    async def settled(self, most: int) -> None:
        """Wait until no more than `most` bytes wait to be sent, or the connection is closed."""
        if self.unsent_bytes > most and not self.closed:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._settling.append((most, waiter))
            await waiter

    def _wake_settled(self) -> None:
        """Wake who waits, one at a time: the next one only where what that sent left room."""
        self._waking = False
        while self._settling:
            most, waiter = self._settling[0]
            if self.unsent_bytes > most and not self.closed:
                return
            self._settling.popleft()
            if waiter.done():
                continue
            waiter.set_result(None)
            if not self.closed:
                self._waking = True
                self._loop.call_soon(self._wake_settled)
                return

    def _send_now(self, data: bytes) -> int:
        """Send what fits, as nearly everything does; return how many bytes the kernel took."""
        try:
            return self._sock.send(data)
        except OSError as error:
            if error.errno != errno.EAGAIN and error.errno not in SHORT_OF:
                self._end(_takes_nothing(error))
            return 0

    def _flush(self) -> None:
        self._retry = None
        try:
            while self._unsent:
                self._sent(self._write())
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno not in SHORT_OF:
                self._end(_takes_nothing(error))
                return
            self._retry = self._loop.call_later(_RETRY_SECONDS, self._flush)
        if self._settling and not self._waking:
            self._wake_settled()
        full = bool(self._unsent)
        self._watch(
            reading=not (full and self._bounds.pauses), writing=full and self._retry is None
        )

    def _write(self) -> int:
        """Hand what fits to the kernel; return how many bytes it took. Raises OSError."""
        data, descriptors = self._unsent[0]
        if descriptors:
            sent = socket.send_fds(self._sock, [data], descriptors)
            _close_all(descriptors)
            self._unsent[0] = (data, ())
            return sent
        if len(self._unsent) == 1:
            return self._sock.send(data)
        plain = takewhile(lambda entry: not entry[1], self._unsent)
        return self._sock.sendmsg([data for data, _ in islice(plain, _TOGETHER)])

    def _sent(self, count: int) -> None:
        self.unsent_bytes -= count
        while count:
            data, descriptors = self._unsent.popleft()
            if count < len(data):
                self._unsent.appendleft((data[count:], descriptors))
                return
            count -= len(data)

    def _watch(self, *, reading: bool, writing: bool) -> None:
        descriptor = self._sock.fileno()
        if reading != self._reading:
            self._reading = reading
            if reading:
                self._loop.add_reader(descriptor, self._readable)
            else:
                self._loop.remove_reader(descriptor)
        if writing != self._writing:
            self._writing = writing
            if writing:
                self._loop.add_writer(descriptor, self._flush)
            else:
                self._loop.remove_writer(descriptor)

    # -- receiving -----------------------------------------------------------------------------

    def _readable(self) -> None:
        if not self._read():
            return
        # Where the other end has gone and left unread what it was sent, libuv looks no more at the
        # socket: what can still be read, and the end after it, nobody would be told of.
        if self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            while self._read():
                pass

    def _read(self) -> bool:
        """Read once; return whether there may be more."""
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(
                _READ_BYTES, self._space, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return False
        except OSError as error:
            self._end(f"it cannot be read from: {error.strerror}")
            return False
        self._descriptors.extend(descriptors_of(ancillary))
        if flags & socket.MSG_CTRUNC or len(self._descriptors) > self._bounds.descriptors:
            self._end(f"{SENT_WRONG}too many descriptors")
        elif not data:
            self._end(ENDED)
        else:
            self._feed(data)
        return not self.closed

    def _feed(self, data: bytes) -> None:
        self._feeding = True
        try:
            for body in self._frames.feed(data):
                if self.closed:
                    return
                self._received(body)
            if self._descriptors and self._frames.between_frames:
                # Each comes with the first byte of its frame. One that is left over would be
                # taken for a later frame's.
                raise FrameError("Descriptors came that belong to no message.")
        except Exception as error:  # noqa: BLE001 - whatever came ends this connection only
            # The text of an error may quote what came; only its type is told.
            self._end(f"{SENT_WRONG}what is no message: {type(error).__name__}")
        finally:
            self._feeding = False
        if self._unsent and not (self.closed or self._writing or self._retry):
            self._flush()  # the answers to all that came at once

    # -- the end -------------------------------------------------------------------------------

    def _end(self, why: str) -> None:
        if not self.closed:
            self.close()
            self._ended(why)

    def close(self) -> None:
        """Close the socket. Closing twice is fine."""
        if self.closed:
            return
        self.closed = True
        self._watch(reading=False, writing=False)
        if self._retry is not None:
            self._retry.cancel()
        self._sock.close()
        for _, descriptors in self._unsent:
            _close_all(descriptors)
        self._unsent.clear()
        self._wake_settled()
        _close_all(self._descriptors)
        self._descriptors.clear()


def _takes_nothing(error: OSError) -> str:
    return f"it takes nothing: {error.strerror}"


def _copies(descriptors: Sequence[int]) -> tuple[int, ...]:
    """Return copies of all of them, or of none. Raises OSError."""
    made: list[int] = []
    try:
        made.extend(map(os.dup, descriptors))
    except OSError:
        _close_all(made)
        raise
    return tuple(made)


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
