"""Reads and writes the memory of another process (process_vm_readv(2)), and compares its files.

Whoever does so needs the right to trace that process, which the kernel asks for each time.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import itertools
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
    # Small numbers all: what ctypes does without their types takes two thirds of the time.
    return linux.prepared("kcmp")


class _Transfer:
    """Moves the bytes of runs (start, end), in order, to or from local memory."""

    __slots__ = ("_parts",)

    def __init__(self, local: Sequence[tuple[int, int]], runs: Sequence[tuple[int, int]]) -> None:
        """Lay out for the kernel what goes to or comes from `local` pieces (address, size).

        One piece is split where needed; of several there are no more than the kernel takes at once,
        nor of their runs.
        """
        self._parts: list[tuple[bytes, int, bytes, int, int]] = []
        if len(local) > 1:
            self._add(local, runs)
            return
        address = local[0][0]
        for first in range(0, len(runs), _MOST_VECTORS):
            part = runs[first : first + _MOST_VECTORS]
            address += self._add([(address, _bytes(part))], part)

    def _add(self, local: Sequence[tuple[int, int]], runs: Sequence[tuple[int, int]]) -> int:
        here = b"".join(itertools.starmap(_VECTOR.pack, local))
        there = b"".join(_VECTOR.pack(start, end - start) for start, end in runs)
        size = _bytes(runs)
        self._parts.append((here, len(local), there, len(runs), size))
        return size

    def make(self, name: str, pid: int) -> None:
        """Move all of it or raise OSError."""
        move = _moving(name)
        for here, pieces, there, runs, size in self._parts:
            moved = move(pid, here, pieces, there, runs, 0)
            if moved < 0:
                number = ctypes.get_errno()
                raise OSError(number, f"{name}: {os.strerror(number)}")
            if moved != size:
                raise OSError(errno.EFAULT, f"{name}: {moved} of {size} bytes")


def _bytes(runs: Sequence[tuple[int, int]]) -> int:
    return sum(end - start for start, end in runs)


def read(pid: int, runs: Sequence[tuple[int, int]]) -> bytearray:
    """Return the bytes of runs (start, end), one after the other. Raises OSError."""
    data = bytearray(_bytes(runs))
    if data:
        view = (ctypes.c_char * len(data)).from_buffer(data)
        _Transfer([(ctypes.addressof(view), len(data))], runs).make("process_vm_readv", pid)
    return data


def write(pid: int, runs: Sequence[tuple[int, int]], data: bytes | bytearray) -> None:
    """Write to runs (start, end) what is in `data`, all of it or raise OSError.

    Where the process itself may not write (EFAULT) nobody does.
    """
    Copy(runs, [bytes(data)]).write(pid)


class Copy:
    """Bytes that are written to the same places again and again, prepared once."""

    def __init__(self, runs: Sequence[tuple[int, int]], pieces: Sequence[bytes]) -> None:
        """Write `pieces`, one after the other, to `runs` (start, end). Pieces are not copied."""
        if sum(map(len, pieces)) != _bytes(runs):
            raise ValueError("the pieces are not as long as the runs")
        self._transfer: _Transfer | None = None
        pieces = [piece for piece in pieces if piece]
        if max(len(pieces), len(runs)) > _MOST_VECTORS:
            pieces = [b"".join(pieces)]
        self._pieces = pieces
        """They have to live as long as the kernel is told where they are."""
        if pieces:
            self._transfer = _Transfer([_place(piece) for piece in pieces], runs)

    def write(self, pid: int) -> None:
        """Write all of it to a process or raise OSError."""
        if self._transfer is not None:
            self._transfer.make("process_vm_writev", pid)


def _place(piece: bytes) -> tuple[int, int]:
    """Return where bytes are in memory, and how many. They stay there as long as they live."""
    address = ctypes.cast(ctypes.c_char_p(piece), ctypes.c_void_p).value
    if address is None:
        raise ValueError("bytes that are nowhere")
    return address, len(piece)


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
