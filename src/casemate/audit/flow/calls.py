"""Calls: what is called, with which arguments, and the body of functions of the code."""

from __future__ import annotations

import ast

from casemate.audit.flow import container_methods, formats, models, names, outside, texts
from casemate.audit.flow.limits import MAX_ITEMS
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import Class, Instance, Mapping, Sequence, State, merged
from casemate.audit.flow.values import (
    ANYTHING,
    CLEAN,
    NONE,
    Bound,
    Const,
    External,
    Func,
    Method,
    Ref,
    Text,
    Tup,
    Union,
    Unknown,
    Value,
    few,
    join,
    known_text,
    options,
    shallow,
)


def call_(reader: Reader, node: ast.Call, state: State) -> Value:
    """Read a call."""
    function = callee(reader, node, state)
    given = arguments(reader, node, state)
    return reader.call(function, given, state, node)


def callee(reader: Reader, node: ast.Call, state: State) -> Value:
    """Return what is called."""
    function = node.func
    if isinstance(function, ast.Attribute):
        inner = function.value
        if isinstance(inner, ast.Call) and getattr(inner.func, "id", "") == "super":
            return _super(reader, function.attr, state)
        receiver = reader.evaluate(inner, state)
        return join(*(_method_of(reader, each, function, state) for each in options(receiver)))
    return reader.evaluate(function, state)


def _method_of(reader: Reader, value: Value, node: ast.Attribute, state: State) -> Value:
    """Return a method, with the object that it is of where a library has made it."""
    found = reader.attribute(value, node.attr, state, node)
    thing = state.things.get(value.number) if isinstance(value, Ref) else None
    if isinstance(thing, Class) and thing.limits and node.attr in models.VALIDATING:
        return Bound(External(models.VALIDATED), (value,))
    outside_of = isinstance(thing, Instance) and isinstance(found, Unknown) and not found.path
    if outside_of or (isinstance(value, Unknown) and isinstance(found, (Unknown, Text))):
        return Method(value, node.attr)
    return found


def _super(reader: Reader, name: str, state: State) -> Value:
    frame = reader.frame
    thing = state.things.get(frame.owner)
    if not isinstance(thing, Class) or frame.first is None:
        return ANYTHING
    for base in thing.bases:
        for option in options(base):
            if not isinstance(option, Ref):
                continue
            found = names.class_attribute(reader, option.number, name, state)
            if isinstance(found, Func):
                return found if found.kind == "static" else Bound(found, (frame.first,))
    return External("builtins.super")


def arguments(reader: Reader, node: ast.Call, state: State) -> Arguments:
    """Return the arguments of a call, `*` and `**` unpacked as far as they are known."""
    out = Arguments()
    loose: list[Value] = []
    for each in node.args:
        if isinstance(each, ast.Starred):
            known, any_of = reader.items(reader.evaluate(each.value, state), state, each)
            if known is not None and len(known) <= MAX_ITEMS:
                out.places += known
            else:
                loose.append(any_of)
        else:
            out.places.append(reader.evaluate(each, state))
    for keyword in node.keywords:
        value = reader.evaluate(keyword.value, state)
        if keyword.arg is not None:
            out.named[keyword.arg] = value
            continue
        thing = state.things.get(value.number) if isinstance(value, Ref) else None
        if isinstance(thing, Mapping):
            for key, item in thing.known.items():
                if isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], str):
                    out.named[key[1]] = item
            if thing.rest is not None:
                loose.append(thing.rest)
        elif state.deep(value):
            loose.append(Unknown(state.deep(value)))
    out.rest = join(*loose) if loose else None
    return out


def call(reader: Reader, function: Value, given: Arguments, state: State, node: ast.AST) -> Value:
    """Return what a call gives."""
    reader.spend(node)
    if isinstance(function, Union):
        return _each(reader, function, given, state, node)
    if isinstance(function, Func):
        return reader.enter(function, given, state, node)
    if isinstance(function, Bound):
        merged_arguments = Arguments(
            [*function.arguments, *given.places],
            {**dict(function.named), **given.named},
            given.rest,
        )
        return call(reader, function.function, merged_arguments, state, node)
    if isinstance(function, Method):
        return _method(reader, function, given, state, node)
    if isinstance(function, External):
        return outside.call(reader, function.name, None, given, state, node)
    if isinstance(function, Ref):
        return _call_thing(reader, function, given, state, node)
    if isinstance(function, Unknown):
        if function.path and function.taints:
            return outside.asked(reader, function, given, state, node)
        return outside.call(reader, function.type, function, given, state, node)
    return ANYTHING


def _each(reader: Reader, function: Union, given: Arguments, state: State, node: ast.AST) -> Value:
    """Read a call of one of several functions: each from the same state."""
    found: list[Value] = []
    ended: list[State] = []
    for option in function.options:
        if option == NONE:
            continue
        way = state.copy()
        found.append(call(reader, option, given, way, node))
        ended.append(way)
    after = merged(ended)
    if after is not None:
        state.become(after)
    return join(*found) if found else ANYTHING


