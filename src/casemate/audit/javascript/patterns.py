"""What is assigned to: names, properties, and patterns that take objects and arrays apart."""

from __future__ import annotations

from casemate.audit.flow.limits import MAX_ITEMS
from casemate.audit.flow.state import Mapping, Sequence, State, all_of
from casemate.audit.flow.values import ANYTHING, Const, Unknown, Value, join, options, shallow
from casemate.audit.javascript import members, scopes, sources
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.texts_of import string_of
from casemate.audit.javascript.values import CLASS, UNDEFINED, thing_of


def bind(reader: Reader, target: Node, value: Value, state: State, scope: int | None) -> None:
    """Give a value to a target: new names in `scope`, or those that there are if it is None."""
    reader.spend()
    kind = target.kind
    if kind in ("identifier", "shorthand_property_identifier_pattern"):
        _name(reader, target.text, value, state, scope)
    elif kind in ("object_pattern", "object"):
        _object(reader, target, value, state, scope)
    elif kind in ("array_pattern", "array"):
        _array(reader, target, value, state, scope)
    elif kind in ("assignment_pattern", "object_assignment_pattern", "assignment_expression"):
        left, right = target.get("left"), target.get("right")
        if left is not None:
            bind(reader, left, _or_default(reader, value, right, state), state, scope)
    elif kind in ("required_parameter", "optional_parameter"):
        inner, default = target.get("pattern"), target.get("value")
        if inner is not None:
            bind(reader, inner, _or_default(reader, value, default, state), state, scope)
    elif kind == "rest_pattern" and target.kids:
        bind(reader, target.kids[0], value, state, scope)
    elif kind == "member_expression":
        owner, name = target.get("object"), target.get("property")
        if owner is not None and name is not None:
            held = reader.evaluate(owner, state)
            members.put(reader, held, Const(name.text), value, state, target)
    elif kind == "subscript_expression":
        owner, index = target.get("object"), target.get("index")
        held, key = reader.evaluate(owner, state), reader.evaluate(index, state)
        members.put(reader, held, key, value, state, target)


def _name(reader: Reader, name: str, value: Value, state: State, scope: int | None) -> None:
    if scope is None:
        scopes.store(reader, name, value, state)
    else:
        scopes.declare(scope, name, value, state)


def _or_default(reader: Reader, value: Value, default: Node | None, state: State) -> Value:
    """Return a value, or what stands for it where it is undefined."""
    if default is None:
        return value
    some = [each for each in options(value) if each != UNDEFINED]
    unsure = any(isinstance(each, Unknown) for each in some)
    if some and len(some) == len(options(value)) and not unsure:
        return value
    return join(*some, reader.evaluate(default, state))


def _object(reader: Reader, target: Node, value: Value, state: State, scope: int | None) -> None:
    taken: list[str] = []
    for kid in target.kids:
        key = kid.get("key")
        if kid.kind in ("pair_pattern", "pair") and key is not None:
            inner = kid.get("value")
            name = key.text if key.kind == "property_identifier" else string_of(key)
            if inner is None:
                continue
            if name is None:
                index = reader.evaluate(key.kids[0] if key.kids else key, state)
                found = members.item(reader, value, index, state, kid)
            else:
                taken.append(name)
                found = members.get(reader, value, name, state, kid)
            bind(reader, inner, found, state, scope)
        elif kid.kind in ("rest_pattern", "spread_element") and kid.kids:
            bind(reader, kid.kids[0], _without(reader, value, taken, state), state, scope)
        else:
            name = _first_name(kid)
            taken.append(name)
            bind(reader, kid, members.get(reader, value, name, state, kid), state, scope)


def _first_name(node: Node) -> str:
    while node.kind not in ("identifier", "shorthand_property_identifier_pattern"):
        left = node.get("left") or (node.kids[0] if node.kids else None)
        if left is None:
            break
        node = left
    return node.text


def _without(reader: Reader, value: Value, taken: list[str], state: State) -> Value:
    thing = thing_of(value, state)
    if not isinstance(thing, Mapping):
        return value
    known = {key: each for key, each in thing.known.items() if key not in taken}
    return reader.new(Mapping(known, thing.rest, thing.keys, thing.type, thing.open), state)


def _array(reader: Reader, target: Node, value: Value, state: State, scope: int | None) -> None:
    known, each = elements(reader, value, state, target)
    for number, kid in enumerate(target.kids):
        if kid.kind in ("rest_pattern", "spread_element") and kid.kids:
            rest = Sequence(tuple(known[number:])) if known is not None else Sequence(None, each)
            bind(reader, kid.kids[0], reader.new(rest, state), state, scope)
            return
        found = each if known is None else known[number] if number < len(known) else UNDEFINED
        bind(reader, kid, found, state, scope)


def elements(
    reader: Reader, value: Value, state: State, node: Node
) -> tuple[list[Value] | None, Value]:
    """Return the items of what is looped over one by one if known, and what each may be."""
    thing = thing_of(value, state)
    if isinstance(thing, Sequence):
        if thing.items is not None and thing.rest is None and len(thing.items) <= MAX_ITEMS:
            return list(thing.items), all_of(thing) or UNDEFINED
        return None, all_of(thing) or UNDEFINED
    if isinstance(thing, Mapping):
        return _entries(reader, thing, state)
    found: list[Value] = []
    for option in options(value):
        if isinstance(option, Unknown) and option.path and option.taints:
            found.append(sources.part(reader, option, "[]", node))
        elif thing_of(option, state) is not None:
            found.append(elements(reader, option, state, node)[1] if option != value else ANYTHING)
        elif option != UNDEFINED:
            found.append(Unknown(shallow(option)))
    return None, join(*found) if found else UNDEFINED


def _entries(reader: Reader, thing: Mapping, state: State) -> tuple[list[Value] | None, Value]:
    """Return the pairs of a `Map`."""
    pairs: list[Value] = [
        reader.new(Sequence((Const(key), each)), state)
        for key, each in thing.known.items()
        if key != CLASS
    ]
    if thing.rest is None:
        return pairs, join(*pairs) if pairs else UNDEFINED
    key = Unknown(thing.keys)
    pairs.append(reader.new(Sequence((key, thing.rest)), state))
    return None, join(*pairs)


_DECLARING = frozenset(
    ("function_declaration", "class_declaration", "generator_function_declaration",
     "abstract_class_declaration", "enum_declaration")
)  # fmt: skip


def names_of(node: Node) -> list[str]:
    """Return the names that a declaration or a pattern makes."""
    if node.kind in _DECLARING:
        name = node.get("name")
        return [name.text] if name is not None else []
    found: list[str] = []
    todo = [kid.get("name") or kid for kid in node.kids if kid.kind == "variable_declarator"] or [
        node
    ]
    while todo:
        each = todo.pop(0)
        if each.kind in ("identifier", "shorthand_property_identifier_pattern"):
            found.append(each.text)
        elif each.kind in ("pair_pattern", "pair"):
            inner = each.get("value")
            todo += [inner] if inner is not None else []
        elif each.kind in ("object_assignment_pattern", "assignment_pattern"):
            todo += each.kids[:1]
        elif each.kind in ("object_pattern", "array_pattern", "rest_pattern"):
            todo += each.kids
        elif each.kind in ("required_parameter", "optional_parameter"):
            inner = each.get("pattern")
            todo += [inner] if inner is not None else []
    return found
