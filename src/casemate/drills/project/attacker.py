"""A function that tries to get out: `{"attack": name, ...}` gives `{"errno": n}` or what it got.

Numbers of system calls are those of x86_64. Nothing here needs more than a kernel to try it on.
"""

import contextlib
import ctypes
import mmap
import os
import resource
import select
import signal
import socket
import stat
import struct
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
SCRATCH = ctypes.create_string_buffer(4096)
CWD = -100
NAMESPACES = {
    "time": 0x80,
    "mount": 0x20000,
    "cgroup": 0x2000000,
    "uts": 0x4000000,
    "ipc": 0x8000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "network": 0x40000000,
    "user-mount-pid": 0x30020000,
    # With the flags of a plain fork, exactly what a zygote starts an instance with.
    "instance": 0x30020000 | 0x1200000,
}


def syscall(number, *arguments):
    """Return {"errno": n}, or {"result": n} if the kernel did as it was asked."""
    ctypes.set_errno(0)
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(number), *given)
    return {"errno": ctypes.get_errno()} if result == -1 else {"result": result}


def tried(call, *arguments, **named):
    """Return {"errno": n}, or {"result": text} if it worked."""
    try:
        return {"result": repr(call(*arguments, **named))[:500]}
    except OSError as error:
        return {"errno": error.errno}


# -- one system call each ----------------------------------------------------------------------

