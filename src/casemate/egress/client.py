"""The gateway's end of the socket to the egress process."""

from __future__ import annotations

import asyncio
import collections
import errno
import logging
import os
import socket
from collections.abc import Callable

import msgspec

from casemate.child.starter import START
from casemate.egress import protocol, ungranted
from casemate.egress.errors import ListenerError
from casemate.egress.events import event_now
from casemate.egress.interface import EgressEvent
from casemate.egress.ungranted import UngrantedListeners
from casemate.model.grant import Grant

_log = logging.getLogger(__name__)
_BUFFER = 4 << 20
_MAX_WAITING = 1024
_RETRY_SECONDS = 0.02
_EVENTS_PER_TURN = 64
_FIRST_PAUSE, _LONGEST_PAUSE, _STEADY_SECONDS = 0.05, 2.0, 60.0
_BUSY = frozenset((errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS))
_decode = msgspec.json.Decoder(protocol.Observed).decode


def _encoded(make: Callable[[], protocol.Request]) -> bytes | None:
    """Return a request as bytes; None if the other end would not take it."""
    try:
        payload = msgspec.json.encode(make())
        msgspec.json.decode(payload, type=protocol.Request)
    except (msgspec.MsgspecError, TypeError, OverflowError):
        return None
    return payload if len(payload) <= protocol.MAX_PACKET else None


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class EgressClient:
    """Implements `Egress`. One per gateway; to be used in the event loop's thread only."""

    def __init__(
        self,
        sock: socket.socket | None,
        loop: asyncio.AbstractEventLoop,
        starter: socket.socket | None = None,
        *,
        on_event: Callable[[EgressEvent], None],
    ) -> None:
        """Speak over a connected SOCK_SEQPACKET socket, which becomes the client's.

        With `starter`, the gateway's end of an `EgressStarter`, instead of `sock`: a process is
        asked for when there is something to say, and another one when that ends. `on_event` is
        told of connections that were let through, and of those that were not.
        """
        self._sock: socket.socket | None = None
        self._starter = starter
        self._loop = loop
        self._ungranted: dict[int, UngrantedListeners] = {}
        self._open: dict[int, tuple[bytes, list[int]]] = {}
        """What each zygote was opened with; listeners are kept only where they may be needed for
        another process."""
        self._waiting: collections.deque[tuple[bytes, list[int]]] = collections.deque()
        self._on_event = on_event
        self.lost: asyncio.Future[None] = loop.create_future()
        """Done when the egress process is gone: no function reaches anything any more."""
        self._started_at = 0.0
        self._failures = 0
        self._restart: asyncio.TimerHandle | None = None
        if sock is not None:
            self._attach(sock)
        elif starter is not None:
            starter.setblocking(False)

    @property
    def connected(self) -> bool:
        """Tell whether a process is there, if one is needed at all."""
        return not self.lost.done() and (self._sock is not None or not self._open)

    def open(self, zygote: int, listeners: dict[int, int], grants: tuple[Grant, ...]) -> None:
        """See `Egress.open`. What cannot be served is reported as a denial by `on_event`."""
        if zygote in self._open or zygote in self._ungranted:
            self._refused(zygote, "the zygote is served already")
            return
        try:
            self._ungranted[zygote] = UngrantedListeners(
                listeners, self._loop, lambda: self._refused(zygote, ungranted.REASON)
            )
        except ListenerError as error:
            self._refused(zygote, error.message)
            return
        if grants:
            self.grant(zygote, grants)

    def grant(self, zygote: int, grants: tuple[Grant, ...]) -> None:
        """See `Egress.grant`. Grants are given once; a zygote not opened has no way out."""
        waiting = self._ungranted.pop(zygote, None)
        if waiting is None:
            return
        listeners = waiting.take()
        ports, descriptors = tuple(listeners), list(listeners.values())
        payload = _encoded(lambda: protocol.Open(zygote, ports, protocol.permits(grants)))
        if payload is None:
            _close_all(descriptors)
            self._refused(zygote, "the grants are more than the egress proxy takes")
        elif self.lost.done() or len(self._waiting) >= _MAX_WAITING:
            _close_all(descriptors)
            self._refused(zygote, "the egress process is gone or too busy")
        else:
            kept = [] if self._starter is None else [os.dup(d) for d in descriptors]
            self._open[zygote] = payload, kept
            if self._sock is not None:
                self._send(payload, descriptors)
                return
            _close_all(descriptors)
            if self._restart is None:
                self._start()

    def close(self, zygote: int) -> None:
        """See `Egress.close`."""
        waiting = self._ungranted.pop(zygote, None)
        if waiting is not None:
            waiting.close()
        elif zygote in self._open:
            _close_all(self._open.pop(zygote)[1])
            if self._sock is not None:
                self._send(msgspec.json.encode(protocol.Close(zygote)), [])

    def shut_down(self) -> None:
        """Close the socket, which ends the egress process."""
        self._give_up("")

    # -- the process ---------------------------------------------------------------------------

    def _start(self) -> None:
        """Ask for a process, and have it serve what is open."""
        self._restart = None
        if self._starter is None or self.lost.done():
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                socket.send_fds(self._starter, [START], [theirs.fileno()])
            except OSError as error:
                ours.close()
                if error.errno in _BUSY:
                    self._restart = self._loop.call_later(_RETRY_SECONDS, self._start)
                else:
                    self._give_up(f"it cannot be started: {error.strerror}")
                return
        self._started_at = self._loop.time()
        self._attach(ours)
        for payload, kept in list(self._open.values()):
            if self._sock is not ours:
                return  # lost again meanwhile
            self._send(payload, [os.dup(descriptor) for descriptor in kept])

    def _attach(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._sock = sock
        self._loop.add_reader(sock.fileno(), self._readable)

    def _detach(self) -> None:
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None
        for _, descriptors in self._waiting:
            _close_all(descriptors)
        self._waiting.clear()

    def _lose(self, why: str) -> None:
        """Have another process, later each time in a row; without a starter there is none."""
        if self._starter is None:
            self._give_up(why)
            return
        if self._sock is None:
            return
        self._detach()
        steady = self._loop.time() - self._started_at > _STEADY_SECONDS
        self._failures = 0 if steady else self._failures + 1
        pause = min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE) if self._failures else 0.0
        _log.error("the egress proxy has ended (%s); another is started in %.1f s", why, pause)
        if self._open:
            self._restart = self._loop.call_later(pause, self._start)

    def _give_up(self, why: str) -> None:
        if self.lost.done():
            return
        if why:
            _log.error("the egress process is gone: %s; functions reach no network", why)
        if self._restart is not None:
            self._restart.cancel()
        self._detach()
        for listeners in self._ungranted.values():
            listeners.close()
        self._ungranted.clear()
        for _, kept in self._open.values():
            _close_all(kept)
        self._open.clear()
        if self._starter is not None:
            self._starter.close()
        self.lost.set_result(None)

    # -- what is said --------------------------------------------------------------------------

    def _refused(self, zygote: int, reason: str) -> None:
        self._on_event(event_now(zygote, "", 0, allowed=False, reason=reason))

    def _send(self, payload: bytes, descriptors: list[int]) -> None:
        """Send a packet, now or later in order, and close its descriptors."""
        self._waiting.append((payload, descriptors))
        if len(self._waiting) == 1:
            self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and self._sock is not None:
            payload, descriptors = self._waiting[0]
            try:
                if descriptors:
                    socket.send_fds(self._sock, [payload], descriptors)
                else:
                    self._sock.send(payload)
            except OSError as error:
                if error.errno in _BUSY:
                    self._loop.call_later(_RETRY_SECONDS, self._send_waiting)
                else:
                    self._lose(f"it takes no requests: {error.strerror}")
                return
            self._waiting.popleft()
            _close_all(descriptors)

    def _readable(self) -> None:
        for _ in range(_EVENTS_PER_TURN):
            if self._sock is None:
                return
            try:
                data = self._sock.recv(protocol.MAX_PACKET)
                event = _decode(data).event() if data else None
            except BlockingIOError:
                return
            except (OSError, msgspec.MsgspecError) as error:
                self._lose(f"it sent what is no event: {type(error).__name__}")
                return
            if event is None:
                self._lose("it ended")
                return
            self._on_event(event)
