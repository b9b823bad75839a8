"""The machines whose system calls are known here: which call has which number.

Most of what is said to the kernel is the same on both: flags, structures, errnos. Different are
the numbers, which calls there are (aarch64 came late and has no `open`, `stat` or `fork`), what a
filter sees as the architecture, and the order of the arguments of clone(2).
"""

from __future__ import annotations

import functools
import os
import struct

from . import numbers_aarch64, numbers_x86_64

_POINTER_BYTES = struct.calcsize("P")


class UnknownMachineError(OSError):
    """The system calls of this machine are not known."""


class Machine:
    """One of them. Each is itself alone, and a key: what is derived of it is kept."""

    __slots__ = ("audit_architecture", "calls", "clone_thread_id_last", "name")

    def __init__(
        self,
        *,
        name: str,
        audit_architecture: int,
        calls: dict[str, int],
        clone_thread_id_last: bool,
    ) -> None:
        """Hold what is given."""
        self.name = name
        """As uname(2) calls it."""
        self.audit_architecture = audit_architecture
        """What a filter sees of a call by these numbers (AUDIT_ARCH_* of linux/audit.h)."""
        self.calls = calls
        self.clone_thread_id_last = clone_thread_id_last
        """Whether clone(2) takes the child's thread id after the thread's storage, not before it
        (CONFIG_CLONE_BACKWARDS). It is in no header: clone(2), C library/kernel differences."""


def _calls(text: str) -> dict[str, int]:
    return {name: int(number) for name, number in (entry.split("=") for entry in text.split())}


X86_64 = Machine(
    name="x86_64",
    audit_architecture=numbers_x86_64.AUDIT_ARCHITECTURE,
    calls=_calls(numbers_x86_64.CALLS),
    clone_thread_id_last=False,
)
AARCH64 = Machine(
    name="aarch64",
    audit_architecture=numbers_aarch64.AUDIT_ARCHITECTURE,
    calls=_calls(numbers_aarch64.CALLS),
    clone_thread_id_last=True,
)
MACHINES = (X86_64, AARCH64)


def machine_of(system: str, name: str, pointer_bytes: int) -> Machine:
    """Return a machine by what uname(2) says of it. Raises UnknownMachineError.

    A process of 32 bits on one of 64 makes other calls, so that its pointers are asked for too.
    """
    for machine in MACHINES:
        if (system, name, pointer_bytes) == ("Linux", machine.name, 8):
            return machine
    known = " and ".join(machine.name for machine in MACHINES)
    raise UnknownMachineError(
        f"This host is {system} on {name}, with pointers of {8 * pointer_bytes} bits; system calls "
        f"and their filters are known for Linux on {known}, of 64 bits."
    )


@functools.cache
def current() -> Machine:
    """Return the machine that this process runs on. Raises UnknownMachineError."""
    host = os.uname()
    return machine_of(host.sysname, host.machine, _POINTER_BYTES)
