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
from collections.abc import Iterable
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
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


def _reachable(objects: Iterable[object]) -> list[object]:
    """Return code, its constants and the namespaces of `objects`, and these themselves."""
    found: dict[int, object] = {}
    todo = list(objects)
    while todo:
        item = todo.pop()
        if id(item) in found:
            continue
        found[id(item)] = item
        if isinstance(item, FunctionType):
            todo += [item.__code__, item.__globals__, item.__name__, item.__qualname__]
            todo += [item.__defaults__, item.__kwdefaults__]
        elif isinstance(item, CodeType):
            todo += [item.co_consts, item.co_names, item.co_filename, item.co_name]
            todo += [item.co_qualname, item.co_linetable, item.co_exceptiontable]
        elif isinstance(item, tuple):
            todo += [
                part
                for part in item
                if isinstance(part, (str, bytes, int, float, tuple, CodeType, frozenset))
            ]
        elif isinstance(item, ModuleType):
            todo.append(item.__dict__)
    return list(found.values())


def make_immortal() -> int:
    """Make all functions, types, modules and their code immortal; return how many objects."""
    count = _immortal_count()
    if count is None:
        return 0
    objects = _reachable(o for o in gc.get_objects() if isinstance(o, _KINDS))
    for item in objects:
        ctypes.c_uint32.from_address(id(item)).value = count
    return len(objects)
