"""A function that leaves something, and tells all that it finds of what a call could have left.

`{"run": code}` runs code as a call of an attacker would; `{"look": true}` tells what it finds,
`{"deep": true}` as well what can be asked only by calls after which a process is not used again.
`CALLS`, the numbers of system calls, comes before this text.
"""

import asyncio
import atexit
import builtins
import codecs
import contextlib
import contextvars
import ctypes
import decimal
import errno
import faulthandler
import fcntl
import functools
import gc
import hashlib
import itertools
import json
import locale
import logging
import mmap
import os
import random
import re
import resource
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import tracemalloc
import types
import warnings
import weakref

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.getenv.restype = libc.strtok.restype = ctypes.c_char_p
libc.setlocale.restype = ctypes.c_char_p
libc.pthread_getspecific.restype = libc.malloc.restype = ctypes.c_void_p
libc.__fpending.restype = ctypes.c_size_t
libc.__fpending.argtypes = (ctypes.c_void_p,)
libm = ctypes.CDLL("libm.so.6")
STDOUT = ctypes.c_void_p.in_dll(libc, "stdout")
OPTIND = ctypes.c_int.in_dll(libc, "optind")
SIZE = 1 << 16
FREE = 0x200000000000
SCRATCH = ctypes.create_string_buffer(4096)


def raw(name, *arguments):
    """Make a system call, however Python would; return its result, or minus its errno."""
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(CALLS[name]), *given)  # noqa: F821
    return -ctypes.get_errno() if result < 0 else result


spare = ctypes.create_string_buffer(b"A" * 16383, 16384)
PAGE = ctypes.addressof(spare) + 4095 & ~4095
WHOLE = raw("mmap", 0, SIZE, 3, 0x22, -1, 0)
ctypes.memset(WHOLE, 66, SIZE)
CODE = raw("mmap", 0, 4096, 7, 0x22, -1, 0)
WIDE_SIZE = 12 << 20
WIDE = raw("mmap", 0, WIDE_SIZE, 3, 0x22, -1, 0)
LIMIT = ctypes.create_string_buffer(struct.pack("QQ", 100, 100), 64)
STRTOK = ctypes.create_string_buffer(b"one two three")
KEY = ctypes.c_uint()
libc.pthread_key_create(ctypes.byref(KEY), None)
LIBRARY = ctypes.cast(libc.getppid, ctypes.c_void_p).value


def machine(code):
    """Run machine code."""
    ctypes.memmove(CODE, code, len(code))
    return ctypes.CFUNCTYPE(ctypes.c_ulong)(CODE)()


SET_GS = bytes.fromhex("48c7c034120000f3480faed8c3")
GET_GS = bytes.fromhex("f3480faec8c3")
GET_FS = bytes.fromhex("f3480faec0c3")

state, items, table, ring = [], {}, set(), itertools.count()
queue = __import__("collections").deque(maxlen=4)
text = bytearray(b"clean")
constant = b"a constant of the module"
word = sys.intern("a-word-of-the-module")
variable = contextvars.ContextVar("variable", default="clean")
local = threading.local()
lock, event_flag = threading.Lock(), threading.Event()
logger = logging.getLogger("residue")
own_random = random.Random(5)
loop_policy = asyncio.get_event_loop_policy


class Thing:
    """A class that is changed."""

    count = 0


thing = Thing()


class Slotted:
    """An instance without a dictionary."""

    __slots__ = ("value",)


slotted = Slotted()
slotted.value = "clean"


@functools.lru_cache
def cached(value):
    return value


def default(value, kept=[]):  # noqa: B006
    kept.append(value)
    return len(kept)


def closure():
    value = "clean"

    def change(new):
        nonlocal value
        value = new

    return change, lambda: value


change, closed = closure()


def generator():
    while True:
        yield len(state)


running = generator()
next(running)
parser = json.JSONDecoder()
scanner = re.compile("a")


def opened():
    found = []
    for number in range(64):
        with contextlib.suppress(OSError):
            mode = os.fstat(number).st_mode
            flags = fcntl.fcntl(number, fcntl.F_GETFD), fcntl.fcntl(number, fcntl.F_GETFL)
            found.append((number, oct(mode), *flags))
    return found


def signals():
    found = []
    for number in range(1, 65):
        answer = ctypes.create_string_buffer(32)
        raw("rt_sigaction", number, 0, answer, 8)
        found.append(answer.raw.hex())
    return found


