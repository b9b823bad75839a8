"""The gateway's way to the restorer: asks for instances to be made ready, hears that they are.

Nobody stands in between. That one is discarded the supervisor says, who ends it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from casemate.restorer.protocol import ASKED, TOLD, UNKNOWN_CPU

_READ_BYTES = TOLD.size * 256
OnTold = Callable[[int, int, bool, int, int | None], None]
"""Takes the numbers of a zygote and of an instance, whether it is ready, how many pages were
written back, and the microseconds of the CPU that it has used since it was forked, where known."""


class RestorerLink:
    """A way to one restorer, which ends with it."""

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop, on_told: OnTold) -> None:
        """Take over a stream socket."""
        self._sock: socket.socket | None = socket.socket(fileno=descriptor)
        self._sock.setblocking(False)
        self._loop = loop
        self._on_told = on_told
        self._rest = b""
        self._unasked = bytearray()
        loop.add_reader(descriptor, self._readable)

    @property
    def is_open(self) -> bool:
        """True until the restorer was found to have ended, or nothing more is to be asked."""
        return self._sock is not None

    def ask(self, zygote: int, instance: int) -> bool:
        """Ask for an instance to be made ready; False if nobody can be asked."""
        if self._sock is None:
            return False
        if not self._unasked:
            self._loop.call_soon(self._send)
        self._unasked += ASKED.pack(zygote, instance)
        return True

    def _send(self) -> None:
        """Ask for all at once that have ended their calls in this turn of the loop."""
        asked, self._unasked = self._unasked, bytearray()
        if self._sock is None:
            return
        try:
            if self._sock.send(asked) == len(asked):
                return
        except OSError:
            pass
        self.close()  # a part of it, or nothing is read there

    def _readable(self) -> None:
        if self._sock is None:
            return
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        if self._rest:
            data = self._rest + data
        whole = len(data) - len(data) % TOLD.size
        self._rest = data[whole:]
        for zygote, instance, ready, pages, cpu in TOLD.iter_unpack(data[:whole]):
            used = None if cpu == UNKNOWN_CPU else cpu
            self._on_told(zygote, instance, ready == 1, pages, used)

    def close(self) -> None:
        """Ask nothing more. Closing twice is fine."""
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None
