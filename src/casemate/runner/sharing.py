"""Keeps memory shared between a zygote and the instances forked from it.

A fork shares every page until one side writes to it, and CPython writes a lot without being asked
to: reference counts with every use of an object, and counters in code that is not specialised
yet (PEP 659). Objects of the base zygote live as long as their process, so their counts are of
no use: they are made immortal (PEP 683, Python 3.12 on), as the interpreter does with its own.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from types import (
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)

_KINDS = (
    FunctionType,
    BuiltinFunctionType,
    ModuleType,
    MethodDescriptorType,
    WrapperDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    type,
    property,
    staticmethod,
    classmethod,
)
_RUNNING = (FrameType, GeneratorType, CoroutineType)


def _immortal_count() -> int | None:
    """Return the reference count that marks an object immortal; None if it cannot be told."""
    if sys.implementation.name != "cpython" or not (3, 12) <= sys.version_info[:2] <= (3, 14):
        return None
    if getattr(sys, "_is_gil_enabled", lambda: True)() is False:
        return None
    marker = ctypes.c_uint32.from_address(id(None)).value
    probe = [object()]
    ctypes.c_uint32.from_address(id(probe[0])).value = marker
    uses = [probe[0], probe[0], probe[0]]
    held = ctypes.c_uint32.from_address(id(probe[0])).value
    del uses
    left = ctypes.c_uint32.from_address(id(probe[0])).value
    return marker if held == left == marker else None


def _code_parts(code: CodeType) -> list[object]:
    parts: list[object] = [code.co_consts, code.co_names, code.co_filename, code.co_name]
    return [*parts, code.co_qualname, code.co_linetable, code.co_exceptiontable]


def _of_code() -> list[object]:
    """Return all functions, types and modules, their code, its constants and their namespaces."""
    found: dict[int, object] = {}
    todo: list[object] = [item for item in gc.get_objects() if isinstance(item, _KINDS)]
    while todo:
        item = todo.pop()
        if id(item) in found:
            continue
        found[id(item)] = item
        if isinstance(item, FunctionType):
            todo += [item.__code__, item.__globals__, item.__name__, item.__qualname__]
            todo += [item.__defaults__, item.__kwdefaults__]
        elif isinstance(item, CodeType):
            todo += _code_parts(item)
        elif isinstance(item, tuple):
            todo += [
                part
                for part in item
                if isinstance(part, (str, bytes, int, float, tuple, CodeType, frozenset))
            ]
        elif isinstance(item, ModuleType):
            todo.append(item.__dict__)
    return list(found.values())


def _everything() -> list[object]:
    """Return all objects that containers hold, and the containers, but for what is running."""
    todo: list[object] = gc.get_objects()
    found: dict[int, object] = {}  # after that, for it is not to be kept
    while todo:
        item = todo.pop()
        if id(item) in found or isinstance(item, _RUNNING):
            continue
        found[id(item)] = item
        todo += _code_parts(item) if isinstance(item, CodeType) else gc.get_referents(item)
        if isinstance(item, dict):
            todo += dict.keys(item)  # of which the collector leaves out those that are texts
    return list(found.values())


def make_immortal(*, everything: bool = False) -> int:
    """Make all functions, types, modules and their code immortal; return how many objects.

    `everything`: all other objects that there are as well, for a process that lets go of none. In
    one that has a function's data that would take too long.
    """
    count = _immortal_count()
    if count is None:
        return 0
    made = 0
    objects = _everything() if everything else _of_code()
    for item in objects:
        held = ctypes.c_uint32.from_address(id(item))
        # What is immortal already is shared with the base zygote: even a write of what stands
        # there would have its page copied.
        if held.value != count:
            held.value = count
            made += 1
    return made
