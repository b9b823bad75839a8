"""Modules of the code's own that hold nothing but types of plain data: an event may name one.

`{"type": "shapes.Circle"}` chooses a class then whose methods reach nothing but their arguments, of
a module that the code which looks it up has imported by itself.
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ..core import Guard

HARMLESS = frozenset(
    [
        *("__future__", "abc", "collections", "dataclasses", "datetime", "decimal", "enum"),
        *("fractions", "functools", "html", "itertools", "json", "math", "re", "statistics"),
        *("string", "textwrap", "typing", "typing_extensions", "unicodedata", "uuid"),
    ]
)
"""Modules that reach nothing but what they are given."""
REACHING = frozenset(
    [
        *("open", "eval", "exec", "compile", "__import__", "import_module", "getattr", "setattr"),
        *("delattr", "globals", "locals", "input", "breakpoint", "__builtins__", "__globals__"),
        *("__subclasses__", "__mro__", "__bases__", "__base__", "__code__", "__loader__"),
    ]
)
"""Names by which code reaches more than its arguments."""
_NUMBERS = frozenset((int, float, bool, type(None)))
_MAX_PARTS = 2000


def holds(guard: Guard, name: str) -> bool:
    """Tell whether a module is one of these, and imported by the code that looks it up."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if not isinstance(module, ModuleType) or not str(file).startswith(guard.root):
        return False
    frame = sys._getframe(1)
    while not frame.f_code.co_filename.startswith(guard.root):
        if frame.f_back is None:
            return False
        frame = frame.f_back
    known = any(
        value is module or getattr(value, "__module__", None) == name
        for value in list(frame.f_globals.values())
        if isinstance(value, (ModuleType, type))
    )
    return known and frame.f_globals.get("__name__") != name and _is_plain(module)


def _is_plain(module: ModuleType) -> bool:
    """Tell whether all of a module's names are types of its own, numbers, or harmless."""
    types: list[type] = []
    for name, value in list(vars(module).items()):
        if name.startswith("__") and name.endswith("__"):
            continue
        home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
        if isinstance(value, type) and home == module.__name__:
            types.append(value)
        elif type(value) not in _NUMBERS and str(home).partition(".")[0] not in HARMLESS:
            return False
    return bool(types) and all(map(_is_plain_type, types))


def _is_plain_type(kind: type) -> bool:
    """Tell whether the methods of a type, by their code, reach nothing but their arguments."""
    import opcode  # which hardly any function needs

    imports = opcode.opmap["IMPORT_NAME"]
    todo: list[Any] = list(vars(kind).values())
    for _ in range(_MAX_PARTS):
        if not todo:
            return True
        part = todo.pop()
        if isinstance(part, CodeType):
            if not REACHING.isdisjoint(part.co_names) or imports in part.co_code[::2]:
                return False
            todo += part.co_consts
        elif isinstance(part, FunctionType):
            if part.__module__ == kind.__module__:
                todo.append(part.__code__)
            elif str(part.__module__).partition(".")[0] not in HARMLESS:
                return False
        elif isinstance(part, (staticmethod, classmethod)):
            todo.append(part.__func__)
        elif isinstance(part, property):
            todo += (part.fget, part.fset, part.fdel)
        elif isinstance(part, type):
            todo += vars(part).values() if part.__module__ == kind.__module__ else ()
        elif callable(part):
            return False
    return False
