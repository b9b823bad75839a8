"""The filter that flags, evaluated as the kernel does it. With the kernel: tests/security."""

from __future__ import annotations

import pytest

from casemate.kernel import seccomp
from casemate.kernel.flagging import BY_DESCRIPTOR, CLEAN, FIRST, TRACE, flag_program
from casemate.kernel.machines import MACHINES, X86_64, Machine
from casemate.kernel.system_calls import ALLOWED, numbered
from support.bpf import ALLOW, KILL, decide, decoded, evaluate

PROGRAM = decoded(flag_program(X86_64))
ANY = 2**64 - 1
each_machine = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
CONDITIONAL = {
    *("open", "openat", "dup2", "dup3", "recvfrom", "sendto", "recvmsg", "fcntl", "ioctl"),
    *("mmap", "futex", "rt_sigaction", "sigaltstack", "prlimit64", "close_range"),
}


def action(name: str, *args: int) -> int:
    return decide(PROGRAM, X86_64, name, *args)


@each_machine
def test_it_is_a_program_that_the_kernel_takes(machine: Machine) -> None:
    program = decoded(flag_program(machine))
    assert len(program) < 1024
    for place, (code, if_true, if_false, k) in enumerate(program):
        left = len(program) - place - 1
        if code == 0x06:
            assert k in (ALLOW, TRACE, KILL)
        elif code == 0x20:
            assert k % 4 == 0 and k < 64 and left > 0
        elif code == 0x05:
            assert k < left
        else:
            assert max(if_true, if_false) < left
    assert program[-1][0] == 0x06


@each_machine
def test_other_machines_are_killed(machine: Machine) -> None:
    program = decoded(flag_program(machine))
    assert evaluate(program, 0, (), machine.audit_architecture ^ 1) == KILL
    assert evaluate(program, 0x40000000, (), machine.audit_architecture) == KILL


def test_every_call_is_either_named_or_flagged() -> None:
    for number in range(600):
        names = [name for name, known in X86_64.calls.items() if known == number]
        name = names[0] if names else ""
        found = {
            evaluate(PROGRAM, number, args, X86_64.audit_architecture)
            for args in ((), (ANY,) * 6, (3,) * 6, (3, ANY, ANY, ANY, ANY, ANY))
        }
        if name in CLEAN:
            assert found == {ALLOW}, name
        elif name in CONDITIONAL or name in BY_DESCRIPTOR:
            assert TRACE in found, name
        else:
            assert found == {TRACE}, name or number


def test_what_is_named_is_known_and_allowed_anyway() -> None:
    known = {*ALLOWED, *seccomp.ALLOWED, "ioctl", "setsockopt", "socket", "socketpair"}
    for name in (*CLEAN, *BY_DESCRIPTOR, *CONDITIONAL):
        assert name in X86_64.calls
        assert name in known, name
    assert len(set(CLEAN) | set(BY_DESCRIPTOR) | CONDITIONAL) == len(CLEAN) + len(
        BY_DESCRIPTOR
    ) + len(CONDITIONAL)
    assert numbered(CLEAN, MACHINES[1])


@pytest.mark.parametrize("name", BY_DESCRIPTOR)
def test_kept_descriptors_are_flagged(name: str) -> None:
    for descriptor in range(FIRST):
        assert action(name, descriptor, 5, 5) == TRACE
        # The upper half of a register is not looked at by the kernel either.
        assert action(name, descriptor | 1 << 32, 5, 5) == TRACE
    assert action(name, FIRST) == action(name, 1000) == ALLOW


@pytest.mark.parametrize("name", ["dup2", "dup3"])
def test_no_kept_descriptor_is_duplicated_or_replaced(name: str) -> None:
    for kept in range(FIRST):
        assert action(name, kept, 9) == action(name, 9, kept) == TRACE
    assert action(name, 9, 10) == ALLOW


def test_ranges_of_descriptors_are_closed_above_those_that_are_kept() -> None:
    for kept in range(FIRST):
        assert action("close_range", kept, 0xFFFFFFFF, 0) == TRACE
        assert action("close_range", kept | 1 << 32, 0xFFFFFFFF, 0) == TRACE
    assert action("close_range", FIRST, 0xFFFFFFFF, 0) == ALLOW
    for flags in (2, 4, 6, 8):  # CLOSE_RANGE_UNSHARE, _CLOEXEC
        assert action("close_range", FIRST, 0xFFFFFFFF, flags) == TRACE


