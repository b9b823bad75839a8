"""Operators and comparisons: what is known of what they come to."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from casemate.audit.flow import texts
from casemate.audit.flow.limits import MAX_ITEMS, MAX_TEXT
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Mapping, Sequence, State, known_key
from casemate.audit.flow.values import (
    ANY_BOOL,
    CLEAN,
    NONE,
    Const,
    External,
    Func,
    Ref,
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
