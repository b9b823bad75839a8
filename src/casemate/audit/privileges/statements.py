"""What statements let names hold. Which branch is taken is not asked."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from casemate.audit.privileges import attributes, calls, imports
from casemate.audit.privileges.program import Scope
from casemate.audit.privileges.reading import Arguments, Reader
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


def execute(reader: Reader, body: Sequence[ast.stmt]) -> None:
    """Read statements, those within them too."""
    for each in body:
        statement(reader, each)


def statement(reader: Reader, node: ast.stmt) -> None:
    """Read one statement."""
    from casemate.audit.privileges.expressions import value

    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            _function(reader, node)
        case ast.ClassDef():
            _class(reader, node)
        case ast.Import() | ast.ImportFrom():
            imports.read(reader, node)
        case ast.Assign():
            found = value(reader, node.value)
            for target in node.targets:
                assign(reader, target, found)
        case ast.AnnAssign() if node.value is not None:
            assign(reader, node.target, value(reader, node.value))
        case ast.AugAssign():
            found = value(reader, node.value)
            held = value(reader, _loaded(node.target))
            boxes = any(isinstance(each, Box) for each in held)
            for each in held:
                if isinstance(each, Box):
                    reader.state.put(each, attributes.items(reader, found, node))
            assign(reader, node.target, held if boxes else DATA)
        case ast.Return():
            number = reader.function_number()
            if number >= 0:
                reader.state.give(number, value(reader, node.value) or DATA)
        case ast.For() | ast.AsyncFor():
            assign(reader, node.target, attributes.items(reader, value(reader, node.iter), node))
            execute(reader, node.body)
            execute(reader, node.orelse)
        case ast.If() if _only_run_by_hand(node.test):
            execute(reader, node.orelse)
        case ast.With() | ast.AsyncWith():
            for item in node.items:
                entered = _entered(reader, value(reader, item.context_expr), node)
                if item.optional_vars is not None:
                    assign(reader, item.optional_vars, entered)
            execute(reader, node.body)
        case ast.Global():
            for name in node.names:
                held = reader.state.names.get((reader.module_scope(), name), NONE)
                reader.state.name(reader.scope, name, held)
        case _:
            _others(reader, node)


def _others(reader: Reader, node: ast.AST) -> None:
    """Read what is in a statement of no interest by itself."""
    from casemate.audit.privileges.expressions import value

    if isinstance(node, ast.Match):
        subject = value(reader, node.subject)
        for case in node.cases:
            for each in ast.walk(case.pattern):
                name = getattr(each, "name", None)
                if isinstance(each, (ast.MatchAs, ast.MatchStar)) and name:
                    reader.state.name(reader.scope, name, subject | DATA)
            value(reader, case.guard)
            execute(reader, case.body)
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            value(reader, child)
        elif isinstance(child, ast.stmt):
            statement(reader, child)
        elif isinstance(child, ast.ExceptHandler):
            if child.name:
                reader.state.name(reader.scope, child.name, DATA)
            value(reader, child.type)
            execute(reader, child.body)


def _only_run_by_hand(test: ast.expr) -> bool:
    """Tell whether a test is `__name__ == "__main__"`, which is not so where it is a function."""
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.Name)
        and test.left.id == "__name__"
        and len(test.ops) == 1
        and isinstance(test.ops[0], ast.Eq)
    )


def _loaded(target: ast.expr) -> ast.expr:
    return target


def _entered(reader: Reader, values: Values, node: ast.AST) -> Values:
    """Return what `with` gives a name."""
    found = NONE
    for each in values:
        if isinstance(each, Box):
            found |= reader.state.got(each)
        elif isinstance(each, Instance):
            for name in ("__enter__", "__aenter__"):
                entered = attributes.of(reader, frozenset((each,)), name, node)
                found |= calls.call(reader, entered, Arguments(), node)
            for name in ("__exit__", "__aexit__"):
                left = attributes.of(reader, frozenset((each,)), name, node)
                calls.call(reader, left, Arguments([DATA, DATA, DATA]), node)
        else:
            found |= {each}
    return found or DATA


def assign(reader: Reader, target: ast.expr, values: Values) -> None:
    """Let a target hold values."""
    from casemate.audit.privileges.expressions import key_of, value

    match target:
        case ast.Name():
            reader.state.name(reader.scope, target.id, values)
            if _is_global(reader, target.id):
                reader.state.name(reader.module_scope(), target.id, values)
        case ast.Tuple() | ast.List():
            for at, each in enumerate(target.elts):
                if isinstance(each, ast.Starred):
                    box = Box(id(each))
                    reader.state.put(box, attributes.items(reader, values, each))
                    assign(reader, each.value, frozenset((box,)))
                else:
                    assign(reader, each, _part(reader, values, at, each))
        case ast.Attribute():
            attributes.store(reader, value(reader, target.value), target.attr, values)
        case ast.Subscript():
            owner = value(reader, target.value)
            name = value(reader, target.slice)
            constant = isinstance(target.slice, ast.Constant)
            key = target.slice.value if constant else key_of(name)  # type: ignore[attr-defined]
            attributes.store_item(reader, owner, key, name, values)
        case ast.Starred():
            assign(reader, target.value, values)


def _is_global(reader: Reader, name: str) -> bool:
    number = reader.function_number()
    if number < 0:
        return False
    return name in _globals(reader.defined[number].node)


def _globals(node: ast.AST) -> frozenset[str]:
    """Return the names that a function declares to be those of its module or of what is around."""
    known = getattr(node, "_casemate_globals", None)
    if known is None:
        known = frozenset(
            name
            for each in ast.walk(node)
            if isinstance(each, (ast.Global, ast.Nonlocal))
            for name in each.names
        )
        node._casemate_globals = known  # type: ignore[attr-defined]
    return frozenset(known)


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
    from casemate.audit.privileges.expressions import value

    number = reader.define(node)
    calls.defaults(reader, number, node)
    found: Values = frozenset((Func(number),))
    for decorator in reversed(node.decorator_list):
        found |= _decorated(reader, value(reader, decorator), found, decorator)
    if reader.called_by_frameworks(number):
        calls.called_from_outside(reader, Func(number))
    reader.state.name(reader.scope, node.name, found)
    if reader.scope.kind == "class":
        reader.state.attribute(reader.scope.number, node.name, found)
        if node.name.startswith("__"):
            inner = frozenset((Bound(number, Instance(reader.scope.number)),))
            if node.name in _IMPLICIT:
                calls.call(reader, inner, Arguments(open=True), node)


def _decorated(reader: Reader, used: Values, given: Values, node: ast.AST) -> Values:
    """Return what a decorator of the files makes of what it is given."""
    own = frozenset(v for v in used if not isinstance(v, External) and v not in DATA)
    return calls.call(reader, own, Arguments([given]), node) if own else NONE


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
    from casemate.audit.privileges.expressions import value

    number = reader.define(node)
    bases = NONE.union(*(value(reader, base) for base in node.bases)) if node.bases else NONE
    reader.state.attribute(number, "*bases", bases)
    for keyword in node.keywords:
        value(reader, keyword.value)
    made: Values = frozenset((Class(number),))
    for decorator in reversed(node.decorator_list):
        made |= _decorated(reader, value(reader, decorator), made, decorator)
    reader.state.name(reader.scope, node.name, made)
    if reader.scope.kind == "class":
        reader.state.attribute(reader.scope.number, node.name, frozenset((Class(number),)))
    outer = reader.scope
    reader.inside(reader.file, Scope("class", number))
    try:
        execute(reader, node.body)
    finally:
        reader.inside(reader.file, outer)
    for (scope, name), held in list(reader.state.names.items()):
        if scope == Scope("class", number):
            reader.state.attribute(number, name, held)
    outside = any(isinstance(each, External) or each in ANYTHING for each in bases)
    if outside and not all(
        isinstance(each, External) and each.name in _PLAIN_BASES for each in bases
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
