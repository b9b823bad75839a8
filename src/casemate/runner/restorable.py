"""Prepares an instance to be restored: room in memory, so that ordinary calls map none.

A call that maps memory stops for it, and so once more when it is set back
(`restorer/judging.py`). So the C library keeps what it has, Python's small objects have arenas that
stay, and frames have a chunk of their own. What is not touched costs no memory. All of it together
is less than what is written back at most, so that what is larger is mapped, and taken away whole.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from types import CodeType

from ..kernel import userfault

WATCH, HELD = b"w", b"y"
"""What an instance sends with its userfaultfd, and what it gets if it is traced."""
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
"""M_* of mallopt(3)."""
_HEAP_BYTES = 3 << 20
"""That the heap has left. Each page of it that is watched costs time, touched or not."""
_MOST_FROM_HEAP = 512 << 10
"""An allocation that is larger is mapped by itself, and unmapped whole with all that it holds."""
_ARENA_BYTES = 1 << 20
_ARENAS = 3
_OBJECT_BYTES = 400
_STACK_BYTES = 1 << 20
_FRAME_WORDS = (1 << 16) + 1024
"""Python doubles a chunk of frames until one fits: of 1 MB this leaves half to those above."""


def offer(hold: int) -> bool:
    """Have this process traced by who restores it; tell whether it is. Closes the descriptor.

    It sends what its memory is watched by, and keeps it no longer than that.
    """
    with socket.socket(fileno=hold) as sock:
        try:
            watch = userfault.create()
        except OSError:
            return False
        try:
            socket.send_fds(sock, [WATCH], [watch])
        finally:
            os.close(watch)
        return sock.recv(1) == HELD


def make_room() -> list[bytes]:
    """Have room for what calls take. What is returned has to be kept."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        # Threads have the room that there is: an arena of their own is mapped, and grows by pages.
        libc.mallopt(_ARENA_MAX, 1)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _HEAP_BYTES)
        # Taken in one piece, however much there was, and given back without being touched.
        libc.mallopt(_MMAP_THRESHOLD, 2 * _HEAP_BYTES)
        libc.malloc.restype = ctypes.c_void_p
        libc.free.argtypes = (ctypes.c_void_p,)
        libc.free(libc.malloc(ctypes.c_size_t(_HEAP_BYTES)))
        libc.mallopt(_MMAP_THRESHOLD, _MOST_FROM_HEAP)
        libc.mallopt(_TOP_PAD, _HEAP_BYTES)
        _grow_stack(libc)
    small = [bytes(_OBJECT_BYTES) for _ in range(_ARENAS * _ARENA_BYTES // (_OBJECT_BYTES + 32))]
    # One in each arena keeps it; all others are free to be used again.
    return small[:: max(1, len(small) // (4 * _ARENAS))]


def _grow_stack(libc: ctypes.CDLL) -> None:
    """Have the kernel map a part of the stack that is not used yet."""
    try:
        top = ctypes.c_void_p.in_dll(libc, "__libc_stack_end").value
    except ValueError:
        return
    if top:
        ctypes.memset(top - _STACK_BYTES, 0, 1)


def with_room_for_frames(run: Callable[[], None]) -> None:
    """Call `run` so that what it calls finds room for frames."""

    def roomy() -> None:
        run()

    code: CodeType = roomy.__code__.replace(co_stacksize=_FRAME_WORDS)
    roomy.__code__ = code
    roomy()
