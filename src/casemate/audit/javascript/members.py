"""Properties: of objects, arrays, classes, modules, outside data, and what libraries make."""

from __future__ import annotations

from dataclasses import replace

from casemate.audit.flow import texts
from casemate.audit.flow.limits import MAX_ALTERNATIVES, MAX_ITEMS
from casemate.audit.flow.state import Instance, Mapping, Sequence, State, all_of
from casemate.audit.flow.values import (
    ANY_NUMBER,
    ANYTHING,
    CLEAN,
    EVERY,
    Const,
    External,
    Method,
    Ref,
    Taints,
    Text,
    Union,
    Unknown,
    Value,
    few,
    join,
    options,
    shallow,
)
from casemate.audit.javascript import carried, sources
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import (
    ALL_BUT_NAMES,
    CLASS,
    PROTOTYPE,
    REACHED,
    UNDEFINED,
    key_of,
    name_of,
    thing_of,
)

_MAX_BASES = 12
_LONGEST = 200
_NOWHERE = Node("", 1, 0)
_URL_PARTS = ("hostname", "host", "origin")
_OF_OBJECTS = frozenset(
    ("hasOwnProperty", "toString", "valueOf", "call", "apply", "bind", "isPrototypeOf", "toJSON")
)


def get(reader: Reader, value: Value, name: str, state: State, node: Node | None) -> Value:
    """Return `value.name`."""
    found = [_one(reader, option, name, state, node or _NOWHERE) for option in options(value)]
    return join(*found) if len(found) > 1 else found[0]


def _one(reader: Reader, value: Value, name: str, state: State, node: Node) -> Value:
    if isinstance(value, Ref):
        return _of_thing(reader, value, name, state, node)
    if isinstance(value, External):
        return _of_external(reader, value, name)
    if isinstance(value, Unknown):
        return _of_unknown(reader, value, name, node)
    if isinstance(value, Text) or (isinstance(value, Const) and isinstance(value.value, str)):
        if name == "length":
            return ANY_NUMBER
        return Method(value, name)
    if isinstance(value, Const) and value.value is None:
        return UNDEFINED
    if isinstance(value, Method):
        dotted = name_of(value, state)
        return Unknown(CLEAN, f"{dotted}.{name}"[:_LONGEST]) if dotted else Method(value, name)
    return Method(value, name)


def _of_external(reader: Reader, value: External, name: str) -> Value:
    if name in ("default", "promises"):
        return value
    if value.name == "process.env":
        of = reader.watcher.environment
        found = of(name) if of is not None else None
        return found if found is not None else Unknown(CLEAN, "process.env")
    return External(f"{value.name}.{name}"[:_LONGEST])


def _of_unknown(reader: Reader, value: Unknown, name: str, node: Node) -> Value:
    found = sources.of_request(reader, value, name, node)
    if found is not None:
        return found
    if value.path and value.taints:
        if name == "length":
            return ANY_NUMBER
        if name.isdigit():
            return sources.part(reader, value, "[]", node)
        return sources.part(reader, value, f".{name}", node)
    if value.type == REACHED:
        return value
    if name == "length":
        return ANY_NUMBER
    type = f"{value.type}.{name}"[:_LONGEST] if value.type and value.type[0] != "=" else ""
    return Unknown(value.taints, type)


def _of_thing(reader: Reader, value: Ref, name: str, state: State, node: Node) -> Value:
    thing = state.things.get(value.number)
    if isinstance(thing, Mapping):
        return _of_object(reader, value, thing, name, state)
    if isinstance(thing, Sequence):
        if name in ("length", "size"):
            known = thing.items is not None and thing.rest is None
            return Const(len(thing.items or ())) if known else ANY_NUMBER
        if name.isdigit():
            at = int(name) if len(name) < 6 else MAX_ITEMS
            if thing.items is not None and at < len(thing.items):
                return thing.items[at]
            return (all_of(thing) or UNDEFINED) if thing.items is None or thing.rest else UNDEFINED
        return Method(value, name)
    if isinstance(thing, Instance):
        return _of_instance(reader, value, thing, name, state)
    return ANYTHING


