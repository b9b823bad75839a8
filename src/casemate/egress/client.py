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

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Speak over a connected SOCK_SEQPACKET socket, which becomes the client's."""
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._sock = sock
        self._loop = loop
        self._ungranted: dict[int, UngrantedListeners] = {}
        self._open: set[int] = set()
        self._waiting: collections.deque[tuple[bytes, list[int]]] = collections.deque()
        self.on_event: Callable[[EgressEvent], None] = lambda event: None
        self.lost: asyncio.Future[None] = loop.create_future()
        """Done when the egress process is gone: no function reaches anything any more."""
        loop.add_reader(sock.fileno(), self._readable)

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
            self._open.add(zygote)
            self._send(payload, descriptors)

    def close(self, zygote: int) -> None:
        """See `Egress.close`."""
        waiting = self._ungranted.pop(zygote, None)
        if waiting is not None:
            waiting.close()
        elif zygote in self._open:
            self._open.discard(zygote)
            self._send(msgspec.json.encode(protocol.Close(zygote)), [])

    def shut_down(self) -> None:
        """Close the socket, which ends the egress process."""
        self._lose("")

    def _refused(self, zygote: int, reason: str) -> None:
        self.on_event(event_now(zygote, "", 0, allowed=False, reason=reason))

    def _send(self, payload: bytes, descriptors: list[int]) -> None:
        """Send a packet, now or later in order, and close its descriptors."""
        self._waiting.append((payload, descriptors))
        if len(self._waiting) == 1:
            self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting:
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
            self.on_event(event)

    def _lose(self, why: str) -> None:
        if self.lost.done():
            return
        if why:
            _log.error("the egress process is gone: %s; functions reach no network", why)
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for _, descriptors in self._waiting:
            _close_all(descriptors)
        self._waiting.clear()
        for listeners in self._ungranted.values():
            listeners.close()
        self._ungranted.clear()
        self._open.clear()
        self.lost.set_result(None)
