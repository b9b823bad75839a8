"""A function that leaves things behind for its next invocation, and looks for them."""

import contextlib
import ctypes
import fcntl
import json
import os
import random
import resource
import signal
import socket
import struct
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
TIMER = ctypes.create_string_buffer(8)
NICENESS = os.getpriority(os.PRIO_PROCESS, 0)
"""Of the zygote: that of whoever started the node."""


def tried(call, *arguments):
    """Return {"errno": n}, or {"result": text} if it worked."""
    try:
        return {"result": repr(call(*arguments))}
    except OSError as error:
        return {"errno": error.errno}


def descriptors():
    found = []
    for number in range(1024):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found.append(number)
    return found


planted = {}


def plant():
    """Leave something of every kind; tell what worked."""
    planted["global"] = True
    os.environ["PLANTED"] = "1"
    os.umask(0o123)
    os.chdir("/tmp")
    for folder in ("/tmp", "/dev/shm"):
        with open(f"{folder}/planted", "w") as file:
            file.write("planted")
    threading.Thread(target=time.sleep, args=(3600,), name="planted", daemon=True).start()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_VIRTUAL, 3600)
    LIBC.inotify_init1(0)
    for number in range(20):
        os.memfd_create(f"planted-{number}")
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.suppress(OSError):
        one.bind("\0planted")
    planted["socket"] = one
    json.planted = True
    if os.fork() == 0:
        time.sleep(3600)
    return look()


def send_to(address):
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return one.sendto(b"x", address)


def look():
    """Return which of the things that `plant` leaves are here."""
    umask = os.umask(0o022)
    found = {
        "global": bool(planted),
        "environment": "PLANTED" in os.environ,
        "umask": umask == 0o123,
        "folder": os.getcwd() != "/function/code",
        "tmp": os.listdir("/tmp") != [],
        "shm": os.path.exists("/dev/shm/planted"),
        "thread": threading.active_count() > 1,
        "signal": signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN,
        "timer": signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0,
        "descriptor": len(descriptors()) > 20,
        "module": hasattr(json, "planted"),
        "child": tried(os.waitpid, -1, os.WNOHANG).get("errno") != 10,
        "socket": tried(send_to, "\0planted").get("errno") is None,
    }
    return {"result": sorted(name for name, there in found.items() if there)}


def lock_file():
    """Whether this process gets the lock of a file that every instance sees."""
    descriptor = os.open("/function/code/app.py", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def posix_timer():
    """Make a timer (timer_create) that sends SIGUSR2 in an hour."""
    return LIBC.syscall(222, 1, struct.pack("=QiiQ40x", 0, 12, 0, 0), TIMER)


LEFT = {}


def leave(kind):
    """Leave one thing behind."""
    if kind == "file-lock":
        lock_file()
        if os.fork() == 0:  # holds it for as long as it lives
            time.sleep(3600)
    elif kind == "posix-timer":
        posix_timer()
    elif kind == "timer-descriptor":
        LIBC.timerfd_create(1, 0)
    elif kind == "file-time":
        return tried(os.utime, "/function/code/app.py", (7, 7))
    elif kind == "nice":
        os.nice(5)
    elif kind == "limit":
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
    elif kind == "name":
        LIBC.prctl(15, b"left-behind", 0, 0, 0)
    elif kind == "hook":
        sys.addaudithook(lambda *_: LEFT.setdefault("hook", True))
    elif kind == "code":
        handler.__code__ = (lambda event, context: {"result": "replaced"}).__code__
    elif kind == "random":
        random.seed(7)
        LEFT["random"] = True
    return {"result": "left"}


def find(kind):
    """Tell whether it is here."""
    name = ctypes.create_string_buffer(16)
    LIBC.prctl(16, name, 0, 0, 0)
    seeded = random.getrandbits(64)
    random.seed(7)
    return {
        "result": {
            "file-lock": lambda: not lock_file(),
            # A timer's id is the first free one of its process.
            "posix-timer": lambda: posix_timer() != 0 or struct.unpack_from("=i", TIMER)[0] != 0,
            "timer-descriptor": lambda: len(descriptors()) > 4,
            "file-time": lambda: os.stat("/function/code/app.py").st_mtime == 7,
            "nice": lambda: os.getpriority(os.PRIO_PROCESS, 0) != NICENESS,
            "limit": lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 20,
            "name": lambda: name.value == b"left-behind",
            "hook": lambda: bool(LEFT),
            "code": lambda: False,
            "random": lambda: seeded == random.getrandbits(64),
        }[kind]()
    }


def alarm(seconds):
    signal.alarm(seconds)
    if os.fork() == 0:
        signal.alarm(seconds)
        time.sleep(3600)
    return {"result": "set"}


ATTACKS = {function.__name__: function for function in (plant, look, leave, find, alarm)}


def handler(event, context):
    return ATTACKS[event.pop("attack")](**event)