CALLS = {
    # mounts
    "mount-tmpfs": (165, b"tmpfs", b"/tmp", b"tmpfs", 0, None),
    "mount-proc": (165, b"proc", b"/tmp", b"proc", 0, None),
    "mount-bind": (165, b"/usr", b"/tmp", None, 4096, None),
    "mount-remount-root": (165, b"none", b"/", None, 32 | 4096, None),
    "mount-remount-function": (165, b"none", b"/function", None, 32 | 4096, None),
    "mount-remount-tmp-exec": (165, b"none", b"/tmp", None, 32, b"size=1g"),
    "umount-tmp": (166, b"/tmp", 2),
    "umount-function": (166, b"/function", 2),
    "umount-root": (166, b"/", 2),
    "chroot": (161, b"/tmp"),
    "pivot-root": (155, b"/tmp", b"/tmp"),
    "open-tree": (428, CWD, b"/", 1),
    "open-tree-recursive": (428, CWD, b"/", 1 | 0x8000),
    "move-mount": (429, CWD, b"/tmp", CWD, b"/function", 0),
    "move-mount-descriptor": (429, 0, b"", CWD, b"/tmp", 4),
    "fsopen": (430, b"tmpfs", 0),
    "fsopen-proc": (430, b"proc", 0),
    "fsconfig": (431, 0, 6, None, None, 0),
    "fsmount": (432, 0, 0, 0),
    "fspick": (433, CWD, b"/tmp", 0),
    "mount-setattr": (442, CWD, b"/", 0, SCRATCH, 32),
    # processes
    "ptrace-traceme": (101, 0, 0, 0, 0),
    "ptrace-attach": (101, 16, 1, 0, 0),
    "ptrace-seize": (101, 0x4206, 1, 0, 0),
    "process-vm-readv": (310, 1, SCRATCH, 1, SCRATCH, 1, 0),
    "process-vm-writev": (311, 1, SCRATCH, 1, SCRATCH, 1, 0),
    "process-madvise": (440, 0, SCRATCH, 1, 4, 0),
    "process-mrelease": (448, 0, 0),
    "pidfd-getfd": (438, 0, 0, 0),
    "kcmp": (312, 1, 1, 0, 0, 0),
    "personality": (135, 0x0040000),
    "modify-ldt": (154, 0, SCRATCH, 16),
    "move-pages": (279, 1, 0, None, None, None, 0),
    "migrate-pages": (256, 1, 0, None, None),
    # the kernel's large surfaces
    "keyctl-session": (250, 1, None),
    "keyctl-search": (250, 10, -3, b"user", b"x", 0),
    "add-key": (248, b"user", b"x", b"x", 1, -3),
    "request-key": (249, b"user", b"x", None, -3),
    "bpf": (321, 0, SCRATCH, 128),
    "perf-event-open": (298, SCRATCH, 0, -1, -1, 0),
    "userfaultfd": (323, 1),
    "io-uring-setup": (425, 4, SCRATCH),
    "io-uring-enter": (426, 0, 1, 0, 0, None, 0),
    "io-uring-register": (427, 0, 0, SCRATCH, 1),
    "io-submit": (209, 0, 1, SCRATCH),
    "io-setup": (206, 1, SCRATCH),
    "fanotify-init": (300, 0, 0),
    "name-to-handle-at": (303, CWD, b"/tmp", SCRATCH, SCRATCH, 0),
    "open-by-handle-at": (304, CWD, SCRATCH, 0),
    "lookup-dcookie": (212, 0, SCRATCH, 4096),
    "memfd-secret": (447, 0),
    "syslog": (103, 3, SCRATCH, 4096),
    "vmsplice": (278, 1, SCRATCH, 1, 0),
    "quotactl": (179, 0, None, 0, None),
    # the machine
    "reboot": (169, 0xFEE1DEAD, 672274793, 0, None),
    "swapon": (167, b"/tmp", 0),
    "acct": (163, b"/tmp/acct"),
    "settimeofday": (164, SCRATCH, None),
    "clock-settime": (227, 0, SCRATCH),
    "adjtimex": (159, SCRATCH),
    "clock-adjtime": (305, 0, SCRATCH),
    "sethostname": (170, b"owned", 5),
    "setdomainname": (171, b"owned", 5),
    "iopl": (172, 3),
    "ioperm": (173, 0, 1, 1),
    "init-module": (175, SCRATCH, 16, b""),
    "finit-module": (313, 0, b"", 0),
    "delete-module": (176, b"x", 0),
    "kexec-load": (246, 0, 0, None, 0),
    "kexec-file-load": (320, 0, 0, 0, None, 0),
    # shared memory and messages between processes
    "shmget": (29, 0, 4096, 0o1600),
    "semget": (64, 0, 1, 0o1600),
    "msgget": (68, 0, 0o1600),
    "mq-open": (240, b"queue", 0o102, 0o600, None),
    # rights
    "setuid-root": (105, 0),
    "setgid-root": (106, 0),
    "setresuid-root": (117, 0, 0, 0),
    "setresuid-other": (117, 1000, 1000, 1000),
    "setgroups": (116, 1, SCRATCH),
    "capset": (126, struct.pack("=Ii", 0x20080522, 0), b"\xff" * 24),
    "prctl-ambient": (157, 47, 2, 21, 0, 0),
    "prctl-securebits": (157, 28, 1, 0, 0, 0),
    "prctl-mm": (157, 35, 8, 0, 0, 0),
    "chown-root": (92, b"/tmp", 0, 0),
    "setxattr-capability": (188, b"/tmp", b"security.capability", SCRATCH, 20, 0),
    "mknod-memory": (133, b"/tmp/mem", 0o20666, 0x101),
    "mknod-disk": (133, b"/tmp/disk", 0o60666, 0x800),
    "mknodat-memory": (259, CWD, b"/tmp/mem", 0o20666, 0x101),
    "setns-own-pidfd": (308, 0, 0x20000000),
    # scheduling
    "sched-fifo": (144, 0, 1, struct.pack("=i", 50)),
    "setpriority-higher": (141, 0, 0, -20),
    "ioprio-set": (251, 1, 0, (1 << 13)),
}
CALLS |= {f"unshare-{name}": (272, flags) for name, flags in NAMESPACES.items()}


def call(name):
    return syscall(*CALLS[name])


def _reaped(result):
    """A clone that worked must not leave two of us."""
    if result.get("result") == 0:
        os._exit(0)
    return result


