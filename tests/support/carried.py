"""What else a call can leave, beside the rows of `residue.py`: in libraries, in the C library, in
registers, in the kernel. Each row is what plants it, and an expression that shows it.

SHOWN has what shows in the call that plants it; KERNEL what a process is not used again for;
REFUSED what cannot be done in the first place. Nothing of any is found by a call after it.
"""

from __future__ import annotations

from support.carried_kernel import (
    FLAGGED_MORE,
    KERNEL_IMPORTS,
    KERNEL_MORE,
    OPEN_MORE,
    QUIET_MORE,
    REFUSED_MORE,
    SHOWN_IN_REGISTERS,
)
from support.carried_libraries import LIBRARIES, OF_C
from support.carried_more import MORE, MORE_IMPORTS

IMPORTS = (
    """
import abc, array, calendar, collections, collections.abc, concurrent.futures.thread, copyreg, csv
import email.charset, encodings, enum, gettext, html.entities, http.client, io, linecache, mimetypes
import multiprocessing, multiprocessing.process, pickle, platform, reprlib, select, shutil, sqlite3
import ssl, string, subprocess, urllib.request, uuid, xml.etree.ElementTree as trees, zoneinfo

def tried(act):
    try:
        return act()
    except BaseException as error:
        return type(error).__name__, getattr(error, "errno", None)

def text_of(pointer):
    return ctypes.cast(pointer, ctypes.c_char_p).value

for _name in ("gmtime", "dlopen", "dlerror", "textdomain", "inet_ntoa", "newlocale", "uselocale",
              "__res_state", "__h_errno_location", "strsignal", "ecvt", "fopen"):
    getattr(libc, _name).restype = ctypes.c_void_p
libc.uselocale.argtypes = (ctypes.c_void_p,)
libc.lrand48.restype = ctypes.c_long
libc.fgetc.argtypes = libc.feof.argtypes = libc.clearerr.argtypes = (ctypes.c_void_p,)
libc.fwide.argtypes = (ctypes.c_void_p, ctypes.c_int)
STDIN = ctypes.c_void_p.in_dll(libc, "stdin").value
GMT = libc.gmtime(ctypes.byref(ctypes.c_long(0)))
ADDRESS = libc.inet_ntoa(ctypes.c_uint(0x01010101))
libc.dlerror()
libc.srand48(5), libc.fwide(ctypes.c_void_p.in_dll(libc, "stdout").value, 0)
SIGNGAM = ctypes.c_int.in_dll(libm, "signgam")
libm.lgamma.argtypes, libm.lgamma.restype = (ctypes.c_double,), ctypes.c_double
STACK = machine(bytes.fromhex("4889e0c3"))
ctypes.memset(STACK - 60_000, 65, 64)
READS_X87 = bytes.fromhex("4883ec20d93424d924248b44240c4883c420c3")
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
DATABASE = sqlite3.connect(":memory:", check_same_thread=False)
DATABASE.execute("create table t (x)"), DATABASE.commit()
FILE_LOCKS = [os.path.abspath(__file__), "/dev/null"]
parts, frozen_list, records = {"a": [1]}, (1, [2]), array.array("i", [1, 2, 3])

@functools.singledispatch
def single(value):
    return 0

class Other(Thing):
    def __len__(self):
        return 3

class Counted(enum.Flag):
    ONE, TWO, FOUR = 1, 2, 4

class Third(Thing):
    pass

async def own_name():
    return asyncio.current_task().get_name()

def keyed(*, kept=[]):
    return kept

class Descends(metaclass=abc.ABCMeta):
    pass

def gone(name):
    return os.path.lexists(name)

def loaded(name):
    return bool(libc.dlopen(name, 5))

def locks(path):
    found = os.open(path, 0)
    for turn in range(50):
        try:
            fcntl.flock(found, 6)
            os.close(found)
            return "free"
        except BlockingIOError:
            time.sleep(0.01)
    os.close(found)
    return "taken"

def attribute():
    answer = ctypes.create_string_buffer(56)
    raw("sched_getattr", 0, answer, 56, 0)
    return answer.raw.hex()

def control(cleared):
    return machine(bytes.fromhex("4883ec08d93c24668b04244883c4080fb7c0c3"))

def reads(path):
    with open(path, "rb") as found:
        return len(found.read())
"""
    + MORE_IMPORTS
    + KERNEL_IMPORTS
)
"""What is run at import, after all of `functions/attacks/residue.py`."""

