"""Statements: how each changes the state, and where the code goes on."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from casemate.audit.flow import definitions, loops, matching, names
from casemate.audit.flow.expressions import baked_value
from casemate.audit.flow.operators import apply
from casemate.audit.flow.ports import Reader
from casemate.audit.flow.state import Sequence as Items
from casemate.audit.flow.state import State, merged
from casemate.audit.flow.values import (
    ANYTHING,
    CLEAN,
    FALSE,
    NONE,
    TRUE,
    Const,
    Ref,
    Unknown,
    Value,
    options,
    shallow,
    truth,
    with_taints,
)
from casemate.audit.syntax import walk


def execute(reader: Reader, body: Sequence[ast.stmt], state: State) -> State | None:
    """Read statements one after the other; None if nothing comes after them."""
    at: State | None = state
    for each in body:
        if at is None:
            return None
        reader.spend(each)
        if reader.frame.catching:
            reader.frame.raises.append(at.copy())
            if len(reader.frame.raises) > 24:
                whole = merged(reader.frame.raises)
                reader.frame.raises = [whole] if whole is not None else []
        handler = _STATEMENTS.get(type(each))
        at = handler(reader, each, at) if handler is not None else at
    return at


def _expression(reader: Reader, node: ast.Expr, state: State) -> State | None:
    if isinstance(node.value, ast.Constant):
        return state
    value = reader.evaluate(node.value, state)
    return None if value == definitions.NEVER else state


def _assign(reader: Reader, node: ast.Assign, state: State) -> State | None:
    value = reader.evaluate(node.value, state)
    for target in node.targets:
        assign(reader, target, value, state)
    _keep_test(reader, node, value, state)
    return state


def _keep_test(reader: Reader, node: ast.Assign, value: Value, state: State) -> None:
    """Remember which condition a name is the outcome of: `ok = x in ALLOWED`."""
    target = node.targets[0]
    if len(node.targets) != 1 or not isinstance(target, ast.Name) or truth(value) is not None:
        return
    called = isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)
    if not called and not _is_test(node.value):
        return
    inside = frozenset(each.id for each in walk(node.value) if isinstance(each, ast.Name))
    if target.id not in inside:
        state.hold(reader.frame.scope, target.id, (node.value, inside))


def _ann_assign(reader: Reader, node: ast.AnnAssign, state: State) -> State | None:
    if node.value is not None:
        assign(reader, node.target, reader.evaluate(node.value, state), state)
    return state


def _aug_assign(reader: Reader, node: ast.AugAssign, state: State) -> State | None:
    target: ast.expr = node.target
    before = reader.evaluate(target, state)
    value = reader.evaluate(node.value, state)
    assign(reader, target, apply(reader, node.op, before, value, state, node), state)
    return state


def assign(reader: Reader, target: ast.expr, value: Value, state: State) -> None:
    """Give a value to a name, an attribute, an item, or to several at once."""
    if isinstance(target, ast.Name):
        noted = told(reader, target, target.id, value, state)
        definitions.named(reader, target.id, noted, state, target)
        reader.store(target.id, noted, state)
    elif isinstance(target, (ast.Tuple, ast.List)):
        _unpack(reader, target, value, state)
    elif isinstance(target, ast.Attribute):
        owner = reader.evaluate(target.value, state)
        definitions.attribute_set(reader, owner, target.attr, value, state, target)
        reader.set_attribute(owner, target.attr, value, state)
    elif isinstance(target, ast.Subscript):
        owner = reader.evaluate(target.value, state)
        if isinstance(target.slice, ast.Slice):
            _set_slice(reader, owner, value, state)
            return
        key = reader.evaluate(target.slice, state)
        definitions.item_set(reader, owner, key, value, state, target)
        reader.set_item(owner, key, value, state, target)
    elif isinstance(target, ast.Starred):
        assign(reader, target.value, value, state)


def _set_slice(reader: Reader, owner: Value, value: Value, state: State) -> None:
    for option in options(owner):
        if isinstance(option, Ref):
            reader.set_item(option, ANYTHING, Unknown(state.deep(value)), state, ast.Pass())


def told(reader: Reader, node: ast.AST, name: str, value: Value, state: State) -> Value:
    """Return a value whose way is noted to go through a name, with what is known of it by now."""
    value = baked_value(value, state)
    taints = shallow(value)
    if not taints:
        return value
    step = reader.step(node, f"{name} = ...")
    return with_taints(value, {taint: taint.stepping(step) for taint in taints})


def _unpack(reader: Reader, target: ast.Tuple | ast.List, value: Value, state: State) -> None:
    known, any_of = reader.items(value, state, target)
    wanted = target.elts
    star = next((i for i, each in enumerate(wanted) if isinstance(each, ast.Starred)), None)
    if known is not None and star is None and len(known) == len(wanted):
        for each, item in zip(wanted, known, strict=True):
            assign(reader, each, item, state)
        return
    for number, each in enumerate(wanted):
        if known is not None and star is not None and number < star and number < len(known):
            assign(reader, each, known[number], state)
        elif isinstance(each, ast.Starred):
            made = reader.new(Items(None, any_of), state)
            assign(reader, each.value, made, state)
        elif isinstance(value, Unknown) and value.path:
            assign(reader, each, reader.item(value, Const(number), state, each), state)
        else:
            assign(reader, each, any_of, state)


def _return(reader: Reader, node: ast.Return, state: State) -> State | None:
    if node.value is not None and _is_test(node.value):
        # What it was that made it true or false is known to who asks for it.
        for way, answer in zip(reader.decide(node.value, state), (TRUE, FALSE), strict=True):
            if way is not None:
                reader.frame.returns.append((way, answer))
        return None
    value = NONE if node.value is None else reader.evaluate(node.value, state)
    value = baked_value(value, state)
    definitions.returned(reader, value, state, node)
    reader.frame.returns.append((state, value))
    return None


_TESTS = frozenset(
    (
        *("isdigit", "isalnum", "isalpha", "isdecimal", "isnumeric", "isidentifier", "endswith"),
        *("startswith", "is_relative_to", "bool", "all", "any", "isinstance"),
        "compare_digest",
    )
)


def _is_test(node: ast.expr) -> bool:
    """Return whether an expression can only be true or false."""
    if isinstance(node, ast.Compare):
        return True
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    if isinstance(node, ast.BoolOp):
        return all(_is_test(each) for each in node.values)
    if isinstance(node, ast.Call):
        return getattr(node.func, "attr", getattr(node.func, "id", "")) in _TESTS
    return False


def _if(reader: Reader, node: ast.If, state: State) -> State | None:
    """Read `if`, with all its `elif`: a long chain is nested as deep as it is long."""
    ended: list[State] = []
    at: State | None = state
    while at is not None:
        yes, no = reader.decide(node.test, at)
        if yes is not None:
            after = execute(reader, node.body, yes)
            if after is not None:
                ended.append(after)
        at = no
        if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            node = node.orelse[0]
            continue
        if at is not None:
            at = execute(reader, node.orelse, at)
        break
    return merged([*ended, *([at] if at is not None else [])])


def _break(reader: Reader, node: ast.Break, state: State) -> State | None:
    reader.frame.breaks.append(state)
    return None


def _continue(reader: Reader, node: ast.Continue, state: State) -> State | None:
    reader.frame.continues.append(state)
    return None


def _raise(reader: Reader, node: ast.Raise, state: State) -> State | None:
    if node.exc is not None:
        reader.evaluate(node.exc, state)
    if reader.frame.catching:
        reader.frame.raises.append(state)
    return None


def _try(reader: Reader, node: Any, state: State) -> State | None:
    frame = reader.frame
    outer = frame.raises
    frame.raises = [state.copy()]
    frame.catching += 1
    try:
        after = execute(reader, node.body, state)
        thrown = frame.raises
    finally:
        frame.catching -= 1
        frame.raises = outer
    if after is not None and node.orelse:
        after = execute(reader, node.orelse, after)
    ways = [after] if after is not None else []
    raised = merged(thrown)
    for each in node.handlers:
        if raised is None:
            break
        at = raised.copy()
        if each.type is not None:
            reader.evaluate(each.type, at)
        if each.name:
            reader.store(each.name, Unknown(CLEAN, "exception"), at)
        done = execute(reader, each.body, at)
        if done is not None:
            ways.append(done)
    return _finally(reader, node, merged(ways), raised)


def _finally(reader: Reader, node: Any, after: State | None, raised: State | None) -> State | None:
    if not node.finalbody:
        return after
    if after is not None:
        return execute(reader, node.finalbody, after)
    if raised is not None:
        # Left by `return` or `raise`: what is done at the end is done all the same.
        execute(reader, node.finalbody, raised.copy())
    return None


def _with(reader: Reader, node: ast.With | ast.AsyncWith, state: State) -> State | None:
    for each in node.items:
        value = reader.evaluate(each.context_expr, state)
        entered = definitions.entered(reader, value, state, each.context_expr)
        if each.optional_vars is not None:
            assign(reader, each.optional_vars, entered, state)
    return execute(reader, node.body, state)


def _delete(reader: Reader, node: ast.Delete, state: State) -> State | None:
    for target in node.targets:
        if isinstance(target, ast.Subscript):
            owner = reader.evaluate(target.value, state)
            if not isinstance(target.slice, ast.Slice):
                key = reader.evaluate(target.slice, state)
                definitions.deleted(owner, key, state)
    return state


def _global(reader: Reader, node: ast.Global, state: State) -> State | None:
    reader.frame.globals.update(node.names)
    return state


def _nonlocal(reader: Reader, node: ast.Nonlocal, state: State) -> State | None:
    reader.frame.nonlocals.update(node.names)
    return state


def _import(reader: Reader, node: ast.Import | ast.ImportFrom, state: State) -> State | None:
    names.imported(reader, node, state)
    return state


def _assert(reader: Reader, node: ast.Assert, state: State) -> State | None:
    # Not for security: `python -O` leaves it out. So nothing is learned from it.
    reader.evaluate(node.test, state)
    return state


def _match(reader: Reader, node: ast.Match, state: State) -> State | None:
    return matching.match(reader, node, state, execute)


def _function(
    reader: Reader, node: ast.FunctionDef | ast.AsyncFunctionDef, state: State
) -> State | None:
    value = definitions.function(reader, node, state)
    reader.store(node.name, value, state)
    return state


def _class(reader: Reader, node: ast.ClassDef, state: State) -> State | None:
    reader.store(node.name, definitions.class_(reader, node, state), state)
    return state


_STATEMENTS: dict[type[ast.stmt], Callable[[Reader, Any, State], State | None]] = {
    ast.Expr: _expression,
    ast.Assign: _assign,
    ast.AnnAssign: _ann_assign,
    ast.AugAssign: _aug_assign,
    ast.Return: _return,
    ast.If: _if,
    ast.For: loops.for_,
    ast.AsyncFor: loops.for_,
    ast.While: loops.while_,
    ast.Break: _break,
    ast.Continue: _continue,
    ast.Raise: _raise,
    ast.Try: _try,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Delete: _delete,
    ast.Global: _global,
    ast.Nonlocal: _nonlocal,
    ast.Import: _import,
    ast.ImportFrom: _import,
    ast.Assert: _assert,
    ast.Match: _match,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
}
_STATEMENTS[ast.TryStar] = _try
