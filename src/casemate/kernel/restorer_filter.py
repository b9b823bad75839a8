"""The filter of the process that restores instances: it opens, connects and starts nothing.

It has the right to trace others, so it has no other: what it reads of them it reads by descriptors
that it is passed, and of ptrace(2) it has the requests that `tracing.py` makes.
"""

from __future__ import annotations

from .filter_code import (
    _ARG0,
    _ARG1,
    _ARG2,
    _EACCES,
    _EAFNOSUPPORT,
    _EPERM,
    _JEQ,
    _JSET,
    _LD,
    Instruction,
    _allow,
    _by_number,
    _encode,
    _prologue,
    _refuse,
    _when,
)
from .machines import Machine, current
from .system_calls import _names, numbered

PTRACE = (7, 8, 9, 17, 0x4200, 0x4201, 0x4204, 0x4205, 0x4206, 0x4207)
"""CONT, KILL, SINGLESTEP, DETACH, SETOPTIONS, GETEVENTMSG, GETREGSET, SETREGSET, SEIZE and
INTERRUPT."""
IOCTLS = (0xC020AA00, 0xC018AA06, 0xC0606610)
"""UFFDIO_REGISTER, UFFDIO_WRITEPROTECT and PAGEMAP_SCAN."""
_EXECUTE = 4
_GET_DUMPABLE = 3
"""PR_GET_DUMPABLE, by which it proves that it is confined."""
CALLS = _names("""
read write close fstat newfstatat lseek pread64 poll ppoll recvmsg sendmsg sendto recvfrom wait4
waitid process_vm_readv process_vm_writev kcmp fstatfs readlinkat munmap mremap brk madvise futex
clock_gettime clock_nanosleep nanosleep gettimeofday sched_yield rt_sigaction rt_sigprocmask
rt_sigreturn sigaltstack getpid gettid getuid geteuid getgid getegid getrandom restart_syscall exit
exit_group tgkill fcntl getsockname
""")
"""What it may call whatever the arguments."""


def _one_of(place: int, values: tuple[int, ...]) -> list[Instruction]:
    rule: list[Instruction] = [(_LD, 0, 0, place)]
    for value in values:
        rule += [(_JEQ, 0, 1, value), _allow()]
    return [*rule, _refuse(_EPERM)]


def restorer_program(machine: Machine | None = None) -> bytes:
    """Return the filter."""
    machine = machine or current()
    calls = machine.calls
    not_executable: list[Instruction] = [
        (_LD, 0, 0, _ARG2),
        (_JSET, 0, 1, _EXECUTE),
        _refuse(_EPERM),
        _allow(),
    ]
    program = _prologue(machine)
    program += _when(calls["ptrace"], _one_of(_ARG0, PTRACE))
    program += _when(calls["ioctl"], _one_of(_ARG1, IOCTLS))
    program += _when(calls["prctl"], _one_of(_ARG0, (_GET_DUMPABLE,)))
    program += _when(calls["mmap"], not_executable)
    program += _when(calls["mprotect"], not_executable)
    program += _when(calls["socket"], [_refuse(_EAFNOSUPPORT)])
    # As Landlock would, which would keep it from tracing as well.
    program += _when(calls["openat"], [_refuse(_EACCES)])
    actions = dict.fromkeys(numbered(CALLS, machine).values(), _allow())
    return _encode(program + _by_number(_refuse(_EPERM), actions))
