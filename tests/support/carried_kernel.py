"""What else a call can leave in the kernel and the processor, in addition to the rows of
`carried.py`, in the same form: what plants it, and an expression that shows it.
"""

from __future__ import annotations

KERNEL_IMPORTS = """
RSEQ = machine(GET_FS) + ctypes.c_ssize_t.in_dll(libc, "__rseq_offset").value

def taken(make):
    found = make()
    try:
        fcntl.flock(found, 6)
        return "free"
    except BlockingIOError:
        return "taken"
    finally:
        os.close(found)

def flag(number):
    return machine(bytes.fromhex("9c58c3")) >> number & 1

def option(number, size=8):
    return [raw("fcntl", 1, number, SCRATCH), SCRATCH.raw[:size].hex()]

def memory_map():
    heap = raw("brk", 0)
    words = ctypes.create_string_buffer(struct.pack("QQQQ", 6, 4096, 0, 0))
    places = struct.pack("11Q", CODE, CODE + 64, WHOLE, WHOLE, heap - 4096, heap, *[WHOLE] * 5)
    places += struct.pack("QII", ctypes.addressof(words), 32, 0xFFFFFFFF)
    return raw("prctl", 35, 14, places, len(places), 0)
"""
"""What is run at import, after that of `carried_more.py`."""

_MASK = "48c7c077000000c4e1fb92e8c3", "c4e1fb93c5c3"
"""Machine code that sets a mask register of AVX-512 (k5), and that reads it."""
SHOWN_IN_REGISTERS = {
    "a mask of vectors": (
        f"machine(bytes.fromhex('{_MASK[0]}')) if 'avx512bw' in FLAGS else state.append(1)",
        f"machine(bytes.fromhex('{_MASK[1]}')) if 'avx512bw' in FLAGS else len(state)",
    ),
    "the precision of the x87": (
        "machine(bytes.fromhex('66c74424f87f00d96c24f8c3'))",
        "machine(bytes.fromhex('d97c24f80fb74424f8c3'))",
    ),
    "an exception of the x87 that is kept": (
        "machine(bytes.fromhex('d9e8d9eedef9ddd8c3'))",
        "machine(bytes.fromhex('9bdd7c24f80fb74424f8c3')) & 63",
    ),
    "an exception of SSE that is kept": (
        "machine(bytes.fromhex('0fae5c24f8834c24f8040fae5424f8c3'))",
        "machine(bytes.fromhex('0fae5c24f88b4424f8c3')) & 4",
    ),
    "the flag of nested tasks": ("machine(bytes.fromhex('9c480fba2c240e9dc3'))", "flag(14)"),
}
"""The last sets a bit of the flags, as a row of KERNEL_MORE does with one that nobody sets back."""

OPEN_MORE = {
    "a lock on a process": (
        "fcntl.flock(os.pidfd_open(os.getpid()), 2)",
        "taken(lambda: os.pidfd_open(os.getpid()))",
    ),
    "a lock on what has no file": ("fcntl.flock(os.eventfd(0), 2)", "taken(lambda: os.eventfd(0))"),
    "a lock on /tmp": ("fcntl.flock(os.open('/tmp', 0), 2)", "taken(lambda: os.open('/tmp', 0))"),
    "a lock on the folder of the code": (
        "fcntl.flock(os.open('/function', 0), 2)",
        "locks('/function')",
    ),
    "a removed file that a mapping alone holds": (
        "f = os.open('/tmp/x', 0o102); os.write(f, b'x' * 70_000); "
        "raw('mmap', FREE, 4096, 1, 2, f, 0); os.close(f); os.remove('/tmp/x')",
        "os.statvfs('/tmp')[2:8]",
    ),
    "an epoll on its socket": (
        "f = select.epoll(); f.register(3, 1 << 31 | 1); state.append(f)",
        "opened()",
    ),
    "an epoll on an epoll": (
        "f, g = select.epoll(), select.epoll(); f.register(g.fileno(), 1); state.extend((f, g))",
        "opened()",
    ),
    "a counter that is full": (
        "f = os.eventfd(1); os.eventfd_write(f, (1 << 64) - 3)",
        "opened()",
    ),
    "a pipe of packets": ("r, w = os.pipe2(0o40000); os.write(w, b'secret')", "opened()"),
    "a timer that another time cancels": (
        "f = raw('timerfd_create', 0, 0); "
        "raw('timerfd_settime', f, 3, struct.pack('QQQQ', 0, 0, 1 << 40, 0), 0)",
        "opened()",
    ),
    "memory with a descriptor, mapped": (
        "f = os.memfd_create('x', 0); os.ftruncate(f, 8 << 20); "
        "raw('mmap', FREE, 4096, 3, 0x12, f, 0)",
        "opened()",
    ),
}
"""What is open, and closed with the call."""

