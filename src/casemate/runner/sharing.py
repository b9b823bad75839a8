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
from collections.abc import Callable, Iterable, Iterator
from types import (
    BuiltinFunctionType,
    CellType,
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
_NAMED = (ModuleType, type)
"""Those of them that have a namespace of their own."""
_SINGLE = frozenset((dict, str, bytes, int, float, frozenset))
"""Of what they refer to, what is made immortal without a look at what it holds: what is in a dict
is a function's data, if it is no namespace."""
_EXACT = frozenset((*_KINDS, *_SINGLE, CodeType, CellType, tuple))
_AT = ctypes.c_uint64.from_address
_COUNT = 0xFFFF_FFFF
"""The lower half of an object's first word, which is its count of references."""
_FLAG = 1 << 48
"""`_Py_IMMORTAL_FLAGS` in that word, from Python 3.14 on: what is on the interpreter's stack
without it is given back to the count (`Py_DECREF_MORTAL`), however high that is."""
_ABOVE_LEAST = 1 << 29
"""From 3.14 on: so far above the least count that is left alone, for references from before."""
_RUNNING = frozenset((FrameType, GeneratorType, CoroutineType))
_WITHOUT_PARTS = frozenset((str, bytes, int, float, complex))
_MEMORY = 1 << 48
"""Bytes of addresses that a process can have (arm64; half of it with x86-64)."""
_WORD_BYTES = 8


def _immortal_word() -> tuple[int, int] | None:
    """Return the first word that marks an object immortal, and from which count on one is.

    None if it cannot be told.
    """
    if sys.implementation.name != "cpython" or not (3, 12) <= sys.version_info[:2] <= (3, 14):
        return None
    if getattr(sys, "_is_gil_enabled", lambda: True)() is False:
        return None
    own = _AT(id(None)).value
    word = least = own & _COUNT
    if sys.version_info >= (3, 14):
        if not own & _FLAG:
            return None
        word = least + _ABOVE_LEAST | _FLAG
    probe = [object()]
    held = _AT(id(probe[0]))
    held.value = word
    begun = held.value  # without references that were taken before
    uses = [probe[0], probe[0], probe[0]]
    for used in uses:
        repr(used)
    used = None
    left = held.value
    del uses
    return (word, least) if begun & _COUNT >= least and begun == left == held.value else None


_USED_PARTS = 5
"""Of code; the interpreter takes no reference to the tables that follow them."""


def _code_parts(code: CodeType) -> list[object]:
    parts: list[object] = [code.co_consts, code.co_names, code.co_filename, code.co_name]
    return [*parts, code.co_qualname, code.co_linetable, code.co_exceptiontable]


def make_all_immortal() -> int:
    """Make all objects that containers hold immortal, and the containers, but for what is running.

    Returns how many were not so before. For a process that lets go of none. In one that has a
    function's data it would take too long.
    """
    immortal = _immortal_word()
    return 0 if immortal is None else _mark_all(*immortal)


def make_new_immortal() -> int:
    """Do so with containers that were made since all were frozen, and with what is new in them.

    It takes a small part of the time, and leaves out what alone old containers hold.
    """
    immortal = _immortal_word()
    return 0 if immortal is None else _mark_all(*immortal, into_known=False)


def _mark_all(word: int, least: int, *, into_known: bool = True) -> int:
    """Do so in one pass: most of its time goes by until the processor has an object's first word.

    So each object is marked when it is met. `into_known` goes on from what was immortal before.
    """
    todo: list[object] = gc.get_objects()
    met: set[int] = set()  # after that, for it is not to be kept
    # One view of all memory, as one of each object takes longer than all else that is done to it.
    words = memoryview((ctypes.c_ubyte * _MEMORY).from_address(0)).cast("B").cast("Q")
    made = 0
    while todo:
        item = todo.pop()
        address = id(item)
        if address in met:
            continue
        met.add(address)
        kind = type(item)
        if kind in _RUNNING:
            continue
        held = words[address // _WORD_BYTES]
        if held & _COUNT >= least and not into_known:
            continue
        if kind is CodeType:
            todo += _code_parts(item)[:_USED_PARTS]  # type: ignore[arg-type]
        elif kind not in _WITHOUT_PARTS:
            todo += gc.get_referents(item)
            if isinstance(item, dict):
                todo += dict.keys(item)  # of which the collector leaves out those that are texts
        held = words[address // _WORD_BYTES]  # with references that were taken meanwhile
        if held & _COUNT < least:
            words[address // _WORD_BYTES] = held & ~_COUNT | word
            made += 1
    return made


def make_immortal(roots: Iterable[object], part_size: int = 500) -> Iterator[int]:
    """Make modules immortal, and what they are made of: functions, types, code, names, constants.

    `roots` are modules, or single objects. What is immortal already is left as it is, with all that
    it refers to: it is of the base zygote, or was met before. The collector does not help here: it
    names no object that is frozen. Goes on from turn to turn, each of them for so many objects, as
    some libraries have a hundred thousand; yields how many were made so. Nothing of a function's is
    called.
    """
    immortal = _immortal_word()
    todo = [] if immortal is None else list(roots)
    made = turn = 0
    while todo and immortal is not None:
        item = todo.pop()
        if _mark(item, *immortal):
            made += 1
            for part in _parts(item):
                if type(part) in _SINGLE:
                    made += _mark(part, *immortal)
                else:
                    todo.append(part)
        turn += 1
        if turn % part_size == 0:
            yield made
    yield made


def _mark(item: object, word: int, least: int, at: Callable[[int], ctypes.c_uint64] = _AT) -> bool:
    """Make one object immortal; False if it is so already.

    That is then shared with the base zygote: even a write of what stands there would have its page
    copied.
    """
    held = at(id(item))
    if held.value & _COUNT >= least:
        return False
    held.value = held.value & ~_COUNT | word
    return True


def _parts(item: object) -> list[object]:
    kind = type(item)
    if kind is CodeType:
        return _code_parts(item)  # type: ignore[arg-type]
    if not issubclass(kind, (*_KINDS, CellType, tuple)):
        return []
    referents = gc.get_referents(item)
    found = [each for each in referents if type(each) in _EXACT or issubclass(type(each), _KINDS)]
    if issubclass(kind, _NAMED):
        for namespace in [each for each in referents if type(each) is dict]:
            found += namespace
            found += [each for each in namespace.values() if issubclass(type(each), _KINDS)]
    return found