def all_calls():
    """Make every one of them, each in a process of its own."""
    found = {}
    for name in CALLS:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.alarm(5)
            os.write(writing, str(call(name).get("errno", 0)).encode())
            os._exit(0)
        os.close(writing)
        found[name] = int(os.read(reading, 10) or -1)
        os.close(reading)
        os.waitpid(pid, 0)
    return found


def clone(name):
    return _reaped(syscall(56, NAMESPACES[name] | 17, None, None, SCRATCH, None))


def clone3(name):
    arguments = struct.pack("=QQQQQQQQ", NAMESPACES[name], 0, 0, 0, 17, 0, 0, 0)
    return _reaped(syscall(435, arguments, len(arguments)))


def unshare_thread():
    """The one form of unshare that the zygote makes, to find threads."""
    return syscall(272, 0x10000)


# -- system calls of other architectures: the filter kills -------------------------------------


def x32_call():
    return syscall(0x40000000 + 39)


def i386_call():
    """Run `mov eax, 20; int 0x80; ret`, the getpid of 32-bit code."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    return {"result": ctypes.CFUNCTYPE(ctypes.c_long)(address)()}


# -- files -------------------------------------------------------------------------------------


def read(path):
    return tried(lambda: open(path, "rb").read(200))


def entries(path):
    return tried(lambda: sorted(os.listdir(path)))


def climb():
    """Leave by `..` from the working directory and through a link."""
    with contextlib.suppress(FileExistsError):
        os.symlink("../../../../../../../etc/passwd", "/tmp/link")
    os.chdir("/tmp")
    found = [read("/tmp/link"), read("../" * 20 + "etc/passwd"), read("/tmp/../etc/passwd")]
    return {"errnos": [f.get("errno", 0) for f in found]}


def write(folder):
    return tried(lambda: os.close(os.open(f"{folder}/made", os.O_CREAT | os.O_WRONLY, 0o777)))


def modify(how):
    path = __file__
    ways = {
        "open": lambda: os.open(path, os.O_WRONLY),
        "truncate": lambda: os.truncate(path, 0),
        "unlink": lambda: os.unlink(path),
        "rename": lambda: os.rename(path, "/function/code/other.py"),
        "chmod": lambda: os.chmod(path, 0o777),
        "utime": lambda: os.utime(path),
        "link": lambda: os.link(path, "/tmp/app.py"),
        "mkdir": lambda: os.mkdir("/function/code/made"),
        "symlink": lambda: os.symlink("/tmp", "/function/code/made"),
        "root": lambda: os.mkdir("/made"),
        "library": lambda: os.mkdir("/usr/lib/made"),
        "rename-root": lambda: os.rename("/function", "/other"),
        "chmod-device": lambda: os.chmod("/dev/null", 0o600),
        "unlink-device": lambda: os.unlink("/dev/null"),
    }
    return tried(ways[how])


def set_user_id_file():
    """A set-user-id file can be made in /tmp, but nothing can run it."""
    with open("/tmp/program", "wb") as file:
        file.write(b"#!/bin/sh\n")
    os.chmod("/tmp/program", 0o6755)
    return tried(os.execv, "/tmp/program", ["program"])


# -- running programs --------------------------------------------------------------------------


def execute(path):
    return tried(os.execv, path, [path])


def execute_copy():
    """Run an ELF file (any library is one) from /tmp."""
    library = next(
        os.path.join(folder, name)
        for folder, _, names in os.walk("/usr/lib")
        for name in names
        if name.startswith("ld-linux")
    )
    with open(library, "rb") as source, open("/tmp/program", "wb") as target:
        target.write(source.read())
    os.chmod("/tmp/program", 0o755)
    return {
        "errnos": [
            tried(os.execv, "/tmp/program", ["program"]).get("errno", 0),
            tried(os.execv, library, [library]).get("errno", 0),
        ]
    }


def execute_memory():
    """Run a file without a path: memfd_create and execveat."""
    descriptor = os.memfd_create("program", 0)
    os.write(descriptor, b"#!/usr/bin/python3\n")
    return syscall(322, descriptor, b"", None, None, 0x1000)


def map_executable():
    """Map a file of /tmp as code, as a loader of its own would."""
    with open("/tmp/code", "w+b") as file:
        file.write(bytes(4096))
        file.flush()
        return tried(mmap.mmap, file.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)


def load_library():
    with open("/tmp/library.so", "wb") as file:
        file.write(b"\x7fELF" + bytes(100))
    return tried(ctypes.CDLL, "/tmp/library.so")


# -- network -----------------------------------------------------------------------------------


def open_socket(family, kind, protocol=0):
    return tried(socket.socket, family, kind, protocol)


def connect(address, port, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(2)
        return tried(sock.connect, (address, port))


def send_datagram(address, port, family=socket.AF_INET):
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        return {"errno": error.errno}
    with sock:
        return tried(sock.sendto, b"x", (address, port))


def bind(port, family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        return tried(sock.bind, ("", port))


def listen():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        return tried(sock.listen)


def bring_up_loopback():
    """SIOCSIFFLAGS: set IFF_UP on lo."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        request = struct.pack("16sh22x", b"lo", 1)
        return tried(fcntl.ioctl, sock.fileno(), 0x8914, request)


