"""Has Python take small objects from malloc(3), which puts together what is made together.

CPython has pools of 16 kB for each size of small objects. What one call makes is of some twenty
sizes, each of which has a page of its own written at least, and often one more for its pool's head.
malloc(3) takes all sizes from one place. Objects in pools stay where they are and go back there:
whoever lets go of one looks where it is. So does whoever has one grow; that starts with nothing for
the items of a list, which therefore still are in pools.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

_RAW, _MEMORY, _OBJECTS = 0, 1, 2
"""PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM and PYMEM_DOMAIN_OBJ."""
_TAKEN = 8
_KEPT_TUPLES = 20
"""Items of the largest that is kept."""
_set = ctypes.PYFUNCTYPE(None)(("PyMem_SetAllocator", ctypes.pythonapi))


class Allocator(ctypes.Structure):
    """PyMemAllocatorEx. What its functions are is of no interest here."""

    _fields_ = tuple(
        (name, ctypes.c_void_p) for name in ["context", "malloc", "calloc", "realloc", "free"]
    )


class Choice(NamedTuple):
    """References to the allocators of one kind of memory, as `PyMem_SetAllocator` takes them."""

    kind: int
    pools: Any
    malloc: Any


def choices() -> list[Choice]:
    """Return the kinds of memory that come from pools; none where they are not known to.

    With another interpreter, without a global lock or with an allocator for debugging they do not.
    """
    if sys.implementation.name != "cpython" or sys.version_info < (3, 11):
        return []
    if getattr(sys, "_is_gil_enabled", lambda: True)() is False:
        return []  # it has another allocator for objects, which has to have made them all
    raw = _allocator(_RAW)
    found: list[Choice] = []
    for kind in (_MEMORY, _OBJECTS):
        usual = _allocator(kind)
        if raw.context or usual.context:  # another one stands in between, for debugging
            return []
        mixed = Allocator(None, raw.malloc, raw.calloc, usual.realloc, usual.free)
        found.append(Choice(kind, ctypes.byref(usual), ctypes.byref(mixed)))
    return found


def _allocator(kind: int) -> Allocator:
    found = Allocator()
    ctypes.pythonapi.PyMem_GetAllocator(kind, ctypes.byref(found))
    return found


def use_malloc(kinds: Sequence[Choice]) -> None:
    """Have all that is made from now on come from malloc(3)."""
    for kind, _, malloc in kinds:
        _set(kind, malloc)


def use_pools(kinds: Sequence[Choice]) -> None:
    """Have all that is made from now on come from pools."""
    for kind, pools, _ in kinds:
        _set(kind, pools)


def take_what_is_kept() -> list[object]:
    """Take the freed objects that the interpreter keeps for the next to ask for one (free lists).

    They lie all over its memory. What is returned has to be kept; what is made afterwards comes
    from the allocator. A few of each type are taken: after a collection there are hardly any.
    """
    kept: list[object] = []
    for number in range(_TAKEN):
        kept += ((None,) * size for size in range(1, _KEPT_TUPLES + 1))
        kept += ([], {}, {number: None}, number + 0.5, slice(number), number << 62)
    return kept
