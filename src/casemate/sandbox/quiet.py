"""Whether anything is on its way to or from an instance that was made ready again.

What it has not read would be taken for its next call, what it has written for its next answer.
"""

from __future__ import annotations

import fcntl
import termios

_UNREAD, _UNTAKEN = termios.FIONREAD, termios.TIOCOUTQ
_NONE = bytes(4)


def has_read_all(sock: int) -> bool:
    """Tell whether the other end of a connected pair of sockets, ours given, has read all."""
    try:
        return fcntl.ioctl(sock, _UNTAKEN, _NONE) == _NONE
    except (OSError, ValueError):  # the latter for what is closed
        return False


def is_quiet(sock: int, pipe: int) -> bool:
    """Tell whether a connected pair of sockets and a pipe, by our ends, hold nothing."""
    asked = fcntl.ioctl
    try:
        return (
            asked(sock, _UNREAD, _NONE) == _NONE
            and asked(sock, _UNTAKEN, _NONE) == _NONE
            and asked(pipe, _UNREAD, _NONE) == _NONE
        )
    except (OSError, ValueError):
        return False
