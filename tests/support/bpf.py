"""A filter of system calls, evaluated instruction by instruction as the kernel does it."""

from __future__ import annotations

import struct

from casemate.kernel.machines import Machine

ALLOW, NOTIFY, KILL = 0x7FFF0000, 0x7FC00000, 0x80000000
ERRNO = 0x00050000
"""Together with the errno in the lower half."""
LOAD, RETURN, JUMP, AND = 0x20, 0x06, 0x05, 0x54
EQUAL, GREATER, GREATER_OR_EQUAL, ANY_BIT = 0x15, 0x25, 0x35, 0x45
_DATA = struct.Struct("=iIQ6Q")
"""struct seccomp_data: number, architecture, instruction pointer, six arguments. Little-endian on
both machines, so that the lower half of an argument comes first."""
_WORDS = struct.Struct("<16I")
_MOST_STEPS = 4096

Instruction = tuple[int, int, int, int]


def decoded(program: bytes) -> list[Instruction]:
    return list(struct.iter_unpack("<HBBI", program))


def evaluate(program: list[Instruction], number: int, args: tuple[int, ...], arch: int) -> int:
    """Return the action of a filter for one system call (linux/filter.h)."""
    signed = (number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
    words = _WORDS.unpack(_DATA.pack(signed, arch, 0, *[*args, 0, 0, 0, 0, 0, 0][:6]))
    place = accumulator = 0
    for _ in range(_MOST_STEPS):
        code, if_true, if_false, k = program[place]
        place += 1
        if code == EQUAL:
            place += if_true if accumulator == k else if_false
        elif code == LOAD:
            if k % 4:
                raise ValueError(f"a load of {k}, which is no whole word")
            accumulator = words[k // 4]
        elif code == RETURN:
            return k
        elif code == JUMP:
            place += k
        elif code == AND:
            accumulator &= k
        elif code == GREATER_OR_EQUAL:
            place += if_true if accumulator >= k else if_false
        elif code == GREATER:
            place += if_true if accumulator > k else if_false
        elif code == ANY_BIT:
            place += if_true if accumulator & k else if_false
        else:
            raise ValueError(f"an instruction {code:#x}, which no filter here has")
    raise AssertionError("it does not end")


def decide(program: list[Instruction], machine: Machine, name: str, *args: int) -> int:
    """Return the action of a machine's filter for a call by its name there."""
    return evaluate(program, machine.calls[name], args, machine.audit_architecture)
