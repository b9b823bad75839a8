"""Calls that give back what they are given, call it, or do nothing with it."""

from __future__ import annotations

import ast

from casemate.audit.privileges.calling import spread
from casemate.audit.privileges.libraries import PASSING
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.values import (
    DATA,
    NONE,
    Bound,
    Box,
    Class,
    External,
    Func,
    Method,
    Text,
    Values,
)


def passed_over(reader: Reader, given: Arguments, node: ast.AST) -> Values:
    for each in given.all():
        if isinstance(each, (Func, Bound)):
            reader.escape([each], node, "")
    return DATA


def passed(reader: Reader, last: str, given: Arguments, node: ast.AST) -> Values | None:
    """Read a call that gives back what it is given or calls it; None if it is none."""
    if last not in PASSING:
        return None
    for name, held in given.named.items():
        # What gives attributes back as they were given by name: `SimpleNamespace(client=...)`.
        if any(not isinstance(v, (Text, External)) for v in held):
            reader.state.keep(name, held)
    every = given.all()
    found = frozenset(v for v in every if not isinstance(v, (Func, Method, Bound)))
    targets = frozenset(v for v in every if isinstance(v, (Func, Method, Bound, Class)))
    if targets:
        others = frozenset(v for v in every if v not in targets)
        held = NONE
        for each in others:
            held |= {each} if not isinstance(each, Box) else {each, *reader.state.got(each)}
        named = {k: v for k, v in given.named.items() if k not in ("target", "args", "kwargs")}
        for at, each in enumerate(given.get(-1, "kwargs")):
            if isinstance(each, Box) and at == 0:
                spread(reader, inner := Arguments(), frozenset((each,)))
                named.update(inner.named)
        result = reader.call(targets, Arguments([], named, held, open=True), node)
        box = Box(id(node))
        reader.state.put(box, result | held)
        return found | targets | result | {box}
    return found | DATA
