"""The child of `restored.py`: prepares itself as an instance does, then runs what it is sent."""

import errno
import json
import os
import socket
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

# All of it before another /tmp is mounted, where this may lie.
import ctypes  # for what is run, as are the next ones
import ctypes.util
import gc
import random  # noqa: F401
import signal
import tempfile  # noqa: F401
import threading  # noqa: F401
import time  # noqa: F401

from casemate.kernel import flagging, linux, machines, userfault
from casemate.runner import restorable
from casemate.runner.first_thread import start_first_thread

given, prepare = int(sys.argv[1]), sys.argv[2]
os.dup2(given, 3)
if len(sys.argv) > 3:
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.attach_mount(int(sys.argv[3]), "/tmp")
start_first_thread()
# Pending signals are counted by user and namespace: an instance has one of its own.
linux.unshare(linux.CLONE_NEWUSER)
os.closerange(4, 1024)
sock = socket.socket(fileno=3)
watching = userfault.create()
socket.send_fds(sock, [b"u"], [watching])
os.close(watching)
assert sock.recv(1) == b"g"
linux.set_no_new_privileges()
# As the base zygote leaves it.
signal.signal(signal.SIGINT, signal.SIG_IGN)
names = {"sock": sock}
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
CALLS = machines.current().calls


def raw(name, *arguments):
    """Make a system call, however Python would."""
    result = libc.syscall(
        CALLS[name], *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)
    )
    return -ctypes.get_errno() if result < 0 else result


def serve(line):
    scope = dict(globals())
    try:
        exec(json.loads(line), scope)
        return {"result": scope.get("result")}
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"}


state = {}
keep = restorable.make_room()
RECVFROM, FLAGS, TRACE, ALLOW = CALLS["recvfrom"], 16 + 3 * 8, flagging.TRACE, 0x7FFF0000
# It stops where it waits, and nothing else is flagged.
WAITS_ALONE = [(0x20, 0, 0, 0), (0x15, 0, 2, RECVFROM), (0x20, 0, 0, FLAGS)]
WAITS_ALONE += [(0x15, 1, 0, flagging.WAITING), (0x6, 0, 0, ALLOW), (0x6, 0, 0, TRACE)]
# As the zygote's: the C library starts threads by clone(2) then, whose flags are seen.
NO_CLONE3 = [(0x20, 0, 0, 0), (0x15, 0, 1, CALLS["clone3"]), (0x6, 0, 0, 0x50000 | errno.ENOSYS)]


def packed(rules):
    return b"".join(struct.pack("=HBBI", *one) for one in rules)


if "NO_FILTER" in prepare:
    linux.install_filter(packed(WAITS_ALONE))
else:
    linux.install_filter(packed(NO_CLONE3) + flagging.flag_program())
    if "ONE_FILTER" not in prepare:
        linux.install_filter(flagging.flag_program())
exec(prepare)


def main():
    serve('"result = 1"')
    # As the zygote leaves it: else a call that collects writes to every object there is.
    gc.collect()
    gc.freeze()
    sock.sendall(b"r")
    served = False
    while line := sock.recv(65536, flagging.WAITING):
        if served and "ONCE" in prepare:  # as an instance does: it was not set back
            break
        served = True
        sock.sendall(json.dumps(serve(line)).encode() + b"\n")


restorable.with_room_for_frames(main)
