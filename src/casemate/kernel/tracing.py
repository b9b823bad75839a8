"""Stops other processes, and reads and sets their registers (ptrace(2)).

All calls for one process have to come from the thread that seized it. On x86-64 alone: which
registers there are, and how a call is made with them, differs between machines.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
from collections.abc import Callable
from typing import NamedTuple

from . import linux, machines

WALL = 0x40000000
"""__WALL: waitpid(2) also for those that signal nobody when they end."""
EVENT_FORK, EVENT_VFORK, EVENT_CLONE, EVENT_SECCOMP, EVENT_STOP = 1, 2, 3, 7, 128
FOLLOW = 1 << EVENT_FORK | 1 << EVENT_VFORK | 1 << EVENT_CLONE
"""Options: seize what it forks, at its first stop."""
TELL_SECCOMP = 1 << EVENT_SECCOMP
"""Option: it stops at calls that a filter has traced; without a tracer that says so they fail."""
EXIT_KILL = 1 << 20
"""Option: it is killed when its tracer ends."""
_CONT, _KILL, _STEP, _DETACH, _SETOPTIONS, _GETEVENTMSG = 7, 8, 9, 17, 0x4200, 0x4201
_GETREGSET, _SETREGSET, _SEIZE, _INTERRUPT = 0x4204, 0x4205, 0x4206, 0x4207
_NT_PRSTATUS, _NT_X86_XSTATE = 1, 0x202
_MOST_STATE = 65536
"""Bytes of extended state; with AMX it is some 11,000."""
_VECTOR = struct.Struct("=QQ")
_GENERAL = struct.Struct("=27Q")
"""struct user_regs_struct of x86-64."""
_CALL = struct.Struct("=56xQ48xQQ")
"""Of those: r10, rdi and orig_rax."""
_PLACE = struct.Struct("=80xQ24xQQQQ8xQQ")
"""Of those: rax, rdi, orig_rax, rip, cs, rsp and ss."""
NO_CALL = (1 << 64) - 1
INT = 0xFFFFFFFF
"""Of an argument that is an int the kernel looks at the lower half."""
SYSCALL_INSTRUCTION = b"\x0f\x05"


class General(NamedTuple):
    """The general registers of x86-64, in the kernel's order."""

    r15: int
    r14: int
    r13: int
    r12: int
    rbp: int
    rbx: int
    r11: int
    r10: int
    r9: int
    r8: int
    rax: int
    rcx: int
    rdx: int
    rsi: int
    rdi: int
    orig_rax: int
    rip: int
    cs: int
    eflags: int
    rsp: int
    ss: int
    fs_base: int
    gs_base: int
    ds: int
    es: int
    fs: int
    gs: int

    @classmethod
    def of(cls, state: bytes) -> General:
        """Return what `general_state` has returned."""
        return cls(*_GENERAL.unpack(state))

    def packed(self) -> bytes:
        """Return them as the kernel takes them."""
        return _GENERAL.pack(*self)


def require_known_machine() -> None:
    """Raise UnknownMachineError where the registers are not known."""
    machine = machines.current()
    if machine is not machines.X86_64:
        raise machines.UnknownMachineError(
            f"Registers are known for x86_64; this host is {machine.name}."
        )


@functools.cache
def _prepared() -> Callable[..., int]:
    return linux.prepared("ptrace", *[ctypes.c_long] * 2, *[ctypes.c_void_p] * 2)


