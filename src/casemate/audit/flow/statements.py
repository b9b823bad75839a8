"""Statements: how each changes the state, and where the code goes on."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from casemate.audit.flow import definitions, matching, names
from casemate.audit.flow.expressions import apply, baked_value
from casemate.audit.flow.limits import MAX_KNOWN_ROUNDS, MAX_ROUNDS
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Scope, State, merged, same
from casemate.audit.flow.state import Sequence as Items
from casemate.audit.flow.values import (
    ANY_TEXT,
    ANYTHING,
    CLEAN,
    FALSE,
    NONE,
    TRUE,
    Const,
    Ref,
    Text,
    Tup,
    Union,
    Unknown,
    Value,
    join,
    options,
    shallow,
    with_taints,
)

_STEP_TEXT = 120


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
    return state


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


def _for(reader: Reader, node: ast.For | ast.AsyncFor, state: State) -> State | None:
    value = reader.evaluate(node.iter, state)
    known, any_of = reader.items(value, state, node.iter)
    frame = reader.frame
    outer = frame.breaks, frame.continues
    frame.breaks, frame.continues = [], []
    try:
        if known is not None and len(known) <= MAX_KNOWN_ROUNDS:
            after = _rounds_known(reader, node, known, state)
        else:
            after = _rounds(reader, node, any_of, state)
        if after is not None and node.orelse:
            after = execute(reader, node.orelse, after)
        return merged([*frame.breaks, *([after] if after is not None else [])])
    finally:
        frame.breaks, frame.continues = outer


def _rounds_known(
    reader: Reader, node: ast.For | ast.AsyncFor, known: Sequence[Value], state: State
) -> State | None:
    at: State | None = state
    for value in known:
        if at is None:
            return None
        assign(reader, node.target, value, at)
        after = execute(reader, node.body, at)
        at = merged([*reader.frame.continues, *([after] if after is not None else [])])
        reader.frame.continues = []
    return at


def _rounds(
    reader: Reader, node: ast.For | ast.AsyncFor, value: Value, state: State
) -> State | None:
    at = state
    for number in range(MAX_ROUNDS):
        inside = at.copy()
        if number:
            # Another round has another item, of which nothing is known yet.
            for taint in shallow(value):
                inside.facts.pop(taint.forms[0], None)
        assign(reader, node.target, value, inside)
        after = execute(reader, node.body, inside)
        ways = [*reader.frame.continues, *([after] if after is not None else [])]
        reader.frame.continues = []
        new = merged([at, *ways]) or at
        new = widened(at, new) if number else new
        if same(at, new):
            return new
        at = new
    return at


def _while(reader: Reader, node: ast.While, state: State) -> State | None:
    frame = reader.frame
    outer = frame.breaks, frame.continues
    frame.breaks, frame.continues = [], []
    ended: list[State] = []
    at: State | None = state
    rounds = certain = 0
    try:
        while at is not None and rounds < MAX_ROUNDS and certain < MAX_KNOWN_ROUNDS:
            before = at.copy()
            yes, no = reader.decide(node.test, at)
            if no is not None:
                ended.append(no)
            if yes is None:
                at = None
                break
            after = execute(reader, node.body, yes)
            ways = [*frame.continues, *([after] if after is not None else [])]
            frame.continues = []
            at = merged(ways)
            if no is None and not _endless(node.test):
                certain += 1
                continue
            rounds += 1
            if at is not None:
                at = widened(before, merged([before, at]) or at)
                if same(before, at):
                    break
        if at is not None and not _endless(node.test):
            ended.append(at)
        after_all = merged(ended)
        if after_all is not None and node.orelse:
            after_all = execute(reader, node.orelse, after_all)
        return merged([*frame.breaks, *([after_all] if after_all is not None else [])])
    finally:
        frame.breaks, frame.continues = outer


def _endless(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def widened(before: State, after: State) -> State:
    """Return a state in which what a loop counts or builds is any number or text."""
    known = before.things.own
    for number, thing in [(n, t) for n, t in after.things.own.items() if known.get(n) is not t]:
        mine = before.things.get(number)
        if mine is thing or not isinstance(thing, Scope) or not isinstance(mine, Scope):
            continue
        changed = dict(thing.names)
        for name, value in thing.names.items():
            old = mine.names.get(name)
            if old is not None and old is not value and old != value:
                changed[name] = _any(value)
        after.things[number] = Scope(changed, thing.parent)
    return after


def _any(value: Value) -> Value:
    """Return anything of the kind of what has changed."""
    if not isinstance(value, Union):
        return value
    kinds = {type(o.value) for o in value.options if isinstance(o, Const)}
    rest = [o for o in value.options if not isinstance(o, (Const, Text))]
    taints = shallow(join(*(o for o in value.options if isinstance(o, Text))))
    out: list[Value] = list(rest)
    if str in kinds or any(isinstance(o, Text) for o in value.options):
        out.append(Text((taints,)) if taints else ANY_TEXT)
    if int in kinds or float in kinds:
        out.append(Unknown(CLEAN, "int"))
    out += [o for o in value.options if isinstance(o, Const) and not _counts(o)]
    return join(*out)


def _counts(value: Const) -> bool:
    return isinstance(value.value, (int, float, str)) and not isinstance(value.value, bool)


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
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.While: _while,
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


def any_tuple(value: Value) -> Value:
    """Return a tuple whose items may each be a value."""
    return value if isinstance(value, Tup) else Tup((value,))


__all__ = ["Arguments", "any_tuple", "assign", "execute", "told", "widened"]
