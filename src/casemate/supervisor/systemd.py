"""Telling systemd that the node is ready, and that it works (sd_notify(3)).

Without a service manager that asks for it nothing is told. The variables are taken out of the
environment: no child may speak in the supervisor's name.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping


class Systemd:
    """The socket of the service manager, if there is one."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        """Take what the service manager has put into the environment."""
        environ = os.environ if environ is None else environ
        address = environ.pop("NOTIFY_SOCKET", "")
        micros = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", "")
        self._socket: socket.socket | None = None
        self._interval = 0.0
        self._next = 0.0
        if not address.startswith(("/", "@")):
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._address = "\0" + address[1:] if address.startswith("@") else address
        if micros.isdecimal() and pid in ("", str(os.getpid())):
            self._interval = int(micros) / 1e6 / 3

    def tell(self, state: str) -> None:
        """Send lines such as `READY=1`. One that cannot be sent is left out."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(state.encode(), self._address)

    def works(self) -> None:
        """Say that the supervisor works, three times in the interval that was asked for."""
        if self._interval and (now := time.monotonic()) >= self._next:
            self._next = now + self._interval
            self.tell("WATCHDOG=1")

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
