"""Functions of a route that hold a request to a schema before the next one has it.

What is known where they call the next one is known there. Where the schema itself is not known,
what they let through is of a shape that is not known, but no longer whatever anybody sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from casemate.audit.flow.state import State, merged
from casemate.audit.flow.values import Value
from casemate.audit.javascript import calls
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import UNDEFINED, Function

_LOOKING = frozenset(
    (
        *("parse", "parseAsync", "safeParse", "safeParseAsync", "spa", "validate", "validateAsync"),
        *("validateSync", "cast", "assert", "attempt"),
    )
)
_NO_SCHEMA = re.compile(r"^(?:JSON|url|URL|querystring|qs|path|cookie|Date|yaml|YAML|console)$")
_PARTS = ("query", "body", "params")
_WHOLE = frozenset(f"req.{each}" for each in _PARTS)
_MAX_NODES = 400
"""Of a function that is looked at for a schema: one that only checks is short."""


def looks(reader: Reader, function: Value) -> bool:
    """Tell whether a function gives a part of the request to a schema."""
    return bool(looked_at(reader, function))


def looked_at(reader: Reader, function: Value) -> frozenset[str]:
    """Return the parts of a request that a function gives to something that looks at them."""
    made = reader.functions.get(getattr(function, "number", 0))
    found = set[str]()
    if made is None or made.node is None:
        return frozenset()
    for count, node in enumerate(made.node.walk()):
        if count > _MAX_NODES:
            return frozenset()
        if node.kind == "call_expression" and _is_look(node):
            arguments = node.get("arguments")
            for each in arguments.kids if arguments is not None else ():
                found |= _parts(each)
    return frozenset(found)


def _is_look(call: Node) -> bool:
    callee = call.get("function")
    if callee is None or callee.kind != "member_expression":
        return False
    name, owner = callee.get("property"), callee.get("object")
    if name is None or name.text not in _LOOKING or owner is None:
        return False
    return _NO_SCHEMA.match(owner.text) is None


def _parts(given: Node) -> frozenset[str]:
    """Return which parts of the request an argument is: `req.query`, `req[source]`, an object."""
    if given.kind == "member_expression":
        name = given.get("property")
        known = name is not None and name.text in _PARTS
        return frozenset((f"req.{name.text}",)) if known and name is not None else frozenset()
    if given.kind == "subscript_expression":
        owner = given.get("object")
        return _WHOLE if owner is not None and owner.text in ("req", "request") else frozenset()
    if given.kind == "object":
        values = [pair.get("value") for pair in given.kids]
        return frozenset(part for each in values if each is not None for part in _parts(each))
    return frozenset()


def passed(
    reader: Reader,
    function: Value,
    state: State,
    node: Node,
    arguments: Callable[[State, Value], list[Value]],
) -> State:
    """Read a function of a route, and return what is known where it calls the next one."""
    ways: list[State] = []

    def onward(_: Reader, given: list[Value], way: State, __: Node) -> Value:
        if not given or given[0] == UNDEFINED:
            ways.append(way.copy())
        return UNDEFINED

    before, count = state.copy(), reader.schemas
    to_next = reader.function(Function(None, reader.frame.file, 0, native=onward), state)
    calls.call(reader, function, arguments(state, to_next), UNDEFINED, state, node)
    after = merged(ways)
    if reader.schemas == count:
        reader.looked_at = reader.looked_at | looked_at(reader, function)
    return after if after is not None else before
