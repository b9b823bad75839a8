"""What an instance prints: read as it comes, and slowly where nobody keeps it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
import time

from casemate.sandbox.frames import Output
from casemate.sandbox.waking import Waking

_READ_BYTES = 65_536
_NOTHING = bytes(4)
FLOOD_BYTES = 1 << 20
"""From so many bytes on that nobody keeps, its writer is held up."""
FLOOD_PAUSE_SECONDS = 0.01


class OutputPipe:
    """The reading end of an instance's standard output and error."""

    __slots__ = ("_descriptor", "_loop", "_waking", "output")

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop, waking: Waking) -> None:
        """Take over a non-blocking descriptor. What reading takes is counted in `waking`."""
        self.output: Output | None = None
        """Who gets what is printed now."""
        self._descriptor = descriptor
        self._loop = loop
        self._waking = waking
        loop.add_reader(descriptor, self.read)

    def read_rest(self) -> None:
        """Take what is there, which mostly is nothing."""
        try:
            waits = fcntl.ioctl(self._descriptor, termios.FIONREAD, _NOTHING) != _NOTHING
        except OSError:
            waits = True
        if waits:
            self.read()

    def read(self) -> None:
        """Take what is there."""
        begun = self._waking.begin()
        try:
            data = os.read(self._descriptor, _READ_BYTES)
            self._waking.end(begun)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._descriptor)
            return
        if self.output is not None:
            self.output.add(time.time(), "stdout", data)
            if self.output.dropped > FLOOD_BYTES:
                # What nobody keeps is read slowly, so that a flood costs its writer, not us.
                self._loop.remove_reader(self._descriptor)
                self._loop.call_later(FLOOD_PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._descriptor >= 0:
            self._loop.add_reader(self._descriptor, self.read)

    def fileno(self) -> int:
        """Return the descriptor, -1 once it is closed."""
        return self._descriptor

    def close(self) -> None:
        """Read no more."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
