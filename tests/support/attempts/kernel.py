"""What a function that is granted nothing may ask of the kernel, and what two of different projects share by it."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from support.node import TestNode

from . import Attempts, BrokenAttemptError, tried

PROBE = (Path(__file__).parents[2] / "functions" / "attacks" / "probe.py").read_text()
LIMITS = 'timeout = "20s"\nprocesses = 16\nopen_files = 512\nmemory = "128MB"'

ALONE = {
    # name: expression; a result that is neither negative nor an error is a success of the attacker
    # prctl
    "prctl: memory merged for all": "raw(157, 67, 1, 0, 0, 0)",
    "prctl: core scheduling cookie made": "raw(157, 62, 1, 0, 0, 0)",
    "prctl: core scheduling cookie of pid 1 taken": "raw(157, 62, 2, 1, 0, 0)",
    "prctl: anybody may trace": "raw(157, 0x59616d61, -1, 0, 0, 0)",
    "prctl: dumpable": "raw(157, 4, 2, 0, 0, 0)",
    "prctl: no new privileges off": "raw(157, 38, 0, 0, 0, 0)",
    "prctl: IO flusher": "raw(157, 57, 1, 0, 0, 0)",
    "prctl: speculation enabled": "raw(157, 53, 0, 8, 0, 0)",
    "prctl: keep capabilities": "raw(157, 8, 1, 0, 0, 0) and 1 or -1",
    "prctl: subreaper of its namespace, then pid 1 killed": "(raw(157, 36, 1, 0, 0, 0), raw(62, 1, 9))[1] or -1",
    "prctl: machine check policy": "raw(157, 33, 1, 1, 0, 0) == 0 and 1 or -1",
    "prctl: perf events": "raw(157, 31, 0, 0, 0, 0) == 0 and 1 or -1",
    "prctl: seccomp strict by prctl, then off": "raw(157, 22, 0, 0, 0, 0)",
    "prctl: capability bounding set raised": "raw(157, 24, 41, 0, 0, 0)",
    "prctl: syscall user dispatch": "raw(157, 59, 1, 0, 0, BUFFER) == 0 and 1 or -1",
    "prctl: executable of the process": "raw(157, 35, 13, 1, 0, 0)",
    "prctl: memory map of the process": "raw(157, 35, 14, BUFFER, 104, 0)",
    # ioctl
    "ioctl: namespace of a socket": "fcntl.ioctl(socket.socketpair()[0], 0x894C)",
    "ioctl: user namespace of a pidfd": "fcntl.ioctl(os.pidfd_open(os.getpid()), 0xFF09)",
    "ioctl: network namespace of a pidfd": "fcntl.ioctl(os.pidfd_open(os.getpid()), 0xFF04)",
    "ioctl: pid namespace of a pidfd": "fcntl.ioctl(os.pidfd_open(os.getpid()), 0xFF05)",
    "ioctl: mount namespace of a pidfd": "fcntl.ioctl(os.pidfd_open(os.getpid()), 0xFF03)",
    "ioctl: control group by a pidfd": "struct.unpack_from('Q', fcntl.ioctl(os.pidfd_open(os.getpid()), 0xC040FF0B, struct.pack('Q', 4) + bytes(56)), 8)[0] or -1",
    "ioctl: entropy added": "fcntl.ioctl(os.open('/dev/urandom', 2), 0x40085203, struct.pack('ii', 8, 1) + b'x')",
    "ioctl: entropy cleared": "fcntl.ioctl(os.open('/dev/urandom', 0), 0x5206)",
    "ioctl: reseed of the kernel": "fcntl.ioctl(os.open('/dev/urandom', 0), 0x5207)",
    "ioctl: entropy counted": "fcntl.ioctl(os.open('/dev/urandom', 0), 0x80045200, bytes(4))",
    "ioctl: extents of a library": "fcntl.ioctl(os.open(os.__file__, 0), 0xC020660B, bytes(32))",
    "ioctl: block of a library": "fcntl.ioctl(os.open(os.__file__, 0), 1, bytes(4))",
    "ioctl: flags of a library set": "fcntl.ioctl(os.open(os.__file__, 0), 0x40086602, struct.pack('l', 16))",
    "ioctl: UUID of the host's file system": "fcntl.ioctl(os.open(os.__file__, 0), 0x80111500, bytes(17))",
    "ioctl: place of the file system in sysfs": "fcntl.ioctl(os.open(os.__file__, 0), 0x80811501, bytes(129))",
    "ioctl: label of the file system": "fcntl.ioctl(os.open(os.__file__, 0), 0x81009431, bytes(256))",
    "ioctl: project of a file": "fcntl.ioctl(os.open(os.__file__, 0), 0x401C5820, bytes(28))",
    "ioctl: a clone of a library's extents": "fcntl.ioctl(os.open('/tmp/c', 66), 0x40049409, os.open(os.__file__, 0))",
    "ioctl: freeze": "fcntl.ioctl(os.open('/tmp', 0), 0xC0045877, bytes(4))",
    "ioctl: trim": "fcntl.ioctl(os.open('/tmp', 0), 0xC0185879, bytes(24))",
    "ioctl: a terminal's input": "fcntl.ioctl(1, 0x5412, b'x')",
    "ioctl: interfaces": "len(fcntl.ioctl(socket.socket(), 0x8912, struct.pack('iP', 4096, ctypes.addressof(BUFFER)))) and -1",
    # sockets
    "socket: classic filter that stays locked": "option(1, 26, struct.pack('HxxxxxxP', 1, ctypes.addressof(ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 65535), 8))))",
    "socket: forced buffer": "option(1, 32, 1 << 26)",
    "socket: forced receive buffer": "option(1, 33, 1 << 26)",
    "socket: mark": "option(1, 36, 7)",
    "socket: priority above six": "option(1, 12, 7)",
    "socket: device": "option(1, 25, b'eth0', family=socket.AF_INET)",
    "socket: busy poll": "option(1, 69, 1)",
    "socket: eBPF filter": "option(1, 50, 0)",
    "socket: TCP repair": "option(6, 19, 1, family=socket.AF_INET)",
    "socket: TLS in the kernel": "option(6, 31, b'tls', family=socket.AF_INET)",
    "socket: a module by the congestion control": "option(6, 13, b'vegas', family=socket.AF_INET)",
    "socket: transparent": "option(0, 19, 1, family=socket.AF_INET)",
    "socket: rules of the firewall": "option(0, 64, struct.pack('32s', b'filter') + bytes(52), family=socket.AF_INET, size=84)",
    "socket: netlink": "socket.socket(16, 3, 0) and 1",
    "socket: netlink for audit": "socket.socket(16, 3, 9) and 1",
    "socket: ciphers of the kernel": "socket.socket(38, 5, 0) and 1",
    "socket: virtual machines": "socket.socket(40, 1, 0) and 1",
    "socket: packets": "socket.socket(17, 3, 0) and 1",
    "socket: keys of IPsec": "socket.socket(15, 3, 2) and 1",
    "socket: Bluetooth": "socket.socket(31, 3, 1) and 1",
    "socket: XDP": "socket.socket(44, 3, 0) and 1",
    "socket: QIPCRTR": "socket.socket(42, 2, 0) and 1",
    "socket: CAN": "socket.socket(29, 3, 1) and 1",
    "socket: TIPC": "socket.socket(30, 1, 0) and 1",
    "socket: RDS": "socket.socket(21, 5, 0) and 1",
    "socket: KCM": "socket.socket(41, 2, 0) and 1",
    "socket: phonet": "socket.socket(35, 2, 0) and 1",
    "socket: raw": "socket.socket(2, 3, 1) and 1",
    "socket: ping": "socket.socket(2, 2, 1) and 1",
    "socket: credentials forged": "(lambda a: a[0].sendmsg([b'x'], [(1, 2, struct.pack('iii', 1, 0, 0))]))(socket.socketpair())",
    "socket: autobind of an abstract name": "raw(49, socket.socketpair()[0].fileno(), struct.pack('H', 1), 2)",
    "socket: sendto an abstract name of the host": "socket.socketpair(1, 2)[0].sendto(b'x', b'\\0/org/freedesktop/systemd1/notify') and 1",
    "socket: connect of a pair to a path": "socket.socketpair(1, 2)[0].connect('/run/systemd/journal/socket') or 1",
    "socket: time stamps by hardware": "option(1, 37, struct.pack('I', 0x7F), family=socket.AF_INET) and -1",
    # files and devices
    "open: /dev/shm": "os.path.realpath('/dev/shm') == '/tmp' and -1 or 1",
    "open: /proc/self/mem by a descriptor's folder": "opens('/dev/fd/0')",
    "open: the parent of the root": "os.listdir('/../../../..') == os.listdir('/') and -1 or 1",
    "open: /dev/ptmx": "opens('/dev/ptmx', os.O_RDWR)",
    "open: /dev/kmsg": "opens('/dev/kmsg', os.O_RDWR)",
    "open: /dev/userfaultfd": "opens('/dev/userfaultfd', os.O_RDWR)",
    "open: /dev/fuse": "opens('/dev/fuse', os.O_RDWR)",
    "open: /dev/kvm": "opens('/dev/kvm', os.O_RDWR)",
    "open: /dev/net/tun": "opens('/dev/net/tun', os.O_RDWR)",
    "open: /sys": "opens('/sys')",
    "open: /proc": "opens('/proc')",
    "open: /proc/sysrq-trigger": "opens('/proc/sysrq-trigger', os.O_WRONLY)",
    "open: /sys/fs/cgroup": "opens('/sys/fs/cgroup')",
    "open: magic link of a mount": "opens('/proc/1/root')",
    "open: detached copy, O_PATH of the root": "raw(437, AT, b'/', struct.pack('QQQ', 0o10000000 | 0o200000, 0, 0), 24) and raw(428, AT, b'/', 1)",
    "write: a library": "opens(os.__file__, os.O_RDWR)",
    "write: a library by its time": "os.utime(os.__file__) or 1",
    "write: a library by fallocate": "os.posix_fallocate(os.open(os.__file__, 0), 0, 4096) or 1",
    "write: a library by a mapping": "len(mmap.mmap(os.open(os.__file__, 0), 4096, mmap.MAP_SHARED, mmap.PROT_WRITE))",
    "write: the hint of a library's life": "raw(72, os.open(os.__file__, 0), 1036, struct.pack('Q', 2))",
    "write: a hard link of a library": "os.link(os.__file__, '/tmp/l') or 1",
    "write: a device in /tmp": "os.mknod('/tmp/d', 0o20666, 0x103) or 1",
    "write: a set-uid file that runs": "(open('/tmp/s', 'wb').write(open(sys.executable, 'rb').read(64)), os.chmod('/tmp/s', 0o4755), os.execv('/tmp/s', ['s']))",
    "run: a memfd": "(lambda f: (os.write(f, b'#!/bin/sh\\n'), raw(322, f, b'', BUFFER, BUFFER, 0x1000))[1])(os.memfd_create('x', 0))",
    "run: a memfd that is sealed as executable": "(lambda f: raw(322, f, b'', BUFFER, BUFFER, 0x1000))(raw(319, b'x', 16))",
    "memfd: huge pages": "raw(319, b'x', 4) < 0 and -1 or mmap.mmap(raw(319, b'x', 4), 1 << 21).write(b'x')",
    "lease of a folder": "fcntl.fcntl(os.open('/function', 0), 1024, 0) or 1",
    # others, and the machine
    "affinity of pid 1": "os.getpid() == 1 and -1 or os.sched_setaffinity(1, {0}) or 1",
    "affinity beyond what it was given": "os.sched_setaffinity(0, range(64)) or (len(os.sched_getaffinity(0)) > len(event['cores'])) or -1",
    "scheduler: deadline": "raw(314, 0, struct.pack('IIQiIQQQ', 48, 6, 0, 0, 0, 10**7, 10**8, 10**8), 0)",
    "scheduler: utilisation clamp of all": "raw(314, 0, struct.pack('IIQiIQQQII', 56, 0, 0x60, 0, 0, 0, 0, 0, 1024, 1024), 0) and -1",
    "scheduler: round robin": "os.sched_setscheduler(0, 2, os.sched_param(1)) or 1",
    "a timer that wakes the machine": "raw(283, 9, 0)",
    "a POSIX timer that wakes the machine": "raw(222, 8, 0, BUFFER)",
    "limits of pid 1": "os.getpid() == 1 and -1 or raw(302, 1, 7, struct.pack('QQ', 1, 1), BUFFER)",
    "limits raised": "resource.setrlimit(resource.RLIMIT_NPROC, (4096, 4096)) or 1",
    "memory locked without end": "raw(149, ctypes.addressof(ctypes.create_string_buffer(1 << 25)), 1 << 25)",
    "robust list of pid 1": "os.getpid() == 1 and -1 or raw(274, 1, BUFFER, BUFFER)",
    "a signal with data to pid 1": "os.getpid() == 1 and -1 or raw(129, 1, 9, struct.pack('iiii', 9, 0, -1, 0) + bytes(112))",
    "a signal to everything": "(signal.signal(15, signal.SIG_IGN), os.kill(-1, 0))[1] or -1",
    "membarrier of all": "raw(324, 1, 0, 0) < 0 and -1 or -1",
    "map_shadow_stack": "raw(453, 0, 4096, 1)",
    "listmount": "raw(458, struct.pack('IIQQQ', 32, 0, 0xFFFFFFFFFFFFFFFF, 0, 0), BUFFER, 16, 0)",
    "statmount": "raw(457, struct.pack('IIQQQ', 32, 0, 1, 1, 0), BUFFER, 4096, 0)",
    "lsm_list_modules": "raw(461, BUFFER, struct.pack('Q', 64), 0)",
    "lsm_get_self_attr": "raw(459, 100, BUFFER, struct.pack('Q', 64), 0)",
    "mseal": "raw(462, 0, 4096, 0)",
    "getxattrat": "raw(464, AT, b'/', 0, b'user.x', BUFFER, 24)",
    "open_tree_attr": "raw(467, AT, b'/', 1, BUFFER, 32)",
    "file_getattr": "raw(468, AT, b'/', BUFFER, 32, 0)",
    "listns": "raw(470, BUFFER, BUFFER, 16, 0)",
    "set_mempolicy_home_node": "raw(450, 0, 4096, 0, 0)",
    "get_mempolicy": "raw(239, BUFFER, 0, 0, 0, 0)",
    "swap of a page of libraries (MADV_PAGEOUT)": "(lambda m: m.madvise(21))(mmap.mmap(os.open(os.__file__, 0), 4096, mmap.MAP_SHARED, mmap.PROT_READ)) or -1",
    "a poisoned page": "mmap.mmap(-1, 4096).madvise(100) or 1",
    "a page taken offline": "mmap.mmap(-1, 4096).madvise(101) or 1",
    "AIO of the old kind": "raw(206, 128, BUFFER)",
    "the times of the kernel's clock (adjtimex)": "raw(159, BUFFER)",
    "a name for the machine": "raw(170, b'x', 1)",
    "SysV semaphore, private": "raw(64, 0, 1, 0o600)",
    "POSIX queue": "raw(240, b'q', 0o102, 0o600, 0)",
    "a persistent keyring": "raw(250, 22, -1, -3)",
    "a kernel's key asked for": "raw(249, b'user', b'x', b'y', -3)",
}

CHANNELS = {
    # name: (what the sender does, what the receiver reads). The receiver asks twice without a sender, then with one:
    # worked where what it reads steps with the sender by what it sends and not without it.
    "inode numbers of pipes": (
        "[os.close(d) for _ in range(3000) for d in os.pipe()]",
        "os.fstat(os.pipe()[0]).st_ino",
    ),
    "inode numbers of sockets": (
        "[s.close() for _ in range(3000) for s in socket.socketpair()]",
        "os.fstat(socket.socketpair()[0].fileno()).st_ino",
    ),
    "inode numbers of memfds": (
        "[os.close(os.memfd_create('x')) for _ in range(3000)]",
        "os.fstat(os.memfd_create('x')).st_ino",
    ),
    "inode numbers of /tmp": (
        "[open(f'/tmp/{n}', 'w').close() for n in range(900)]",
        "(open('/tmp/x', 'w').close(), os.stat('/tmp/x').st_ino)[1]",
    ),
    "cookies of sockets": (
        "[option(1, 57) for _ in range(3000)]",
        "struct.unpack('Q', option(1, 57)[:8])[0]",
    ),
    "cookies of network namespaces": (
        "[option(1, 71) for _ in range(300)]",
        "struct.unpack('Q', option(1, 71)[:8])[0]",
    ),
    "numbers of processes": (
        "[os.waitpid(os.fork() or os._exit(0), 0) for _ in range(100)]",
        "(lambda p: p and (os.waitpid(p, 0), p)[1] or os._exit(0))(os.fork())",
    ),
    "numbers of ports": (
        "[socket.socket().connect_ex(('127.0.0.1', 9)) for _ in range(300)]",
        "(lambda s: (s.connect_ex(('127.0.0.1', 9)), s.getsockname()[1])[1])(socket.socket())",
    ),
    "numbers of mounts (statx)": (
        "0",
        "(raw(332, AT, b'/tmp', 0, 0x4000, BUFFER), struct.unpack_from('Q', BUFFER.raw, 0x90)[0])[1]",
    ),
    "numbers of devices": ("0", "os.stat('/tmp').st_dev"),
    "the file system's identity": ("0", "os.statvfs(os.__file__).f_fsid"),
    "ids of epolls and eventfds": (
        "[os.close(os.eventfd(0)) for _ in range(3000)]",
        "os.fstat(os.eventfd(0)).st_ino",
    ),
}

HOLDS = {
    # name: (what one holds, what must still work for another)
    "sockets of its own to the limit": (
        "G = [socket.socketpair() for _ in range(240)]",
        "len([socket.socketpair() for _ in range(100)])",
    ),
    "memory in socket buffers": (
        "G = [socket.socketpair() for _ in range(200)]\nfor a, b in G:\n a.setblocking(False)\n try:\n  while a.send(b'x' * 65536): pass\n except OSError: pass",
        "(lambda p: p[0].send(b'x' * 4096))(socket.socketpair())",
    ),
    "all timers": (
        "G = []\nfor _ in range(1000):\n t = raw(222, 1, 0, BUFFER)\n if t < 0: break",
        "raw(222, 1, 0, BUFFER) + 1",
    ),
    "all timerfds": ("G = [raw(283, 1, 0) for _ in range(480)]", "raw(283, 1, 0)"),
    "all threads": (
        "import threading\nG = []\ntry:\n for _ in range(40):\n  t = threading.Thread(target=time.sleep, args=(2,), daemon=True); t.start()\nexcept RuntimeError: pass",
        "os.waitpid(os.fork() or os._exit(0), 0)[0]",
    ),
    "all inodes of /tmp": (
        "try:\n for n in range(10**6): open(f'/tmp/{n}', 'w').close()\nexcept OSError: pass",
        "(open('/tmp/x', 'w').close(), 1)[1]",
    ),
    "all blocks of /tmp": (
        "try:\n with open('/tmp/x', 'wb') as f:\n  while f.write(bytes(1 << 16)): pass\nexcept OSError: pass",
        "open('/tmp/x', 'wb').write(bytes(65536))",
    ),
    "memfds beyond memory's limit": (
        "d = os.memfd_create('x')\nos.ftruncate(d, 1 << 40)",
        "os.ftruncate(os.memfd_create('x'), 1 << 30) or 1",
    ),
    "Landlock layers": (
        "for _ in range(20): raw(446, raw(444, struct.pack('QQQ', 1, 0, 0), 8, 0), 0)",
        "(open('/tmp/x', 'w').close(), 1)[1]",
    ),
    "epolls in a ring": (
        "import select\nG = [select.epoll() for _ in range(200)]\nfor a, b in zip(G, G[1:]):\n try: a.register(b.fileno())\n except OSError: pass",
        "len([select.epoll() for _ in range(50)])".replace("select.", "__import__('select')."),
    ),
    "flock on its bundle": (
        "G = os.open('/function', 0); fcntl.flock(G, fcntl.LOCK_EX)",
        "fcntl.flock(os.open('/function', 0), fcntl.LOCK_EX | fcntl.LOCK_NB) or 1",
    ),
    "lock ranges without end": (
        "G = os.open('/tmp/x', 66)\ntry:\n for n in range(50000): fcntl.lockf(G, fcntl.LOCK_EX, 1, n * 2)\nexcept OSError: pass",
        "(lambda d: fcntl.lockf(d, fcntl.LOCK_EX, 1, 1) or 1)(os.open('/tmp/x', 66))",
    ),
    "descriptors in flight, of a memfd chain": (
        "import array\na, b = socket.socketpair()\na.setblocking(False)\ntry:\n while True: a.sendmsg([b'x'], [(1, 1, array.array('i', [b.fileno()] * 200))])\nexcept OSError: pass",
        "(lambda p: p[0].sendmsg([b'x'], [(1, 1, struct.pack('i', 0))]))(socket.socketpair())",
    ),
    "mappings to the limit": (
        "G = []\ntry:\n for n in range(70000): G.append(mmap.mmap(-1, 4096, prot=1 if n % 2 else 3))\nexcept OSError: pass",
        "len(mmap.mmap(-1, 4096))",
    ),
    "a signal queue full": (
        "signal.pthread_sigmask(0, {40})\nfor _ in range(2000): raw(129, os.getpid(), 40, struct.pack('iiii', 40, 0, -1, 0) + bytes(112))",
        "raw(222, 1, 0, BUFFER) + 1",
    ),
    "pipes of a megabyte": (
        "G = []\ntry:\n for _ in range(200):\n  r, w = os.pipe(); fcntl.fcntl(w, 1031, 1 << 20); G.append(w)\nexcept OSError: pass",
        "fcntl.fcntl(os.pipe()[1], 1031, 1 << 16)",
    ),
}


BROKEN = ("NameError", "SyntaxError", "AttributeError", "ImportError", "ModuleNotFoundError")
"""An attempt that ends with these has tried nothing."""


def ask(node: TestNode, project: str, **event: Any) -> dict[str, Any]:
    """Return what the probe of a project says; how it ended if it ended.

    Raises BrokenAttemptError.
    """
    answer = httpx2.post(
        f"{node.url}/invoke/{project}/probe",
        json=event,
        headers={"authorization": f"Bearer {node.key}"},
        timeout=60,
    )
    if answer.status_code != 200:
        return {"ended": answer.status_code}
    said: dict[str, Any] = answer.json()
    if str(said.get("error", "")).startswith(BROKEN):
        raise BrokenAttemptError(f"{event} ends with {said['error']}")
    return said


def deploy(node: TestNode, *projects: str, limits: str = LIMITS) -> None:
    """Deploy the probe in each project."""
    for project in projects:
        node.deploy(PROBE, project=project, name="probe", limits=limits, unguarded=True)


def alone(node: TestNode) -> Attempts:
    """Try each call by itself."""
    cores = ask(node, "pa", ask="list(os.sched_getaffinity(0))")["result"]

    def way(expression: str) -> tuple[bool, str]:
        said = ask(node, "pa", ask=expression, cores=cores)
        result = said.get("result")
        failed = (
            "result" not in said
            or result is None
            or result is False
            or (isinstance(result, int) and result < 0)
        )
        return not failed, str(said)[:160]

    for name, expression in ALONE.items():
        yield tried(name, partial(way, expression))


def channels(node: TestNode) -> Attempts:
    """Let one project send by what the kernel counts, and another read."""

    def way(send: str, read: str) -> tuple[bool, str]:
        said = [ask(node, "pb", ask=read) for _ in range(4)]
        seen = [one.get("result") for one in said]
        sent = ask(node, "pa", do=send)
        after = ask(node, "pb", ask=read).get("result")
        if not all(isinstance(one, int) for one in seen):
            if "errno" in said[-1]:
                return False, f"refused: {said[-1]}"
            raise BrokenAttemptError(f"{read} gives no numbers: {said[-1]}")
        if str(sent.get("error", "")).startswith("TypeError"):
            raise BrokenAttemptError(f"{send}: {sent}")
        quiet = [b - a for a, b in itertools.pairwise(seen) if isinstance(a, int)]
        step = after - seen[-1] if isinstance(after, int) else 0
        worked = bool(quiet) and abs(step) > 20 + 3 * max(map(abs, quiet))
        return worked, f"{quiet} then {step}"

    for name, (send, read) in CHANNELS.items():
        yield tried(name, partial(way, send, read))


def holds(node: TestNode) -> Attempts:
    """Let one project hold all it can get, and another work."""
    with ThreadPoolExecutor(1) as pool:

        def way(hold: str, work: str) -> tuple[bool, str]:
            holding = pool.submit(ask, node, "pa", do=hold, hold=1.0)
            time.sleep(0.5)
            said = ask(node, "pb", do="import select", ask=work)
            kept = holding.result()
            result = said.get("result")
            worked = not (isinstance(result, int) and result > 0)
            return worked, f"held {str(kept)[:60]}; other {str(said)[:90]}"

        for name, (hold, work) in HOLDS.items():
            yield tried(name, partial(way, hold, work))


def attempts(node: TestNode) -> Attempts:
    """Try all."""
    deploy(node, "pa", "pb")
    yield from alone(node)
    yield from channels(node)
    yield from holds(node)
