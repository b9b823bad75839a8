"""What a confined worker can do: accept from the listener it was given, and answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.model.processes import HTTP_WORKER_UID

PROGRAM = """
import ctypes, fcntl, os, resource, socket, sys, threading
from casemate.child.confinement import confine
from casemate.http_workers.confinement import HTTP_WORKER
from casemate.triggers.http_server.listen import BACKLOG
listener, other, secret = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
confine(HTTP_WORKER, uid=int(sys.argv[4]) or None)
libc = ctypes.CDLL(None, use_errno=True)
FAST_OPEN, BIND_TO_DEVICE, DEFER = 0x20000000, 25, 9
def call(name, *args):
    if getattr(libc, name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)
def may(do):
    try:
        do()
    except OSError:
        return False
    return True
def too_much():
    try:
        bytearray(HTTP_WORKER.memory)
    except MemoryError:
        raise OSError from None
def read(path):
    with open(path, "rb") as file:
        file.read(1)
tcp, away = (socket.SOL_SOCKET, socket.IPPROTO_TCP), ("127.0.0.1", other)
tries = {
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "unshare": lambda: call("unshare", 0x10000000),
    "ptrace": lambda: call("ptrace", 16, os.getppid(), 0, 0),
    "another's descriptor": lambda: call("syscall", 438, os.pidfd_open(os.getppid()), 0, 0),
    "another's memory": lambda: read(f"/proc/{os.getppid()}/mem"),
    "signal": lambda: os.kill(os.getppid(), 0),
    "signal its own kind": lambda: os.kill(-1, 0),
    "limits of another": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU),
    "priority of its user": lambda: os.setpriority(os.PRIO_USER, os.getuid(), 5),
    "processors of another": lambda: os.sched_setaffinity(os.getppid(), [0]),
    "fork": lambda: os.fork() or os._exit(0),
    "let few wait": lambda: listener.listen(0),
    "have others signalled": lambda: fcntl.fcntl(listener, fcntl.F_SETOWN, os.getppid()),
    "tcp": lambda: socket.socket().close(),
    "unix": lambda: socket.socket(socket.AF_UNIX).close(),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "datagrams": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    "connect": lambda: listener.connect(away),
    "bind": lambda: listener.bind(("127.0.0.1", 0)),
    "end the listener": lambda: listener.shutdown(socket.SHUT_RDWR),
    "stop it accepting": lambda: listener.shutdown(socket.SHUT_RD),
    "send by it": lambda: listener.sendto(b"x", FAST_OPEN, away),
    "send by it, too": lambda: listener.sendmsg([b"x"], [], FAST_OPEN, away),
    "a device": lambda: listener.setsockopt(tcp[0], BIND_TO_DEVICE, b"lo"),
    "later": lambda: listener.setsockopt(tcp[1], DEFER, 60),
    "read": lambda: read(secret),
    "list": lambda: os.listdir("/"),
    "memory without end": too_much,
    "write": lambda: open("/tmp/casemate-worker-test", "w").close(),
}
listener.listen(BACKLOG)
threading.Thread(target=resource.getrlimit, args=(resource.RLIMIT_NOFILE,)).start()
print([name for name, do in tries.items() if may(do)], flush=True)
connection, _ = listener.accept()
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
connection.sendall(b"answer")
connection.shutdown(socket.SHUT_WR)
connection.close()
"""


def test_it_accepts_and_answers_and_no_more(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    uid = HTTP_WORKER_UID if os.geteuid() == 0 else 0
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_server(("127.0.0.1", 0)) as other,
        subprocess.Popen(
            [
                *(sys.executable, "-c", PROGRAM, str(listener.fileno())),
                *(str(other.getsockname()[1]), str(secret), str(uid)),
            ],
            pass_fds=(listener.fileno(),),
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "[]\n"
            with socket.create_connection(listener.getsockname(), 10) as client:
                assert client.recv(100) == b"answer"
                assert client.recv(100) == b""
            assert process.wait(30) == 0
            other.settimeout(0)
            with pytest.raises(BlockingIOError):
                other.accept()
        finally:
            process.kill()
