"""Reads and writes the memory of another process (process_vm_readv(2)), and compares its files.

Whoever does so needs the right to trace that process, which the kernel asks for each time.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

from . import linux

_VECTOR = struct.Struct("=QQ")
_MOST_VECTORS = 1024
"""IOV_MAX: what the kernel takes at once."""
_KCMP_FILE = 0
_ONE, _NONE = ctypes.c_ulong(1), ctypes.c_ulong(0)


def _transfer(name: str, pid: int, address: int, runs: Sequence[tuple[int, int]]) -> None:
    """Move the bytes of runs (start, end), in order, to or from local memory at `address`."""
    for first in range(0, len(runs), _MOST_VECTORS):
        part = runs[first : first + _MOST_VECTORS]
        remote = b"".join(_VECTOR.pack(start, end - start) for start, end in part)
        size = sum(end - start for start, end in part)
        moved = linux.call(
            name,
            ctypes.c_long(pid),
            _VECTOR.pack(address, size),
            ctypes.c_ulong(1),
            remote,
            ctypes.c_ulong(len(part)),
            ctypes.c_ulong(0),
        )
        if moved < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}")
        if moved != size:
            raise OSError(errno.EFAULT, f"{name}: {moved} of {size} bytes")
        address += size


def read(pid: int, runs: Sequence[tuple[int, int]]) -> bytearray:
    """Return the bytes of runs (start, end), one after the other. Raises OSError."""
    data = bytearray(sum(end - start for start, end in runs))
    if data:
        view = (ctypes.c_char * len(data)).from_buffer(data)
        _transfer("process_vm_readv", pid, ctypes.addressof(view), runs)
    return data


def write(pid: int, runs: Sequence[tuple[int, int]], data: bytearray) -> None:
    """Write to runs (start, end) what is in `data`, all of it or raise OSError.

    Where the process itself may not write (EFAULT) nobody does.
    """
    if len(data) != sum(end - start for start, end in runs):
        raise ValueError("the data is not as long as the runs")
    if data:
        view = (ctypes.c_char * len(data)).from_buffer(data)
        _transfer("process_vm_writev", pid, ctypes.addressof(view), runs)


class Copy:
    """Bytes that are written to the same places again and again, prepared once."""

    def __init__(self, runs: Sequence[tuple[int, int]], data: bytearray) -> None:
        """Take over `data`, which goes to `runs` (start, end), one after the other."""
        if len(data) != sum(end - start for start, end in runs):
            raise ValueError("the data is not as long as the runs")
        self._data = data
        self._parts: list[tuple[bytes, bytes, ctypes.c_ulong, int]] = []
        if not data:
            return
        self._view = (ctypes.c_char * len(data)).from_buffer(data)
        address = ctypes.addressof(self._view)
        for first in range(0, len(runs), _MOST_VECTORS):
            part = runs[first : first + _MOST_VECTORS]
            size = sum(end - start for start, end in part)
            remote = b"".join(_VECTOR.pack(start, end - start) for start, end in part)
            local = _VECTOR.pack(address, size)
            self._parts.append((local, remote, ctypes.c_ulong(len(part)), size))
            address += size

    def write(self, pid: int) -> None:
        """Write all of it to a process or raise OSError."""
        for local, remote, count, size in self._parts:
            moved = linux.call(
                "process_vm_writev", ctypes.c_long(pid), local, _ONE, remote, count, _NONE
            )
            if moved < 0:
                number = ctypes.get_errno()
                raise OSError(number, f"process_vm_writev: {os.strerror(number)}")
            if moved != size:
                raise OSError(errno.EFAULT, f"process_vm_writev: {moved} of {size} bytes")


def same_file(one: int, other: int, descriptor: int) -> bool:
    """Tell whether a descriptor leads to the same open file in two processes (kcmp(2)).

    False too if either has none. Raises OSError if they cannot be compared.
    """
    result = linux.call(
        "kcmp",
        ctypes.c_long(one),
        ctypes.c_long(other),
        ctypes.c_long(_KCMP_FILE),
        ctypes.c_ulong(descriptor),
        ctypes.c_ulong(descriptor),
    )
    if result < 0:
        number = ctypes.get_errno()
        if number == errno.EBADF:
            return False
        raise OSError(number, f"kcmp: {os.strerror(number)}")
    return result == 0
