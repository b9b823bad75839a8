"""Accepts what one zygote's instances connect to, and ends it all with the zygote."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable

from casemate.egress.access import Access
from casemate.egress.config import EgressLimits
from casemate.egress.connection import Connection, forward
from casemate.egress.cut import Cut
from casemate.egress.errors import ListenerError
from casemate.egress.events import event_now
from casemate.egress.http_proxy import serve_http
from casemate.egress.interface import PROXY_PORT, EgressEvent
from casemate.egress.rules import Rules
from casemate.egress.traffic import Traffic

_log = logging.getLogger(__name__)
_ACCEPTED_AT_ONCE = 16
_RETRY_SECONDS = 0.1


class Service:
    """The listeners and connections of one zygote."""

    def __init__(
        self,
        zygote: int,
        listeners: dict[int, socket.socket],
        rules: Rules,
        access: Access,
        limits: EgressLimits,
        report: Callable[[EgressEvent], None],
        traffic: Traffic,
        cut: Cut,
    ) -> None:
        """Raises ListenerError if a listener is for no port that the grants give."""
        for port in listeners:
            if port != PROXY_PORT and port not in rules.forwards:
                raise ListenerError(f"No grant forwards port {port}.")
        self._zygote = zygote
        self._listeners = listeners
        self._rules = rules
        self._access = access
        self._limits = limits
        self._report = report
        self.traffic = traffic
        self._cut = cut
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._loop = asyncio.get_running_loop()
        self._accepting = False
        self._closed = False

    def start(self) -> None:
        """Accept from now on, unless the zygote has all the connections it may have."""
        if self._closed or self._accepting:
            return
        self._accepting = True
        for port, listener in self._listeners.items():
            self._loop.add_reader(listener.fileno(), self._accept, port, listener)

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            for listener in self._listeners.values():
                self._loop.remove_reader(listener.fileno())

    def _accept(self, port: int, listener: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            if len(self._connections) >= self._limits.connections:
                self._pause()
                reason = f"over {self._limits.connections} connections"
                self._report(event_now(self._zygote, "", 0, allowed=False, reason=reason))
                return
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError:
                # No descriptor or memory is left; connections that end will give some back.
                self._pause()
                self._loop.call_later(_RETRY_SECONDS, self.start)
                return
            self._begin(port, sock)

    def _begin(self, port: int, sock: socket.socket) -> None:
        sock.setblocking(False)
        connection = Connection(
            self._zygote,
            port,
            self._rules,
            self._access,
            self._limits,
            self._report,
            self.traffic,
            lambda: self._cut,
        )
        task = self._loop.create_task(self._serve(connection, sock))
        self._connections[task] = connection
        task.add_done_callback(self._ended)

    async def _serve(self, connection: Connection, sock: socket.socket) -> None:
        try:
            client = await connection.take(sock)
            if connection.port == PROXY_PORT:
                await serve_http(connection, client)
            else:
                await forward(connection, client)
        except OSError:
            pass  # one of the two ends is gone, and so is the connection
        except Exception as error:  # noqa: BLE001  an error is a denial
            # Never the message: it could hold what the function sent.
            _log.error("a connection of zygote %d failed: %s", self._zygote, type(error).__name__)
            connection.denied(None, "internal error")
        finally:
            connection.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        self.traffic.ended()
        self.start()

    def cut(self, hosts: Cut) -> None:
        """Let nothing go to these hosts any more, in place of those before, and end what does."""
        self._cut = hosts
        for task, connection in list(self._connections.items()):
            if connection.is_cut:
                task.cancel()

    def sweep(self) -> None:
        """End connections that were idle for too long. To be called about every second."""
        now = time.monotonic()
        for task, connection in list(self._connections.items()):
            half = connection.half_closed
            limit = self._limits.half_closed if half else self._limits.idle
            if now - connection.touched > min(limit, self._limits.idle):
                task.cancel()

    async def close(self) -> None:
        """End every connection and close the listeners."""
        self._closed = True
        self._pause()
        for listener in self._listeners.values():
            listener.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
