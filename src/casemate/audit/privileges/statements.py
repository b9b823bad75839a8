"""What statements let names hold. Which branch is taken is not asked."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from casemate.audit.privileges import attributes, calls, imports
from casemate.audit.privileges.program import Scope
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.texts import key_of
from casemate.audit.privileges.values import (
    ANYTHING,
    DATA,
    NONE,
    Bound,
    Box,
    Class,
    External,
    Func,
    Instance,
    Values,
)
from casemate.audit.syntax import walk


def execute(reader: Reader, body: Sequence[ast.stmt]) -> None:
    """Read statements, those within them too."""
    for each in body:
        statement(reader, each)


def statement(reader: Reader, node: ast.stmt) -> None:
    """Read one statement."""
    _READERS.get(type(node), _others)(reader, node)


def _expression(reader: Reader, node: ast.Expr) -> None:
    reader.value(node.value)


def _nothing(reader: Reader, node: ast.stmt) -> None:
    """Pass over what holds nothing."""


def _assign(reader: Reader, node: ast.Assign) -> None:
    found = reader.value(node.value)
    for target in node.targets:
        assign(reader, target, found)


def _annotated(reader: Reader, node: ast.AnnAssign) -> None:
    if node.value is not None:
        assign(reader, node.target, reader.value(node.value))


def _augmented(reader: Reader, node: ast.AugAssign) -> None:
    found, held = reader.value(node.value), reader.value(node.target)
    boxes = any(isinstance(each, Box) for each in held)
    for each in held:
        if isinstance(each, Box):
            reader.state.put(each, attributes.items(reader, found, node))
    assign(reader, node.target, held if boxes else DATA)


def _return(reader: Reader, node: ast.Return) -> None:
    found = reader.value(node.value) or DATA
    if reader.scope.kind == "function":
        reader.state.give(reader.scope.number, found)


def _for(reader: Reader, node: ast.For | ast.AsyncFor) -> None:
    assign(reader, node.target, attributes.items(reader, reader.value(node.iter), node))
    execute(reader, node.body)
    execute(reader, node.orelse)


def _if(reader: Reader, node: ast.If | ast.While) -> None:
    if not _only_run_by_hand(node.test):
        reader.value(node.test)
        execute(reader, node.body)
    execute(reader, node.orelse)


def _with(reader: Reader, node: ast.With | ast.AsyncWith) -> None:
    for item in node.items:
        entered = _entered(reader, reader.value(item.context_expr), node)
        if item.optional_vars is not None:
            assign(reader, item.optional_vars, entered)
    execute(reader, node.body)


def _outer(reader: Reader, node: ast.Global | ast.Nonlocal) -> None:
    """Have names of a function be those of its module, or of the functions around it."""
    own = reader.scope
    scopes = (reader.module_scope(),) if isinstance(node, ast.Global) else tuple(reader.around(own))
    for name in node.names:
        reader.outer[own, name] = scopes
        for scope in scopes:
            reader.state.name(own, name, reader.state.names.get((scope, name)))


def _match(reader: Reader, node: ast.Match) -> None:
    subject = reader.value(node.subject)
    for case in node.cases:
        for each in walk(case.pattern):
            name = getattr(each, "name", None)
            name = getattr(each, "rest", None) if isinstance(each, ast.MatchMapping) else name
            if isinstance(each, (ast.MatchAs, ast.MatchStar, ast.MatchMapping)) and name:
                reader.state.name(reader.scope, name, subject | DATA)
        reader.value(case.guard)
        execute(reader, case.body)


def _others(reader: Reader, node: ast.stmt) -> None:
    """Read what is in a statement of no interest by itself."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            reader.value(child)
        elif isinstance(child, ast.stmt):
            statement(reader, child)


def _try(reader: Reader, node: ast.Try | ast.TryStar) -> None:
    execute(reader, node.body)
    for each in node.handlers:
        _handler(reader, each)
    execute(reader, node.orelse)
    execute(reader, node.finalbody)


def _handler(reader: Reader, node: ast.ExceptHandler) -> None:
    if node.name:
        reader.state.name(reader.scope, node.name, DATA)
    reader.value(node.type)
    execute(reader, node.body)


def _only_run_by_hand(test: ast.expr) -> bool:
    """Tell whether a test is `__name__ == "__main__"`, which is not so where it is a function."""
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and len(test.ops) == 1
        and isinstance(test.ops[0], ast.Eq)
    )


def _entered(reader: Reader, values: Values, node: ast.AST) -> Values:
    """Return what `with` gives a name."""
    found = NONE
    for each in values:
        if isinstance(each, Box):
            found |= reader.state.got(each)
        elif isinstance(each, Instance):
            for name in ("__enter__", "__aenter__"):
                entered = attributes.of(reader, frozenset((each,)), name, node)
                found |= reader.call(entered, Arguments(), node)
            for name in ("__exit__", "__aexit__"):
                left = attributes.of(reader, frozenset((each,)), name, node)
                reader.call(left, Arguments([DATA, DATA, DATA]), node)
        else:
            found |= {each}
    return found or DATA


