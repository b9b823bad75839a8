"""Use what functions share by way of the kernel, to reach or to starve another one."""

import ctypes
import errno
import fcntl
import os
import resource
import signal
import socket
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
F_SETLEASE, F_NOTIFY, F_OFD_SETLK, F_OFD_GETLK = 1024, 1026, 37, 36
HEARD = []


def tried(call, *args):
    try:
        return {"result": call(*args)}
    except OSError as error:
        return {"errno": error.errno}


def called(result):
    return {"result": result} if result >= 0 else {"errno": ctypes.get_errno()}


def paths():
    """Files and folders that other functions see at the same place."""
    found = [os.__file__, os.path.dirname(os.__file__), "/", "/dev", "/function", __file__]
    found += [f"/dev/{name}" for name in ("null", "zero", "random", "urandom")]
    lines = [
        p for p in ("/usr/lib/x86_64-linux-gnu", "/usr/share/zoneinfo/UTC") if os.path.exists(p)
    ]
    libc = "/usr/lib/x86_64-linux-gnu/libc.so.6"
    return [*found, *lines, *([libc] if os.path.exists(libc) else [])]


def lock_with(kind, descriptor):
    """Lock, and return what tells that somebody else has a lock: an errno, or a holder."""
    if kind == "flock":
        return tried(fcntl.flock, descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock = struct.pack("=hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)
    if kind == "posix":
        return tried(lambda: fcntl.fcntl(descriptor, fcntl.F_SETLK, lock) and None)
    if kind == "ofd":
        return tried(lambda: fcntl.fcntl(descriptor, F_OFD_SETLK, lock) and None)
    return tried(fcntl.fcntl, descriptor, F_SETLEASE, fcntl.F_RDLCK)


def seen_with(kind, descriptor):
    """Return whether a lock of somebody else is seen."""
    if kind == "flock":
        return lock_with(kind, descriptor).get("errno") == errno.EAGAIN
    asked = struct.pack("=hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    command = F_OFD_GETLK if kind == "ofd" else fcntl.F_GETLK
    answer = struct.unpack("=hhqqi4x", fcntl.fcntl(descriptor, command, asked))
    return answer[0] != fcntl.F_UNLCK


def hold(kind, seconds):
    """Lock all that can be opened, for a while."""
    held, locked = [], []
    for path in paths():
        held.append(os.open(path, os.O_RDONLY))
        if "errno" not in lock_with(kind, held[-1]):
            locked.append(path)
    time.sleep(seconds)
    return {"result": locked}


def look(kind):
    """Return where somebody else's lock is seen."""
    found = []
    for path in paths():
        descriptor = os.open(path, os.O_RDONLY)
        if kind == "lease":
            # A lease is broken by whoever opens for writing; nothing here can be opened so.
            continue
        if seen_with(kind, descriptor):
            found.append(path)
    return {"result": found}


def without_file():
    """What has no file, but for all of the machine the same inode."""
    made = {"eventfd": os.eventfd(0), "epoll": LIBC.epoll_create1(0)}
    timer, signals = LIBC.timerfd_create(1, 0), LIBC.signalfd(-1, bytes(8), 0)
    return made | {"timerfd": timer, "signalfd": signals}


def hold_without_file(kind, seconds):
    """Lock what has no file, for a while: whole, or 1,000 parts of it."""
    for descriptor in without_file().values():
        if kind == "shared":
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            continue
        command = F_OFD_SETLK if kind == "ofd" else fcntl.F_SETLK
        for start in range(0, 4000, 4):
            fcntl.fcntl(descriptor, command, struct.pack("hhqqi4x", 0, 0, start, 1, 0))
    time.sleep(seconds)
    return {"result": "held"}


def look_without_file(kind):
    """Return where somebody else's lock is seen."""
    if kind == "shared":
        exclusive = fcntl.LOCK_EX | fcntl.LOCK_NB
        return {
            "result": [
                name
                for name, descriptor in without_file().items()
                if "errno" in tried(fcntl.flock, descriptor, exclusive)
                or tried(fcntl.flock, descriptor, fcntl.LOCK_UN)["result"] is not None
            ]
        }
    return {"result": [name for name, d in without_file().items() if seen_with("ofd", d)]}


def linger_on(descriptor):
    """Have a socket keep waiting whoever closes it last, and return whether it would."""
    with socket.socket(fileno=os.dup(descriptor)) if descriptor else socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
        return {"result": sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)[0]}


def ask_other_end(option):
    """Ask for a descriptor of the process at the other end of this one's socket (SO_PEERPIDFD)."""
    with socket.socket(fileno=os.dup(3)) as sock:
        return tried(lambda: sock.getsockopt(socket.SOL_SOCKET, option))


def give_descriptor():
    with socket.socket(fileno=os.dup(3)) as sock:
        return tried(lambda: socket.send_fds(sock, [b"x"], [0]))


def enlarge_output():
    return tried(fcntl.fcntl, 1, 1031, 1 << 20) | {"size": fcntl.fcntl(1, 1032)}


def set_process(option):
    return called(LIBC.prctl(option, 1, 0, 0, 0))


def ask_socket(request):
    """Ask a socket by ioctl(2)."""
    with socket.socket() as sock:
        return tried(lambda: fcntl.ioctl(sock, request, bytes(64)) and None)


def set_socket(level, option):
    with socket.socket() as sock:
        return tried(lambda: sock.setsockopt(level, option, 1))


def become_dumpable():
    """Try to, and return whether it is (PR_SET_DUMPABLE, PR_GET_DUMPABLE)."""
    return {**called(LIBC.prctl(4, 1, 0, 0, 0)), "then": LIBC.prctl(3, 0, 0, 0, 0)}


def choose_processors():
    """Try to be on one alone; return where this can be, before and after."""
    before = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, before[:1])
    return [before, sorted(os.sched_getaffinity(0))]


def room_for_devices():
    found = os.statvfs("/dev/null")
    return [found.f_files, found.f_ffree, found.f_bfree]


def watch(how):
    if how == "dnotify":
        signal.signal(signal.SIGIO, lambda *_: HEARD.append("heard"))
        descriptor = os.open(os.path.dirname(os.__file__), os.O_RDONLY)
        refused = tried(fcntl.fcntl, descriptor, F_NOTIFY, 0x80000001 - (1 << 32))
        time.sleep(1.0)
        return {"result": HEARD, "refused": refused}
    if how == "inotify":
        return called(LIBC.inotify_init1(0))
    return called(LIBC.fanotify_init(0, 0))


def read_library():
    with open(os.path.join(os.path.dirname(os.__file__), "this.py")) as file:
        return {"result": len(file.read())}


def touch():
    """Change the times of devices, which everybody may write to."""
    found = {}
    for name in ("null", "zero", "random", "urandom"):
        path = f"/dev/{name}"
        found[name] = [tried(os.utime, path, (1, 1)), tried(os.utime, path)]
        with open(path, "wb", buffering=0) as file:
            found[name].append(tried(os.utime, file.fileno()))
        found[name].append(tried(os.chmod, path, 0o600))
    return found


def times():
    return {name: os.stat(f"/dev/{name}").st_mtime_ns for name in ("null", "zero", "urandom")}


def use_devices():
    with open("/dev/null", "r+b", buffering=0) as null:
        wrote, ended = null.write(b"gone"), null.read()
    with open("/dev/zero", "rb") as zero, open("/dev/urandom", "rb") as random:
        return [wrote, ended.decode(), zero.read(3).hex(), len(random.read(16))]


def in_flight(count, seconds):
    """Keep descriptors on their way: sent, and never received."""
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    kept = [(one, two)]
    gift = os.open("/dev/null", os.O_RDONLY)
    sent = 0
    while sent < count:
        try:
            kept[-1][0].setblocking(False)
            socket.send_fds(kept[-1][0], [b"x"], [gift] * 200)
            sent += 200
        except BlockingIOError:
            kept.append(socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
        except OSError as error:
            time.sleep(seconds)
            return {"errno": error.errno, "sent": sent}
    time.sleep(seconds)
    return {"result": sent}


def pending(seconds):
    """Queue as many signals as the kernel lets wait."""
    number = signal.SIGRTMIN
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    queued = 0
    while queued < 100_000 and LIBC.sigqueue(os.getpid(), number, None) == 0:
        queued += 1
    time.sleep(seconds)
    return {"result": queued}


def pipes(seconds):
    """Make pipes until the kernel makes them small, and return how many full ones there are.

    None can be made larger, and each process has so many descriptors, so there are several.
    """
    told, telling = os.pipe()
    for _ in range(4):
        if os.fork() == 0:
            made = []
            try:
                while len(made) < 450:
                    made.append(os.pipe())
                    if fcntl.fcntl(made[-1][0], 1032) < 65536:
                        break
            finally:
                os.write(telling, struct.pack("=i", len(made)))
                time.sleep(seconds + 1.0)
                os._exit(0)
    full = sum(struct.unpack("=i", os.read(told, 4))[0] for _ in range(4))
    _reading, writing = os.pipe()
    small = fcntl.fcntl(writing, 1032)
    time.sleep(seconds)
    return {"result": full, "then": small}


def pipe_size():
    _reading, writing = os.pipe()
    return {"result": fcntl.fcntl(writing, 1032)}


def open_socket(family, kind, protocol):
    def make():
        socket.socket(family, kind, protocol).close()

    return tried(make)


def open_pair(kind):
    return tried(lambda: [s.close() for s in socket.socketpair(socket.AF_UNIX, kind)] and None)


def merge():
    import mmap

    memory = mmap.mmap(-1, 8192, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return tried(memory.madvise, 12)


def merge_all():
    return called(LIBC.prctl(67, 1, 0, 0, 0))


def ask_process(request):
    descriptor = os.pidfd_open(os.getpid())
    return tried(lambda: fcntl.ioctl(descriptor, request, bytes(64)) and None)


def give_program(option):
    one, _other = socket.socketpair()
    return tried(one.setsockopt, socket.SOL_SOCKET, option, bytes(16))


def label_a_flow(label):
    """Make a flow label of IPv6 for a minute, which fails if there is one already."""
    get, anybody, create_alone = 0, 255, 1 | 2
    flow = struct.pack(
        "=16s4sBBHHHI",
        b"\xfd" * 16,
        label.to_bytes(4, "big"),
        get,
        anybody,
        create_alone,
        60,
        60,
        0,
    )
    with socket.socket(socket.AF_INET6) as sock:
        return tried(sock.setsockopt, socket.IPPROTO_IPV6, 32, flow)


def choose_port(port):
    """Have a socket take a port by the range of those it may have."""
    with socket.socket() as sock:
        return tried(sock.setsockopt, socket.IPPROTO_IP, 51, struct.pack("=HH", port, port))


def probe():
    """Make the calls of probes (uretprobe, uprobe), which no filter sees: errno, and how it ends.

    The first one ends whoever makes it, so a child does.
    """
    if not (child := os.fork()):
        LIBC.syscall(335)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return {"uretprobe": os.waitstatus_to_exitcode(status), "uprobe": called(LIBC.syscall(336))}


def residency():
    """Ask which pages of a shared file, and of memory, are there (cachestat, mincore)."""
    descriptor = os.open(os.__file__, os.O_RDONLY)
    span, stat = struct.pack("=QQ", 0, 1 << 20), ctypes.create_string_buffer(64)
    asked = called(LIBC.syscall(451, descriptor, span, stat, 0))
    at = ctypes.c_void_p(ctypes.addressof(stat) & ~4095)
    pages = ctypes.create_string_buffer(1)
    return {"cachestat": asked, "mincore": called(LIBC.mincore(at, ctypes.c_size_t(4096), pages))}


def folders():
    """Return what is readable of the host."""
    return {
        path: sorted(os.listdir(path))
        for path in ("/", "/usr", "/usr/lib", "/usr/share")
        if os.path.isdir(path)
    } | {
        "libraries": sorted(
            name
            for name in (
                os.listdir("/usr/lib/x86_64-linux-gnu")
                if os.path.isdir("/usr/lib/x86_64-linux-gnu")
                else []
            )
            if ".so" not in name
        ),
        "standard": sorted(os.listdir(os.path.dirname(os.__file__))),
        "prefix": sorted(os.listdir(os.path.join(sys.prefix, "lib"))),
    }


def works():
    """Use what loads further files of the host when it is asked."""
    import encodings.idna  # noqa: F401
    import importlib
    import zoneinfo

    names = ("ssl", "sqlite3", "lzma", "bz2", "zlib", "ctypes", "decimal", "hashlib", "asyncio")
    loaded = [name for name in names if importlib.import_module(name)]
    ctypes.CDLL("libm.so.6")
    LIBC.iconv_open.restype = ctypes.c_void_p
    converter = LIBC.iconv_open(b"UTF-16", b"ISO-8859-15")
    return [
        len(loaded),
        str(zoneinfo.ZoneInfo("Europe/Berlin")),
        converter not in (None, 2**64 - 1),
    ]


def layout():
    """Return where the C library and an object are, and how strings are hashed."""
    return [ctypes.cast(LIBC.getpid, ctypes.c_void_p).value, id(print), hash("casemate")]


def guards():
    """Return the values that guard stacks and pointers, and where code of the interpreter is."""
    LIBC.mmap.restype = ctypes.c_void_p
    place = LIBC.mmap(None, 4096, 7, 0x22, -1, 0)
    found = []
    for offset in (0x28, 0x30):
        code = bytes.fromhex(f"64488b0425{offset:02x}000000c3")  # mov %fs:offset, %rax; ret
        ctypes.memmove(place, code, len(code))
        found.append(ctypes.CFUNCTYPE(ctypes.c_ulong)(place)())
    return [*found, ctypes.cast(ctypes.pythonapi.Py_IsInitialized, ctypes.c_void_p).value]


def identity():
    return [os.getuid(), os.getgid(), list(os.getgroups()), AT_IMPORT]


def limits():
    return list(resource.getrlimit(resource.RLIMIT_SIGPENDING))


def linger(name, seconds):
    LIBC.prctl(15, name.encode(), 0, 0, 0)
    time.sleep(seconds)
    return {"result": "lingered"}


AT_IMPORT = os.getuid()


def handler(event, context):
    event = dict(event)
    return globals()[event.pop("attack")](**event)