def _of_object(reader: Reader, value: Ref, thing: Mapping, name: str, state: State) -> Value:
    found = thing.known.get(name)
    if found is not None:
        getter = _getter(reader, found, value, state)
        own = getter if getter is not None else found
        loose = thing.rest is not None and thing.open and name not in thing.sure
        return join(own, thing.rest) if loose and thing.rest is not None else own
    if name == PROTOTYPE and thing.type == "function":
        made = reader.new(Mapping({}), state)
        state.things[value.number] = replace(thing, known={**thing.known, PROTOTYPE: made})
        return made
    inherited = _inherited(reader, value, thing, name, state)
    if inherited is not None:
        return inherited
    if thing.rest is not None:
        return join(thing.rest, ANYTHING) if thing.open else thing.rest
    if thing.type in ("map", "function") or name in _OF_OBJECTS:
        return Method(value, name)
    return ANYTHING if thing.open else UNDEFINED


def _inherited(reader: Reader, value: Ref, thing: Mapping, name: str, state: State) -> Value | None:
    """Return what a class gives to its objects, and a class to those made of it."""
    owner: Value | None = thing.known.get(CLASS)
    static = thing.type == "function"
    for _ in range(_MAX_BASES):
        if not isinstance(owner, Ref):
            break
        of = thing_of(owner, state)
        if not isinstance(of, Mapping):
            if isinstance(of, Instance):
                return Method(value, name)
            break
        held = of if static else thing_of(of.known.get(PROTOTYPE, UNDEFINED), state)
        if isinstance(held, Mapping) and name in held.known:
            found = held.known[name]
            getter = _getter(reader, found, value, state)
            return getter if getter is not None else found
        owner = of.known.get(CLASS)
    if isinstance(owner, External):  # a class of a library is extended
        return Unknown(CLEAN, f"{owner.name}().{name}"[:_LONGEST])
    return None


def _getter(reader: Reader, found: Value, value: Ref, state: State) -> Value | None:
    """Return what a getter gives; None if the property is none."""
    function = reader.functions.get(found.number) if isinstance(found, Ref) else None
    if function is None or function.node is None or "get" not in function.node.marks:
        return None
    return reader.enter(found, [], value, state, function.node)


def _of_instance(reader: Reader, value: Ref, thing: Instance, name: str, state: State) -> Value:
    found = thing.attributes.get(name)
    if found is not None:
        return found
    if thing.type == "response()" and name == "locals":
        return Unknown(CLEAN, carried.KEPT, "res.locals")
    if thing.type in ("URL()", "url.parse()", "url.URL()"):
        first = thing.attributes.get("=0", UNDEFINED)
        taints = texts.derived(shallow(first), state, name, part=True)
        return Unknown(taints, "=host" if name in _URL_PARTS else "")
    return Method(value, name)


def item(reader: Reader, value: Value, key: Value, state: State, node: Node) -> Value:
    """Return `value[key]`."""
    found = [_item(reader, option, key, state, node) for option in options(value)]
    return join(*found) if len(found) > 1 else found[0]


PARTS_OF_PATH = "=parts/"
"""The type of what `split("/")` gives."""


def is_parts(value: Value) -> bool:
    """Tell whether something is the parts of a path between its slashes."""
    return isinstance(value, Unknown) and value.type == PARTS_OF_PATH


def segment(taints: Taints) -> Value:
    """Return one part of a path: no slash is in it."""
    return Text((few(replace(t, without=t.without | {"/", "../"}) for t in taints),))


def _item(reader: Reader, value: Value, key: Value, state: State, node: Node) -> Value:
    name = key_of(key)
    if is_parts(value) and (name is None or name.isdigit()):
        return segment(shallow(value))
    if name is not None:
        return _one(reader, value, name, state, node)
    thing = thing_of(value, state)
    if isinstance(thing, Sequence):
        return all_of(thing) or UNDEFINED
    if isinstance(thing, Mapping):
        held = [v for k, v in thing.known.items() if k != CLASS]
        _many(reader, held, node)
        every = join(*held, *([thing.rest] if thing.rest is not None else []), UNDEFINED)
        chosen = frozenset(
            replace(t, safe=t.safe | ALL_BUT_NAMES)
            for t in shallow(key)
            if not {"attributes", EVERY} & state.known_of(t)[1]
        )
        if thing.open or not held:
            every = join(every, ANYTHING)
        return join(every, Unknown(chosen, REACHED)) if chosen else every
    if isinstance(value, Unknown):
        if value.path and value.taints:
            return sources.part(reader, value, "[]", node)
        return Unknown(few(value.taints), value.type)
    if isinstance(value, (Text, Const)):
        return Text((shallow(value),))
    if isinstance(value, External):
        if value.name == "process.env":
            return Unknown(CLEAN, "process.env")
        return Unknown(CLEAN, f"{value.name}.[]"[:_LONGEST])
    return ANYTHING


