"""The restorer's end of a gateway: what it asks for, and what it is told.

A gateway may ask for whatever it likes: an instance goes on only at home and set back, and whose it
is does not depend on what is said here.
"""

from __future__ import annotations

import socket
import time

from casemate.restorer.protocol import ASKED, TOLD, UNKNOWN_CPU

Name = tuple[int, int]
"""The gateway's numbers of a zygote and of an instance."""
_READ_BYTES = 8192
_TOGETHER_SECONDS = 0.0005
"""How long the first waits for others that are told with it, beside what is under way."""


class Gateway:
    """One gateway. It is gone once it has closed its end, or does not read what it is told."""

    def __init__(self, descriptor: int) -> None:
        """Take over a stream socket."""
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=descriptor)
        self._rest = b""
        self._untold = bytearray()
        self._since = 0.0
        self.descriptor = descriptor
        self.gone = False

    def asked(self) -> list[Name]:
        """Return who is asked for, in order."""
        try:
            data = self._sock.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.gone = True
            return []
        data = self._rest + data
        whole = len(data) - len(data) % ASKED.size
        self._rest = data[whole:]
        return list(ASKED.iter_unpack(data[:whole]))

    def tell(self, name: Name, *, ready: bool, pages: int = 0, cpu_us: int = UNKNOWN_CPU) -> None:
        """Say that an instance is ready, or that nobody knows of it: with the next `send`."""
        if not self._untold:
            self._since = time.monotonic()
        self._untold += TOLD.pack(*name, ready, pages, cpu_us)

    def send_overdue(self) -> None:
        """Send what is to be told if the first of it has waited for long enough."""
        if self._untold and time.monotonic() - self._since > _TOGETHER_SECONDS:
            self.send()

    def send(self) -> None:
        """Send what is to be told, all at once: it wakes the gateway once."""
        told, self._untold = self._untold, bytearray()
        if self.gone or not told:
            return
        try:
            if self._sock.send(told, socket.MSG_DONTWAIT) != len(told):
                self.gone = True  # a part of it: nothing more can be said
        except OSError:
            self.gone = True

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()