OPEN = {
    "a descriptor far away": ("os.dup2(os.open('/dev/null', 0), 60)", "opened()"),
    "its socket in an epoll": ("e = select.epoll(); e.register(3); state.append(e)", "opened()"),
    "a timer that is set": (
        "f = raw('timerfd_create', 1, 0); "
        "raw('timerfd_settime', f, 0, struct.pack('QQQQ', 0, 0, 77, 0), 0)",
        "opened()",
    ),
    "signals by a descriptor": ("raw('signalfd4', -1, bytes(8), 8, 0)", "opened()"),
    "a lock on the code": (
        "f = os.open(FILE_LOCKS[0], 0); fcntl.flock(f, 2)",
        "locks(FILE_LOCKS[0])",
    ),
    "a lock on a device": (
        "f = os.open(FILE_LOCKS[1], 0); fcntl.flock(f, 2)",
        "locks(FILE_LOCKS[1])",
    ),
    "a file removed, and open": (
        "f = os.open('/tmp/x', 0o102); os.write(f, b'x' * 70_000); os.remove('/tmp/x')",
        "os.statvfs('/tmp')[2:8]",
    ),
    "a folder that is read": ("state.append(os.scandir('/usr')); next(state[-1])", "opened()"),
    "a connected pair with data": (
        "a, b = socket.socketpair(); a.send(b'secret'); state.extend((a, b))",
        "opened()",
    ),
    "a pipe with data": ("r, w = os.pipe(); os.write(w, b'secret')", "opened()"),
    "memory with seals": (
        "f = os.memfd_create('s', 3); os.write(f, b'secret')",
        "opened()",
    ),
    "a name of a folder": ("os.open('/tmp', 0o10000000)", "opened()"),
    "a counter of signals": ("f = os.eventfd(7)", "opened()"),
}
"""What is open, and closed with the call."""

