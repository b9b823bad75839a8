"""Frames, and descriptors with them, over a stream socket within an event loop."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable

from casemate.child.frames import FrameBuffer, FrameError, frame

MAX_FRAME = 64 << 20
_READ_BYTES = 256 * 1024
_MAX_DESCRIPTORS = 64
_MAX_UNSENT = 512 << 20


class FrameSocket:
    """One end. In the event loop's thread only."""

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        received: Callable[[bytes], None],
        ended: Callable[[str], None],
    ) -> None:
        """Take over a connected stream socket; `start` begins to read.

        `received` gets each frame's body; whatever it raises ends the connection. `ended` is told
        why, once, unless `close` was called.
        """
        sock.setblocking(False)
        self._sock = sock
        self._loop = loop
        self._received = received
        self._ended = ended
        self._frames = FrameBuffer(MAX_FRAME)
        self._descriptors: deque[int] = deque()
        self._unsent: deque[tuple[memoryview, int]] = deque()
        self._unsent_bytes = 0
        self.closed = False

    def start(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self._sock.fileno(), self._readable)

    def take_descriptor(self) -> int:
        """Return the oldest descriptor that came and was not taken, the caller's from now on.

        Raises FrameError if there is none.
        """
        if not self._descriptors:
            raise FrameError("A message came without its descriptor.")
        return self._descriptors.popleft()

    def send(self, body: bytes, descriptor: int = -1) -> None:
        """Send a frame, now or later in order. A copy of the descriptor goes with it."""
        if self.closed:
            return
        copy = os.dup(descriptor) if descriptor >= 0 else -1
        data = memoryview(frame(body))
        self._unsent.append((data, copy))
        self._unsent_bytes += len(data)
        if self._unsent_bytes > _MAX_UNSENT:
            self._end("it does not read what it is sent")
        elif len(self._unsent) == 1:
            self._loop.add_writer(self._sock.fileno(), self._writable)
            self._writable()

    def _writable(self) -> None:
        while self._unsent:
            data, descriptor = self._unsent[0]
            try:
                if descriptor >= 0:
                    # With the first byte: the other end takes them in the order of their frames.
                    sent = socket.send_fds(self._sock, [data], [descriptor])
                    os.close(descriptor)
                else:
                    sent = self._sock.send(data)
            except BlockingIOError:
                return
            except OSError as error:
                self._end(f"it takes nothing: {error.strerror}")
                return
            self._unsent_bytes -= sent
            if sent < len(data):
                self._unsent[0] = (data[sent:], -1)
                return
            self._unsent.popleft()
        self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        try:
            data, descriptors, flags, _ = socket.recv_fds(
                self._sock, _READ_BYTES, _MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError as error:
            self._end(f"it cannot be read from: {error.strerror}")
            return
        self._descriptors.extend(descriptors)
        if flags & socket.MSG_CTRUNC or len(self._descriptors) > _MAX_DESCRIPTORS:
            self._end("it sent too many descriptors")
        elif not data:
            self._end("it ended")
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        try:
            for body in self._frames.feed(data):
                if self.closed:
                    return
                self._received(body)
        except Exception as error:  # noqa: BLE001 - whatever came ends this connection only
            # The text of an error may quote what came; only its type is told.
            self._end(f"it sent what is no message: {type(error).__name__}")

    def _end(self, why: str) -> None:
        if not self.closed:
            self.close()
            self._ended(why)

    def close(self) -> None:
        """Close the socket. Closing twice is fine."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for _, descriptor in self._unsent:
            if descriptor >= 0:
                os.close(descriptor)
        self._unsent.clear()
        while self._descriptors:
            os.close(self._descriptors.popleft())
