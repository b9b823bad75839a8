"""Random system calls about memory and about the process itself, the same ones for the same seed.

`raw`, which makes one and returns its result, and `CALLS`, their numbers, come before this text.
"""

import ctypes
import os
import random
import struct

OLD_SIZE, NEW_AT, PAGE_SIZE = 1 << 16, 0x210000000000, 4096
OLD = raw("mmap", 0, OLD_SIZE + 2 * PAGE_SIZE, 0, 0x22, -1, 0) + PAGE_SIZE  # noqa: F821
raw("mprotect", OLD, OLD_SIZE, 3)  # noqa: F821
ctypes.memset(OLD, 68, OLD_SIZE // 2)
LIBC_AT = ctypes.cast(ctypes.CDLL(None).getppid, ctypes.c_void_p).value & ~(PAGE_SIZE - 1)
BYTES = ctypes.create_string_buffer(struct.pack("QQQQ", OLD, 0, OLD_SIZE, 5), 256)
TEXT = ctypes.create_string_buffer(b"residue", 64)
GENERATOR = random.Random(0)
"""Made here, so that a call does not take memory for it."""
HANGS = {
    *(0, 7, 17, 19, 23, 34, 35, 43, 45, 47, 61, 68, 70, 73, 128, 130, 202, 208, 219, 220, 230, 232),
    *(240, 243, 247, 270, 271, 281, 288, 295, 299, 327, 333, 436, 441, 449, 454, 455, 456),
}
"""Calls that wait, and one that closes descriptors by the thousand."""
ENDS = {15, 22, 56, 57, 58, 59, 60, 62, 129, 200, 231, 234, 297, 322, 424, 435}
"""Calls that end it, start others, or signal them: they have rows of their own."""


class Calls:
    """Makes them, one after the other."""

    def __init__(self, seed):
        """Begin anew."""
        self.chance = GENERATOR
        self.chance.seed(seed)
        self.made = []
        self.mapped = 0

    def make(self, name, *arguments):
        """Make one and take note of what came of it."""
        result = raw(name, *arguments)  # noqa: F821
        self.made.append((name, arguments, result))
        return result

    def new(self):
        """Return a range where the snapshot has nothing."""
        place = NEW_AT + self.chance.randrange(64) * PAGE_SIZE
        return place, self.chance.randrange(1, 17) * PAGE_SIZE

    def old(self):
        """Return a range of the snapshot, or one that begins or ends beside it."""
        shift = self.chance.choice((0, 0, 1, -1, 3, 16, -16, 8))
        size = self.chance.choice((1, PAGE_SIZE, 2 * PAGE_SIZE, OLD_SIZE, OLD_SIZE + PAGE_SIZE))
        return OLD + shift * PAGE_SIZE, size

    def anywhere(self, wild):
        """Return a range of either kind."""
        if not wild or self.chance.random() < 0.5:
            return self.new()
        if self.chance.random() < 0.1:
            return self.chance.choice((0, 1, OLD + 7, LIBC_AT, 1 << 47, -PAGE_SIZE)), PAGE_SIZE
        return self.old()

    def about_memory(self, wild):
        """Make a call about memory: with `wild` also of the snapshot's, and in forms that stay."""
        chance = self.chance
        place, size = self.anywhere(wild)
        what = chance.choice((0, 1, 2, 3, 4, 5, 6, 7, 8) if wild else (0, 1, 2, 3, 4, 5, 7, 8))
        if what == 0:
            flags = 0x22 | chance.choice((0, 0, 0x10, 0x100000, 0x4000, 0x8000))
            if wild:
                flags ^= chance.choice((0, 0, 0x3, 0x100, 0x2000, 0x40000, 0x20))
            at = chance.choice((0, place, place))
            descriptor = -1 if flags & 0x20 else chance.randrange(4)
            self.make("mmap", at, size, chance.randrange(8), flags, descriptor, 0)
        elif what == 1:
            self.make("munmap", place, size)
        elif what == 2:
            rights = chance.randrange(8) | (chance.choice((0, 0, 0x01000000)) if wild else 0)
            self.make("mprotect", place, size, rights)
        elif what == 3:
            self.make("madvise", place, size, chance.randrange(26 if wild else 5))
        elif what == 4:
            to, larger = self.anywhere(wild)
            flags = chance.choice((0, 1, 1, 3, 3)) if not wild else chance.randrange(8)
            self.make("mremap", place, size, larger, flags, to)
        elif what == 5:
            end = self.make("brk", 0)
            self.make("brk", end + chance.randrange(-9 if wild else 0, 99) * 1000)
        elif what == 6:
            self.make(chance.choice(("mlock", "munlock", "msync", "mincore")), place, size, 0)
        else:
            self.write(*chance.choice(((place, size), (OLD + 33, 5), (OLD, OLD_SIZE), self.old())))

    def write(self, place, size):
        """Have the kernel write random bytes, which faults nobody where that cannot be."""
        self.make("getrandom", place, min(size, 1 << 16), 0)

    def about_itself(self):
        """Make a call about what the kernel keeps of the process or thread."""
        chance, me = self.chance, os.getpid()
        number, value = chance.randrange(1, 65), chance.choice((0, 1, 2, 9, 60_000, OLD, -1))
        BYTES.raw = struct.pack("QQQQ", chance.choice((OLD, 0)), chance.choice((0, 2)), OLD_SIZE, 5)
        kept = chance.randrange(3)
        calls = (
            ("rt_sigprocmask", chance.randrange(3), BYTES, 0, 8),
            ("rt_sigaction", number, BYTES, 0, 8),
            ("sigaltstack", BYTES, 0),
            ("prctl", chance.randrange(1, 80), value, 0, 0, 0),
            ("prctl", 15, TEXT, 0, 0, 0),
            ("arch_prctl", chance.choice((0x1001, 0x1003, 0x1011, 0x1022, 0x1023, 0x5001)), value),
            ("personality", chance.choice((0xFFFFFFFF, 0x40000, 0x400000, 8))),
            ("rseq", BYTES, 32, chance.randrange(2), 0x53053053),
            ("set_robust_list", OLD, 24),
            ("set_tid_address", OLD),
            ("setitimer", chance.randrange(3), BYTES, 0),
            ("alarm", chance.randrange(100, 1000)),
            ("timer_create", chance.randrange(3), 0, OLD),
            ("timer_delete", chance.randrange(3)),
            ("setpriority", 0, 0, chance.randrange(20)),
            ("sched_setscheduler", 0, chance.choice((0, 3, 5)), BYTES),
            ("sched_setaffinity", 0, 8, BYTES),
            ("ioprio_set", 1, 0, chance.randrange(1 << 14, 1 << 15)),
            ("umask", chance.randrange(0o1000)),
            ("chdir", TEXT),
            ("chdir", chance.choice((b"/", b"/tmp", b"/usr"))),
            ("setsid",),
            ("setpgid", 0, 0),
            ("prlimit64", 0, chance.randrange(16), BYTES, 0),
            ("fcntl", kept, chance.choice((2, 4, 8, 10, 1031)), value),
            ("fcntl", 3, chance.choice((1, 3, 2, 4, 8, 10)), chance.choice((0, 1, 2))),
            ("ioctl", chance.randrange(4), chance.choice((0x5450, 0x5451, 0x5421, 0x5452)), BYTES),
            ("setsockopt", 3, 1, chance.randrange(1, 80), BYTES, 4),
            ("dup", chance.randrange(4)),
            ("dup2", kept, chance.randrange(3)),
            ("close", kept),
            ("close_range", chance.randrange(4, 9), 99, chance.choice((0, 2, 4))),
            ("memfd_create", TEXT, 0),
            ("eventfd2", 0, 0),
            ("socket", 1, 1, 0),
            ("setresuid", -1, -1, chance.choice((-1, 1))),
            ("capset", BYTES, BYTES),
            ("membarrier", chance.choice((0, 2, 16)), 0, 0),
            ("mlockall", chance.randrange(1, 8)),
            ("landlock_create_ruleset", BYTES, 8, 0),
            ("tgkill", me, me, chance.choice((17, 18, 23, 28, 35))),
            ("restart_syscall",),
            ("futex", OLD, chance.choice((1, 6, 7, 10)), 1, 0, 0, 0),
            ("get_robust_list", 0, OLD, OLD + 8),
            ("mkdir", b"/tmp/residue", 0o700),
            ("symlink", b"secret", b"/tmp/residue2"),
            ("rmdir", b"/tmp/residue"),
            ("chmod", b"/tmp", chance.choice((0o700, 0o1777))),
            ("utimensat", -100, b"/tmp", 0, 0),
            ("lseek", kept, chance.randrange(9), 0),
            ("setuid", 0),
            ("unshare", chance.choice((0x200, 0x400, 0x40000, 0x10000000))),
            ("io_uring_setup", 4, OLD),
            ("mseal", *self.new(), 0),
            ("pkey_alloc", 0, 0),
            ("shmget", 0, PAGE_SIZE, 0o1600),
        )
        name, *arguments = chance.choice([one for one in calls if one[0] in CALLS])  # noqa: F821
        self.make(name, *arguments)

    def any(self):
        """Make any call, by its number, about this process or nobody. For a sandbox alone."""
        chance = self.chance
        number = chance.randrange(475)
        while number in HANGS | ENDS:
            number = chance.randrange(475)
        pool = (0, 0, 1, 2, 3, 4, 8, -1, -100, PAGE_SIZE, OLD, OLD + PAGE_SIZE, NEW_AT, BYTES, TEXT)
        CALLS["any"] = number  # noqa: F821
        self.make("any", *(chance.choice(pool) for _ in range(6)))


def mild(seed, count):
    """Calls of which each leaves only what is taken away."""
    calls = Calls(seed)
    for _ in range(count):
        calls.about_memory(False)
    return len(calls.made)


def wild(seed, count, *, sandboxed=False):
    """Calls of all kinds; `sandboxed` has any number of a call be made."""
    calls = Calls(seed)
    for _ in range(count):
        kind = calls.chance.random()
        if kind < 0.6:
            calls.about_memory(kind < 0.2)
        elif kind < 0.85 or not sandboxed:
            calls.about_itself()
        else:
            calls.any()
    return [(name, [str(a) for a in given], result) for name, given, result in calls.made]
