"""Comprehensions and generator expressions: loops whose result is a container."""

from __future__ import annotations

import ast
from dataclasses import replace

from casemate.audit.flow.expressions import baked_value
from casemate.audit.flow.limits import MAX_ITEMS
from casemate.audit.flow.ports import Reader
from casemate.audit.flow.state import Mapping, Scope, Sequence, State, merged
from casemate.audit.flow.values import ANYTHING, Value, join, options, shallow

_MAX_ROUNDS = 24
Loop = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


def comprehension(reader: Reader, node: Loop, state: State) -> Value:
    """Return what a comprehension makes."""
    frame = reader.frame
    outer = frame.scope
    frame.scope = reader.new(Scope({}, outer), state).number
    rows: list[tuple[Value, ...]] = []
    try:
        exact = _loop(reader, node, list(node.generators), state, rows)
    finally:
        frame.scope = outer
    if isinstance(node, ast.DictComp):
        return _dictionary(reader, rows, state, exact=exact)
    values = [row[0] for row in rows]
    if exact and len(values) <= MAX_ITEMS:
        kind = "set" if isinstance(node, ast.SetComp) else "list"
        return reader.new(Sequence(tuple(values), None, kind), state)
    return reader.new(Sequence(None, join(*values) if values else ANYTHING), state)


def _loop(
    reader: Reader,
    node: Loop,
    loops: list[ast.comprehension],
    state: State,
    rows: list[tuple[Value, ...]],
) -> bool:
    """Add the rows that the loops give; return whether they are all that there are, in order."""
    if not loops:
        parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        rows.append(tuple(baked_value(reader.evaluate(each, state), state) for each in parts))
        return True
    loop = loops[0]
    known, any_of = reader.items(reader.evaluate(loop.iter, state), state, loop.iter)
    few = known is not None and len(known) <= _MAX_ROUNDS
    exact = few
    for value in known if known is not None and few else [any_of]:
        way: State | None = state.copy()
        if way is None:
            break
        for taint in shallow(value):
            way.facts.pop(taint.forms[0], None)
        reader.assign(loop.target, value, way)
        for test in loop.ifs:
            if way is None:
                break
            yes, no = reader.decide(test, way)
            exact = exact and (yes is None or no is None)
            way = yes
        if way is None:
            continue
        exact = _loop(reader, node, loops[1:], way, rows) and exact
        after = merged([state, way])
        if after is not None:
            # What was checked of one item is not known of what comes after the loop.
            state.become(State(after.things, state.facts, state.tests))
    return exact


def _dictionary(
    reader: Reader, rows: list[tuple[Value, ...]], state: State, *, exact: bool
) -> Value:
    made = reader.new(Mapping({}), state)
    for key, value in rows:
        for option in options(key):
            reader.set_item(made, option, value, state, ast.Pass())
    thing = state.things.get(made.number)
    if isinstance(thing, Mapping) and not exact:
        state.things[made.number] = replace(thing, open=True)
    return made
