"""Loops: read as often as is known, or until nothing new comes."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from casemate.audit.flow.limits import MAX_KNOWN_ROUNDS, MAX_ROUNDS
from casemate.audit.flow.ports import Reader
from casemate.audit.flow.state import Scope, State, merged, same
from casemate.audit.flow.values import (
    ANY_TEXT,
    CLEAN,
    Const,
    Text,
    Union,
    Unknown,
    Value,
    join,
    shallow,
)


def for_(reader: Reader, node: ast.For | ast.AsyncFor, state: State) -> State | None:
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
            after = reader.execute(node.orelse, after)
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
        reader.assign(node.target, value, at)
        after = reader.execute(node.body, at)
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
        reader.assign(node.target, value, inside)
        after = reader.execute(node.body, inside)
        ways = [*reader.frame.continues, *([after] if after is not None else [])]
        reader.frame.continues = []
        new = merged([at, *ways]) or at
        new = widened(at, new) if number else new
        if same(at, new):
            return new
        at = new
    return at


def while_(reader: Reader, node: ast.While, state: State) -> State | None:
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
            after = reader.execute(node.body, yes)
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
            after_all = reader.execute(node.orelse, after_all)
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
