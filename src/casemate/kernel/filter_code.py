"""The code of system-call filters (BPF), and the pieces that all of them are made of."""

from __future__ import annotations

import struct

from .machines import Machine

_EPERM, _EACCES, _EINVAL, _ENOTTY, _ENOSYS = 1, 13, 22, 25, 38
_ENOPROTOOPT, _EAFNOSUPPORT = 92, 97
_LD, _JEQ, _JGE, _JGT, _JSET, _RET, _JA = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06, 0x05
_AND = 0x54
_NR, _ARCH, _ARG0, _ARG1, _ARG2, _ARG3 = 0, 4, 16, 24, 32, 40
_ALLOW, _ERRNO, _NOTIFY, _KILL = 0x7FFF0000, 0x00050000, 0x7FC00000, 0x80000000
_X32_BIT = 0x40000000
"""In the number of a call of x32, which has the architecture of x86_64. No other call has one so
large but -1, of a call that a debugger took away; so it is looked for on every machine."""

Instruction = tuple[int, int, int, int]


def _encode(program: list[Instruction]) -> bytes:
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _prologue(machine: Machine) -> list[Instruction]:
    """Kill for a call by another machine's numbers: each number below means one call only here."""
    return [
        (_LD, 0, 0, _ARCH),
        (_JEQ, 1, 0, machine.audit_architecture),
        (_RET, 0, 0, _KILL),
        (_LD, 0, 0, _NR),
        (_JGE, 0, 1, _X32_BIT),
        (_RET, 0, 0, _KILL),
    ]


def _when(number: int, then: list[Instruction]) -> list[Instruction]:
    """Run `then`, which must return, if the call is `number`. Expects the number loaded."""
    return [(_JEQ, 0, len(then), number), *then]


def _search(actions: list[tuple[int, Instruction]]) -> list[Instruction]:
    """Return a binary search over `actions`: each holds from its number up to the next one's."""
    if len(actions) == 1:
        return [actions[0][1]]
    middle = len(actions) // 2
    low, high = _search(actions[:middle]), _search(actions[middle:])
    start = actions[middle][0]
    # A comparison jumps at most 255 instructions, JA any number.
    if len(high) <= 255:
        return [(_JGE, 0, len(high), start), *high, *low]
    return [(_JGE, 1, 0, start), (_JA, 0, 0, len(high)), *high, *low]


def _by_number(default: Instruction, actions: dict[int, Instruction]) -> list[Instruction]:
    """Return the program that answers each call number with its action, others with `default`."""
    points: list[tuple[int, Instruction]] = []
    for number in range(max(actions) + 2):
        action = actions.get(number, default)
        if not points or points[-1][1] != action:
            points.append((number, action))
    return _search(points)


def _allow() -> Instruction:
    return (_RET, 0, 0, _ALLOW)


def _notify() -> Instruction:
    return (_RET, 0, 0, _NOTIFY)


def _nothing_done() -> Instruction:
    """Answer as if the call had been made."""
    return (_RET, 0, 0, _ERRNO)


def _refuse(errno: int) -> Instruction:
    return (_RET, 0, 0, _ERRNO | errno)