def functions_at(reader: Reader, value: Value, key: Value, state: State) -> list[Value]:
    """Return the functions of a table of which one is called: more than one value can have."""
    thing = thing_of(value, state)
    if key_of(key) is not None or not isinstance(thing, Mapping) or thing.rest is not None:
        return []
    held = [each for name, each in thing.known.items() if name != CLASS]
    every = all(isinstance(e, Ref) and e.number in reader.functions for e in held)
    return held if every and len(held) > 1 else []


def _many(reader: Reader, held: list[Value], node: Node) -> None:
    functions = [e for e in held if isinstance(e, Ref) and e.number in reader.functions]
    if len(functions) > MAX_ALTERNATIVES:
        what = f"one of more than {MAX_ALTERNATIVES} functions is chosen"
        reader.unresolved(node, what)
        reader.watcher.opened(reader, node, what)


def put(
    reader: Reader, owner: Value, key: Value, value: Value, state: State, node: Node | None
) -> None:
    """Do `owner[key] = value`."""
    several = options(owner)
    for option in several:
        if isinstance(option, Unknown) and option.type == REACHED and node is not None:
            free = [t for t in shallow(key) if not {"attributes", EVERY} & state.known_of(t)[1]]
            if option.taints and free:
                reader.report("attributes", "a property of a prototype", option.taints, node)
            continue
        if isinstance(option, Unknown):
            carried.put(reader, option, key_of(key), value, state)
        if isinstance(option, Ref):
            _put(option, key_of(key), key, value, state, sure=len(several) == 1)


def _put(
    owner: Ref, name: str | None, key: Value, value: Value, state: State, *, sure: bool
) -> None:
    thing = state.things.get(owner.number)
    if isinstance(thing, Mapping):
        if name is None or len(thing.known) >= MAX_ITEMS * 4:
            rest = value if thing.rest is None else join(thing.rest, value)
            keys = few(thing.keys | shallow(key))
            put = replace(thing, rest=rest, keys=keys, open=True, sure=frozenset())
            state.things[owner.number] = put
            return
        before = thing.known.get(name)
        new = value if sure or before is None else join(before, value)
        state.things[owner.number] = replace(thing, known={**thing.known, name: new})
    elif isinstance(thing, Sequence):
        if name is not None and name.isdigit() and thing.items is not None:
            at = int(name) if len(name) < 6 else MAX_ITEMS
            if at < len(thing.items):
                items = (*thing.items[:at], value, *thing.items[at + 1 :])
                state.things[owner.number] = replace(thing, items=items)
                return
        if name != "length":
            rest = value if thing.rest is None else join(thing.rest, value)
            state.things[owner.number] = replace(thing, rest=rest)
    elif isinstance(thing, Instance):
        attributes = {**thing.attributes, name: value} if name is not None else thing.attributes
        held = few(thing.held | shallow(value))
        state.things[owner.number] = replace(thing, attributes=attributes, held=held)


def keys_of(value: Value, state: State) -> tuple[list[Value] | None, Value]:
    """Return the names of an object's properties if known, and what each may be."""
    thing = thing_of(value, state)
    if isinstance(thing, Mapping):
        names: list[Value] = [Const(k) for k in thing.known if isinstance(k, str) and k[:1] != "="]
        if thing.rest is None and not thing.open:
            return names, join(*names) if names else UNDEFINED
        return None, join(Text((thing.keys,)), *names)
    taints = texts.derived(state.deep(value), state, "keys", part=True)
    return None, Unknown(taints) if not isinstance(value, Union) else Text((taints,))


def baked(value: Value, state: State, depth: int = 3) -> Value:
    """Return a value with what conditions have told of the data in it by now."""
    if not state.facts:
        return value
    for option in options(value):
        thing = thing_of(option, state)
        if isinstance(thing, Mapping) and isinstance(option, Ref) and depth:
            known = {k: baked(v, state, depth - 1) for k, v in thing.known.items()}
            if any(known[k] is not v for k, v in thing.known.items()):
                state.things[option.number] = replace(thing, known=known)
    return state.baked(value)