def asked(name, *arguments):
    answer = ctypes.create_string_buffer(64)
    given = [answer if argument is ... else argument for argument in arguments]
    result = raw(name, *given)
    return [result, answer.raw.hex()]


def of_socket():
    found = []
    for option in (1, 2, 4, 6, 7, 8, 9, 10, 12, 13, 16, 18, 20, 21, 34, 36, 42):
        size = ctypes.c_int(64)
        answer = ctypes.create_string_buffer(64)
        result = raw("getsockopt", 3, 1, option, answer, ctypes.byref(size))
        found.append([option, result, answer.raw[: size.value].hex()])
    return found


def digest(place, size):
    return hashlib.sha256(ctypes.string_at(place, size)).hexdigest()[:16]


def audited():
    try:
        sys.audit("casemate.residue")
    except BaseException as error:
        return repr(error)
    return ""


def named(function):
    return getattr(function, "__name__", type(function))


def sizes():
    """Return what `state` holds, of large things how large they are."""
    return [
        (type(one).__name__, len(one)) if isinstance(one, (bytes, bytearray)) else one
        for one in state
    ]


def found_codec():
    try:
        return codecs.lookup("residue").name
    except LookupError:
        return ""


def of_python():
    return {
        "names": sorted(set(globals()) - NAMES),
        "values": repr([sizes(), items, table, ring, queue, bytes(text), constant, word]),
        "things": repr([vars(thing), sorted(vars(Thing)), Thing.count, slotted.value]),
        "functions": repr(
            [
                cached.cache_info(),
                default.__defaults__,
                closed(),
                cached.__wrapped__.__code__.co_name,
                handler.__name__,
                sorted(vars(default)),
                running.gi_frame is None,
            ]
        ),
        # Without the trace of the call that looks, which is another one each time.
        "environment": sorted(
            pair for pair in os.environ.items() if pair[0] not in ("TRACEPARENT", "TRACESTATE")
        ),
        "modules": sorted(sys.modules),
        "patched": repr([named(json.dumps), named(os.getcwd), named(time.time)]),
        "attributes": [sorted(set(vars(m)) - was) for m, was in VARIABLES],
        "import": repr(
            [sys.path, len(sys.meta_path), len(sys.path_hooks), sys.dont_write_bytecode]
        ),
        "hooks": repr(
            [
                sys.excepthook is sys.__excepthook__,
                sys.displayhook is sys.__displayhook__,
                sys.unraisablehook is sys.__unraisablehook__,
                sys.gettrace(),
                sys.getprofile(),
                threading.gettrace(),
                threading.excepthook is threading.__excepthook__,
                sys.get_asyncgen_hooks()[0],
                sys.get_coroutine_origin_tracking_depth(),
                audited(),
                sys.stdout is sys.__stdout__,
                sys.stderr is sys.__stderr__,
                sys.stdin is sys.__stdin__,
                getattr(sys.stdout, "errors", ""),
                getattr(sys.stdout, "line_buffering", 0),
                sys.breakpointhook.__name__,
            ]
        ),
        "interpreter": repr(
            [
                sys.getrecursionlimit(),
                sys.getswitchinterval(),
                gc.get_threshold(),
                gc.isenabled(),
                len(gc.callbacks),
                gc.get_debug(),
                len(gc.garbage),
                tracemalloc.is_tracing(),
                faulthandler.is_enabled(),
                sys.get_int_max_str_digits(),
                atexit._ncallbacks(),
                [sys.monitoring.get_tool(n) for n in range(6)] if hasattr(sys, "monitoring") else 0,
                len(sys._current_frames()),
                threading.active_count(),
                lock.locked(),
                event_flag.is_set(),
                sys.orig_argv,
                sys.argv,
            ]
        ),
        "libraries": repr(
            [
                found_codec(),
                locale.setlocale(locale.LC_ALL),
                decimal.getcontext().prec,
                decimal.DefaultContext.prec,
                variable.get(),
                sorted(vars(local)),
                len(warnings.filters),
                logging.root.level,
                len(logging.root.handlers),
                logging.root.manager.disable,
                logger.level,
                len(logger.filters),
                logging.getLevelName(77),
                socket.getdefaulttimeout(),
                time.tzname,
                tempfile.tempdir,
                asyncio.get_event_loop_policy is loop_policy,
                own_random.getstate()[1][:3],
                signal.set_wakeup_fd is None,
                len(weakref.WeakSet()),
                len(codecs.lookup_error("strict").__name__),
                mmap.PAGESIZE,
            ]
        ),
    }


