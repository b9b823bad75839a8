"""The listeners of a zygote that has no grants yet: in the gateway, until its import is done.

What a function connects at import would be shared by all its instances. So it is turned away, here
and not in the proxy, because the gateway is who asks for the first instance: whatever waits in the
listeners when it hands them over was connected before there was one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

from casemate.egress.answers import refusal
from casemate.egress.errors import DeniedError, ListenerError
from casemate.egress.interface import PROXY_PORT
from casemate.egress.listeners import take_listeners

REASON = "connected during import"
_ANSWER = refusal(
    DeniedError(
        REASON,
        "A function reaches the network only once its import is done.",
        next_step="Connect in the handler, or on first use, instead of at import.",
    )
)
_MAX_TURNED_AWAY = 64
"""Connections of one import that are answered; further ones wait in vain."""


class UngrantedListeners:
    """Accepts, reads nothing, says why not, and closes. Each time it calls `denied`."""

    def __init__(
        self,
        listeners: dict[int, int],
        loop: asyncio.AbstractEventLoop,
        denied: Callable[[], None],
    ) -> None:
        """Copy the descriptors by port. Raises ListenerError for what is no listener."""
        copies: list[int] = []
        try:
            copies.extend(os.dup(descriptor) for descriptor in listeners.values())
        except OSError as error:
            for copy in copies:
                os.close(copy)
            raise ListenerError("The listeners are not open descriptors.") from error
        self._listeners = take_listeners(list(listeners), copies)
        self._loop = loop
        self._denied = denied
        self._held: list[socket.socket] = []
        self._listening = True
        for port, listener in self._listeners.items():
            loop.add_reader(listener.fileno(), self._turn_away, port, listener)

    def _turn_away(self, port: int, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            self._stop()
            return
        self._denied()
        # Held open: closed with the request unread, it would be reset and the answer lost.
        self._held.append(sock)
        if port == PROXY_PORT:
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.send(_ANSWER)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        if len(self._held) >= _MAX_TURNED_AWAY:
            self._stop()

    def _stop(self) -> None:
        if self._listening:
            self._listening = False
            for listener in self._listeners.values():
                self._loop.remove_reader(listener.fileno())

    def _empty(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # BlockingIOError: nothing waits any more
            while True:
                try:
                    sock, _ = listener.accept()
                except ConnectionAbortedError:
                    continue
                sock.close()
                self._denied()

    def take(self) -> dict[int, int]:
        """Return the listeners, with nothing waiting in them, as descriptors of the caller's."""
        self._stop()
        self._release()
        for listener in self._listeners.values():
            self._empty(listener)
        taken = {port: listener.detach() for port, listener in self._listeners.items()}
        self._listeners = {}
        return taken

    def _release(self) -> None:
        for sock in self._held:
            sock.close()
        self._held.clear()

    def close(self) -> None:
        """Close the listeners and all that connected."""
        self._stop()
        self._release()
        for listener in self._listeners.values():
            listener.close()
        self._listeners = {}
