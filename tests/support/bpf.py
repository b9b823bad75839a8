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
    return _run(program, _words(number, args, arch))[0]


def _words(number: int, args: tuple[int, ...], arch: int) -> tuple[int, ...]:
    signed = (number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
    return _WORDS.unpack(_DATA.pack(signed, arch, 0, *[*args, 0, 0, 0, 0, 0, 0][:6]))


def _run(program: list[Instruction], words: tuple[int, ...]) -> tuple[int, list[int]]:
    """Return the action, and which words were looked at until it was known, in that order."""
    looked_at: list[int] = []
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
            looked_at.append(k // 4)
        elif code == RETURN:
            return k, looked_at
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


class Decisions:
    """The actions of one filter: calls that are alike in all that it looks at are evaluated once.

    A filter has no state: what it looks at next, and what it decides, follows from the words that
    it has looked at so far.
    """

    def __init__(self, program: list[Instruction]) -> None:
        self._program = program
        self._next: dict[tuple[int, ...], int] = {}
        """By the words so far: which one it looks at then."""
        self._action: dict[tuple[int, ...], int] = {}

    def of(self, number: int, args: tuple[int, ...], arch: int) -> int:
        """Return what `evaluate` does."""
        words = _words(number, args, arch)
        seen: tuple[int, ...] = ()
        while (place := self._next.get(seen)) is not None:
            seen = (*seen, words[place])
        action = self._action.get(seen)
        if action is None:
            action, looked_at = _run(self._program, words)
            seen = ()
            for place in looked_at:
                self._next[seen] = place
                seen = (*seen, words[place])
            self._action[seen] = action
        return action


def decide(program: list[Instruction], machine: Machine, name: str, *args: int) -> int:
    """Return the action of a machine's filter for a call by its name there."""
    return evaluate(program, machine.calls[name], args, machine.audit_architecture)