def _ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> None:
    if _prepared()(request, pid, address, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace({request:#x}): {os.strerror(number)}")


def seize(pid: int, options: int) -> None:
    """Trace a process without stopping it. Raises OSError."""
    require_known_machine()
    _ptrace(_SEIZE, pid, 0, options)


def set_options(pid: int, options: int) -> None:
    """Set the options of one that is stopped. Raises OSError."""
    _ptrace(_SETOPTIONS, pid, 0, options)


def interrupt(pid: int) -> None:
    """Have it stop with EVENT_STOP; a call that waits is broken off. Raises OSError."""
    _ptrace(_INTERRUPT, pid)


def resume(pid: int, signal: int = 0) -> None:
    """Let one that is stopped go on, with a signal if one was kept from it. Raises OSError."""
    _ptrace(_CONT, pid, 0, signal)


def step(pid: int) -> None:
    """Let one that is stopped make one instruction, and stop with SIGTRAP. Raises OSError."""
    _ptrace(_STEP, pid)


def detach(pid: int) -> None:
    """Let one that is stopped go for good. Raises OSError."""
    _ptrace(_DETACH, pid)


def kill(pid: int) -> None:
    """Have one end that is traced, stopped or not. Raises OSError."""
    _ptrace(_KILL, pid)


def event_message(pid: int) -> int:
    """Return what an event says: the id of what was forked. Raises OSError."""
    message = ctypes.c_ulong()
    _ptrace(_GETEVENTMSG, pid, 0, ctypes.addressof(message))
    return message.value


_STATE = ctypes.create_string_buffer(_MOST_STATE)
_STATE_AT = ctypes.addressof(_STATE)
_STATE_VIEW = memoryview(_STATE).cast("B")
_STATE_VECTOR = ctypes.create_string_buffer(16)
_STATE_VECTOR_AT = ctypes.addressof(_STATE_VECTOR)
"""Used again and again, from one thread: see above."""


def _get(pid: int, kind: int, most: int) -> bytes:
    _VECTOR.pack_into(_STATE_VECTOR, 0, _STATE_AT, most)
    _ptrace(_GETREGSET, pid, kind, _STATE_VECTOR_AT)
    size = _VECTOR.unpack_from(_STATE_VECTOR, 0)[1]
    if not 0 < size < most + (kind == _NT_PRSTATUS):
        raise OSError(errno.EOVERFLOW, "the registers are not of the size that is known")
    return bytes(_STATE_VIEW[:size])


def _set(pid: int, kind: int, data: bytes) -> None:
    if len(data) > _MOST_STATE:
        raise OSError(errno.EOVERFLOW, "the registers are not of the size that is known")
    _STATE_VIEW[: len(data)] = data
    _VECTOR.pack_into(_STATE_VECTOR, 0, _STATE_AT, len(data))
    _ptrace(_SETREGSET, pid, kind, _STATE_VECTOR_AT)


def general_state(pid: int) -> bytes:
    """Return the general registers of one that is stopped, as the kernel has them. OSError."""
    data = _get(pid, _NT_PRSTATUS, _GENERAL.size)
    if len(data) != _GENERAL.size:
        raise OSError(errno.EOVERFLOW, "the process has registers of another size")
    return data


def call_of(state: bytes) -> tuple[int, int, int]:
    """Return the number, the first and the fourth argument of the call that registers are of."""
    fourth, first, number = _CALL.unpack_from(state)
    return number, first, fourth


def place_of(state: bytes) -> tuple[int, ...]:
    """Return the registers that tell where one stands that is about to make a call, and with what.

    That is rax, rdi, orig_rax, rip, cs, rsp and ss.
    """
    return _PLACE.unpack_from(state)


def general(pid: int) -> General:
    """Return the general registers of one that is stopped. Raises OSError."""
    return General.of(general_state(pid))


def set_general_state(pid: int, registers: bytes) -> None:
    """Set the general registers to what `general_state` has returned. Raises OSError."""
    _set(pid, _NT_PRSTATUS, registers)


def set_general(pid: int, registers: General) -> None:
    """Set the general registers of one that is stopped. Raises OSError."""
    _set(pid, _NT_PRSTATUS, registers.packed())


def extended(pid: int) -> bytes:
    """Return the extended state (x87, SSE, AVX, protection keys). Raises OSError."""
    return _get(pid, _NT_X86_XSTATE, _MOST_STATE)


def set_extended(pid: int, state: bytes) -> None:
    """Set the extended state. Raises OSError."""
    _set(pid, _NT_X86_XSTATE, state)
