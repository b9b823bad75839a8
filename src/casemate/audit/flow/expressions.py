"""Expressions: what each form of syntax stands for."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from casemate.audit.flow import texts
from casemate.audit.flow.limits import MAX_ITEMS, MAX_TEXT
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Mapping, Sequence, State, known_key, merged
from casemate.audit.flow.values import (
    ANY_BOOL,
    ANYTHING,
    CLEAN,
    NONE,
    Const,
    External,
    Func,
    Ref,
    Taints,
    Text,
    Tup,
    Unknown,
    Value,
    few,
    join,
    options,
    shallow,
    truth,
)

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, other: one in other,
    ast.NotIn: lambda one, other: one not in other,
    ast.Is: lambda one, other: one is other,
    ast.IsNot: lambda one, other: one is not other,
}
_LARGE = 1 << 64


def constant(reader: Reader, node: ast.Constant, state: State) -> Value:
    """Read a constant; a very long one is not kept."""
    value = node.value
    if isinstance(value, (str, bytes)) and len(value) > MAX_TEXT:
        return Text((CLEAN,)) if isinstance(value, str) else ANYTHING
    return Const(value)


def joined_str(reader: Reader, node: ast.JoinedStr, state: State) -> Value:
    """Read an f-string."""
    return texts.all_together([reader.evaluate(part, state) for part in node.values], state)


def formatted_value(reader: Reader, node: ast.FormattedValue, state: State) -> Value:
    """Read one field of an f-string."""
    value = reader.evaluate(node.value, state)
    specification = ""
    if isinstance(node.format_spec, ast.JoinedStr):
        for part in node.format_spec.values:
            if isinstance(part, ast.Constant):
                specification += str(part.value)
            else:
                reader.evaluate(part, state)
    if specification[-1:] in ("d", "f", "x", "e", "g", "%", "n", "b", "o"):
        return Text((CLEAN,))
    if specification or node.conversion == ord("r"):
        return Text((state.deep(value),))
    return texts.all_together([value], state)


def bin_op(reader: Reader, node: ast.BinOp, state: State) -> Value:
    """Read `a + b + c`: the whole chain, for a long one is nested as deep as it is long."""
    chain: list[ast.BinOp] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp):
        chain.append(left)
        left = left.left
    value = reader.evaluate(left, state)
    for each in reversed(chain):
        reader.spend(each)
        value = apply(reader, each.op, value, reader.evaluate(each.right, state), state, each)
    return value


def apply(
    reader: Reader, op: ast.operator, left: Value, right: Value, state: State, node: ast.AST
) -> Value:
    """Return what an operator makes of two values."""
    known = _known_operation(op, left, right)
    if known is not None:
        return known
    if isinstance(op, ast.Mod) and _textual(left):
        return join(*(texts.percent(option, right, state) for option in options(left)))
    if isinstance(op, ast.Add):
        lists = _added(reader, left, right, state)
        if lists is not None:
            return lists
        if _textual(left) or _textual(right):
            return texts.concatenated(left, right, state)
    if isinstance(op, ast.Div) and (_is_path(left, state) or _is_path(right, state)):
        return reader.call(External("pathlib.Path"), Arguments([left, right]), state, node)
    if _number(left) and _number(right):
        return Unknown(CLEAN, "int")
    if isinstance(op, (ast.Mult, ast.Sub, ast.BitOr, ast.BitAnd)) or not _number(left):
        return _mixed(left, right, state)
    return Unknown(few(state.deep(left) | state.deep(right)))


def _is_path(value: Value, state: State) -> bool:
    thing = state.things.get(value.number) if isinstance(value, Ref) else value
    return getattr(thing, "type", "").startswith(("pathlib.", "anyio.Path"))


def _mixed(left: Value, right: Value, state: State) -> Value:
    taints = few(state.deep(left) | state.deep(right))
    if _textual(left) or _textual(right):
        return Text((taints,))
    return Unknown(taints, _type(left) or _type(right))


def _type(value: Value) -> str:
    return value.type if isinstance(value, Unknown) else ""


def _number(value: Value) -> bool:
    if isinstance(value, Const):
        return isinstance(value.value, (int, float))
    return isinstance(value, Unknown) and value.type == "int"


def _textual(value: Value) -> bool:
    return any(
        isinstance(option, Text)
        or (isinstance(option, Const) and isinstance(option.value, (str, bytes)))
        for option in options(value)
    )


def _known_operation(op: ast.operator, left: Value, right: Value) -> Value | None:
    if isinstance(left, Tup) and isinstance(right, Tup) and isinstance(op, ast.Add):
        return Tup((left.items + right.items)[:MAX_ITEMS])
    if not isinstance(left, Const) or not isinstance(right, Const):
        return None
    one, other = left.value, right.value
    if isinstance(op, ast.Mod) and isinstance(one, (str, bytes)):
        return None
    if isinstance(op, ast.Pow):
        if isinstance(one, int) and isinstance(other, int) and 0 <= other <= 64:
            return Const(one**other) if abs(one) < 1 << 16 else Unknown(CLEAN, "int")
        return Unknown(CLEAN, "int")
    function = _OPERATORS.get(type(op))
    if function is None or isinstance(one, complex) or isinstance(other, complex):
        return None
    for each, mate in ((one, other), (other, one)):
        if isinstance(each, int) and abs(each) > _LARGE:
            return Unknown(CLEAN, "int")
        if not isinstance(each, (str, bytes)) or not isinstance(mate, int):
            continue
        if not isinstance(op, ast.Mult) or mate * len(each) > MAX_TEXT:
            return Text((CLEAN,))
    try:
        result = function(one, other)
    except (TypeError, ValueError, ArithmeticError):
        return None
    if isinstance(result, (str, bytes)) and len(result) > MAX_TEXT:
        return Text((CLEAN,))
    return Const(result)


def _added(reader: Reader, left: Value, right: Value, state: State) -> Value | None:
    one = state.things.get(left.number) if isinstance(left, Ref) else None
    other = state.things.get(right.number) if isinstance(right, Ref) else None
    if not isinstance(one, Sequence):
        if isinstance(other, Sequence) and isinstance(left, (Unknown, Tup)):
            taints = few(shallow(left) | state.deep(right))
            return reader.new(Sequence(None, Unknown(taints)), state)
        return None
    if isinstance(other, Sequence):
        if one.items is not None and other.items is not None:
            items = one.items + other.items
            if len(items) <= MAX_ITEMS:
                rest = [each for each in (one.rest, other.rest) if each is not None]
                return reader.new(Sequence(items, join(*rest) if rest else None), state)
        values = [*(one.items or ()), *(other.items or ())]
        values += [each for each in (one.rest, other.rest) if each is not None]
        return reader.new(Sequence(None, join(*values) if values else None), state)
    values = [*(one.items or ()), *([one.rest] if one.rest is not None else [])]
    return reader.new(Sequence(None, join(*values, Unknown(state.deep(right)))), state)


def unary_op(reader: Reader, node: ast.UnaryOp, state: State) -> Value:
    """Read `not x`, `-x`."""
    value = reader.evaluate(node.operand, state)
    if isinstance(node.op, ast.Not):
        known = truth(value)
        return ANY_BOOL if known is None else Const(not known)
    if isinstance(value, Const) and isinstance(value.value, (int, float)):
        number = value.value
        if isinstance(node.op, ast.USub):
            return Const(-number)
        return Const(number) if isinstance(node.op, ast.UAdd) else Unknown(CLEAN, "int")
    return value


def bool_op(reader: Reader, node: ast.BoolOp, state: State) -> Value:
    """Read `a and b`, `a or b`: the later ones only where the earlier ones do not decide."""
    decisive = isinstance(node.op, ast.Or)
    found: list[Value] = []
    at: State | None = state
    for number, each in enumerate(node.values):
        if at is None:
            break
        value = reader.evaluate(each, at)
        known = truth(value)
        last = number == len(node.values) - 1
        if last or known is None or known is decisive:
            found.append(_of_truth(value, decisive) if not last else value)
        if known is decisive:
            break
        if not last:
            at = reader.decide(each, at.copy())[1 if decisive else 0]
    return join(*found) if found else ANY_BOOL


def _of_truth(value: Value, truthful: bool) -> Value:
    """Return what a value may be that ends a chain of `or` (or `and`)."""
    kept = [option for option in options(value) if truth(option) in (None, truthful)]
    return join(*kept) if kept else value


def compare(reader: Reader, node: ast.Compare, state: State) -> Value:
    """Read a comparison."""
    left = reader.evaluate(node.left, state)
    result: Value = Const(True)
    for op, each in zip(node.ops, node.comparators, strict=True):
        right = reader.evaluate(each, state)
        known = compared(op, left, right, state)
        if known is None:
            result = ANY_BOOL
        elif known is False:
            return Const(False) if result is not ANY_BOOL else ANY_BOOL
        left = right
    return result


def compared(op: ast.cmpop, left: Value, right: Value, state: State) -> bool | None:
    """Return what a comparison comes to, or None if it may be either."""
    if isinstance(left, Const) and isinstance(right, Const):
        if isinstance(op, (ast.Is, ast.IsNot)):
            equal = left.value is right.value or left == right
            return equal if isinstance(op, ast.Is) else not equal
        try:
            return bool(_COMPARISONS[type(op)](left.value, right.value))
        except (TypeError, ValueError):
            return None
    if isinstance(op, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)):
        never = _never_equal(left, right)
        if never:
            return isinstance(op, (ast.IsNot, ast.NotEq))
        return None
    if isinstance(op, (ast.In, ast.NotIn)):
        inside = _contains(left, right, state)
        if inside is None:
            return None
        return inside if isinstance(op, ast.In) else not inside
    return None


def _never_equal(left: Value, right: Value) -> bool:
    """Return whether one is None and the other is something that is made here."""
    for one, other in ((left, right), (right, left)):
        if one == NONE and isinstance(other, (Ref, Func, Tup, Text)):
            return not (isinstance(other, Text) and len(other.parts) == 1)
    return False


def _contains(left: Value, right: Value, state: State) -> bool | None:
    key = known_key(left)
    if isinstance(right, Text) and isinstance(left, Const) and isinstance(left.value, str):
        found = any(isinstance(part, str) and left.value in part for part in right.parts)
        return True if found else None
    if key is None:
        return None
    thing: object = state.things.get(right.number) if isinstance(right, Ref) else right
    if isinstance(thing, Mapping):
        if key in thing.known and not thing.open:
            return True
        return None if thing.open or thing.keys or thing.rest is not None else key in thing.known
    items: tuple[Value, ...] | None = None
    if (isinstance(thing, Sequence) and thing.rest is None) or isinstance(thing, Tup):
        items = thing.items
    if items is None:
        return None
    keys = [known_key(item) for item in items]
    if key in keys:
        return True
    return None if None in keys else False


def if_exp(reader: Reader, node: ast.IfExp, state: State) -> Value:
    """Read `a if test else b`, each in the state in which it is reached."""
    yes, no = reader.decide(node.test, state.copy())
    found: list[Value] = []
    states: list[State] = []
    for at, each in ((yes, node.body), (no, node.orelse)):
        if at is not None:
            value = reader.evaluate(each, at)
            if at.facts:
                value = baked_value(value, at)
            found.append(value)
            states.append(at)
    after = merged(states)
    if after is not None:
        state.become(after)
    return join(*found) if found else ANYTHING


def baked_value(value: Value, state: State) -> Value:
    """Return a value with what is known of its data by now."""
    if not state.facts:
        return value
    if isinstance(value, Text):
        parts = tuple(p if isinstance(p, str) else texts.baked(p, state) for p in value.parts)
        return Text(parts) if parts != value.parts else value
    if isinstance(value, Unknown):
        taints: Taints = texts.baked(value.taints, state)
        return value if taints is value.taints else Unknown(taints, value.type, value.path)
    if isinstance(value, Tup):
        return Tup(tuple(baked_value(item, state) for item in value.items))
    if len(options(value)) > 1:
        return join(*(baked_value(option, state) for option in options(value)))
    return value


def named_expr(reader: Reader, node: ast.NamedExpr, state: State) -> Value:
    """Read `name := value`."""
    value = reader.evaluate(node.value, state)
    reader.assign(node.target, value, state)
    return value


def tuple_(reader: Reader, node: ast.Tuple, state: State) -> Value:
    """Read a tuple."""
    return Tup(tuple(_unpacked(reader, node.elts, state)))


def list_(reader: Reader, node: ast.List | ast.Set, state: State) -> Value:
    """Read a list or a set."""
    kind = "list" if isinstance(node, ast.List) else "set"
    items = _unpacked(reader, node.elts, state)
    if len(items) > MAX_ITEMS:
        return reader.new(Sequence(None, join(*items), kind), state)
    return reader.new(Sequence(tuple(items), None, kind), state)


def _unpacked(reader: Reader, nodes: list[ast.expr], state: State) -> list[Value]:
    out: list[Value] = []
    for each in nodes:
        if isinstance(each, ast.Starred):
            value = reader.evaluate(each.value, state)
            known, any_of = reader.items(value, state, each)
            out += known if known is not None else [any_of]
        else:
            out.append(reader.evaluate(each, state))
    return out


def dict_(reader: Reader, node: ast.Dict, state: State) -> Value:
    """Read a dictionary."""
    made = reader.new(Mapping({}), state)
    for key, each in zip(node.keys, node.values, strict=True):
        value = reader.evaluate(each, state)
        if key is None:
            merge(reader, made, value, state)
        else:
            reader.set_item(made, reader.evaluate(key, state), value, state, each)
    return made


def merge(reader: Reader, into: Value, value: Value, state: State) -> None:
    """Put what one dictionary has into another."""
    if not isinstance(into, Ref):
        return
    mine = state.things.get(into.number)
    if not isinstance(mine, Mapping):
        return
    for option in options(value):
        thing = state.things.get(option.number) if isinstance(option, Ref) else None
        if isinstance(thing, Mapping):
            rest = [each for each in (mine.rest, thing.rest) if each is not None]
            mine = Mapping(
                {**mine.known, **thing.known},
                join(*rest) if rest else None,
                few(mine.keys | thing.keys),
                mine.type,
                mine.open or thing.open,
            )
        else:
            taints = state.deep(option)
            rest = [Unknown(taints)] if mine.rest is None else [mine.rest, Unknown(taints)]
            keys = few(mine.keys | taints)
            mine = Mapping(mine.known, join(*rest), keys, mine.type, open=True)
    state.things[into.number] = mine


def subscript(reader: Reader, node: ast.Subscript, state: State) -> Value:
    """Read `value[key]` and `value[a:b]`."""
    value = reader.evaluate(node.value, state)
    if isinstance(node.slice, ast.Slice):
        each = node.slice
        bounds = tuple(
            None if bound is None else reader.evaluate(bound, state)
            for bound in (each.lower, each.upper, each.step)
        )
        return join(*(_slice(reader, option, each, bounds, state) for option in options(value)))
    return reader.item(value, reader.evaluate(node.slice, state), state, node)


def _slice(
    reader: Reader,
    value: Value,
    node: ast.Slice,
    bounds: tuple[Value | None, ...],
    state: State,
) -> Value:
    thing = state.things.get(value.number) if isinstance(value, Ref) else None
    if isinstance(thing, Sequence):
        if thing.items is not None and thing.rest is None:
            cut = texts.sliced(Tup(thing.items), node, bounds, state)
            if isinstance(cut, Tup):
                return reader.new(Sequence(cut.items, None, thing.kind), state)
        return reader.new(Sequence(None, Unknown(state.deep(value)), thing.kind), state)
    return texts.sliced(value, node, bounds, state)


def starred(reader: Reader, node: ast.Starred, state: State) -> Value:
    """Read `*value` where it stands alone."""
    return reader.evaluate(node.value, state)


def await_(reader: Reader, node: ast.Await, state: State) -> Value:
    """Read `await value`: what it gives is what was called."""
    return reader.evaluate(node.value, state)


def yield_(reader: Reader, node: ast.Yield | ast.YieldFrom, state: State) -> Value:
    """Read `yield`: what is given out is kept for who loops over it."""
    if node.value is not None:
        value = reader.evaluate(node.value, state)
        if isinstance(node, ast.YieldFrom):
            known, any_of = reader.items(value, state, node)
            reader.frame.yields += known[:MAX_ITEMS] if known is not None else [any_of]
        elif len(reader.frame.yields) < MAX_ITEMS:
            reader.frame.yields.append(value)
    return ANYTHING


def lambda_(reader: Reader, node: ast.Lambda, state: State) -> Value:
    """Read a lambda: its body is read where it is called."""
    arguments = node.args
    defaults = tuple(reader.evaluate(each, state) for each in arguments.defaults)
    keyword = tuple(
        None if each is None else reader.evaluate(each, state) for each in arguments.kw_defaults
    )
    frame = reader.frame
    return Func(node, frame.module, frame.scope, "lambda", defaults, keyword)
