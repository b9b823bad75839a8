"""The first process of a function's pid namespace: it waits for the zygote and ends with it.

With it the kernel ends all that is left in the namespace (pid_namespaces(7)). A fork of the base
zygote that does only this still holds a third of a megabyte of pages, and as much of tables for
them. So it becomes a program of two system calls and one page (elf(5)), without any right.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
from typing import Never

from ..kernel import linux

_ZYGOTE = 2
"""The process id in a new namespace of what its first process forks first."""
_MOVED = 64
"""Number from which on its descriptor is in the way of none that a zygote keeps."""
_ADDRESS, _PAGE = 0x400000, 4096
_HEADER, _SEGMENT, _STACK = "<16sHHIQQQIHHHHHH", "<IIQQQQQQ", "<IIQQQQQQ"
_IDENT = b"\x7fELF\x02\x01\x01"
_EXECUTABLE, _X86_64, _LOAD, _GNU_STACK = 2, 62, 1, 0x6474E551
_READ_EXECUTE, _READ_WRITE = 5, 6
_HEADER_BYTES, _SEGMENT_BYTES, _SEGMENTS = 64, 56, 2
_X86_64_CODE = bytes.fromhex(
    "b83d000000"  # again: mov eax, 61 (wait4)
    "bf02000000"  # mov edi, 2 (the zygote)
    "31f6"  # xor esi, esi
    "31d2"  # xor edx, edx
    "4531d2"  # xor r10d, r10d
    "0f05"  # syscall
    "83f8fc"  # cmp eax, -4 (EINTR)
    "74e8"  # je again
    "b8e7000000"  # mov eax, 231 (exit_group)
    "31ff"  # xor edi, edi
    "0f05"  # syscall
)


def program(machine: str) -> bytes | None:
    """Return the program for a machine, as uname(2) calls it; None if there is none for it."""
    if machine != "x86_64":
        return None
    start = _HEADER_BYTES + _SEGMENTS * _SEGMENT_BYTES
    size = start + len(_X86_64_CODE)
    sizes = (_HEADER_BYTES, _SEGMENT_BYTES, _SEGMENTS, 0, 0, 0)
    begin = (_EXECUTABLE, _X86_64, 1, _ADDRESS + start, _HEADER_BYTES, 0, 0)
    header = struct.pack(_HEADER, _IDENT, *begin, *sizes)
    text = struct.pack(_SEGMENT, _LOAD, _READ_EXECUTE, 0, _ADDRESS, _ADDRESS, size, size, _PAGE)
    # Without this the kernel would make its stack, and all that it maps, executable.
    stack = struct.pack(_STACK, _GNU_STACK, _READ_WRITE, 0, 0, 0, 0, 0, 16)
    return header + text + stack + _X86_64_CODE


def write_program(path: str) -> int | None:
    """Write it and return a descriptor to run it by; None where there is none or it cannot be.

    Nobody can read it: so the kernel lets nobody look into who runs it (ptrace(2)).
    """
    code = program(os.uname().machine)
    if code is None:
        return None
    try:
        writing = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
        try:
            os.write(writing, code)
            os.fchmod(writing, 0o111)  # nosec B103 - it is run by others, and read by nobody
        finally:
            os.close(writing)
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            return fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, _MOVED)
        finally:
            os.close(opened)
    except OSError:
        return None


def wait(child: int, descriptor: int | None) -> Never:
    """Be the first process of a pid namespace, of which `child` is the zygote, and end with it.

    `descriptor` is the program's. Where that cannot be run this process does the same itself.
    """
    if descriptor is not None and child == _ZYGOTE:
        try:
            linux.drop_capabilities(bounding=True)
            linux.set_no_new_privileges()
            # The kernel reaps then, and nobody else has to: it waits for the zygote alone.
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            os.execve(descriptor, ["first process"], {})  # noqa: S606 - no shell is wanted
        except OSError:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        while True:
            pid, _status = os.waitpid(-1, 0)
            if pid == child:
                break
    except ChildProcessError:
        pass  # it ended while the kernel reaped by itself
    os._exit(0)
