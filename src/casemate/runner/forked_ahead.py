"""A process that a zygote at rest has forked ahead: what its next instance becomes.

Most of what a first call waits for is the fork: 20 MB of page tables are copied, and the pages
that begin a process. So it is done while nobody waits. Such a process has run nothing but its
fork, has seen no event, knows no instance's descriptors, and is of its zygote's function alone. It
ends with it as all in its pid namespace do.
"""

from __future__ import annotations

import socket

from . import control

_GO = b"g"


class ForkedAhead:
    """The zygote's end of it."""

    __slots__ = ("_sock", "pid")

    def __init__(self, pid: int, sock: socket.socket) -> None:
        """Take over the socket by which it is told whose instance it becomes."""
        self.pid = pid
        self._sock = sock

    def become(self, descriptors: list[int]) -> bool:
        """Have it become an instance with these; False if it is gone. Done once and for good."""
        with self._sock:
            try:
                socket.send_fds(self._sock, [_GO], descriptors)
            except OSError:
                return False
        return True

    def close(self) -> None:
        """Let go of one that has ended."""
        self._sock.close()


def told(sock: socket.socket) -> list[int] | None:
    """Return the descriptors of the instance that this process becomes, None if it becomes none."""
    try:
        data, descriptors, _flags = control.receive_packet(sock, len(_GO))
    except OSError:
        return None
    return descriptors if data == _GO else None