# Whoever runs the tests at a lower priority may not raise one: so the lowest is set here.
KERNEL = {
    "capabilities that are kept": ("raw('prctl', 8, 1, 0, 0, 0)", "raw('prctl', 7, 0, 0, 0, 0)"),
    "a subreaper": (
        "raw('prctl', 36, 1, 0, 0, 0)",
        "raw('prctl', 37, SCRATCH, 0, 0, 0), SCRATCH.raw[0]",
    ),
    "memory that is not to be run": (
        "raw('prctl', 65, 1, 0, 0, 0)",
        "raw('prctl', 66, 0, 0, 0, 0)",
    ),
    "numbers of timers": (
        "raw('timer_create', 1, 0, SCRATCH); raw('timer_delete', SCRATCH.raw[0])",
        "raw('timer_create', 1, 0, SCRATCH), SCRATCH.raw[0]",
    ),
    "a timer of all work": ("signal.setitimer(signal.ITIMER_PROF, 700)", "signal.getitimer(2)"),
    "a timer of the clock": ("signal.setitimer(signal.ITIMER_REAL, 700)", "signal.getitimer(0)"),
    "attributes of scheduling": (
        "raw('sched_setattr', 0, struct.pack('IIQiIQQQ', 48, 3, 0, 19, 0, 0, 0, 0), 0)",
        "attribute()",
    ),
    "the time that it is given": (
        "raw('sched_setattr', 0, struct.pack('IIQiIQQQ', 48, 0, 0, 19, 0, 20_000_000, 0, 0), 0)",
        "attribute()",
    ),
    "idle scheduling": (
        "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))",
        "attribute()",
    ),
    "a limit of addresses": (
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 41))",
        "resource.getrlimit(resource.RLIMIT_AS)",
    ),
    "a limit of files": (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, -1))",
        "resource.getrlimit(resource.RLIMIT_FSIZE)",
    ),
    "a limit of data": (
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 40, -1))",
        "resource.getrlimit(resource.RLIMIT_DATA)",
    ),
    "a limit of the stack": (
        "resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 8 << 20))",
        "resource.getrlimit(resource.RLIMIT_STACK)",
    ),
    "a limit of locked memory": (
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 65536))",
        "resource.getrlimit(resource.RLIMIT_MEMLOCK)",
    ),
    "a limit of signals": (
        "resource.setrlimit(resource.RLIMIT_SIGPENDING, (7, 128))",
        "resource.getrlimit(resource.RLIMIT_SIGPENDING)",
    ),
    "a shared name of memory": (
        "libc.shm_open(b'/secret', 0o102, 0o600)",
        "os.listdir('/tmp')",
    ),
    "shared memory of Python": (
        "from multiprocessing import shared_memory as s; "
        "state.append(s.SharedMemory('secret', True, 99, track=False))",
        "os.listdir('/tmp')",
    ),
    "a second name of a file": (
        "open('/tmp/a', 'w').close(); os.link('/tmp/a', '/tmp/b')",
        "sorted(os.listdir('/tmp'))",
    ),
    "a file with a hole": (
        "f = os.open('/tmp/x', 0o102); os.ftruncate(f, 1 << 30); os.close(f)",
        "os.listdir('/tmp')",
    ),
    "folders in folders": ("os.makedirs('/tmp/a/b/c')", "os.listdir('/tmp')"),
    "a blocked signal of real time": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, [40])",
        "asked('rt_sigprocmask', 0, 0, ..., 8)",
    ),
    "many handlers": (
        "[signal.signal(n, len) for n in (10, 12, 14, 23)]; signal.signal(2, len)",
        "[str(signal.getsignal(n)) for n in (2, 10, 12, 14, 23)]",
    ),
}
"""What a process is not used again for, or what is taken away from it."""

FLAGGED = ("prctl", "timer_create", *FLAGGED_MORE)
"""Calls by which some of these show, and a process is not used again for."""

QUIET = {
    "a name of memory": "raw('prctl', 0x53564D41, 0, WHOLE, 4096, b'secret')",
    "an id that is its own": "raw('setfsuid', os.getuid())",
    "ids that stay": "raw('setresuid', -1, -1, -1)",
    "capabilities that stay": "raw('capset', struct.pack('II', 0x20080522, 0), bytes(24))",
    "an owner of a pipe": "r, w = os.pipe(); raw('fcntl', r, 8, os.getpid())",
    "a signal of a pipe": "r, w = os.pipe(); raw('fcntl', r, 10, 12)",
    "a wait with priority": "raw('futex', SCRATCH, 6 | 128, 0, 0, 0, 0)",
    "many futexes": "raw('futex_waitv', SCRATCH, 0, 0, 0, 0)",
    "a stack for signals of a thread": (
        "t = threading.Thread(target=lambda: raw('sigaltstack', "
        "struct.pack('QQQ', WHOLE, 0, SIZE), 0)); t.start(); t.join()"
    ),
    "the mode of new files, by a thread": (
        "t = threading.Thread(target=os.umask, args=(0o7,)); t.start(); t.join()"
    ),
    "a folder, by a thread": (
        "t = threading.Thread(target=os.chdir, args=('/tmp',)); t.start(); t.join()"
    ),
    "a nice thread": "t = threading.Thread(target=os.nice, args=(1,)); t.start(); t.join()",
    "memory locked, on fault": "raw('mlock2', WHOLE, 4096, 1)",
    "a file opened relative to itself": "raw('openat2', -100, b'/tmp', bytes(24), 24)",
    "a change written to memory": "raw('msync', WHOLE, 4096, 4)",
    "files read ahead": "f = os.open(FILE_LOCKS[0], 0); raw('readahead', f, 0, 9); os.close(f)",
    "data moved between pipes": (
        "a, b = os.pipe(); c, d = os.pipe(); os.write(b, b'x'); raw('tee', a, d, 1, 0)"
    ),
    "signals that are waited for": "raw('rt_sigtimedwait', bytes(8), 0, bytes(16), 8)",
    "a signal by a descriptor": (
        "f = os.pidfd_open(os.getpid()); raw('pidfd_send_signal', f, 0, 0, 0); os.close(f)"
    ),
}
"""What nothing shows, and a process is not used again for all the same."""