def interfaces():
    return {"result": [name for _, name in socket.if_nameindex()]}


ABSTRACT = "\0zebra7"


def abstract_listen(seconds):
    """A pair of sockets needs no socket(2); one of them may be given a name all the same."""
    try:
        one, _two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    except OSError:
        one, _two = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    # Let go of the other one (AF_UNSPEC): a connected socket hears its peer alone.
    LIBC.connect(one.fileno(), struct.pack("=H", 0), 2)
    try:
        one.bind(ABSTRACT)
    except OSError as error:
        time.sleep(seconds)
        return {"errno": error.errno}
    ready = select.select([one], [], [], seconds)[0]
    return {"result": repr(one.recv(100))} if ready else {"errno": 0}


def abstract_send():
    try:
        one, _two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    except OSError as error:
        return {"errno": error.errno}
    answer = tried(one.sendto, b"x", ABSTRACT)
    return answer if "errno" in answer else {"result": answer}


def smuggle(target):
    """Give a descriptor away: with a log line, or to a socket that a sibling may listen on."""
    import array

    gift = os.memfd_create("smuggled")
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [gift] * 8))]
    if target == "gateway":
        head = b'{"level":"info","at":1.0}'
        line = struct.pack("!cII", b"L", len(head), 4) + head + b"gift"
        try:
            socket.socket(fileno=os.dup(3)).sendmsg([line], rights)
        except OSError as error:
            return {"errno": error.errno}
        return {"result": "sent"}
    try:
        one, _two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    except OSError as error:
        return {"errno": error.errno}
    address = ABSTRACT if target == "sibling" else "/run/nobody"
    found = tried(one.sendmsg, [b"gift"], rights, 0, address)
    return {"errno": 1} if found.get("errno") == 2 else found


# -- signals -----------------------------------------------------------------------------------


def kill(pids):
    """Send signal 0, then SIGKILL, to process ids of the host."""
    found = {}
    for pid in pids:
        for number in (0, signal.SIGKILL):
            found[f"{pid}-{number}"] = tried(os.kill, pid, number).get("errno", 0)
        found[f"{pid}-pidfd"] = tried(os.pidfd_open, pid).get("errno", 0)
    return {"errnos": sorted(set(found.values()))}


def kill_all(number):
    return tried(os.kill, -1, number)


def kill_group(number):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return tried(os.kill, 0, number)


def kill_parent():
    return {"parent": os.getppid(), "group": os.getpgrp(), "session": os.getsid(0)}


