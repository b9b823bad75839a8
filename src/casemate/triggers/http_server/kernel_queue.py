"""What the kernel holds for a connection, in either direction (ioctl, see tcp(7) and unix(7))."""

from __future__ import annotations

import array
import asyncio
import fcntl
import termios


def bytes_received(transport: asyncio.BaseTransport) -> int:
    """Return the bytes that arrived and were not read yet (FIONREAD); 0 for a closed socket."""
    return _queue_size(transport, termios.FIONREAD)


def bytes_unacknowledged(transport: asyncio.BaseTransport) -> int:
    """Return the bytes written that the peer did not acknowledge (SIOCOUTQ, the same number as
    TIOCOUTQ); 0 for a closed socket."""
    return _queue_size(transport, termios.TIOCOUTQ)


def _queue_size(transport: asyncio.BaseTransport, request: int) -> int:
    size = array.array("i", [0])
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), request, size)
    except (OSError, AttributeError, ValueError):
        return 0  # the socket is gone
    return size[0]
