"""Expressions: what each form of syntax stands for."""

from __future__ import annotations

import ast

from casemate.audit.flow import texts
from casemate.audit.flow.limits import MAX_ITEMS, MAX_TEXT
from casemate.audit.flow.ports import Reader
from casemate.audit.flow.state import Mapping, Sequence, State, merged
from casemate.audit.flow.values import (
    ANY_BOOL,
    ANYTHING,
    CLEAN,
    Const,
    Func,
    Ref,
    Text,
    Tup,
    Unknown,
    Value,
    few,
    join,
    options,
    truth,
)

_CONTEXTS = frozenset((("environ", "apig_wsgi.context"), ("scope", "aws.context")))
"""Where adapters put the context: in what WSGI and ASGI applications know of their request."""


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


def bool_op(reader: Reader, node: ast.BoolOp, state: State) -> Value:
    """Read `a and b`, `a or b`: the later ones only where the earlier ones do not decide."""
    decisive = isinstance(node.op, ast.Or)
    found: list[Value] = []
    ended: list[State] = []
    at: State | None = state
    for number, each in enumerate(node.values):
        if at is None:
            break
        value = reader.evaluate(each, at)
        known = truth(value)
        last = number == len(node.values) - 1
        if last or known is None or known is decisive:
            found.append(_of_truth(value, decisive) if not last else value)
        if last or known is decisive:
            ended.append(at)
            break
        ways = reader.decide(each, at.copy())
        over, at = ways if decisive else ways[::-1]
        if over is not None and known is None:
            ended.append(over)
    after = merged(ended)
    if after is not None and after is not state:
        state.become(after)  # what a later one has made is there afterwards
    return join(*found) if found else ANY_BOOL


def _of_truth(value: Value, truthful: bool) -> Value:
    """Return what a value may be that ends a chain of `or` (or `and`)."""
    kept = [option for option in options(value) if truth(option) in (None, truthful)]
    return join(*kept) if kept else value


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
    return state.baked(value)


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
    if _is_context(node):
        return Unknown(CLEAN, "casemate.Context")
    if isinstance(node.slice, ast.Slice):
        each = node.slice
        bounds = tuple(
            None if bound is None else reader.evaluate(bound, state)
            for bound in (each.lower, each.upper, each.step)
        )
        cut = join(*(_slice(reader, option, each, bounds, state) for option in options(value)))
        sign = _behind_last(node.value, each)
        return texts.rid_of(cut, sign, state) if sign else cut
    found = reader.item(value, reader.evaluate(node.slice, state), state, node)
    sign = _last_part(node)
    return texts.rid_of(found, sign, state) if sign else found


def _is_context(node: ast.Subscript) -> bool:
    """Return whether an adapter's key for the context is read: no client can set these."""
    place, key = node.value, node.slice
    return (
        isinstance(place, ast.Attribute)
        and isinstance(key, ast.Constant)
        and (place.attr, key.value) in _CONTEXTS
    )


def _behind_last(owner: ast.expr, cut: ast.Slice) -> str:
    """Return the sign that `name[name.rfind('/') + 1:]` leaves behind it: none is in the rest."""
    start = cut.lower
    if cut.upper is not None or cut.step is not None or not isinstance(start, ast.BinOp):
        return ""
    found, one = start.left, start.right
    after = isinstance(start.op, ast.Add) and isinstance(one, ast.Constant) and one.value == 1
    if not after or not isinstance(found, ast.Call) or not isinstance(found.func, ast.Attribute):
        return ""
    if found.func.attr not in ("rfind", "rindex"):
        return ""
    same = ast.dump(found.func.value) == ast.dump(owner)
    return _sign(found) if same and len(found.args) == 1 else ""


def _last_part(node: ast.Subscript) -> str:
    """Return the sign that is not in `name.rsplit('/', 1)[-1]`."""
    made, key = node.value, node.slice
    if not isinstance(made, ast.Call) or not isinstance(made.func, ast.Attribute):
        return ""
    last = isinstance(key, ast.UnaryOp) and isinstance(key.op, ast.USub)
    one = isinstance(key, ast.UnaryOp) and getattr(key.operand, "value", None) == 1
    return _sign(made) if made.func.attr == "rsplit" and last and one else ""


def _sign(call: ast.Call) -> str:
    """Return the one sign that a method of a text is given first."""
    first = call.args[0] if call.args else None
    sign = first.value if isinstance(first, ast.Constant) else None
    return sign if isinstance(sign, str) and len(sign) == 1 else ""


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