def renice_group():
    """Lower the priority of every process of the group."""
    return tried(os.setpriority, os.PRIO_PGRP, 0, 19)


def renice_user():
    return tried(os.setpriority, os.PRIO_USER, 0, 18)


# -- limits and state --------------------------------------------------------------------------


def raise_limit(name):
    limit = getattr(resource, f"RLIMIT_{name}")
    soft, hard = resource.getrlimit(limit)
    try:
        resource.setrlimit(limit, (hard + 1, hard + 1))
    except (ValueError, OSError):
        return {"errno": 1, "soft": soft, "hard": hard}
    return {"result": resource.getrlimit(limit)}


def lock_memory():
    """More than RLIMIT_MEMLOCK."""
    held = mmap.mmap(-1, 1 << 20)
    return syscall(149, ctypes.addressof(ctypes.c_char.from_buffer(held)), 1 << 20)


def take_memory(processes, megabytes):
    """Let several processes take memory at once; tell how many of them lived."""
    children = []
    for _ in range(processes):
        pid = os.fork()
        if pid == 0:
            held = bytearray(megabytes << 20)
            held[::4096] = b"x" * len(held[::4096])
            time.sleep(1.0)
            os._exit(0)
        children.append(pid)
    ended = [os.waitpid(pid, 0)[1] for pid in children]
    return {"alive": ended.count(0)}


def device_request(path):
    """Ask a device how large its terminal is, which it does not have (ioctl)."""
    import fcntl

    with open(path, "rb") as file:
        return tried(fcntl.ioctl, file.fileno(), 0x5413)


def descriptors():
    found = {}
    for descriptor in range(1024):
        with contextlib.suppress(OSError):
            found[descriptor] = stat.S_IFMT(os.fstat(descriptor).st_mode)
    return {"result": found}


def folders():
    """Return what is in the folders that this process holds open, and was not given."""
    found = []
    for descriptor in range(3, 1024):
        with contextlib.suppress(OSError):
            inside = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
            found += os.listdir(inside)
            os.close(inside)
    return {"result": sorted(set(found))}


def environment():
    return {"result": dict(os.environ)}


def identity():
    return {
        "result": {
            "pid": os.getpid(),
            "uid": os.getresuid(),
            "gid": os.getresgid(),
            "groups": os.getgroups(),
            "host": os.uname().nodename,
        }
    }


def linger(name, seconds):
    """Be found by the host under a name."""
    LIBC.prctl(15, name.encode(), 0, 0, 0)
    time.sleep(seconds)
    return {"result": name}


def start(how, name):
    """Start something that would go on after the answer."""

    def go_on():
        LIBC.prctl(15, name.encode(), 0, 0, 0)
        time.sleep(3600)

    if how == "thread":
        threading.Thread(target=go_on, daemon=True).start()
        time.sleep(0.1)
        return {"result": "started"}
    for _ in range(8 if how == "many" else 1):
        if os.fork() == 0:
            if how != "fork":
                os.setsid()
                for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                    signal.signal(number, signal.SIG_IGN)
            if how == "daemon" and os.fork():
                os._exit(0)
            go_on()
    time.sleep(0.2)
    return {"result": "started"}


ATTACKS = {
    function.__name__: function
    for function in (
        call, all_calls, clone, clone3, unshare_thread, x32_call, i386_call, read, entries, climb,
        write, modify, set_user_id_file, execute, execute_copy, execute_memory, map_executable,
        load_library, open_socket, connect, send_datagram, bind, listen, bring_up_loopback,
        interfaces, abstract_listen, abstract_send, smuggle, kill, kill_all, kill_group,
        kill_parent, renice_group, renice_user, raise_limit, lock_memory, take_memory,
        device_request, descriptors, folders, environment, identity, linger, start,
    )
}  # fmt: skip


def handler(event, context):
    return ATTACKS[event.pop("attack")](**event)
