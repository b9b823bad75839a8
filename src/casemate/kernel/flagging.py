"""The filter that flags, in an instance that is restored, calls that leave something behind.

It lets through what leaves no state in the kernel, or state that goes with a descriptor; for all
else the instance stops (SECCOMP_RET_TRACE). Its tracer looks at the arguments and lets the call be
made; unless it is one of a few that leave nothing in that very form (`restorer/judging.py`), the
instance is not used again. Without a tracer such a call fails with ENOSYS. It adds to the filters
of `seccomp.py` and takes nothing away from them: the strictest answer counts.

Descriptors below FIRST are those that an instance keeps from call to call; nothing may change what
they lead to, and none can be had by another number. What is above is closed when the call is over,
or the instance is not used again (`restorer`), so that its state is gone with it. Sending messages
with descriptors is flagged for all of them: one could be sent to oneself.

Files can be made, changed and removed: the one place where that is possible is the instance's own
/tmp, of which all that is left is seen afterwards (its root, its free blocks and free inodes).
Files elsewhere are on mounts that are read-only. What is bound to an inode there, such as a lock,
goes with the descriptor by which it was made.
"""

from __future__ import annotations

from .filter_code import (
    _ARG0,
    _ARG1,
    _ARG2,
    _JEQ,
    _JGE,
    _JSET,
    _LD,
    _RET,
    Instruction,
    _allow,
    _by_number,
    _encode,
    _prologue,
    _when,
)
from .machines import Machine, current
from .system_calls import _names, numbered

FIRST = 4
"""The first descriptor that is not kept."""
TRACE = 0x7FF00000
"""SECCOMP_RET_TRACE."""
WAITING = 0x40000000
"""MSG_CMSG_CLOEXEC, which changes nothing of recvfrom(2): the flags with which an instance waits
for its next call. It stops before it, where nothing has been begun in the kernel, and is set back
there."""
_ARG3 = 40
_HIGH = 4
"""The upper half of an argument comes after the lower one."""

CLEAN = _names("""
read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 stat fstat lstat newfstatat
statx access faccessat faccessat2 readlink readlinkat getcwd getdents getdents64 lseek poll ppoll
select pselect6 epoll_wait epoll_pwait epoll_pwait2 sched_yield nanosleep clock_nanosleep getpid
gettid getppid getpgrp getpgid getsid getuid geteuid getgid getegid getresuid getresgid getgroups
uname sysinfo times getrusage gettimeofday time clock_gettime clock_getres getrandom getitimer
getpriority sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max
sched_get_priority_min sched_rr_get_interval sched_getattr getcpu getrlimit capget get_robust_list
rt_sigpending rt_sigprocmask fsync fdatasync statfs fstatfs getxattr lgetxattr fgetxattr
listxattr llistxattr flistxattr exit exit_group socket socketpair pipe pipe2 eventfd eventfd2
epoll_create epoll_create1 timerfd_create timerfd_gettime pidfd_open getsockname getpeername
getsockopt memfd_create unlink mkdir rmdir rename link symlink chmod truncate utime utimes creat
sendfile copy_file_range
""")
"""Calls that leave nothing behind, only what is gone with its descriptor, or the mask of signals:
that is compared each time, and the C library sets it whenever it starts a thread."""

BY_DESCRIPTOR = _names("""
close connect shutdown setsockopt epoll_ctl timerfd_settime signalfd signalfd4 flock fadvise64
ftruncate fallocate dup fchmod unlinkat mkdirat renameat renameat2 linkat symlinkat fchmodat
fchmodat2 utimensat futimesat sync_file_range
""")
"""Calls that are clean for a descriptor that is not kept, the first argument.

Those with the name of a file take a folder there, or AT_FDCWD, which is a large number. Without a
name some of them are about the descriptor itself: so kept ones are flagged.
"""

OF_DESCRIPTORS = frozenset(BY_DESCRIPTOR) | set(
    _names("""
dup2 dup3 fcntl ioctl sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg fchown fchdir readahead
splice tee accept accept4
""")
)
"""Flagged calls whose first argument is a descriptor. What one of a kept descriptor sets may change
with calls that are clean, such as where a socket is peeked at."""

_ASYNC = 0x2000
"""O_ASYNC: signals for a file, as F_SETFL and FIOASYNC."""
_CMSG_CLOEXEC, _NOSIGNAL = 0x40000000, 0x4000
_GET_FLAGS = (1, 3)
"""F_GETFD and F_GETFL."""
_ABOVE_FCNTL = (0, 2, 4, 5, 6, 7, 36, 37, 38, 1030)
"""F_DUPFD, F_SETFD, F_SETFL, locks of files (F_GETLK, F_SETLK, F_SETLKW and F_OFD_ of each), which
go with the descriptor, and F_DUPFD_CLOEXEC."""
_ASK_TERMINAL = 0x5401
"""TCGETS, by which isatty(3) asks."""
_ABOVE_IOCTL = (0x541B, 0x5421, 0x5450, 0x5451)
"""FIONREAD, FIONBIO, FIONCLEX and FIOCLEX."""
_FUTEX = (0, 1, 9, 10)
"""FUTEX_WAIT, _WAKE, _WAIT_BITSET and _WAKE_BITSET."""
_FUTEX_OPTIONS = (0, 128, 256, 128 | 256)
"""FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME."""