def test_files_are_opened_without_signals() -> None:
    for flags in (0, 1, 2, 0o102, 0o1000, 0o2000000, 0o200000, 0o10000000, 0o4000, 0o20200002):
        signals = bool(flags & 0o20000)
        expected = TRACE if signals else ALLOW
        assert action("openat", ANY, 0, flags) == action("open", 0, flags) == expected
    assert action("openat", ANY, 0, 0o20000) == TRACE
    assert action("openat2", 9, 0, 0) == TRACE


def test_memory_is_for_the_tracer_to_judge() -> None:
    for name in ("munmap", "mprotect", "mremap", "madvise", "brk", "sendmsg"):
        assert action(name) == action(name, 9, 0, 0, 0x22) == TRACE


def test_private_memory_where_nothing_is_passes() -> None:
    for flags in (0x2, 0x22, 0x802, 0x4022, 0x8022, 0x20022):
        for rights in (0, 1, 3, 7):
            assert action("mmap", 0, 9, rights, flags) == ALLOW
    # Shared, droppable or of an unknown kind; in a certain place; locked, growing, huge.
    for flags in (0, 0x1, 0x3, 0x20, 0x28, 0x2A, 0x32, 0x100022, 0x62, 0x122, 0x2022, 0x40022, ANY):
        assert action("mmap", 0, 9, 3, flags) == TRACE
    assert action("mmap", 0, 9, 3, 0x22 | 1 << 32) == TRACE
    for rights in (8, 0x01000003, 0x02000003, 3 | 1 << 32, ANY):
        assert action("mmap", 0, 9, rights, 0x22) == TRACE


def test_messages_on_the_socket_are_those_of_the_runner() -> None:
    assert action("recvfrom", 3, 0, 0, 0) == ALLOW
    assert action("recvmsg", 3, 0, 0x40000000) == ALLOW
    assert action("sendto", 3, 0, 0, 0) == action("sendto", 3, 0, 0, 0x4000) == ALLOW
    for flags in (1, 2, 0x40, 0x40000001, 1 << 31):
        assert action("recvfrom", 3, 0, 0, flags) == TRACE
        assert action("recvmsg", 3, 0, flags) == TRACE
        assert action("sendto", 3, 0, 0, flags) == TRACE
        assert action("recvfrom", 7, 0, 0, flags) == ALLOW
    for name in ("sendmsg", "sendmmsg", "recvmmsg"):
        assert action(name, 3) == action(name, 9) == TRACE


def test_commands_are_looked_at() -> None:
    for command in (1, 3):
        assert action("fcntl", 3, command) == ALLOW
    for command in (0, 2, 4, 5, 6, 7, 36, 37, 38, 1030):
        assert action("fcntl", 3, command) == TRACE
        assert action("fcntl", 9, command) == ALLOW
    for command in (*range(8, 17), 39, 1024, 1025, 1026, 1031, 1033, ANY):
        assert action("fcntl", 9, command) == TRACE
    assert action("ioctl", 0, 0x5401) == ALLOW
    for command in (0x541B, 0x5421, 0x5450, 0x5451):
        assert action("ioctl", 3, command) == TRACE
        assert action("ioctl", 9, command) == ALLOW
    for command in (0x5402, 0x5412, 0x5452, 0x8901, 0x40086602, 0xAA00):
        assert action("ioctl", 9, command) == TRACE


def test_pointers_are_looked_at_wholly() -> None:
    for name, place in (
        ("rt_sigaction", 1), ("sigaltstack", 0), ("prlimit64", 2),
    ):  # fmt: skip
        for pointer in (1, 1 << 32, 0xFFFFFFFF00000000, 0x7F0000000000):
            args = [5, 5, 5, 5]
            args[place] = pointer
            assert action(name, *args) == TRACE
            args[place] = 0
            assert action(name, *args) == ALLOW


def test_futexes_that_leave_nothing() -> None:
    for operation in (0, 1, 9, 10, 128, 129, 137, 138, 393):
        assert action("futex", 0, operation) == ALLOW
    for operation in (2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 134, 139, 1024):
        assert action("futex", 0, operation) == TRACE
