"""Puts code that is written to with every call side by side, on as few pages as it fits on.

CPython counts in its code (PEP 659): an instruction that cannot be specialised counts each time it
is run, for ever. Of the path of an invocation some twenty functions have such instructions, each
on a page of its own that every instance has copied, and that is written back after each call when
it is restored. What such functions are is found out by having the path run.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from types import CodeType, FunctionType

from .filling import fill_chunks

_RAW, _OBJECTS = 0, 2
"""PYMEM_DOMAIN_RAW and PYMEM_DOMAIN_OBJ."""
_PASSES = 4
_MOST_BYTES = 8192
"""Of code: what is longer has pages of its own anyway."""


class _Allocator(ctypes.Structure):
    """PyMemAllocatorEx. What its functions are is of no interest here."""

    _fields_ = tuple(
        (name, ctypes.c_void_p) for name in ["context", "malloc", "calloc", "realloc", "free"]
    )


def put_side_by_side(once: Callable[[], None], rehearse: Callable[[], None]) -> int:
    """Put code that is written to side by side; return of how many functions.

    `once` runs what every call runs, whose code comes first; `rehearse` runs that and what is run
    before, often enough for all that can be specialised to be so.
    """
    if sys.implementation.name != "cpython" or sys.version_info < (3, 11):
        return 0
    if getattr(sys, "_is_gil_enabled", lambda: True)() is False:
        return 0  # it has another allocator for objects, which has to have made them all
    found: list[FunctionType] = []
    for _ in range(_PASSES):
        new = [each for each in _written_by(rehearse) if each not in found]
        if not new:
            break
        # Whoever calls a function with other code than it was made with counts from then on.
        _in_a_row(new)
        found += new
        rehearse()
    each_time = [each for each in _written_by(once) if each in found]
    fill_chunks()
    _in_a_row(each_time + [each for each in found if each not in each_time])
    rehearse()
    return len(found)


def _written_by(run: Callable[[], None]) -> list[FunctionType]:
    """Return the functions whose code is another after `run`."""
    functions = [each for each in gc.get_objects() if isinstance(each, FunctionType)]
    before = [_adaptive(each.__code__) for each in functions]
    run()
    return [
        function
        for function, was in zip(functions, before, strict=True)
        if len(was) <= _MOST_BYTES and _adaptive(function.__code__) != was
    ]


def _adaptive(code: CodeType) -> bytes:
    """Return the code as it stands in memory, counters included."""
    found: bytes = code._co_code_adaptive  # type: ignore[attr-defined]
    return found


def _in_a_row(functions: list[FunctionType]) -> None:
    """Give functions copies of their code that were made one after the other.

    Small objects have a pool for each size. So that all are in one place they are made as large
    ones are, by malloc(3): whoever lets go of an object looks where it is.
    """
    get, put = ctypes.pythonapi.PyMem_GetAllocator, ctypes.pythonapi.PyMem_SetAllocator
    raw, usual = _Allocator(), _Allocator()
    get(_RAW, ctypes.byref(raw))
    get(_OBJECTS, ctypes.byref(usual))
    if raw.context or usual.context:  # another allocator stands in between, for debugging
        return
    mixed = _Allocator(None, raw.malloc, raw.calloc, usual.realloc, usual.free)
    codes = [each.__code__ for each in functions]
    for code in codes:
        # Made when it is asked for, and kept: not in between the copies.
        _ = code.co_code, code.co_varnames, code.co_cellvars, code.co_freevars
    made: list[CodeType] = []
    try:
        put(_OBJECTS, ctypes.byref(mixed))
        made.extend(map(CodeType.replace, codes))
    finally:
        put(_OBJECTS, ctypes.byref(usual))
    for function, code in zip(functions, made, strict=True):
        function.__code__ = code