KERNEL_MORE = {
    "a small pipe": ("r, w = os.pipe(); raw('fcntl', w, 1031, 4096)", "opened()"),
    "a lease on a file of its own": (
        "f = os.open('/tmp/x', 0o102); fcntl.fcntl(f, 1024, 1); os.remove('/tmp/x')",
        "opened()",
    ),
    "the flag by which processors are asked": (
        "machine(bytes.fromhex('9c480fba2c24159dc3'))",
        "flag(21)",
    ),
    "a timer of one thread's work": (
        "raw('timer_create', 3, struct.pack('QII', 0, 0, 1) + bytes(48), SCRATCH); "
        "raw('timer_settime', 0, 0, struct.pack('QQQQ', 0, 0, 77, 0), 0)",
        "raw('timer_gettime', 0, SCRATCH)",
    ),
    "queued signals": (
        "signal.pthread_sigmask(0, [40]); [raw('rt_sigqueueinfo', os.getpid(), 40, struct.pack("
        "'iiiiiiQ', 40, 0, -1, 0, os.getpid(), os.getuid(), n) + bytes(96)) for n in range(3)]",
        "[asked('rt_sigpending', ..., 8), asked('rt_sigprocmask', 0, 0, ..., 8)]",
    ),
    "a signal of one thread": (
        "signal.pthread_sigmask(0, [12]); "
        "raw('tgkill', os.getpid(), threading.get_native_id(), 12)",
        "asked('rt_sigpending', ..., 8)",
    ),
    "all signals blocked": (
        "signal.pthread_sigmask(2, range(1, 65))",
        "asked('rt_sigprocmask', 0, 0, ..., 8)",
    ),
    "a stack for signals that is used once": (
        "raw('sigaltstack', struct.pack('QQQ', WHOLE, 1 << 31, SIZE), 0)",
        "asked('sigaltstack', 0, ...)",
    ),
    "an end by a signal that was ignored": ("signal.signal(13, signal.SIG_DFL)", "signals()"),
    "standard output without blocking": ("raw('fcntl', 1, 4, 0o4001)", "opened()"),
    "standard errors that append": ("raw('fcntl', 2, 4, 0o2001)", "opened()"),
    "standard output that programs have not": (
        "raw('fcntl', 1, 2, 1 - raw('fcntl', 1, 1))",
        "opened()",
    ),
    "a smaller pipe for output": ("raw('fcntl', 1, 1031, 4096)", "raw('fcntl', 1, 1032)"),
    "output that tells by a signal": ("raw('ioctl', 1, 0x5452, struct.pack('i', 1))", "opened()"),
    "standard input without blocking, by ioctl": (
        "raw('ioctl', 0, 0x5421, struct.pack('i', 1))",
        "opened()",
    ),
    "the signal of output": ("raw('fcntl', 1, 10, 12)", "raw('fcntl', 1, 11)"),
    "a thread that owns output": (
        "raw('fcntl', 1, 15, struct.pack('ii', 0, threading.get_native_id()))",
        "option(16)",
    ),
    "the least that its socket reads": (
        "raw('setsockopt', 3, 1, 18, struct.pack('i', 7), 4)",
        "of_socket()",
    ),
    "the priority of its socket": (
        "raw('setsockopt', 3, 1, 12, struct.pack('i', 5), 4)",
        "of_socket()",
    ),
    "its socket kept alive": (
        "raw('setsockopt', 3, 1, 9, struct.pack('i', 1), 4)",
        "of_socket()",
    ),
    "what its socket has room to receive": (
        "raw('setsockopt', 3, 1, 8, struct.pack('i', 5000), 4)",
        "of_socket()",
    ),
    "a time-out of what its socket sends": (
        "raw('setsockopt', 3, 1, 21, struct.pack('qq', 7, 0), 16)",
        "of_socket()",
    ),
    "scheduling that forks have not": (
        "os.sched_setscheduler(0, 0x40000000, os.sched_param(0))",
        "os.sched_getscheduler(0)",
    ),
    "the priority of its group": ("raw('setpriority', 1, 0, 19)", "os.getpriority(0, 0)"),
    "the priority of its user": ("raw('setpriority', 2, 0, 19)", "os.getpriority(0, 0)"),
    "a limit of resident memory": ("resource.setrlimit(5, (7, -1))", "resource.getrlimit(5)"),
    "a limit of locks": ("resource.setrlimit(10, (7, -1))", "resource.getrlimit(10)"),
    "a limit of real time": ("resource.setrlimit(15, (7, -1))", "resource.getrlimit(15)"),
    "a domain of Landlock": (
        "f = raw('landlock_create_ruleset', struct.pack('Q', 4), 8, 0); "
        "raw('landlock_restrict_self', f, 0); os.close(f)",
        "tried(lambda: reads(FILE_LOCKS[0]))",
    ),
    "a name with a line break in /tmp": (
        "open('/tmp/a\\nb\\x1b', 'w').close()",
        "os.listdir('/tmp')",
    ),
    "a name that is no text in /tmp": (
        "open(b'/tmp/\\xff\\xfe', 'w').close()",
        "os.listdir('/tmp')",
    ),
    "a folder in /tmp without rights": (
        "os.makedirs('/tmp/a/b'); open('/tmp/a/b/c', 'w').close(); "
        "os.chmod('/tmp/a/b', 0); os.chmod('/tmp/a', 0)",
        "os.listdir('/tmp')",
    ),
    "a link in /tmp to the root": ("os.symlink('/', '/tmp/a')", "os.listdir('/tmp')"),
    "a named semaphore": ("libc.sem_open(b'/secret', 0o100, 0o600, 1)", "os.listdir('/tmp')"),
}
"""What a process is not used again for, or what is taken away from it."""

