"""Bodies of functions of the code, read for one call of them."""

from __future__ import annotations

import ast
from dataclasses import replace

from casemate.audit.flow.calls import arguments, callee
from casemate.audit.flow.expressions import baked_value
from casemate.audit.flow.limits import MAX_CALLS, MAX_RECURSION
from casemate.audit.flow.ports import Arguments, Frame, Reader
from casemate.audit.flow.results import Step
from casemate.audit.flow.state import Mapping, Scope, Sequence, State, merged
from casemate.audit.flow.values import (
    ANYTHING,
    NONE,
    Bound,
    Func,
    Ref,
    Tup,
    Unknown,
    Value,
    few,
    join,
    options,
    shallow,
    truth,
    with_taints,
)
from casemate.audit.syntax import walk


def enter(reader: Reader, function: Func, given: Arguments, state: State, node: ast.AST) -> Value:
    """Read the body of a function with the arguments of a call."""
    ways = _run(reader, function, given, state, node)
    if ways is None:
        return Unknown(few(t for each in given.all() for t in state.deep(each)))
    if not ways:
        return Unknown(frozenset(), "never")
    after = merged([way for way, _ in ways])
    if after is not None:
        state.become(after)
    return join(*(value for _, value in ways))


def deciding(
    reader: Reader, node: ast.Call, state: State
) -> tuple[State | None, State | None] | None:
    """Read a call of the code's own function that is a condition: which returns are true."""
    if isinstance(node.func, (ast.Name, ast.Attribute)):
        scratch = state.copy()
        target = callee(reader, node, scratch)
    else:
        return None
    inner = target.function if isinstance(target, Bound) else target
    if not isinstance(inner, Func):
        return None
    given = arguments(reader, node, state)
    if isinstance(target, Bound):
        given = Arguments(
            [*target.arguments, *given.places], {**dict(target.named), **given.named}, given.rest
        )
    ways = _run(reader, inner, given, state, node)
    if ways is None:
        return state.copy(), state
    yes = [way for way, value in ways if truth(value) is not False]
    no = [way for way, value in ways if truth(value) is not True]
    return merged([way.copy() for way in yes]), merged(no)


def passed(reader: Reader, function: Func, state: State) -> None:
    """Read what runs before a route: where it answers by itself, the route is not called."""
    ways = _run(reader, function, Arguments(), state, function.node)
    kept = [way for way, value in ways or () if NONE in options(value)]
    after = merged(kept)
    if after is not None:
        state.become(after)


def _run(
    reader: Reader, function: Func, given: Arguments, state: State, node: ast.AST
) -> list[tuple[State, Value]] | None:
    """Return each state in which a function ends, with what it returns there; None if not read."""
    stack = reader.stack
    if len(stack) >= MAX_CALLS or stack.count(function.node) >= MAX_RECURSION:
        if len(stack) >= MAX_CALLS:
            reader.unresolved(node, f"calls are followed {MAX_CALLS} deep only")
        return None
    state.things.settle()
    scope = reader.new(Scope({}, function.scope), state)
    step = reader.step(node, f"given to {function.name}()")
    outer = reader.frame
    first = given.places[0] if given.places and function.owner else None
    reader.frame = Frame(
        function.module,
        reader.path_of(function.module),
        scope.number,
        function.name,
        owner=function.owner,
        first=first,
    )
    stack.append(function.node)
    at = State(state.things, state.facts, state.tests)
    try:
        _bind(reader, function, scope, given, at, step)
        ways = _body(reader, function, at)
        yields = reader.frame.yields
    finally:
        stack.pop()
        reader.frame = outer
    if not keeps_names(function.node):
        for way, _ in ways:
            way.things.forget(scope.number)
    if yields:
        made = [way for way, _ in ways]
        after = merged(made)
        if after is None:
            return []
        return [(after, reader.new(Sequence(tuple(yields), None, "generator"), after))]
    return ways


_KEEPING = frozenset((ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.Yield))


def keeps_names(node: ast.AST) -> bool:
    """Return whether functions are made in a function, which may use its names later."""
    known: bool | None = getattr(node, "_keeps_names", None)
    if known is None:
        known = any(type(each) in _KEEPING for each in walk(node)[1:])
        # Kept with the syntax itself, so that it is gone with it.
        node._keeps_names = known  # type: ignore[attr-defined]
    return known


def _body(reader: Reader, function: Func, at: State) -> list[tuple[State, Value]]:
    if isinstance(function.node, ast.Lambda):
        value = reader.evaluate(function.node.body, at)
        return [(at, baked_value(value, at))]
    after = reader.execute(function.node.body, at)
    ways = list(reader.frame.returns)
    if after is not None:
        ways.append((after, NONE))
    return ways


def _bind(
    reader: Reader, function: Func, scope: Ref, given: Arguments, state: State, step: Step
) -> None:
    """Give the parameters of a function the arguments of a call."""
    spec = function.node.args
    every = [*spec.posonlyargs, *spec.args]
    values: dict[str, Value] = {}
    named = dict(given.named)
    last = every[len(every) - len(function.defaults) :]
    defaults = dict(zip([each.arg for each in last], function.defaults, strict=False))
    for number, each in enumerate(every):
        if number < len(given.places):
            values[each.arg] = given.places[number]
        elif each.arg in named:
            values[each.arg] = named.pop(each.arg)
        elif given.rest is not None:
            values[each.arg] = given.rest
        else:
            values[each.arg] = defaults.get(each.arg, ANYTHING)
    for each, default in zip(spec.kwonlyargs, function.keyword_defaults, strict=False):
        found = named.pop(each.arg, None) or given.rest or default
        values[each.arg] = found if found is not None else ANYTHING
    if spec.vararg is not None:
        values[spec.vararg.arg] = _rest_of_places(reader, given, len(every), state)
    if spec.kwarg is not None:
        known: dict[object, Value] = {("str", name): value for name, value in named.items()}
        values[spec.kwarg.arg] = reader.new(
            Mapping(known, given.rest, open=given.rest is not None), state
        )
    for name, value in values.items():
        taints = shallow(value)
        if taints:
            baked = baked_value(value, state)
            change = {taint: taint.stepping(step) for taint in shallow(baked)}
            values[name] = with_taints(baked, change)
    inside = state.things[scope.number]
    if isinstance(inside, Scope):
        state.things[scope.number] = replace(inside, names=values)


def _rest_of_places(reader: Reader, given: Arguments, taken: int, state: State) -> Value:
    rest = tuple(given.places[taken:])
    if given.rest is None:
        return Tup(rest)
    return reader.new(Sequence(None, join(*rest, given.rest), "list"), state)
