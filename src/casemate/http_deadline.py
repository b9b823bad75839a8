"""Bounds on what a server has a client do: wait though nothing comes, and unpack.

A server may send interim answers (RFC 9110, 15.2) for as long as it likes, or extend a chunk: each
read succeeds, nothing comes of it, and who asked gets no turn to look at a clock. So a timer does,
and ends the client's connections: from when a request has been sent until its answer's head is
there, and until each piece of its body. A few packed bytes can be hours of unpacking, within which
nobody looks at a clock either: nothing packed is asked for, and what is all the same is told.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

_PLAIN: Final = "identity"
UNPACKED: Final[Mapping[str, str]] = {"accept-encoding": _PLAIN}
"""What a request says that wants nothing packed."""
_KEPT: Final = 64
"""Connections of one client that are known; older ones are left to themselves."""
_CONNECTED: Final = ("connect_tcp.complete", "start_tls.complete")
_WAITS: Final = "receive_response_headers.started"
_WAITED: Final = ("receive_response_headers.complete", "receive_response_headers.failed")


def is_packed(headers: Mapping[str, str]) -> bool:
    """Tell whether an answer is packed, by its headers."""
    return headers.get("content-encoding", _PLAIN).strip().lower() != _PLAIN


class ProgressDeadline:
    """One per client of httpx2, whose every request has to be made with `extensions`."""

    def __init__(self, seconds: float) -> None:
        """Allow so many seconds for each head, and for each piece of a body."""
        self.seconds = seconds
        self.passed = False
        """Whether something did not come in time."""
        self._sockets: deque[socket.socket] = deque(maxlen=_KEPT)
        self._waiting = threading.local()

    @property
    def extensions(self) -> Mapping[str, Any]:
        """What a request has to have."""
        return {"trace": self._trace}

    def pieces(self, body: Iterator[bytes]) -> Iterator[bytes]:
        """Give the pieces of a body."""
        while True:
            timer = self._timer()
            try:
                piece = next(body, None)
            finally:
                timer.cancel()
            if piece is None:
                return
            yield piece

    def _trace(self, name: str, told: Mapping[str, Any]) -> None:
        if name.endswith(_CONNECTED):
            found = told["return_value"].get_extra_info("socket")
            if isinstance(found, socket.socket):
                self._sockets.append(found)
        elif name.endswith(_WAITS):
            self._waiting.timer = self._timer()
        elif name.endswith(_WAITED):
            self._waiting.timer.cancel()

    def _timer(self) -> threading.Timer:
        timer = threading.Timer(self.seconds, self._end)
        timer.daemon = True
        timer.start()
        return timer

    def _end(self) -> None:
        self.passed = True
        for each in tuple(self._sockets):
            # Not the method of TLS's sockets, which forgets what another thread reads by.
            with suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