FLAGGED_MORE = ("timer_gettime", "fcntl', 1, 1032", "fcntl', 1, 11", "option(")
"""Calls by which some of these show, and a process is not used again for."""

QUIET_MORE = {
    "a sequence taken away": "raw('rseq', RSEQ, 32, 1, 0x53053053)",
    "words of the kernel for a program": "memory_map()",
    "a second page of the kernel's": "raw('arch_prctl', 0x2003, FREE)",
    "processors that are not to be asked": "raw('arch_prctl', 0x1012, 0)",
    "addresses with a tag": "raw('arch_prctl', 0x4002, 6)",
    "permission for AMX of guests": "raw('arch_prctl', 0x1025, 18)",
    "a shadow stack": "raw('arch_prctl', 0x5001, 1)",
    "a guard in memory": "raw('madvise', WHOLE, 4096, 102)",
    "freed pages": "raw('madvise', WHOLE, 4096, 8)",
    "cold pages": "raw('madvise', WHOLE, 4096, 20)",
    "pages that are written out": "raw('madvise', WHOLE, 4096, 21)",
    "pages that are put there": "raw('madvise', WHOLE, SIZE, 23)",
    "pages that are put together": "raw('madvise', WHOLE, SIZE, 25)",
    "the order of reading": "raw('madvise', WHOLE, SIZE, 1)",
    "pages that no dump has": "raw('madvise', WHOLE, SIZE, 16)",
    "all memory locked, on fault": "raw('mlockall', 5)",
    "memory unlocked": "raw('munlockall')",
    "memory moved, and its place kept": "raw('mremap', WHOLE, SIZE, SIZE, 5, 0)",
    "memory that grows downwards": "raw('mmap', 0, 4096, 3, 0x122, -1, 0)",
    "memory that may go": "raw('mmap', 0, 4096, 3, 0x28, -1, 0)",
    "memory below 2 GB": "raw('mmap', 0, 4096, 3, 0x62, -1, 0)",
    "huge pages of the host": "raw('mmap', 0, 2 << 20, 3, 0x40022, -1, 0)",
    "seals of memory": "f = os.memfd_create('s', 2); raw('fcntl', f, 1033, 15); os.close(f)",
    "a group for files that stays": "raw('setfsgid', os.getgid())",
    "a rule of Landlock": (
        "f = raw('landlock_create_ruleset', struct.pack('Q', 4), 8, 0); "
        "raw('landlock_add_rule', f, 1, bytes(12), 0); os.close(f)"
    ),
    "no signal to itself": "raw('tgkill', os.getpid(), threading.get_native_id(), 0)",
    "errors that wait in its socket": "raw('recvmsg', 3, bytes(56), 0x2040)",
    "an alarm taken back": "raw('alarm', 0)",
}
"""What nothing shows, and a process is not used again for all the same."""

