"""Calls: of the function's own code, of libraries, of containers, and of what has rights."""

from __future__ import annotations

import ast

from casemate.audit.privileges import (
    attributes,
    calling,
    cloud,
    containers,
    outside,
    own,
    web,
)
from casemate.audit.privileges.program import Definition, Scope
from casemate.audit.privileges.reader import Arguments, Reader, StoppedError
from casemate.audit.privileges.values import (
    ANYTHING,
    CLOUD,
    DATA,
    NONE,
    UNKNOWN_TEXT,
    Bound,
    Box,
    Capability,
    Class,
    Context,
    External,
    Func,
    Instance,
    Method,
    Text,
    Unknown,
    Value,
    Values,
    Web,
)


def read(reader: Reader, node: ast.Call) -> Values:
    """Read a call in the code."""
    return call(reader, reader.value(node.func), calling.arguments(reader, node), node)


def call(reader: Reader, functions: Values, given: Arguments, node: ast.AST) -> Values:
    """Read a call of any of these."""
    found = NONE
    several = [v for v in functions if isinstance(v, Method) and v.receiver.kind in CLOUD]
    for each in functions:
        reader.alternatives = tuple(v.receiver for v in several if v != each)
        found |= _one(reader, each, given, node)
    reader.alternatives = ()
    return found


def _one(reader: Reader, each: Value, given: Arguments, node: ast.AST) -> Values:
    match each:
        case Func():
            return _own(reader, each.number, given, None)
        case Bound():
            return _own(reader, each.function, given, each.receiver)
        case Class():
            return _made(reader, each, given, node)
        case Instance():
            method = attributes.of_class(reader, each.owner, "__call__", each, node)
            return call(reader, frozenset(v for v in method if v not in DATA), given, node) | DATA
        case Method():
            return _method(reader, each, given, node)
        case External():
            return outside.external(reader, each, given, node)
        case Unknown():
            reader.escape(given.all(), node, "what is not known")
            return ANYTHING
        case Text() | Web():
            reader.escape(given.all(), node, "what is not known")
            return DATA
        case _:
            return cloud.called(reader, each, given, node)


def enter(reader: Reader, handler: str, scope: Scope) -> None:
    """Call the handler, as its platform does."""
    first, *rest = handler.split(".")
    found = reader.state.names.get((scope, first))
    node = ast.Pass(lineno=1, col_offset=0)
    for name in rest:
        found = attributes.of(reader, found, name, node)
    if not found:
        raise StoppedError(f"it has no {handler[:80]}")
    context: Values = frozenset((Context(),)) if reader.own else DATA
    call(reader, found, Arguments([DATA, context]), node)


def called_from_outside(reader: Reader, each: Func | Bound) -> None:
    """Have a function read that a library calls, with data."""
    number = each.number if isinstance(each, Func) else each.function
    receiver = each.receiver if isinstance(each, Bound) else None
    if receiver is None and reader.defined[number].owner >= 0:
        receiver = Instance(reader.defined[number].owner)
    _own(reader, number, Arguments(open=True, rest=DATA), receiver)


def defaults(reader: Reader, number: int, node: Definition) -> None:
    """Let parameters hold their defaults."""
    scope = Scope("function", number)
    places = [*node.args.posonlyargs, *node.args.args]
    for parameter, default in zip(
        places[len(places) - len(node.args.defaults) :], node.args.defaults, strict=True
    ):
        reader.state.name(scope, parameter.arg, reader.value(default))
    for parameter, keyword in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if keyword is not None:
            reader.state.name(scope, parameter.arg, reader.value(keyword))


def _own(reader: Reader, number: int, given: Arguments, receiver: Value | None) -> Values:
    """Bind a call's arguments to a function's parameters; it is read in its turn."""
    node = reader.defined[number].node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return DATA
    reader.reach(number)
    scope = Scope("function", number)
    places: list[Values] = [frozenset((receiver,))] if receiver is not None else []
    places += given.places
    parameters = [*node.args.posonlyargs, *node.args.args]
    for at, parameter in enumerate(parameters):
        bound = places[at] if at < len(places) else NONE
        bound |= given.named.get(parameter.arg, NONE)
        if at >= len(places) and parameter.arg not in given.named and given.open:
            bound |= given.rest | DATA
        reader.state.name(scope, parameter.arg, bound)
    for parameter in node.args.kwonlyargs:
        bound = given.named.get(parameter.arg, NONE)
        reader.state.name(scope, parameter.arg, bound or (given.rest if given.open else NONE))
    if node.args.vararg is not None:
        box = Box(id(node.args.vararg))
        for at, each in enumerate(places[len(parameters) :]):
            reader.state.put(box, each, at)
        reader.state.put(box, given.rest)
        reader.state.name(scope, node.args.vararg.arg, frozenset((box,)))
    if node.args.kwarg is not None:
        _keywords(reader, node, given, scope)
    return reader.state.returns.get(number)


def _keywords(reader: Reader, node: Definition, given: Arguments, scope: Scope) -> None:
    kwarg = node.args.kwarg
    if kwarg is None:
        return
    box = Box(id(kwarg))
    taken = {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
    for name, held in given.named.items():
        if name not in taken:
            reader.state.put(box, held, name)
            reader.state.key(box, frozenset((Text(name),)))
    if given.open:
        reader.state.put(box, given.rest | DATA)
        reader.state.key(box, DATA)
    reader.state.name(scope, kwarg.arg, frozenset((box,)))


def _made(reader: Reader, each: Class, given: Arguments, node: ast.AST) -> Values:
    """Make an object: `__init__`, or the fields of a data class in their order."""
    made = Instance(each.number)
    begin = attributes.of_class(reader, each.number, "__init__", made, node)
    own_begin = frozenset(v for v in begin if isinstance(v, (Bound, Func)))
    if own_begin:
        call(reader, own_begin, given, node)
        return frozenset((made,))
    definition = reader.defined[each.number].node
    fields = [
        inner.target.id
        for inner in getattr(definition, "body", ())
        if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name)
    ]
    for at, name in enumerate(fields):
        held = given.places[at] if at < len(given.places) else NONE
        held |= given.named.get(name, NONE) | (given.rest if given.open else NONE)
        reader.state.attribute(each.number, name, held)
    if not fields:
        for held in (*given.places, *given.named.values()):
            for value in held:
                if value.kind in CLOUD or isinstance(value, (Instance, Func, Bound)):
                    reader.state.keep("*base", frozenset((value,)))
                    reader.escape([value], node, "the class that it is made from")
    return frozenset((made,))


# -- methods -----------------------------------------------------------------------------------


def _method(reader: Reader, each: Method, given: Arguments, node: ast.AST) -> Values:
    receiver = each.receiver
    match receiver:
        case Box():
            return containers.of_box(reader, receiver, each.name, given, node)
        case Text():
            return containers.of_text(reader, receiver, each.name, given, node)
        case Web():
            web.method(reader, receiver, each.name, given, node)
            return containers.of_text(reader, UNKNOWN_TEXT, each.name, given, node)
        case Context() | Capability():
            return own.called(reader, receiver, each.name, given, node)
        case _:
            return cloud.method(reader, each, given, node)
