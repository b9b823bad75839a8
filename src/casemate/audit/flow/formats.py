"""Patterns of `str.format` that somebody outside chooses."""

from __future__ import annotations

import ast

from casemate.audit.flow.library import contexts
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Class, Instance, State
from casemate.audit.flow.values import Bound, Func, Module, Ref, Unknown, Value, options


def chosen(reader: Reader, pattern: Value, given: Arguments, state: State, node: ast.AST) -> None:
    """Tell of a pattern from outside that is filled with objects: it reads what hangs on them."""
    taints = contexts.harmful("format", pattern, state, reader.kinds)
    if taints and any(_has_attributes(o, state) for each in given.all() for o in options(each)):
        reader.report("format", "str.format", taints, node, "high")


def _has_attributes(value: Value, state: State) -> bool:
    """Return whether a value is of a class of the code, or leads to the code in another way."""
    if isinstance(value, Unknown):
        return value.type in ("context", "casemate.Context")
    thing = state.things.get(value.number) if isinstance(value, Ref) else value
    if isinstance(thing, Instance):
        return bool(thing.owner)
    return isinstance(thing, (Class, Func, Bound, Module))
