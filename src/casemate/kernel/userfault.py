"""Has the kernel note which pages of a process are written (userfaultfd(2), Linux 6.7).

With UFFD_FEATURE_WP_ASYNC nobody is told and nothing waits: the kernel lifts the protection of a
page by itself when it is written, which `pagemap.py` then finds. The descriptor is of the memory of
the process that makes it; whoever holds it can say what is to be watched there.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

from . import linux

_USER_MODE_ONLY = 1
"""No fault of the kernel's own can be held up with it; needed without privileges."""
FLAGS = _USER_MODE_ONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""The one form in which a filter lets it be made."""
_API_VERSION = 0xAA
API, _REGISTER, _WRITEPROTECT = 0xC018AA3F, 0xC020AA00, 0xC018AA06
"""UFFDIO_API, _REGISTER and _WRITEPROTECT, the sizes of their structures included. The first alone
is the watched process's own to ask for."""
_FEATURE_WP, _FEATURE_WP_UNPOPULATED, _FEATURE_WP_ASYNC = 1 << 0, 1 << 13, 1 << 15
_FEATURES = _FEATURE_WP | _FEATURE_WP_UNPOPULATED | _FEATURE_WP_ASYNC
_MODE_WP = 1 << 1
_PROTECT = 1
_API_ARGUMENT, _REGISTER_ARGUMENT = struct.Struct("=QQQ"), struct.Struct("=QQQQ")
_WRITEPROTECT_ARGUMENT = struct.Struct("=QQQ")


def create() -> int:
    """Return a descriptor that watches this process's memory. Raises OSError.

    EINVAL from a kernel that does not know the flags or features.
    """
    result = linux.call("userfaultfd", ctypes.c_long(FLAGS))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"userfaultfd: {os.strerror(number)}")
    try:
        argument = bytearray(_API_ARGUMENT.pack(_API_VERSION, _FEATURES, 0))
        fcntl.ioctl(result, API, argument)
    except BaseException:
        os.close(result)
        raise
    return result


def watch(descriptor: int, start: int, end: int) -> None:
    """Have writes to a range noted from `protect` on. Raises OSError.

    EBUSY if another descriptor watches it, EINVAL if no such memory is there or it can be dropped
    by the kernel at any time.
    """
    argument = bytearray(_REGISTER_ARGUMENT.pack(start, end - start, _MODE_WP, 0))
    fcntl.ioctl(descriptor, _REGISTER, argument)


def protect(descriptor: int, start: int, end: int) -> None:
    """Count the pages of a watched range as not written. Raises OSError."""
    argument = bytearray(_WRITEPROTECT_ARGUMENT.pack(start, end - start, _PROTECT))
    fcntl.ioctl(descriptor, _WRITEPROTECT, argument)