AGAIN = {
    "traces that are shown later": "faulthandler.dump_traceback_later(700, file=sys.__stderr__)",
    "a thread that blocks signals": (
        "t = threading.Thread(target=lambda: signal.pthread_sigmask(0, [10])); t.start(); t.join()"
    ),
    "a thread that waits for a lock": (
        "lock.acquire(); threading.Thread(target=lock.acquire, daemon=True).start()"
    ),
    "a thread that reads a pipe": (
        "r, w = os.pipe(); threading.Thread(target=os.read, args=(r, 1), daemon=True).start()"
    ),
    "a thread with data of its own": (
        "t = threading.Thread(target=lambda: setattr(local, 'x', 7)); t.start(); t.join()"
    ),
    "threads that start threads": (
        "f = lambda f, n: n and threading.Thread(target=f, args=(f, n - 1)).start(); f(f, 9)"
    ),
    "a file read to its end": "reads(FILE_LOCKS[0])",
    "the output with a part of a letter": "sys.stdout.buffer.write(b'\\xe2\\x82')",
    "output without an end": "print('secret', end='')",
    "an exception with a long chain": (
        "error = None\nfor n in range(40):\n    try:\n        raise ValueError(n) from error\n"
        "    except ValueError as found:\n        error = found\nstate.append(error)"
    ),
    "a deep structure": "f = []\nfor n in range(4000): f = [f]\nstate.append(f)",
    "a number of many digits": "state.append(7 ** 90_000)",
    "a thousand classes": "state.extend(type('C', (), {'x': n}) for n in range(300))",
    "a large key": "globals()['x' * 70_000] = 7",
    "a file in /tmp renamed often": (
        "open('/tmp/a', 'w').close()\nfor n in range(40): os.rename(f'/tmp/a', '/tmp/b'); "
        "os.rename('/tmp/b', '/tmp/a')\nos.remove('/tmp/a')"
    ),
    "many names in /tmp": "[(os.mkdir(f'/tmp/{n}'), os.rmdir(f'/tmp/{n}')) for n in range(50)]",
    "a socket that connects nowhere": (
        "s = socket.socket(); s.setblocking(False); tried(lambda: s.connect(('127.0.0.1', 9)))"
    ),
    "an address that is looked for": "tried(lambda: socket.getaddrinfo('secret.example', 80))",
    "packed data": "state.append(__import__('zlib').compress(b'secret' * 9000))",
    "a program that is refused": "tried(lambda: os.posix_spawn('/bin/true', ['true'], {}))",
    "a warning that is an error": (
        "warnings.simplefilter('error'); tried(lambda: warnings.warn('secret'))"
    ),
    "the collector in the middle": "gc.collect(); gc.collect(0); gc.get_objects()",
    "an answer of its own type": "state.append(type('Secret', (dict,), {})(x=7))",
}
"""What nothing shows afterwards, and a process may be used again after."""