PRIVATE = 0x2
NEW_MEMORY = PRIVATE | 0x20 | 0x800 | 0x4000 | 0x8000 | 0x20000
"""MAP_PRIVATE, _ANONYMOUS, _DENYWRITE, _NORESERVE, _POPULATE and _STACK: without MAP_FIXED nothing
else is in its place."""
PROTECTIONS = 0x7
"""PROT_READ, PROT_WRITE and PROT_EXEC."""


def _trace() -> Instruction:
    return (_RET, 0, 0, TRACE)


def _above(place: int = _ARG0) -> list[Instruction]:
    """Let through descriptors that are not kept."""
    return [(_LD, 0, 0, place), (_JGE, 0, 1, FIRST), _allow(), _trace()]


def _both_above() -> list[Instruction]:
    return [(_LD, 0, 0, _ARG0), (_JGE, 1, 0, FIRST), _trace(), *_above(_ARG1)]


def _null(place: int) -> list[Instruction]:
    """Let through a call whose pointer to what it would set is null."""
    return [
        (_LD, 0, 0, place),
        (_JEQ, 1, 0, 0),
        _trace(),
        (_LD, 0, 0, place + _HIGH),
        (_JEQ, 1, 0, 0),
        _trace(),
        _allow(),
    ]


def _one_of(place: int, values: tuple[int, ...], otherwise: list[Instruction]) -> list[Instruction]:
    rule: list[Instruction] = [(_LD, 0, 0, place)]
    for value in values:
        rule += [(_JEQ, 0, 1, value), _allow()]
    return rule + otherwise


def _above_or(place: int, values: tuple[int, ...]) -> list[Instruction]:
    """Let through descriptors that are not kept, and for those that are some arguments."""
    first: list[Instruction] = [(_LD, 0, 0, _ARG0), (_JGE, 0, 1, FIRST), _allow()]
    return first + _one_of(place, values, [_trace()])


def _commands(place: int, always: tuple[int, ...], above: tuple[int, ...]) -> list[Instruction]:
    """Let through some commands, and others for descriptors that are not kept."""
    rule = _one_of(place, always, [])
    then = _above()
    for value in above:
        rule += [(_JEQ, 0, len(then), value), *then]
    return [*rule, _trace()]


def _mapping() -> list[Instruction]:
    """Let through memory of its own where the kernel puts it: it is told by its size, and taken
    away (`restorer/repairing.py`).
    """
    rule: list[Instruction] = []
    for place, allowed in ((_ARG2, PROTECTIONS), (_ARG3, NEW_MEMORY)):
        rule += [(_LD, 0, 0, place), (_JSET, 0, 1, ~allowed & 0xFFFFFFFF), _trace()]
        rule += [(_LD, 0, 0, place + _HIGH), (_JEQ, 1, 0, 0), _trace()]
    return [*rule, (_LD, 0, 0, _ARG3), (_JSET, 0, 1, PRIVATE), _allow(), _trace()]


def _opening(place: int) -> list[Instruction]:
    return [(_LD, 0, 0, place), (_JSET, 0, 1, _ASYNC), _trace(), _allow()]


def flag_program(machine: Machine | None = None) -> bytes:
    """Return the filter."""
    machine = machine or current()
    futex = tuple(sorted({one | option for one in _FUTEX for option in _FUTEX_OPTIONS}))
    rules: dict[str, list[Instruction]] = {name: _above() for name in BY_DESCRIPTOR}
    rules |= {
        "open": _opening(_ARG1),
        "openat": _opening(_ARG2),
        "dup2": _both_above(),
        "dup3": _both_above(),
        "recvfrom": _above_or(_ARG3, (0,)),
        "sendto": _above_or(_ARG3, (0, _NOSIGNAL)),
        "recvmsg": _above_or(_ARG2, (_CMSG_CLOEXEC,)),
        "fcntl": _commands(_ARG1, _GET_FLAGS, _ABOVE_FCNTL),
        "ioctl": _commands(_ARG1, (_ASK_TERMINAL,), _ABOVE_IOCTL),
        # With flags it marks them, or takes the table of descriptors apart from others'.
        "close_range": [(_LD, 0, 0, _ARG2), (_JEQ, 1, 0, 0), _trace(), *_above()],
        "futex": _one_of(_ARG1, futex, [_trace()]),
        "mmap": _mapping(),
        "rt_sigaction": _null(_ARG1),
        "sigaltstack": _null(_ARG0),
        "prlimit64": _null(_ARG2),
    }
    program = _prologue(machine)
    for name, number in numbered(rules, machine).items():
        program += _when(number, rules[name])
    actions = dict.fromkeys(numbered(CLEAN, machine).values(), _allow())
    return _encode(program + _by_number(_trace(), actions))