REFUSED_MORE = {
    "a notice of a folder": ("RAISES('fcntl', os.open('/tmp', 0), 1026, 1)", "0"),
    "a hint for the code": (
        "RAISES('fcntl', os.open(FILE_LOCKS[0], 0), 1036, struct.pack('Q', 3))",
        "0",
    ),
    "a hint for a descriptor": (
        "RAISES('fcntl', os.open('/tmp', 0), 1038, struct.pack('Q', 3))",
        "0",
    ),
    "how its futexes are hashed": ("RAISES('prctl', 78, 1, 16, 0, 0)", "0"),
    "numbers of timers that are chosen": ("RAISES('prctl', 77, 1, 0, 0, 0)", "0"),
    "what a fault of memory does": ("RAISES('prctl', 33, 1, 1, 0, 0)", "0"),
    "pages in another order": ("RAISES('remap_file_pages', WHOLE, 4096, 0, 0, 0)", "0"),
    "a key for a range": ("RAISES('pkey_mprotect', WHOLE, 4096, 3, 0)", "0"),
    "a shadow stack of its own": ("RAISES('map_shadow_stack', 0, 4096, 0)", "0"),
    "descriptors of its own": ("RAISES('unshare', 0x400)", "opened()"),
    "a folder of its own": ("RAISES('unshare', 0x200)", "os.getcwd()"),
    "a namespace of networks": ("RAISES('unshare', 0x40000000)", "0"),
    "a namespace of processes": ("RAISES('unshare', 0x20000000)", "os.getpid()"),
    "a namespace of control groups": ("RAISES('unshare', 0x2000000)", "0"),
    "a namespace of queues": ("RAISES('unshare', 0x8000000)", "0"),
    "which pages were written": ("open('/proc/self/clear_refs', 'w')", "gone('/proc')"),
    "which pages are idle": ("open('/sys/kernel/mm/page_idle/bitmap', 'w')", "gone('/sys')"),
    "its control group": ("open('/sys/fs/cgroup/cgroup.procs', 'w')", "gone('/sys/fs')"),
    "an interface that is taken down": (
        "fcntl.ioctl(socket.socket(), 0x8914, b'lo' + bytes(38))",
        "0",
    ),
    "an address of an interface": ("fcntl.ioctl(socket.socket(), 0x8916, b'lo' + bytes(38))", "0"),
    "a route": ("fcntl.ioctl(socket.socket(), 0x890B, bytes(120))", "0"),
    "flags of an inode": ("fcntl.ioctl(os.open('/tmp', 0), 0x40086602, bytes(8))", "0"),
    "a connection made by hand": ("socket.socket().setsockopt(6, 19, 1)", "0"),
    "a device for a socket": ("socket.socket().setsockopt(1, 25, b'lo')", "0"),
    "a mark of packets": ("socket.socket().setsockopt(1, 36, 7)", "0"),
    "a connection that begins with data": ("socket.socket().setsockopt(6, 30, 1)", "0"),
    "a key of a connection": ("socket.socket().setsockopt(6, 14, bytes(216))", "0"),
    "busy waiting of a socket": ("socket.socket().setsockopt(1, 46, 50)", "0"),
    "where a socket is peeked at": ("socket.socket().setsockopt(1, 42, 1)", "0"),
    "a priority of reading": ("RAISES('ioprio_set', 1, 0, 16384)", "0"),
    "what mounts there are": ("RAISES('listmount', SCRATCH, SCRATCH, 4, 0)", "0"),
    "attributes of security": ("RAISES('lsm_set_self_attr', 100, SCRATCH, 32, 0)", "0"),
    "a table of segments": ("RAISES('modify_ldt', 1, SCRATCH, 16)", "0"),
    "a segment for threads": ("RAISES('set_thread_area', SCRATCH)", "0"),
}
"""What is refused."""
