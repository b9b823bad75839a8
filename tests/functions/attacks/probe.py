"""Runs the code that it is sent, as a function that is hostile would."""

import ctypes
import errno
import fcntl  # noqa: F401 - for what it is sent
import mmap  # noqa: F401
import os
import resource  # noqa: F401
import signal  # noqa: F401
import socket
import struct  # noqa: F401
import sys  # noqa: F401
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
BUFFER = ctypes.create_string_buffer(1 << 16)
AT = -100


def raw(number, *arguments):
    """Make a system call; return its result, or minus its errno."""
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *given)
    return -ctypes.get_errno() if result < 0 else result


def opens(path, flags=os.O_RDONLY):
    descriptor = os.open(path, flags)
    os.close(descriptor)
    return True


def option(level, name, value=None, kind=socket.SOCK_STREAM, family=socket.AF_UNIX, size=64):
    """Read a socket's option, or set it."""
    if family == socket.AF_UNIX:
        one, other = socket.socketpair(family, kind)
    else:
        one = other = socket.socket(family, kind)
    with one, other:
        if value is None:
            return one.getsockopt(level, name, size)
        one.setsockopt(level, name, value)
        return True


def handler(event, context):
    names = globals() | {"context": context, "event": event}
    try:
        if "do" in event:
            exec(event["do"], names)
        result = eval(event["ask"], names) if "ask" in event else None
        if "hold" in event:
            time.sleep(event["hold"])
        return {
            "result": result
            if isinstance(result, (int, str, list, dict, type(None)))
            else repr(result)
        }
    except OSError as error:
        return {"errno": errno.errorcode.get(error.errno, error.errno), "error": str(error)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
