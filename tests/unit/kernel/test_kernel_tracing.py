"""Other processes are stopped, read and changed (ptrace(2), process_vm_readv(2), kcmp(2))."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from casemate.kernel import machines, remote_memory, tracing
from casemate.kernel.machines import AARCH64, X86_64, UnknownMachineError

pytestmark = pytest.mark.skipif(machines.current() is not X86_64, reason="registers of x86-64")
RESTART = (1 << 64) - 512
"""-ERESTARTSYS, as a register: the call is made again, as if nothing had been."""
CODE = """
import ctypes, sys
buffer = ctypes.create_string_buffer(b"before", 16384)
sys.stdout.write(f"{ctypes.addressof(buffer)}\\n")
sys.stdout.flush()
while True:
    sys.stdin.readline()
    sys.stdout.write(buffer.value.decode() + "\\n")
    sys.stdout.flush()
"""


@dataclass
class Child:
    process: subprocess.Popen[str]
    address: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self) -> str:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def child() -> Iterator[Child]:
    with subprocess.Popen(
        [sys.executable, "-u", "-c", CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        yield Child(process, int(process.stdout.readline()))
        process.kill()


def stop(pid: int) -> int:
    """Interrupt a process that is seized; return its status."""
    tracing.interrupt(pid)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        waited, status = os.waitpid(pid, os.WNOHANG | tracing.WALL)
        if waited:
            return status
        time.sleep(0.001)
    raise TimeoutError


def test_a_waiting_call_is_broken_off_and_made_again(child: Child) -> None:
    tracing.seize(child.pid, 0)
    deadline = time.monotonic() + 20
    while True:
        status = stop(child.pid)
        assert status >> 16 == tracing.EVENT_STOP and os.WSTOPSIG(status) == signal.SIGTRAP
        registers = tracing.general(child.pid)
        if registers.rax == RESTART or time.monotonic() > deadline:
            break
        tracing.resume(child.pid)
    assert registers.orig_rax == X86_64.calls["read"] and registers.rax == RESTART
    place = registers.rip - 2
    code = remote_memory.read(child.pid, [(place, registers.rip)])
    assert code == tracing.SYSCALL_INSTRUCTION
    state = tracing.extended(child.pid)
    tracing.set_extended(child.pid, state)
    tracing.set_general(child.pid, registers)
    assert tracing.general(child.pid) == registers and tracing.extended(child.pid) == state
    tracing.resume(child.pid)
    assert child.ask() == "before"


def test_registers_are_set(child: Child) -> None:
    tracing.seize(child.pid, 0)
    stop(child.pid)
    registers = tracing.general(child.pid)
    changed = registers._replace(r12=0x1234, r15=5)
    tracing.set_general(child.pid, changed)
    assert tracing.general(child.pid) == changed
    tracing.set_general(child.pid, registers)
    tracing.detach(child.pid)
    assert child.ask() == "before"


def test_extended_state_is_set_and_half_of_it_refused(child: Child) -> None:
    tracing.seize(child.pid, 0)
    stop(child.pid)
    state = tracing.extended(child.pid)
    control = bytearray(state)
    control[24:28] = (0x1F80 | 0x2000).to_bytes(4, "little")  # MXCSR: round down
    control[512] |= 3  # both parts are there
    tracing.set_extended(child.pid, bytes(control))
    assert tracing.extended(child.pid)[24:28] == control[24:28]
    with pytest.raises(OSError):
        tracing.set_extended(child.pid, state[:100])


def test_memory_is_read_and_written(child: Child) -> None:
    remote_memory.write(child.pid, [(child.address, child.address + 7)], bytearray(b"after!\0"))
    assert child.ask() == "after!"
    runs = [(child.address + 1, child.address + 3), (child.address, child.address + 2)]
    assert remote_memory.read(child.pid, runs) == b"ftaf"
    many = [(child.address + at, child.address + at + 1) for at in range(0, 6000, 2)]
    assert len(remote_memory.read(child.pid, many)) == 3000
    assert remote_memory.read(child.pid, []) == b""


def test_pieces_go_to_runs_one_after_the_other(child: Child) -> None:
    here = child.address
    runs = [(here + 3, here + 7), (here, here + 3)]
    copy = remote_memory.Copy(runs, [b"er", b"", b"!\0aft"])
    for _ in range(2):
        copy.write(child.pid)
        assert child.ask() == "after!"
    with pytest.raises(ValueError):
        remote_memory.Copy(runs, [b"er", b"!\0af"])
    remote_memory.Copy([], [b""]).write(child.pid)
    # More pieces, and more runs, than the kernel takes at once.
    letters = [bytes([65 + number % 26]) for number in range(3000)]
    places = [(here + number, here + number + 1) for number in range(3000)]
    for to in (places, [(here, here + 3000)]):
        remote_memory.write(child.pid, [(here, here + 3000)], bytearray(3000))
        remote_memory.Copy(to, letters).write(child.pid)
        assert remote_memory.read(child.pid, [(here, here + 3000)]) == b"".join(letters)


def test_memory_that_is_not_there_fails_wholly_or_not(child: Child) -> None:
    here = (child.address, child.address + 8)
    with pytest.raises(OSError):
        remote_memory.read(child.pid, [here, (4096, 8192)])
    with pytest.raises(OSError):
        remote_memory.write(child.pid, [here, (4096, 4097)], bytearray(9))
    with pytest.raises(ValueError):
        remote_memory.write(child.pid, [here], bytearray(9))


def test_memory_that_it_may_not_write_stays(child: Child) -> None:
    tracing.seize(child.pid, 0)
    stop(child.pid)
    place = tracing.general(child.pid).rip & ~4095
    with pytest.raises(OSError):
        remote_memory.write(child.pid, [(place, place + 4)], bytearray(4))


def test_files_are_compared(child: Child) -> None:
    assert remote_memory.same_file(child.pid, child.pid, 0)
    assert not remote_memory.same_file(child.pid, os.getpid(), 1)
    assert not remote_memory.same_file(child.pid, child.pid, 900)
    child.process.kill()
    child.process.wait(20)
    with pytest.raises(OSError):
        remote_memory.same_file(child.pid, os.getpid(), 1)


def test_who_is_not_traced_cannot_be_stopped(child: Child) -> None:
    for act in (tracing.interrupt, tracing.general, tracing.extended, tracing.resume):
        with pytest.raises(ProcessLookupError):
            act(child.pid)  # type: ignore[operator]


@pytest.mark.parametrize("kill", [True, False])
def test_who_is_traced_ends_with_the_tracer_if_it_is_to(child: Child, kill: bool) -> None:
    options = tracing.EXIT_KILL if kill else 0
    code = (
        "import sys; from casemate.kernel import tracing\n"
        f"tracing.seize({child.pid}, {options}); print('x', flush=True); sys.stdin.read()"
    )
    tracer = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with tracer:
        assert tracer.stdout and tracer.stdout.read(1) == b"x"
        tracer.kill()
    if kill:
        assert child.process.wait(20) == -signal.SIGKILL
    else:
        assert child.ask() == "before"


def test_other_machines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "current", lambda: AARCH64)
    with pytest.raises(UnknownMachineError, match="aarch64"):
        tracing.seize(1, 0)


def test_the_registers_are_those_of_the_headers() -> None:
    header = Path("/usr/include/x86_64-linux-gnu/sys/user.h")
    if not header.exists():
        pytest.skip("the C library's headers are not installed")
    text = header.read_text()
    block = text.split("struct user_regs_struct")[1].split("};")[0]
    names = re.findall(r"long int (\w+);", block)
    old = {"eflags": "eflags", "xcs": "cs", "xss": "ss"}
    assert [old.get(name, name) for name in names][:27] == list(tracing.General._fields)
    assert ctypes.sizeof(ctypes.c_ulong) * 27 == tracing._GENERAL.size


def test_the_call_of_registers_is_read_without_the_others() -> None:
    registers = tracing.General(*range(100, 127))
    assert tracing.General.of(registers.packed()) == registers
    expected = (registers.orig_rax, registers.rdi, registers.r10)
    assert tracing.call_of(registers.packed()) == expected


def test_more_state_than_there_is_room_for_is_refused(child: Child) -> None:
    tracing.seize(child.pid, 0)
    stop(child.pid)
    with pytest.raises(OSError):
        tracing.set_extended(child.pid, bytes(1 << 17))