def of_process():
    return {
        "folder": os.getcwd(),
        "tmp": repr(
            [
                sorted(os.listdir("/tmp")),
                os.stat("/tmp").st_mode,
                os.stat("/tmp")[3:7],
                os.statvfs("/tmp")[2:8],
            ]
        ),
        "descriptors": opened(),
        "socket": of_socket(),
        "signals": signals(),
        "mask": asked("rt_sigprocmask", 0, 0, ..., 8),
        "pending": asked("rt_sigpending", ..., 8),
        "stack for signals": asked("sigaltstack", 0, ...),
        "timers": [signal.getitimer(n) for n in range(3)],
        # One that is restored may have one process more: its copy, which never runs.
        "limits": [resource.getrlimit(n) for n in range(16) if n != resource.RLIMIT_NPROC],
        "scheduling": repr(
            [
                os.getpriority(os.PRIO_PROCESS, 0),
                os.sched_getscheduler(0),
                os.sched_getparam(0),
                sorted(os.sched_getaffinity(0)),
            ]
        ),
        "ids": [os.getpid(), os.getppid(), os.getsid(0), os.getpgrp(), os.getuid(), os.getgid()],
        "robust list": asked("get_robust_list", 0, ..., SCRATCH)[0],
    }


def of_memory():
    return {
        "memory": [digest(PAGE, 8192), digest(WHOLE, SIZE), digest(CODE + 2048, 1024)],
        "mapped": raw("access", FREE, 0) != -errno.EFAULT,
        "code": ctypes.string_at(LIBRARY, 16).hex(),
        "wide": [ctypes.string_at(WIDE + at, 8).hex() for at in range(0, WIDE_SIZE, 1 << 20)],
        "library": repr(
            [
                libc.rand(),
                OPTIND.value,
                libc.getenv(b"RESIDUE"),
                libc.strtok(None, b" "),
                libc.setlocale(6, None),
                libc.__fpending(STDOUT),
                libc.pthread_getspecific(KEY),
                ctypes.get_errno(),
            ]
        ),
        "registers": [libm.fegetround(), libm.fegetexcept(), machine(GET_GS), machine(GET_FS)],
    }


def of_kernel():
    """By calls that the filter flags."""
    mask = os.umask(0o22)
    os.umask(mask)
    return {
        "umask": mask,
        "prctl": [[option, asked("prctl", option, ..., 0, 0, 0)] for option in (2, 16, 37, 25, 19)]
        + [[option, raw("prctl", option, 0, 0, 0, 0)] for option in (3, 7, 21, 27, 30, 34, 39, 42)],
        "made timers": [asked("timer_gettime", number, ...) for number in range(3)],
        "children": raw("wait4", -1, 0, 1, 0),
        "files": [[raw("fcntl", number, 9), raw("fcntl", number, 11)] for number in range(4)],
        "priority": raw("ioprio_get", 1, 0),
        "personality": raw("personality", 0xFFFFFFFF),
    }


VARIABLES = [
    (module, set(vars(module)))
    for module in (sys, os, builtins, json, socket, threading, signal, logging, types, errno)
]
# Whatever these make of themselves when they are first used.
codecs.lookup_error("strict")
libc.srand(11), libm.fegetround(), libm.fegetexcept(), machine(GET_GS), machine(GET_FS)
libc.strtok(STRTOK, b" ")
asked("wait4", -1, 0, 1, 0), struct.pack("Q", 1)


def look(deep=False):
    ctypes.set_errno(0)
    found = of_python() | of_process() | of_memory()
    return found | of_kernel() if deep else found


def handler(event, context):
    answer = {"who": os.fstat(3).st_ino, "chance": [random.random(), os.urandom(4).hex()]}
    if "run" in event:
        scope = {"context": context, "event": event}
        exec(event["run"], globals(), scope)
        answer["result"] = scope.get("result")
    if event.get("look") or event.get("deep"):
        answer["found"] = look(bool(event.get("deep")))
    return answer


NAMES = set(globals()) | {"NAMES", "look", "handler"}
