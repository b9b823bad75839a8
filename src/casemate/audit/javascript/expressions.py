"""Expressions: literals, names, properties, operators, templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from casemate.audit.flow import texts
from casemate.audit.flow.limits import MAX_ITEMS
from casemate.audit.flow.state import Instance, Mapping, Sequence, State, all_of, merged
from casemate.audit.flow.values import (
    ANY_BOOL,
    ANY_NUMBER,
    ANYTHING,
    Const,
    Taint,
    Taints,
    Unknown,
    Value,
    few,
    join,
    options,
    text_of,
)
from casemate.audit.javascript import (
    calls,
    conditions,
    definitions,
    members,
    patterns,
    scopes,
)
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.texts_of import escaped, number_of, string_of
from casemate.audit.javascript.values import UNDEFINED, thing_of, true_of


def _string(reader: Reader, node: Node, state: State) -> Value:
    found = string_of(node)
    return Const(found) if found is not None else ANYTHING


def template(reader: Reader, node: Node, state: State) -> Value:
    """Return a template with what is in its holes."""
    parts: list[str | Taints] = []
    for kid in node.kids:
        if kid.kind == "template_substitution":
            value = reader.evaluate(kid.kids[0] if kid.kids else None, state)
            parts += texts.parts_of(calls.as_text(reader, value, state), state)
        else:
            parts.append(escaped(kid.text) if kid.kind == "escape_sequence" else kid.text)
    return text_of(parts)


def _number(reader: Reader, node: Node, state: State) -> Value:
    return number_of(node.text)


def _name(reader: Reader, node: Node, state: State) -> Value:
    return scopes.load(reader, node.text, state)


def _this(reader: Reader, node: Node, state: State) -> Value:
    return reader.frame.this


def _regex(reader: Reader, node: Node, state: State) -> Value:
    pattern, flags = node.get("pattern"), node.get("flags")
    attributes: dict[str, Value] = {
        "=source": Const(pattern.text if pattern is not None else ""),
        "=flags": Const(flags.text if flags is not None else ""),
    }
    return reader.new(Instance(0, attributes, "RegExp()"), state)


def _member(reader: Reader, node: Node, state: State) -> Value:
    owner, name = node.get("object"), node.get("property")
    if name is None:
        return ANYTHING
    return members.get(reader, reader.evaluate(owner, state), name.text, state, node)


def _subscript(reader: Reader, node: Node, state: State) -> Value:
    value = reader.evaluate(node.get("object"), state)
    key = reader.evaluate(node.get("index"), state)
    return members.item(reader, value, key, state, node)


def _array(reader: Reader, node: Node, state: State) -> Value:
    items: list[Value] | None = []
    rest: list[Value] = []
    for kid in node.kids:
        if kid.kind != "spread_element":
            found = [reader.evaluate(kid, state)]
        else:
            value = reader.evaluate(kid.kids[0] if kid.kids else None, state)
            known, each = patterns.elements(reader, value, state, kid)
            if known is None:
                rest.append(each)
                items = None if items is None else [*items, each]
                continue
            found = known
        if items is not None:
            items += found
        rest += found
    if items is None or len(items) > MAX_ITEMS or len(rest) != len(items):
        return reader.new(Sequence(None, join(*rest) if rest else UNDEFINED), state)
    return reader.new(Sequence(tuple(items)), state)


def _object(reader: Reader, node: Node, state: State) -> Value:
    known: dict[object, Value] = {}
    rest: list[Value] = []
    keys: set[Taint] = set()
    is_open = False
    sure: set[object] = set()
    made = reader.new(Mapping({}), state)
    reader.made[made.number] = (reader.frame.file, node)
    for kid in node.kids:
        if kid.kind == "pair":
            key = _key(reader, kid.get("key"), state)
            value = reader.evaluate(kid.get("value"), state)
            if isinstance(key, Const):
                known[str(key.value)] = value
                sure.add(str(key.value))
            else:
                rest.append(value)
                keys |= state.deep(key)
                is_open = True
                sure.clear()
        elif kid.kind in ("shorthand_property_identifier", "identifier"):
            known[kid.text] = scopes.load(reader, kid.text, state)
            sure.add(kid.text)
        elif kid.kind == "method_definition":
            name = kid.get("name")
            if name is not None:
                known[name.text] = definitions.function(reader, kid, state)
        elif kid.kind == "spread_element":
            value = reader.evaluate(kid.kids[0] if kid.kids else None, state)
            sure.clear()
            for option in options(value):
                thing = thing_of(option, state)
                if isinstance(thing, Mapping):
                    known.update(thing.known)
                    rest += [thing.rest] if thing.rest is not None else []
                    is_open = is_open or thing.open
                elif option != UNDEFINED:
                    rest.append(option)
                    is_open = True
    state.things[made.number] = Mapping(
        known,
        join(*rest) if rest else None,
        few(keys),
        open=is_open,
        sure=frozenset(sure) if is_open else frozenset(),
    )
    return made


def _key(reader: Reader, node: Node | None, state: State) -> Value:
    if node is None:
        return UNDEFINED
    if node.kind == "computed_property_name":
        return reader.evaluate(node.kids[0] if node.kids else None, state)
    if node.kind in ("property_identifier", "number", "private_property_identifier"):
        return Const(node.text)
    return reader.evaluate(node, state)


def _function(reader: Reader, node: Node, state: State) -> Value:
    return definitions.function(reader, node, state)


def _class(reader: Reader, node: Node, state: State) -> Value:
    return definitions.class_(reader, node, state)


def _assignment(reader: Reader, node: Node, state: State) -> Value:
    left, right = node.get("left"), node.get("right")
    value = reader.evaluate(right, state)
    if left is not None:
        patterns.bind(reader, left, value, state, None)
        if left.kind == "identifier" and right is not None:
            found = scopes.find(left.text, reader.frame.scope, state)
            if found is not None:
                conditions.remember(left.text, found[0], right, state)
    return value


def _augmented(reader: Reader, node: Node, state: State) -> Value:
    left, right = node.get("left"), node.get("right")
    operator = node.get("operator")
    sign = operator.text if operator is not None else "".join(node.marks[:1])
    before = reader.evaluate(left, state)
    if sign in ("??=", "||=", "&&="):
        value = join(before, reader.evaluate(right, state))
    else:
        value = _operated(
            reader, sign.removesuffix("="), before, reader.evaluate(right, state), state
        )
    if left is not None:
        patterns.bind(reader, left, value, state, None)
    return value


def _binary(reader: Reader, node: Node, state: State) -> Value:
    sign = node.marks[0] if node.marks else ""
    left, right = node.get("left"), node.get("right")
    if sign in ("&&", "||", "??"):
        return _either(reader, sign, left, right, state)
    one = reader.evaluate(left, state)
    return _operated(reader, sign, one, reader.evaluate(right, state), state)


def _either(
    reader: Reader, sign: str, left: Node | None, right: Node | None, state: State
) -> Value:
    """Return `a && b`, `a || b` or `a ?? b`: b on the way on which it is read."""
    if sign == "??":
        value = reader.evaluate(left, state)
        kept = [each for each in options(value) if each != UNDEFINED]
        unsure = not kept or len(kept) < len(options(value))
        unsure = unsure or any(isinstance(each, Unknown) for each in kept)
        return join(*kept, reader.evaluate(right, state)) if unsure else value
    value = reader.evaluate(left, state)
    before = reader.left
    yes, no = conditions.decide(reader, left, state.copy())
    reader.left = max(reader.left, before - 200)
    went, stayed = (yes, no) if sign == "&&" else (no, yes)
    if went is None:
        state.become(stayed if stayed is not None else state)
        return value
    other = went.baked(reader.evaluate(right, went))
    if stayed is None:
        state.become(went)
        return other
    own = stayed.baked(value)
    both = merged([went, stayed])
    if both is not None:
        state.become(both)
    if sign == "||":
        kept = [each for each in options(own) if true_of(each, stayed) is not False]
        return join(*kept, other) if kept else other
    falsy = [each for each in options(own) if true_of(each, stayed) is False]
    return join(*falsy, other)


def _operated(reader: Reader, sign: str, left: Value, right: Value, state: State) -> Value:
    if sign == "+":
        return _added(reader, left, right, state)
    if sign in ("-", "*", "/", "%", "**", "|", "&", "^", "<<", ">>", ">>>"):
        return _computed(sign, left, right)
    known = conditions.compared(sign, left, right)
    return Const(known) if known is not None else ANY_BOOL


def _computed(sign: str, left: Value, right: Value) -> Value:
    if not (isinstance(left, Const) and isinstance(right, Const)):
        return ANY_NUMBER
    one, other = left.value, right.value
    if not (isinstance(one, (int, float)) and isinstance(other, (int, float))):
        return ANY_NUMBER
    try:
        if sign == "-":
            return Const(one - other)
        if sign == "*" and abs(one) < 1e12 and abs(other) < 1e12:
            return Const(one * other)
        if sign == "%" and other:
            return Const(one % other)
    except (ArithmeticError, ValueError):
        return ANY_NUMBER
    return ANY_NUMBER


def _is_number(value: Value) -> bool:
    return (isinstance(value, Unknown) and value.type == "int") or (
        isinstance(value, Const) and isinstance(value.value, (int, float))
    )


def _added(reader: Reader, left: Value, right: Value, state: State) -> Value:
    if _is_number(left) and _is_number(right):
        if isinstance(left, Const) and isinstance(right, Const):
            return Const(left.value + right.value)  # type: ignore[operator]
        return ANY_NUMBER
    one, other = calls.as_text(reader, left, state), calls.as_text(reader, right, state)
    return texts.concatenated(one, other, state)


def _unary(reader: Reader, node: Node, state: State) -> Value:
    sign = node.marks[0] if node.marks else ""
    value = reader.evaluate(node.get("argument"), state)
    if sign == "!":
        known = true_of(value, state)
        return ANY_BOOL if known is None else Const(not known)
    if sign in ("-", "+", "~"):
        if isinstance(value, Const) and isinstance(value.value, (int, float)):
            return Const(-value.value if sign == "-" else value.value)
        return ANY_NUMBER
    if sign == "typeof":
        return conditions.type_of(value, state)
    return UNDEFINED if sign == "void" else ANY_BOOL


def _update(reader: Reader, node: Node, state: State) -> Value:
    target = node.get("argument")
    if target is not None:
        reader.evaluate(target, state)
        patterns.bind(reader, target, ANY_NUMBER, state, None)
    return ANY_NUMBER


def _ternary(reader: Reader, node: Node, state: State) -> Value:
    yes, no = conditions.decide(reader, node.get("condition"), state.copy())
    found: list[Value] = []
    ways: list[State] = []
    for way, name in ((yes, "consequence"), (no, "alternative")):
        if way is not None:
            found.append(way.baked(reader.evaluate(node.get(name), way)))
            ways.append(way)
    both = merged(ways)
    if both is not None:
        state.become(both)
    return join(*found) if found else ANYTHING


def _last(reader: Reader, node: Node, state: State) -> Value:
    found: Value = UNDEFINED
    for kid in node.kids:
        found = reader.evaluate(kid, state)
    return found


def _awaited(reader: Reader, node: Node, state: State) -> Value:
    return reader.evaluate(node.kids[0] if node.kids else None, state)


def _yielded(reader: Reader, node: Node, state: State) -> Value:
    value = reader.evaluate(node.kids[0] if node.kids else None, state)
    if "*" in node.marks:
        value = patterns.elements(reader, value, state, node)[1]
    if len(reader.frame.yields) < MAX_ITEMS:
        reader.frame.yields.append(state.baked(value))
    return ANYTHING


def _markup(reader: Reader, node: Node, state: State) -> Value:
    """Read JSX: what is in it is escaped, but its calls are made."""
    for each in node.kids:
        reader.evaluate(each, state)
    return ANYTHING


def _spread(reader: Reader, node: Node, state: State) -> Value:
    value = reader.evaluate(node.kids[0] if node.kids else None, state)
    thing = thing_of(value, state)
    return (all_of(thing) or UNDEFINED) if isinstance(thing, Sequence) else value


EXPRESSIONS: dict[str, Callable[[Any, Node, State], Value]] = {
    "string": _string,
    "template_string": template,
    "number": _number,
    "identifier": _name,
    "shorthand_property_identifier": _name,
    "this": _this,
    "regex": _regex,
    "member_expression": _member,
    "subscript_expression": _subscript,
    "array": _array,
    "object": _object,
    "arrow_function": _function,
    "function_expression": _function,
    "function": _function,
    "generator_function": _function,
    "class": _class,
    "assignment_expression": _assignment,
    "augmented_assignment_expression": _augmented,
    "binary_expression": _binary,
    "unary_expression": _unary,
    "update_expression": _update,
    "ternary_expression": _ternary,
    "sequence_expression": _last,
    "await_expression": _awaited,
    "yield_expression": _yielded,
    "spread_element": _spread,
    "call_expression": calls.call_expression,
    "new_expression": calls.new_expression,
    "true": lambda *_: Const(True),
    "false": lambda *_: Const(False),
    "null": lambda *_: UNDEFINED,
    "undefined": lambda *_: UNDEFINED,
    "jsx_element": _markup,
    "jsx_self_closing_element": _markup,
    "jsx_expression": _last,
    "jsx_opening_element": _markup,
    "jsx_attribute": _markup,
    "object_assignment_pattern": lambda *_: ANYTHING,
}