def assign(reader: Reader, target: ast.expr, values: Values) -> None:
    """Let a target hold values."""
    match target:
        case ast.Name():
            reader.state.name(reader.scope, target.id, values)
            for scope in reader.outer.get((reader.scope, target.id), ()):
                reader.state.name(scope, target.id, values)
        case ast.Tuple() | ast.List():
            for at, each in enumerate(target.elts):
                if isinstance(each, ast.Starred):
                    box = Box(id(each))
                    reader.state.put(box, attributes.items(reader, values, each))
                    assign(reader, each.value, frozenset((box,)))
                else:
                    assign(reader, each, _part(reader, values, at, each))
        case ast.Attribute():
            attributes.store(reader, reader.value(target.value), target.attr, values)
        case ast.Subscript():
            owner = reader.value(target.value)
            name = reader.value(target.slice)
            constant = isinstance(target.slice, ast.Constant)
            key = target.slice.value if constant else key_of(name)  # type: ignore[attr-defined]
            attributes.store_item(reader, owner, key, name, values)
        case ast.Starred():
            assign(reader, target.value, values)


def _part(reader: Reader, values: Values, at: int, node: ast.AST) -> Values:
    found = NONE
    for each in values:
        if isinstance(each, Box):
            found |= reader.state.got(each, at)
        else:
            found |= attributes.items(reader, frozenset((each,)), node)
    return found


def _function(reader: Reader, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    """Bind a function, with what its decorators make of it."""
    number = reader.define(node)
    calls.defaults(reader, number, node)
    found: Values = frozenset((Func(number),))
    if not reader.is_other(number):
        for decorator in reversed(node.decorator_list):
            found |= _decorated(reader, reader.value(decorator), found, decorator)
        if reader.called_by_frameworks(number):
            calls.called_from_outside(reader, Func(number))
    reader.state.name(reader.scope, node.name, found)
    if reader.scope.kind == "class":
        reader.state.attribute(reader.scope.number, node.name, found)
        if node.name.startswith("__"):
            inner = frozenset((Bound(number, Instance(reader.scope.number)),))
            if node.name in _IMPLICIT:
                reader.call(inner, Arguments(open=True), node)


def _decorated(reader: Reader, used: Values, given: Values, node: ast.AST) -> Values:
    """Return what a decorator of the files makes of what it is given."""
    own = frozenset(v for v in used if not isinstance(v, External) and v not in DATA)
    return reader.call(own, Arguments([given]), node) if own else NONE


_IMPLICIT = frozenset(
    (
        *("__call__", "__getattr__", "__getitem__", "__setitem__", "__iter__", "__next__"),
        *("__del__", "__len__", "__contains__", "__post_init__", "__aiter__", "__anext__"),
        *("__missing__", "__str__", "__repr__", "__eq__", "__hash__", "__bool__", "__set_name__"),
        *("__get__", "__set__", "__init_subclass__", "__new__"),
    )
)
"""Methods that Python calls by itself."""


def _class(reader: Reader, node: ast.ClassDef) -> None:
    """Bind a class and read its body."""
    number = reader.define(node)
    bases = NONE.union(*(reader.value(base) for base in node.bases)) if node.bases else NONE
    reader.state.attribute(number, "*bases", bases)
    for keyword in node.keywords:
        reader.value(keyword.value)
    made: Values = frozenset((Class(number),))
    for decorator in reversed(node.decorator_list):
        made |= _decorated(reader, reader.value(decorator), made, decorator)
    reader.state.name(reader.scope, node.name, made)
    if reader.scope.kind == "class":
        reader.state.attribute(reader.scope.number, node.name, frozenset((Class(number),)))
    outer = reader.scope
    reader.inside(reader.file, Scope("class", number))
    try:
        execute(reader, node.body)
    finally:
        reader.inside(reader.file, outer)
    for name, held in reader.state.inside(Scope("class", number)):
        reader.state.attribute(number, name, held)
    if any(
        each.name not in _PLAIN_BASES if isinstance(each, External) else each in ANYTHING
        for each in bases
    ):
        # A library that the class is made for may call what it has.
        reader.escape([Instance(number)], node, "the class that it is made from")


_PLAIN_BASES = frozenset(
    (
        *("builtins.object", "builtins.Exception", "abc.ABC", "enum.Enum", "typing.NamedTuple"),
        *("typing.Protocol", "typing.TypedDict", "typing.Generic", "builtins.dict", "enum.StrEnum"),
        *("builtins.ValueError", "builtins.RuntimeError", "json.JSONEncoder", "enum.IntEnum"),
    )
)


_READERS: dict[type[ast.stmt], Callable[[Reader, Any], None]] = {
    ast.Expr: _expression,
    ast.Pass: _nothing,
    ast.Break: _nothing,
    ast.Continue: _nothing,
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Return: _return,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.If: _if,
    ast.While: _if,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Match: _match,
    ast.Global: _outer,
    ast.Nonlocal: _outer,
    ast.Import: imports.read,
    ast.ImportFrom: imports.read,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
}
