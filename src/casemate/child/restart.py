"""The gateway's end of a process that is there for as long as it is wanted."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from random import SystemRandom

import msgspec

from casemate.child.channel import SHORT_OF, Bounds, FrameSocket
from casemate.child.starter import START

_log = logging.getLogger(__name__)
_draw = SystemRandom().random
_RETRY_SECONDS = 0.02
_LATER = SHORT_OF | {errno.EAGAIN}


def pause_after(failures: int, first: float, longest: float, draw: float) -> float:
    """Return the seconds to wait after so many failures in a row, `draw` being from 0 to 1.

    Doubles up to `longest`; half of it is drawn, so that what was lost together does not come back
    together.
    """
    full = min(longest, first * 2.0 ** min(failures - 1, 32))
    return full / 2 + full / 2 * draw


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """How soon a process that ended is there again. Times are seconds."""

    first: float = 0.1
    longest: float
    steady: float = 60.0
    """One that ran for longer is started again at once."""


class KeptProcess:
    """Has the supervisor start a process, and another one when that ends, later each time in a row.

    In the event loop's thread only.
    """

    def __init__(
        self,
        name: str,
        starter: socket.socket | None,
        loop: asyncio.AbstractEventLoop,
        *,
        bounds: Bounds,
        backoff: Backoff,
        started: Callable[[], None],
        received: Callable[[bytes], None],
        lost: Callable[[], None],
    ) -> None:
        """Ask for processes on `starter`, the gateway's end of a `ChildStarter`, once told to.

        `started` sends what a new process has to know, `received` gets what it sends, and `lost`
        is told when it has ended. Without a starter see `attach`.
        """
        self._name = name
        self._starter = starter
        self._loop = loop
        self._bounds = bounds
        self._backoff = backoff
        self._started = started
        self._received = received
        self._lost = lost
        self._socket: FrameSocket | None = None
        self._started_at = 0.0
        self._failures = 0
        self.starts = 0
        """How many there were."""
        self._timer: asyncio.TimerHandle | None = None
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done when there will be no process any more."""
        if starter is not None:
            starter.setblocking(False)

    @property
    def connection(self) -> FrameSocket | None:
        """Return the connection to the process, None while there is none."""
        return self._socket

    @property
    def waiting(self) -> int:
        """How many messages wait to be sent."""
        return 0 if self._socket is None else self._socket.waiting

    def send(self, body: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send a message to the process if there is one; `started` tells another one all of it."""
        if self._socket is not None:
            self._socket.send(body, descriptors)

    def start(self) -> None:
        """Have a process, unless there is one or will be soon."""
        if self._socket is None and self._timer is None:
            self._ask()

    def attach(self, sock: socket.socket) -> None:
        """Speak to a process that is there, over a connected stream socket."""
        self._started_at = self._loop.time()
        self.starts += 1
        self._socket = FrameSocket(
            sock, self._loop, self._bounds, received=self._received, ended=self._ended
        )

    def _ask(self) -> None:
        self._timer = None
        if self._starter is None or self.gone.done():
            return
        try:
            ours, theirs = self._bounds.pair()
            with theirs:
                try:
                    socket.send_fds(self._starter, [START], [theirs.fileno()])
                except OSError:
                    ours.close()
                    raise
        except OSError as error:
            if error.errno in _LATER:
                self._timer = self._loop.call_later(_RETRY_SECONDS, self._ask)
            else:
                _log.error("the %s cannot be started: %s", self._name, error.strerror)
                self.close()
                self._lost()
            return
        self.attach(ours)
        self._started()

    def _ended(self, why: str) -> None:
        self._socket = None
        if self._starter is None:
            _log.error("the %s has ended (%s)", self._name, why)
            self.close()
            self._lost()
            return
        steady = self._loop.time() - self._started_at > self._backoff.steady
        self._failures = 0 if steady else self._failures + 1
        pause = 0.0
        if self._failures:
            pause = pause_after(self._failures, self._backoff.first, self._backoff.longest, _draw())
        _log.error(
            "the %s has ended (%s); another is started in %.1f s if it is needed",
            *(self._name, why, pause),
        )
        self._timer = self._loop.call_later(pause, self._ask)
        self._lost()

    def end(self) -> None:
        """End the process, and start no other until told to."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """End the process for good. Closing twice is fine."""
        if self.gone.done():
            return
        self.end()
        if self._starter is not None:
            self._starter.close()
        self.gone.set_result(None)