def _call_thing(
    reader: Reader, function: Ref, given: Arguments, state: State, node: ast.AST
) -> Value:
    thing = state.things.get(function.number)
    if isinstance(thing, Class):
        return instance(reader, function, thing, given, state, node)
    if isinstance(thing, Instance):
        method = reader.attribute(function, "__call__", state, node)
        if not isinstance(method, Unknown):
            return call(reader, method, given, state, node)
        return outside.call(reader, thing.type, function, given, state, node)
    return ANYTHING


def instance(
    reader: Reader, owner: Ref, thing: Class, given: Arguments, state: State, node: ast.AST
) -> Value:
    """Make an object of a class of the code."""
    kind = names.outside_base(owner.number, state)
    if kind.startswith("enum."):
        # Anything but one of its members is refused.
        return Unknown(CLEAN, kind)
    attributes: dict[str, Value] = {}
    begin = names.class_attribute(reader, owner.number, "__init__", state)
    if begin is None:
        for number, name in enumerate(thing.fields):
            value = given.get(number, name)
            if value is not None:
                attributes[name] = value
    held = few(t for each in given.all() for t in state.deep(each)) if begin is None else None
    made = reader.new(Instance(owner.number, attributes, kind, held or frozenset()), state)
    if isinstance(begin, Func):
        reader.enter(begin, Arguments([made, *given.places], given.named, given.rest), state, node)
    if kind and begin is None:
        outside.checked(reader, kind, given, state, node)
    return made


def _method(
    reader: Reader, function: Method, given: Arguments, state: State, node: ast.AST
) -> Value:
    receiver, name = function.receiver, function.name
    if isinstance(receiver, Ref):
        thing = state.things.get(receiver.number)
        found: Value | None = None
        if isinstance(thing, Sequence):
            found = container_methods.sequence_method(reader, receiver, name, given, state)
        elif isinstance(thing, Mapping):
            found = container_methods.mapping_method(reader, receiver, name, given, state, node)
        elif isinstance(thing, Instance):
            kind = thing.type or names.outside_base(thing.owner, state)
            return outside.call(reader, f"{kind}.{name}", receiver, given, state, node)
        return found if found is not None else Unknown(state.deep(receiver))
    if isinstance(receiver, Unknown):
        return outside.of_unknown(reader, receiver, name, given, state, node)
    return of_text(reader, receiver, name, given, state, node)


def of_text(
    reader: Reader, value: Value, name: str, given: Arguments, state: State, node: ast.AST
) -> Value:
    """Return what a method of a text or a tuple gives."""
    if name == "join" and given.places:
        return _joined(reader, value, given.places[0], state, node)
    if name == "format":
        pattern = known_text(value)
        if pattern is not None:

            def look(found: Value, rest: str) -> Value:
                return _field(reader, found, rest, state, node)

            return texts.formatted(pattern, given.places, given.named, look, state)
        formats.chosen(reader, value, given, state, node)
    if isinstance(value, Const):
        known = _of_known(reader, value, name, given, state)
        if known is not None:
            return known
    if isinstance(value, (Text, Const)):
        found = texts.method(value, name, given.places, state, node)
        if found is not None:
            return found
    taints = few(t for each in (value, *given.all()) for t in state.deep(each))
    return Unknown(taints)


def _of_known(
    reader: Reader, value: Const, name: str, given: Arguments, state: State
) -> Value | None:
    if not isinstance(value.value, (str, bytes)) or given.named or given.rest is not None:
        return None
    if not all(isinstance(each, Const) for each in given.places):
        return None
    plain = [each.value for each in given.places if isinstance(each, Const)]
    found = texts.call_known(value.value, name, plain)
    if isinstance(found, Tup) and name not in ("partition", "rpartition"):
        return reader.new(Sequence(found.items), state)
    return found


def _joined(reader: Reader, between: Value, value: Value, state: State, node: ast.AST) -> Value:
    known, any_of = reader.items(value, state, node)
    if known is None:
        if not shallow(between) and not state.deep(any_of):
            return Text((frozenset(),))
        return texts.all_together([any_of, between, any_of], state)
    out: list[Value] = []
    for number, each in enumerate(known):
        out += [between, each] if number else [each]
    return texts.all_together(out, state)


def _field(reader: Reader, value: Value, rest: str, state: State, node: ast.AST) -> Value:
    """Follow `[key]` and `.name` of a field of a format."""
    while rest:
        if rest.startswith("["):
            key, _, rest = rest[1:].partition("]")
            index: Value = Const(int(key)) if key.isdigit() and len(key) < 6 else Const(key)
            value = reader.item(value, index, state, node)
        else:
            name, rest = rest.removeprefix("."), ""
            for number, sign in enumerate(name):
                if sign in ".[":
                    name, rest = name[:number], name[number:]
                    break
            if not name:
                break
            value = reader.attribute(value, name, state, node)
    return value


# -- functions of the code -------------------------------------------------------------------------
