"""Statements: blocks, conditions, loops, ways out, declarations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from casemate.audit.flow.limits import MAX_KNOWN_ROUNDS
from casemate.audit.flow.state import Scope, State, merged, same
from casemate.audit.flow.values import ANYTHING, Value
from casemate.audit.javascript import conditions, definitions, members, modules, patterns, scopes
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import NEVER, UNDEFINED, key_of

_ROUNDS = 2
_OWN_NAMES = frozenset(("lexical_declaration", "class_declaration", "function_declaration"))
_FUNCTIONS = frozenset(("function_declaration", "generator_function_declaration"))


def execute(reader: Reader, body: Sequence[Node], state: State) -> State | None:
    """Read statements one after another; None if nothing comes after them."""
    for each in body:
        declared = each
        if each.kind == "export_statement":
            declared = each.get("declaration") or each
        if declared.kind in _FUNCTIONS:
            definitions.declare_function(reader, declared, state)
    current: State | None = state
    for each in body:
        reader.spend()
        handler = _STATEMENTS.get(each.kind)
        if handler is None:
            reader.evaluate(each, state)
            continue
        current = handler(reader, each, state)
        if current is None:
            return None
        state = current
    return current


def block(reader: Reader, node: Node | None, state: State) -> State | None:
    """Read a block, with the names that are its own."""
    if node is None:
        return state
    if node.kind != "statement_block":
        return execute(reader, [node], state)
    if not any(kid.kind in _OWN_NAMES for kid in node.kids):
        return execute(reader, node.kids, state)
    return _scoped(reader, state, lambda: execute(reader, node.kids, state))


def _scoped(reader: Reader, state: State, read: Callable[[], State | None]) -> State | None:
    outer = reader.frame.scope
    reader.frame.scope = reader.new(Scope({}, outer), state).number
    try:
        return read()
    finally:
        reader.frame.scope = outer


def _expression(reader: Reader, node: Node, state: State) -> State | None:
    for kid in node.kids:
        if conditions.guarded(reader, kid, state):
            continue
        if reader.evaluate(kid, state) == NEVER:
            if reader.frame.catching:
                reader.frame.throws.append(state)
            return None
    return state


def _declaration(reader: Reader, node: Node, state: State) -> State | None:
    for each in node.kids:
        name, value = each.get("name"), each.get("value")
        if each.kind != "variable_declarator" or name is None:
            continue
        found = reader.evaluate(value, state) if value is not None else UNDEFINED
        scope = reader.frame.scope
        if "var" in node.marks and value is None:
            known = scopes.find(name.text, scope, state)
            if known is not None and known[0] == scope:
                continue
        patterns.bind(reader, name, found, state, scope)
        if name.kind == "identifier" and value is not None:
            conditions.remember(name.text, scope, value, state)
    return state


def _if(reader: Reader, node: Node, state: State) -> State | None:
    yes, no = conditions.decide(reader, node.get("condition"), state)
    after: list[State] = []
    if yes is not None:
        end = block(reader, node.get("consequence"), yes)
        after += [end] if end is not None else []
    if no is not None:
        other = node.get("alternative")
        inner = other.kids[0] if other is not None and other.kids else None
        end = block(reader, inner, no)
        after += [end] if end is not None else []
    return merged(after)


def _return(reader: Reader, node: Node, state: State) -> State | None:
    frame = reader.frame
    value = node.kids[0] if node.kids else None
    if frame.deciding is not None and value is not None:
        yes, no = conditions.decide(reader, value, state)
        frame.deciding[0].extend([yes] if yes is not None else [])
        frame.deciding[1].extend([no] if no is not None else [])
        return None
    if frame.deciding is not None:
        frame.deciding[1].append(state)
        return None
    found = reader.evaluate(value, state) if value is not None else UNDEFINED
    frame.returns.append((state, members.baked(found, state)))
    return None


def _throw(reader: Reader, node: Node, state: State) -> State | None:
    for kid in node.kids:
        reader.evaluate(kid, state)
    if reader.frame.catching:
        reader.frame.throws.append(state)
    return None


def _break(reader: Reader, node: Node, state: State) -> State | None:
    reader.frame.breaks.append(state)
    return None


def _continue(reader: Reader, node: Node, state: State) -> State | None:
    reader.frame.continues.append(state)
    return None


def _try(reader: Reader, node: Node, state: State) -> State | None:
    frame = reader.frame
    before = state.copy()
    outer, frame.throws = frame.throws, []
    frame.catching += 1
    try:
        end = block(reader, node.get("body"), state)
    finally:
        frame.catching -= 1
        thrown, frame.throws = frame.throws, outer
    after = [end] if end is not None else []
    handler = node.get("handler")
    if handler is not None:
        states = [before, *thrown, *([end.copy()] if end is not None else [])]
        caught = merged(states)
        if caught is not None:
            finished = _catch(reader, handler, caught)
            after += [finished] if finished is not None else []
    else:
        frame.throws += thrown
    last = node.get("finalizer")
    body = last.get("body") if last is not None else None
    if body is None:
        return merged(after)
    joined = merged(after)
    if joined is None:
        block(reader, body, before.copy())
        return None
    return block(reader, body, joined)


def _catch(reader: Reader, node: Node, state: State) -> State | None:
    def read() -> State | None:
        name = node.get("parameter")
        if name is not None:
            patterns.bind(reader, name, ANYTHING, state, reader.frame.scope)
        return block(reader, node.get("body"), state)

    return _scoped(reader, state, read)


def _for_in(reader: Reader, node: Node, state: State) -> State | None:
    value = reader.evaluate(node.get("right"), state)
    left = node.get("left")
    if "in" in node.marks:
        known, each = members.keys_of(value, state)
    else:
        known, each = patterns.elements(reader, value, state, node)
    rounds: list[Value] = (
        known if known is not None and len(known) <= MAX_KNOWN_ROUNDS else [each] * _ROUNDS
    )
    sure = known is not None and rounds is known
    declares = any(word in node.marks for word in ("const", "let", "var"))

    def bound(current: State, item: Value) -> None:
        if left is not None:
            patterns.bind(reader, left, item, current, reader.frame.scope if declares else None)

    return _looped(reader, node.get("body"), state, rounds, bound, sure=sure)


def _looped(
    reader: Reader,
    body: Node | None,
    state: State,
    rounds: Sequence[Value],
    bound: Callable[[State, Value], None],
    *,
    sure: bool,
) -> State | None:
    """Read the body of a loop for each item; `sure` if it runs for each of them."""
    frame = reader.frame
    outer_breaks, outer_continues = frame.breaks, frame.continues
    outer_scope = frame.scope
    frame.breaks, ends = [], []
    current: State | None = state
    try:
        for item in rounds:
            if current is None:
                break
            if not sure:
                ends.append(current.copy())
            frame.continues = []
            frame.scope = reader.new(Scope({}, outer_scope), current).number
            bound(current, item)
            current = block(reader, body, current)
            current = merged([*([current] if current is not None else []), *frame.continues])
            frame.scope = outer_scope
            if not sure and current is not None and same(current, ends[-1]):
                break
        ends += [current] if current is not None else []
        return merged([*ends, *frame.breaks])
    finally:
        frame.breaks, frame.continues, frame.scope = outer_breaks, outer_continues, outer_scope


def _while(reader: Reader, node: Node, state: State) -> State | None:
    """Read a loop whose end is not known: its body some times, its condition each time."""
    frame = reader.frame
    outer_breaks, outer_continues = frame.breaks, frame.continues
    frame.breaks, ends = [], []
    current: State | None = state
    try:
        for number in range(_ROUNDS):
            if current is None:
                break
            condition = node.get("condition")
            if condition is not None and not (node.kind == "do_statement" and number == 0):
                if condition.kind == "expression_statement" and condition.kids:
                    condition = condition.kids[0]
                current, no = conditions.decide(reader, condition, current)
                ends += [no] if no is not None else []
            if current is None:
                break
            frame.continues = []
            current = block(reader, node.get("body"), current)
            current = merged([*([current] if current is not None else []), *frame.continues])
            step = node.get("increment")
            if step is not None and current is not None:
                reader.evaluate(step, current)
        ends += [current] if current is not None else []
        return merged([*ends, *frame.breaks])
    finally:
        frame.breaks, frame.continues = outer_breaks, outer_continues


def _for(reader: Reader, node: Node, state: State) -> State | None:
    def read() -> State | None:
        first = node.get("initializer")
        current = execute(reader, [first], state) if first is not None else state
        return _while(reader, node, current) if current is not None else None

    return _scoped(reader, state, read)


def _switch(reader: Reader, node: Node, state: State) -> State | None:
    frame = reader.frame
    value = reader.evaluate(node.get("value"), state)
    body = node.get("body")
    outer, frame.breaks = frame.breaks, []
    fallen: State | None = None
    after: list[State] = []
    left: State | None = state
    try:
        for case in body.kids if body is not None else ():
            wanted = case.get("value")
            entered: State | None
            if wanted is None:
                entered = left.copy() if left is not None else None
            elif left is not None:
                entered = left.copy()
                label = reader.evaluate(wanted, entered)
                if key_of(label) is not None:
                    outcome = conditions.equal(reader, value, label, entered)
                    entered = outcome[0]
                    if outcome[1] is None:
                        left = None
            else:
                entered = None
            starts = [each for each in (entered, fallen) if each is not None]
            fallen = merged(starts)
            if fallen is not None:
                fallen = execute(reader, [kid for kid in case.kids if kid is not wanted], fallen)
        has_default = body is not None and any(c.kind == "switch_default" for c in body.kids)
        after += [fallen] if fallen is not None else []
        after += [left] if left is not None and not has_default else []
        return merged([*after, *frame.breaks])
    finally:
        frame.breaks = outer


def _labeled(reader: Reader, node: Node, state: State) -> State | None:
    return block(reader, node.get("body"), state)


def _block(reader: Reader, node: Node, state: State) -> State | None:
    return block(reader, node, state)


def _import(reader: Reader, node: Node, state: State) -> State | None:
    modules.import_statement(reader, node, state)
    return state


def _class(reader: Reader, node: Node, state: State) -> State | None:
    definitions.declare_class(reader, node, state)
    return state


def _function(reader: Reader, node: Node, state: State) -> State | None:
    return state  # made before the first statement of its block


def _enum(reader: Reader, node: Node, state: State) -> State | None:
    name = node.get("name")
    if name is not None:
        scopes.declare(reader.frame.scope, name.text, ANYTHING, state)
    return state


_Statement = Callable[[Any, Node, State], State | None]
_STATEMENTS: dict[str, _Statement] = {
    "expression_statement": _expression,
    "lexical_declaration": _declaration,
    "variable_declaration": _declaration,
    "if_statement": _if,
    "return_statement": _return,
    "throw_statement": _throw,
    "break_statement": _break,
    "continue_statement": _continue,
    "try_statement": _try,
    "for_in_statement": _for_in,
    "for_statement": _for,
    "while_statement": _while,
    "do_statement": _while,
    "switch_statement": _switch,
    "labeled_statement": _labeled,
    "statement_block": _block,
    "import_statement": _import,
    "export_statement": modules.export_statement,
    "class_declaration": _class,
    "abstract_class_declaration": _class,
    "function_declaration": _function,
    "generator_function_declaration": _function,
    "enum_declaration": _enum,
    "ERROR": _function,
}
