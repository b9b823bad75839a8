"""The gateway's end of the connection to the egress process."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from casemate.child.restart import Backoff, KeptProcess
from casemate.decoding import DECODING_ERRORS
from casemate.egress import protocol, ungranted
from casemate.egress.cut import EVERYTHING
from casemate.egress.errors import ListenerError
from casemate.egress.events import event_now
from casemate.egress.interface import EgressEvent
from casemate.egress.ungranted import UngrantedListeners
from casemate.model.grant import Grant

_MAX_WAITING = 1024


def _encoded(make: Callable[[], protocol.Request]) -> bytes | None:
    """Return a request as bytes; None if the other end would not take it."""
    try:
        payload = protocol.encode(make())
        protocol.decode_request(payload)
    except (TypeError, OverflowError, *DECODING_ERRORS):
        return None
    return payload if len(payload) <= protocol.BOUNDS.frame else None


def _close_all(descriptors: Sequence[int]) -> None:
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
        on_passed: Callable[[int, int, int], None] | None = None,
    ) -> None:
        """Speak over a connected stream socket, which becomes the client's.

        With `starter`, the gateway's end of an `EgressStarter`, instead of `sock`: a process is
        asked for when there is something to say, and another one when that ends. `on_event` is
        told of connections that were let through, and of those that were not; `on_passed` of a
        zygote, and how many bytes its connections have brought in and out.
        """
        self._loop = loop
        self._ungranted: dict[int, UngrantedListeners] = {}
        self._on_event = on_event
        self._on_passed = on_passed
        self._open: dict[int, tuple[protocol.Open, tuple[int, ...]]] = {}
        """What each zygote is opened with, and its listeners for another process."""
        self._cut: dict[int, tuple[str, ...]] = {}
        self._process = KeptProcess(
            "egress proxy",
            starter,
            loop,
            bounds=protocol.BOUNDS,
            backoff=Backoff(longest=2.0),
            started=self._say_all,
            received=self._received,
            lost=self._lost,
        )
        self.lost = self._process.gone
        """Done when no egress process can be had: no function reaches anything any more."""
        if sock is not None:
            self._process.attach(sock)

    @property
    def connected(self) -> bool:
        """Tell whether a process is there, if one is needed at all."""
        there = self._process.connection is not None
        return not self.lost.done() and (there or not self._open)

    @property
    def starts(self) -> int:
        """How many egress proxies there were."""
        return self._process.starts

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

    def grant(
        self,
        zygote: int,
        grants: tuple[Grant, ...],
        function: str = "",
        *,
        in_tables: bool = False,
    ) -> None:
        """See `Egress.grant`. Grants are given once; a zygote not opened has no way out."""
        waiting = self._ungranted.pop(zygote, None)
        if waiting is None:
            return
        listeners = waiting.take()
        ports, descriptors = tuple(listeners), tuple(listeners.values())
        cut = self._cut.get(zygote, ())
        request = protocol.Open(zygote, ports, (), cut, function, in_tables)
        payload = _encoded(lambda: replace(request, grants=protocol.permits(grants)))
        if payload is None:
            _close_all(descriptors)
            self._refused(zygote, "the grants are more than the egress proxy takes")
        elif self.lost.done() or self._process.waiting >= _MAX_WAITING:
            _close_all(descriptors)
            self._refused(zygote, "the egress process is gone or too busy")
        else:
            opened = replace(request, grants=protocol.permits(grants))
            self._open[zygote] = opened, descriptors
            if self._process.connection is None:
                self._process.start()
            else:
                self._hand_over(zygote)

    def _hand_over(self, zygote: int) -> None:
        """Have the process serve what is open. A zygote that it cannot be given reaches nothing."""
        opened, descriptors = self._open[zygote]
        try:
            self._process.send(protocol.encode(opened), descriptors)
        except OSError as error:
            del self._open[zygote]
            _close_all(descriptors)
            self._refused(zygote, f"its listeners cannot be handed over: {error.strerror}")

    def cut(self, zygote: int, hosts: tuple[str, ...]) -> None:
        """See `Egress.cut`. Whoever would be cut off from too many hosts is from all."""
        if len(hosts) > protocol.MAX_CUT:
            hosts = (EVERYTHING,)
        if self._cut.get(zygote, ()) == hosts:
            return
        self._cut[zygote] = hosts
        opened = self._open.get(zygote)
        if opened is not None:
            self._open[zygote] = replace(opened[0], cut=hosts), opened[1]
            if self._process.connection is not None:
                self._process.send(protocol.encode(protocol.CutOff(zygote, hosts)))

    def close(self, zygote: int) -> None:
        """See `Egress.close`."""
        self._cut.pop(zygote, None)
        waiting = self._ungranted.pop(zygote, None)
        if waiting is not None:
            waiting.close()
        elif zygote in self._open:
            _close_all(self._open.pop(zygote)[1])
            self._process.send(protocol.encode(protocol.Close(zygote)))

    def shut_down(self) -> None:
        """Close the connection, which ends the egress process."""
        self._process.close()
        self._forget_all()

    def _say_all(self) -> None:
        """Have a new process serve what is open."""
        for zygote in list(self._open):
            if zygote in self._open:
                self._hand_over(zygote)

    def _received(self, body: bytes) -> None:
        told = protocol.decode_told(body)
        if isinstance(told, protocol.Observed):
            self._on_event(told.event())
        elif self._on_passed is not None:
            self._on_passed(told.z, told.came_in, told.went_out)

    def _lost(self) -> None:
        if self.lost.done():
            self._forget_all()
        elif not self._open:
            self._process.end()  # the next zygote asks for another one

    def _forget_all(self) -> None:
        for listeners in self._ungranted.values():
            listeners.close()
        self._ungranted.clear()
        for _, descriptors in self._open.values():
            _close_all(descriptors)
        self._open.clear()

    def _refused(self, zygote: int, reason: str) -> None:
        self._on_event(event_now(zygote, "", 0, allowed=False, reason=reason))
