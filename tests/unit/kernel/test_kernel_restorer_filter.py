"""The restorer's filter, evaluated as the kernel does it."""

from __future__ import annotations

from casemate.kernel.machines import X86_64
from casemate.kernel.restorer_filter import CALLS, IOCTLS, PTRACE, restorer_program
from casemate.kernel.system_calls import SANDBOX_MAKING
from support.bpf import ALLOW, ERRNO, KILL, decide, decoded, evaluate

PROGRAM = decoded(restorer_program(X86_64))
ANY = 2**64 - 1
CONDITIONAL = {"ptrace", "ioctl", "mmap", "mprotect", "prctl", "socket", "openat"}


def test_what_is_not_named_is_refused() -> None:
    for name, number in X86_64.calls.items():
        if name in CONDITIONAL:
            continue
        expected = ALLOW if name in CALLS else ERRNO | 1
        assert evaluate(PROGRAM, number, (ANY,) * 6, X86_64.audit_architecture) == expected, name
    assert evaluate(PROGRAM, 0, (), X86_64.audit_architecture ^ 1) == KILL


def test_it_makes_no_sandbox_starts_and_kills_nothing() -> None:
    tracing = {"ptrace", "process_vm_readv", "process_vm_writev", "kcmp"}
    for name in (*SANDBOX_MAKING, "execve", "clone", "clone3", "fork", "kill", "open", "connect"):
        if name in tracing or name not in X86_64.calls:
            continue
        assert decide(PROGRAM, X86_64, name, ANY, ANY, ANY) == ERRNO | 1, name


def test_it_opens_nothing() -> None:
    assert decide(PROGRAM, X86_64, "openat", ANY) == ERRNO | 13
    assert decide(PROGRAM, X86_64, "socket", 2, 1) == ERRNO | 97


def test_requests_are_those_that_are_made() -> None:
    for request in (*range(50), *range(0x4200, 0x4220), ANY):
        expected = ALLOW if request in PTRACE else ERRNO | 1
        assert decide(PROGRAM, X86_64, "ptrace", request) == expected
    for request in (*IOCTLS, 0x5412, 0xAA00, 0xC0502100, 0x40182103):
        expected = ALLOW if request in IOCTLS else ERRNO | 1
        assert decide(PROGRAM, X86_64, "ioctl", 5, request) == expected
    for option in range(80):
        expected = ALLOW if option == 3 else ERRNO | 1
        assert decide(PROGRAM, X86_64, "prctl", option) == expected


def test_no_memory_is_made_executable() -> None:
    for name in ("mmap", "mprotect"):
        assert decide(PROGRAM, X86_64, name, 0, 4096, 3) == ALLOW
        assert decide(PROGRAM, X86_64, name, 0, 4096, 5) == ERRNO | 1