REFUSED = {
    "the time of a device": ("os.utime('/dev/null')", "os.stat('/dev/null')[7:]"),
    "the time of another device": (
        "os.utime('/dev/urandom', (7, 7))",
        "os.stat('/dev/urandom')[7:]",
    ),
    "the time of a device by a descriptor": (
        "os.utime(os.open('/dev/null', 1))",
        "os.stat('/dev/null')[7:]",
    ),
    "the mode of a device": ("os.chmod('/dev/null', 0o600)", "os.stat('/dev/null')[0]"),
    "the time of the root": ("os.utime('/')", "os.stat('/')[7:]"),
    "the time of the code": ("os.utime(FILE_LOCKS[0])", "os.stat(FILE_LOCKS[0])[7:]"),
    "the mode of the code": ("os.chmod(FILE_LOCKS[0], 0o777)", "os.stat(FILE_LOCKS[0])[0]"),
    "the mode of /tmp by a descriptor": (
        "os.fchmod(os.open('/tmp', 0), 0o700)",
        "oct(os.stat('/tmp').st_mode)",
    ),
    "the owner of /tmp": ("os.chown('/tmp', 0, 0)", "os.stat('/tmp')[4:6]"),
    "a file beside the code": ("open('/function/secret', 'w')", "gone('/function/secret')"),
    "a file in the root": ("open('/secret', 'w')", "gone('/secret')"),
    "a file beside libraries": ("open('/usr/lib/secret', 'w')", "gone('/usr/lib/secret')"),
    "a file beside devices": ("open('/dev/secret', 'w')", "gone('/dev/secret')"),
    "another folder as root": ("os.chroot('/tmp')", "os.listdir('/')"),
    "an attribute of a file": (
        "os.setxattr(os.open('/tmp', 0), 'user.x', b'secret')",
        "os.listxattr('/tmp')",
    ),
    "an attribute of the code": (
        "os.setxattr(FILE_LOCKS[0], 'user.x', b'secret')",
        "os.listxattr(FILE_LOCKS[0])",
    ),
    "a pipe with a name": ("os.mkfifo('/tmp/secret')", "gone('/tmp/secret')"),
    "a socket with a name": (
        "socket.socketpair()[0].bind('/tmp/secret')",
        "gone('/tmp/secret')",
    ),
    "a socket with an abstract name": (
        "socket.socketpair()[0].bind(b'\\0secret')",
        "tried(lambda: socket.socket(socket.AF_UNIX).connect(b'\\0secret'))",
    ),
    "a port": ("socket.socket().bind(('127.0.0.1', 7777))", "opened()"),
    "a listener": ("socket.socket().listen()", "opened()"),
    "pages sent where they are": ("socket.socket().setsockopt(1, 60, 1)", "opened()"),
    "times of messages": ("socket.socket().setsockopt(1, 29, 1)", "opened()"),
    "a group of receivers": ("socket.socket().setsockopt(0, 35, bytes(8))", "opened()"),
    "a kind of datagrams": ("socket.socket(2, 2)", "opened()"),
    "a socket of the kernel": ("socket.socket(16, 3)", "opened()"),
    "a lease": ("fcntl.fcntl(os.open(FILE_LOCKS[0], 0), 1024, 0)", "0"),
    "a namespace of users": ("RAISES('unshare', 0x10000000)", "os.getuid()"),
    "a namespace of mounts": ("RAISES('unshare', 0x20000)", "os.listdir('/')"),
    "a namespace of times": ("RAISES('unshare', 0x80)", "time.clock_gettime(7) > 0"),
    "a namespace of another": ("RAISES('setns', 3, 0)", "os.getuid()"),
    "a name of the host": ("RAISES('sethostname', b'secret', 6)", "os.uname()[1]"),
    "a key that is asked for": ("RAISES('request_key', b'user', b's', 0, 0)", "0"),
    "a ring of keys": ("RAISES('keyctl', 1, b'secret', 0, 0, 0)", "0"),
    "keys of memory": ("RAISES('pkey_alloc', 0, 0)", "0"),
    "memory that is sealed": ("RAISES('mseal', WHOLE, 4096, 0)", "0"),
    "memory that is secret": ("RAISES('memfd_secret', 0)", "opened()"),
    "a policy of memory": ("RAISES('set_mempolicy', 1, SCRATCH, 64)", "0"),
    "a policy of a range": ("RAISES('mbind', WHOLE, 4096, 1, SCRATCH, 64, 0)", "0"),
    "where pages are": ("RAISES('move_pages', 0, 1, SCRATCH, 0, SCRATCH, 0)", "0"),
    "which pages are there": ("RAISES('mincore', WHOLE, 4096, SCRATCH)", "0"),
    "which pages of files are there": ("RAISES('cachestat', 0, SCRATCH, SCRATCH, 0)", "0"),
    "reading ahead of time": ("RAISES('io_setup', 1, SCRATCH)", "0"),
    "pages given to a pipe": ("RAISES('vmsplice', 1, SCRATCH, 0, 0)", "0"),
    "memory of itself": ("RAISES('process_vm_writev', 1, SCRATCH, 1, SCRATCH, 1, 0)", "0"),
    "a descriptor of itself": ("RAISES('pidfd_getfd', 3, 3, 0)", "opened()"),
    "a handle of a file": ("RAISES('name_to_handle_at', -100, b'/tmp', SCRATCH, SCRATCH, 0)", "0"),
    "a watch on everything": ("RAISES('fanotify_init', 0, 0)", "opened()"),
    "advice for itself": ("RAISES('process_madvise', 3, SCRATCH, 1, 4, 0)", "0"),
    "advice that forks have not": ("RAISES('madvise', WHOLE, SIZE, 10)", "0"),
    "bits of security": ("RAISES('prctl', 28, 1, 0, 0, 0)", "0"),
    "the clock of the processor": ("RAISES('prctl', 26, 2, 0, 0, 0)", "0"),
    "who may trace it": ("RAISES('prctl', 0x59616D61, -1, 0, 0, 0)", "0"),
    "calls that are handed on": ("RAISES('prctl', 59, 1, 0, 0, 0)", "0"),
    "a core that is shared": ("RAISES('prctl', 62, 1, 0, 0, 0)", "0"),
    "a flusher": ("RAISES('prctl', 57, 1, 0, 0, 0)", "0"),
    "speculation": ("RAISES('prctl', 53, 0, 4, 0, 0)", "0"),
    "that it can be dumped": ("RAISES('prctl', 4, 1, 0, 0, 0)", "0"),
    "a capability": ("RAISES('prctl', 47, 2, 0, 0, 0)", "0"),
    "ports of the machine": ("RAISES('iopl', 3)", "0"),
    "the log of the kernel": ("RAISES('syslog', 10, 0, 0)", "0"),
    "a group": ("RAISES('setgid', 0)", "os.getgid()"),
    "a user": ("RAISES('setuid', 0)", "os.getuid()"),
}
"""What is refused. `RAISES` makes a call and raises what it is answered with."""

RAISES = """
NUMBERS = {"mseal": 462, "cachestat": 451, "mincore": 27, "pkey_alloc": 330, "pkey_mprotect": 329,
           "remap_file_pages": 216, "map_shadow_stack": 453, "listmount": 458,
           "lsm_set_self_attr": 460, "set_thread_area": 205}

def RAISES(name, *arguments):
    number = NUMBERS.get(name)
    if number is not None:
        CALLS.setdefault(name, number)
    result = raw(name, *arguments)
    if result < 0:
        raise OSError(-result, name)

WARNED = {}
FLAGS = "%s"
"""

SHOWN = LIBRARIES | MORE | OF_C | SHOWN_IN_REGISTERS
OPEN |= OPEN_MORE
KERNEL |= KERNEL_MORE
QUIET |= QUIET_MORE
REFUSED |= REFUSED_MORE
COUNT = sum(map(len, (SHOWN, OPEN, KERNEL, QUIET, AGAIN, REFUSED)))
"""How many there are."""
