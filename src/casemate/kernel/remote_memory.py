"""Reads and writes the memory of another process (process_vm_readv(2)), and compares its files.

Whoever does so needs the right to trace that process, which the kernel asks for each time.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
from collections.abc import Callable, Sequence

from . import linux

_VECTOR = struct.Struct("=QQ")
_MOST_VECTORS = 1024
"""IOV_MAX: what the kernel takes at once."""
_KCMP_FILE = 0


@functools.cache
def _moving(name: str) -> Callable[..., int]:
    """process_vm_readv(2) or process_vm_writev(2): pid, local and remote vectors, flags."""
    vectors = (ctypes.c_char_p, ctypes.c_ulong)
    return linux.prepared(name, ctypes.c_long, *vectors, *vectors, ctypes.c_ulong)


@functools.cache
def _comparing() -> Callable[..., int]:
    return linux.prepared("kcmp", *[ctypes.c_long] * 3, *[ctypes.c_ulong] * 2)


class _Transfer:
    """Moves the bytes of runs (start, end), in order, to or from local memory."""

    __slots__ = ("_parts",)

    def __init__(self, address: int, runs: Sequence[tuple[int, int]]) -> None:
        """Lay out for the kernel what goes to or comes from `address` on."""
        self._parts: list[tuple[bytes, bytes, int, int]] = []
        for first in range(0, len(runs), _MOST_VECTORS):
            part = runs[first : first + _MOST_VECTORS]
            remote = b"".join(_VECTOR.pack(start, end - start) for start, end in part)
            size = sum(end - start for start, end in part)
            self._parts.append((_VECTOR.pack(address, size), remote, len(part), size))
            address += size

    def make(self, name: str, pid: int) -> None:
        """Move all of it or raise OSError."""
        move = _moving(name)
        for local, remote, count, size in self._parts:
            moved = move(pid, local, 1, remote, count, 0)
            if moved < 0:
                number = ctypes.get_errno()
                raise OSError(number, f"{name}: {os.strerror(number)}")
            if moved != size:
                raise OSError(errno.EFAULT, f"{name}: {moved} of {size} bytes")


def read(pid: int, runs: Sequence[tuple[int, int]]) -> bytearray:
    """Return the bytes of runs (start, end), one after the other. Raises OSError."""
    data = bytearray(sum(end - start for start, end in runs))
    if data:
        view = (ctypes.c_char * len(data)).from_buffer(data)
        _Transfer(ctypes.addressof(view), runs).make("process_vm_readv", pid)
    return data


def write(pid: int, runs: Sequence[tuple[int, int]], data: bytearray) -> None:
    """Write to runs (start, end) what is in `data`, all of it or raise OSError.

    Where the process itself may not write (EFAULT) nobody does.
    """
    Copy(runs, data).write(pid)


class Copy:
    """Bytes that are written to the same places again and again, prepared once."""

    def __init__(self, runs: Sequence[tuple[int, int]], data: bytearray) -> None:
        """Take over `data`, which goes to `runs` (start, end), one after the other."""
        if len(data) != sum(end - start for start, end in runs):
            raise ValueError("the data is not as long as the runs")
        self._transfer: _Transfer | None = None
        if data:
            self._view = (ctypes.c_char * len(data)).from_buffer(data)
            self._transfer = _Transfer(ctypes.addressof(self._view), runs)

    def write(self, pid: int) -> None:
        """Write all of it to a process or raise OSError."""
        if self._transfer is not None:
            self._transfer.make("process_vm_writev", pid)


def same_file(one: int, other: int, descriptor: int) -> bool:
    """Tell whether a descriptor leads to the same open file in two processes (kcmp(2)).

    False too if either has none. Raises OSError if they cannot be compared.
    """
    result = _comparing()(one, other, _KCMP_FILE, descriptor, descriptor)
    if result < 0:
        number = ctypes.get_errno()
        if number == errno.EBADF:
            return False
        raise OSError(number, f"kcmp: {os.strerror(number)}")
    return result == 0
