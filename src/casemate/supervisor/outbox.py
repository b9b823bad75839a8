"""What the supervisor has to say to the gateway, in order, as fast as that takes it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque

import msgspec

from casemate.decoding import decodable
from casemate.sandbox import protocol
from casemate.supervisor.log import report

MOST_WAITING = 1 << 17
"""Events that a gateway may leave unread: many times what calls make while it counts as alive."""


class Outbox:
    """Events for one gateway at a time. Without one they are dropped with it."""

    def __init__(self) -> None:
        """Speak to nobody yet."""
        self._waiting: deque[tuple[bytes, int | None]] = deque()
        self._gateway: socket.socket | None = None

    def open(self, gateway: socket.socket) -> None:
        """Speak to a gateway from now on."""
        self._gateway = gateway

    def close(self) -> None:
        """Speak to it no more: it is gone."""
        self._gateway = None
        self._clear()

    def _clear(self) -> None:
        for _, descriptor in self._waiting:
            if descriptor is not None:
                os.close(descriptor)
        self._waiting.clear()

    @property
    def connected(self) -> bool:
        """Whether there is a gateway."""
        return self._gateway is not None

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._waiting)

    def events(self) -> list[protocol.Event]:
        """Return the events that wait."""
        return [
            msgspec.json.decode(text, type=decodable(protocol.Event)) for text, _ in self._waiting
        ]

    def tell(self, event: protocol.Event, descriptor: int | None = None) -> None:
        """Say something, now or with a later turn. Takes over a descriptor that goes with it.

        A gateway that asks on and reads nothing is let go, with all that it has not read.
        """
        if len(self._waiting) >= MOST_WAITING:
            self._let_go()
        self._waiting.append((msgspec.json.encode(event), descriptor))
        self.flush()

    def _let_go(self) -> None:
        if self._gateway is not None:
            report(f"the gateway does not read {len(self._waiting)} events; it is let go")
            # The loop reads the end of it then.
            with contextlib.suppress(OSError):
                self._gateway.shutdown(socket.SHUT_RDWR)
        self._clear()

    def flush(self) -> None:
        """Send events until the gateway takes no more; what is left goes with a later turn."""
        while self._waiting and self._gateway is not None:
            text, descriptor = self._waiting[0]
            try:
                if descriptor is None:
                    self._gateway.send(text)
                else:
                    socket.send_fds(self._gateway, [text], [descriptor])
            except BlockingIOError:
                return
            except OSError:
                # It is gone, which the loop learns when it reads.
                self._clear()
                return
            self._waiting.popleft()
            if descriptor is not None:
                os.close(descriptor)
