"""Fills the holes in the memory of a base zygote, before anything is forked from it.

An allocator hands out what was freed before it takes what was never used. After the start that is
thousands of small holes all over the memory, and each object that a zygote or an instance puts in
one has a page of 4 kB copied. With the holes filled, new objects lie side by side on new pages.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_STEP = 16
_SMALL = 512
"""Up to here CPython has pools of its own for each size; the rest is malloc(3)'s."""
_POOL, _POOL_HEAD = 16 << 10, 48
"""Bytes of a pool of one size, and of what stands before its objects (CPython 3.10 on)."""
_NEAR = 2048
"""Bytes from the beginning of a pool of what is near its head."""
_MOST_POOLS = 16
"""Of one size. A size of which something else is made meanwhile never has a pool to itself."""
_LARGEST_HOLE = 64 << 10
_MOST_CHUNKS = 16384
_CACHED = 1040
"""Bytes up to which malloc(3) of glibc keeps what was freed apart, by size."""
_CHUNK_HEAD = 16
"""Bytes that malloc(3) of glibc keeps before what it returns, rounded up."""
_IN_A_ROW = 4

_kept: list[object] = []


def fill_holes() -> int:
    """Take all that is free between what lives; return how many objects and chunks that took.

    Where the allocators are not CPython's and glibc's it takes what is bounded, and no more.
    """
    if sys.implementation.name != "cpython":
        return 0
    return sum(_fill_size(size) for size in range(_STEP, _SMALL + 1, _STEP)) + fill_chunks()


def _fill_size(size: int) -> int:
    """Allocate objects of one size until they have filled a pool from its beginning to its end.

    There is no pool with room left then: a new one is taken only if all others are full.
    """
    make = _maker(size)
    whole = (_POOL - _POOL_HEAD) // size
    for number in range(_MOST_POOLS):
        made = [make() for _ in range(whole)]
        _kept.append(made)
        at = [id(each) for each in made]
        # No generator, which would be an object among those of its size.
        first = ([each % _POOL == _POOL_HEAD for each in at] + [True]).index(True)
        if first < whole and at[-1] - at[first] == (whole - 1 - first) * size:
            _kept.append([make() for _ in range(first)])
            return (number + 1) * whole + first
    return _MOST_POOLS * whole


def _maker(size: int) -> Callable[[], object]:
    """Return what makes an object that takes `size` bytes and no collector follows."""
    if size == _STEP:
        return object
    if size == 2 * _STEP:
        return lambda: complex(size, 1)
    length = size - sys.getsizeof(b"")
    return lambda: bytes(length)


def fill_pools() -> int:
    """Allocate objects of each size until they come from a pool that is hardly used yet.

    Less than `fill_holes` takes: those that follow lie near the head of their pool, which is
    written whenever it gives or takes one. Returns how many objects; they are never let go.
    """
    if sys.implementation.name != "cpython":
        return 0
    return sum(_fill_up_to_new(size) for size in range(_STEP, _SMALL + 1, _STEP))


def _fill_up_to_new(size: int) -> int:
    make = _maker(size)
    made: list[object] = []
    _kept.append(made)
    for number in range((_POOL - _POOL_HEAD) // size):
        one = make()
        used = ctypes.c_uint32.from_address(id(one) // _POOL * _POOL).value
        if id(one) % _POOL < _NEAR and used * size < _NEAR:
            return number
        made.append(one)
    return len(made)


def fill_chunks() -> int:
    """Allocate chunks, the largest first, until each size comes from the end of the heap.

    Returns how many. They are never let go.
    """
    libc = ctypes.PyDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    end = _end_of_heap(libc)
    taken = 0
    for size in range(_LARGEST_HOLE, 0, -_STEP):
        while taken < _MOST_CHUNKS:
            chunk = libc.malloc(size - _CHUNK_HEAD // 2)
            if chunk is None or chunk >= end:
                libc.free(chunk)
                break
            taken += 1
    # The last one of each size was let go, and is kept for the next to ask for that size.
    for size in range(_STEP, _CACHED + 1, _STEP):
        taken += libc.malloc(size - _CHUNK_HEAD // 2) is not None
    return taken


def _end_of_heap(libc: ctypes.PyDLL) -> int:
    """Return an address after which nothing of the heap is in use; 0 if that cannot be told."""
    row: list[int] = []
    others: list[int] = []
    while len(row) < _IN_A_ROW and len(others) < _MOST_POOLS:
        chunk = libc.malloc(_LARGEST_HOLE)
        if chunk is None:
            break
        if row and chunk - row[-1] != _LARGEST_HOLE + _CHUNK_HEAD:
            others += row
            row = []
        row.append(chunk)
    found = row[0] if len(row) == _IN_A_ROW else 0
    for chunk in reversed(row):
        libc.free(chunk)
    for chunk in others:
        libc.free(chunk)
    return found
