"""Whether anything is on its way to or from an instance that was made ready again.

What it has not read would be taken for its next call, what it has written for its next answer.
"""

from __future__ import annotations

import fcntl
import struct
import termios

_UNREAD, _UNTAKEN = termios.FIONREAD, termios.TIOCOUTQ
_NUMBER = struct.Struct("i")


def _asked(descriptor: int, request: int) -> int:
    [number] = _NUMBER.unpack(fcntl.ioctl(descriptor, request, _NUMBER.pack(0)))
    return int(number)


def has_read_all(sock: int) -> bool:
    """Tell whether the other end of a connected pair of sockets, ours given, has read all."""
    try:
        return not _asked(sock, _UNTAKEN)
    except (OSError, ValueError):  # the latter for what is closed
        return False


def is_quiet(sock: int, pipe: int) -> bool:
    """Tell whether a connected pair of sockets and a pipe, by our ends, hold nothing."""
    try:
        return not (_asked(sock, _UNREAD) or _asked(sock, _UNTAKEN) or _asked(pipe, _UNREAD))
    except (OSError, ValueError):
        return False
