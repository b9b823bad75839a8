"""Connections that a worker has taken and nobody decides of any more, for another worker.

Nothing of them was read. Had nobody taken them, they would wait in the kernel.
"""

from __future__ import annotations

import array
import os
import socket
from typing import TYPE_CHECKING

from casemate.runner import control

if TYPE_CHECKING:  # the supervisor, which makes the pair, has no loop
    import asyncio
    from collections.abc import Callable

_WITH = b"c"
_AT_ONCE = 64
_BUFFER = 1 << 20
_INTERNET = (socket.AF_INET, socket.AF_INET6)


def make_pair() -> tuple[socket.socket, socket.socket]:
    """Return what connections are given into and what they are taken from. Raises OSError.

    What was given waits in it for as long as somebody has it open.
    """
    into, out = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    into.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    return into, out


class HandedOn:
    """A worker's ends. Others have them as well, and may be taken over: nothing here waits."""

    def __init__(self, into: socket.socket, out: socket.socket) -> None:
        """Give and take by copies of a pair."""
        self._into = into
        self._out = out

    def give(self, connection: socket.socket) -> bool:
        """Leave a connection to another worker; False where there is no room for it."""
        descriptor = array.array("i", [connection.fileno()])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor)]
        try:
            # Not `socket.send_fds`, which leaves out the flags that it is given.
            self._into.sendmsg([_WITH], ancillary, socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def take(
        self, loop: asyncio.AbstractEventLoop, taken: Callable[[socket.socket], None]
    ) -> Callable[[], None]:
        """Have `taken` get each connection that is left, until what is returned is called."""

        def stop() -> None:
            loop.remove_reader(self._out)

        def read() -> None:
            for _ in range(_AT_ONCE):
                try:
                    data, descriptors, _ = control.receive_packet(
                        self._out, len(_WITH), most=1, asked=socket.MSG_DONTWAIT
                    )
                except OSError:  # none is left, or another one was faster
                    return
                if not data:
                    stop()
                for descriptor in descriptors:
                    connection = _connection_of(descriptor)
                    if connection is not None:
                        taken(connection)
                if not data:
                    return

        loop.add_reader(self._out, read)
        return stop


def _connection_of(descriptor: int) -> socket.socket | None:
    """Return a connection that was left, None for what is none: it is closed."""
    try:
        connection = socket.socket(fileno=descriptor)
    except OSError:  # no socket
        os.close(descriptor)
        return None
    try:
        connection.getpeername()
        connection.setblocking(False)
    except OSError:  # its client is gone, or it is a listener
        connection.close()
        return None
    if connection.family not in _INTERNET or connection.type != socket.SOCK_STREAM:
        connection.close()
        return None
    return connection
