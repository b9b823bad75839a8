"""Has the code looked at the nodes of a tree by itself, without `ast.walk` and its like?

A function that goes down a tree by the fields of its nodes asks each for its kind: by `match`, by
`isinstance`, or in a collection of the kinds that it allows. That nobody sees happen. So when code
compiles a tree that was parsed from the event, the function that does so is looked at, and those of
the code's own that it names. What the check lets pass is the code's to say, as it is where `walk`
was called.
"""

from __future__ import annotations

import ast
import dis
import sys
from collections.abc import Iterator
from types import CodeType, FrameType, FunctionType
from typing import Any

_MAX_FRAMES = 12
_MAX_NAMES = 200
_LEAST_KINDS = 2
"""Kinds of nodes that a check knows: one is asked for by who takes a constant out of a tree."""
_RAISE = dis.opmap["RAISE_VARARGS"]


def is_checked(root: str) -> bool:
    """Tell whether the code below `root` that calls here checks trees, or has a function do so."""
    frame = _own(root)
    if frame is None:
        return False
    code = frame.f_code
    return _checks(code, frame.f_globals) or any(
        _checks(each.__code__, each.__globals__)
        for each in _named(frame)
        if each.__code__.co_filename.startswith(root)
    )


def _own(root: str) -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame is None or frame.f_code.co_filename.startswith(root):
            return frame
        frame = frame.f_back
    return None


def _named(frame: FrameType) -> Iterator[FunctionType]:
    """Yield the functions that code names: of its module, its own object, and within itself."""
    code, values = frame.f_code, frame.f_locals
    own = values.get(code.co_varnames[0]) if code.co_argcount else None
    for name in code.co_names[:_MAX_NAMES]:
        for found in (frame.f_globals.get(name), getattr(type(own), name, None)):
            if isinstance(found, FunctionType):
                yield found
    for name in (*code.co_cellvars, *code.co_freevars, *code.co_varnames)[:_MAX_NAMES]:
        if isinstance(found := values.get(name), FunctionType):
            yield found


def _checks(code: CodeType, variables: dict[str, Any]) -> bool:
    """Tell whether code knows kinds of nodes, and may refuse others."""
    refuses = _RAISE in code.co_code[::2] or False in code.co_consts
    return refuses and len(_kinds(code, variables)) >= _LEAST_KINDS


def _kinds(code: CodeType, variables: dict[str, Any]) -> set[type]:
    of_ast = any(variables.get(name) is ast for name in code.co_names[:_MAX_NAMES])
    found: set[type] = set()
    for name in code.co_names[:_MAX_NAMES]:
        value = variables.get(name)
        if value is None and of_ast:
            value = vars(ast).get(name)
        kinds = value if isinstance(value, (tuple, list, set, frozenset, dict)) else (value,)
        found.update(one for one in kinds if isinstance(one, type) and issubclass(one, ast.AST))
    return found
