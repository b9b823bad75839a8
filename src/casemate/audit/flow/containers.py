"""Items of containers: read, set, looped over, and the methods of lists and dictionaries."""

from __future__ import annotations

import ast
from dataclasses import replace

from casemate.audit.flow import names, texts
from casemate.audit.flow.library import sources
from casemate.audit.flow.limits import MAX_ITEMS
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import (
    Instance,
    Mapping,
    Sequence,
    State,
    all_of,
    known_key,
)
from casemate.audit.flow.values import (
    ANY_TEXT,
    ANYTHING,
    Const,
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


def _at(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def item(reader: Reader, value: Value, key: Value, state: State, node: ast.AST) -> Value:
    """Return `value[key]`."""
    return join(*(_item(reader, option, key, state, node) for option in options(value)))


def _item(reader: Reader, value: Value, key: Value, state: State, node: ast.AST) -> Value:
    if isinstance(key, Union):
        return join(*(_item(reader, value, each, state, node) for each in key.options))
    number = key.value if isinstance(key, Const) and isinstance(key.value, int) else None
    if isinstance(value, Unknown):
        kept = names.kept_item(value, known, state) if (known := known_text(key)) else None
        return part(reader, value, key, state, node) if kept is None else kept
    if isinstance(value, Tup):
        if number is not None and -len(value.items) <= number < len(value.items):
            return value.items[number]
        return join(*value.items) if value.items else ANYTHING
    if isinstance(value, Const) and isinstance(value.value, (str, bytes)):
        if number is not None and -len(value.value) <= number < len(value.value):
            return Const(value.value[number])
        return ANY_TEXT
    if isinstance(value, Text):
        return Text((texts.derived(shallow(value), state, ("item", *_at(node)), part=True),))
    if isinstance(value, Ref):
        return _item_of_thing(reader, value, key, number, state, node)
    return ANYTHING


def _item_of_thing(
    reader: Reader, value: Ref, key: Value, number: int | None, state: State, node: ast.AST
) -> Value:
    thing = state.things.get(value.number)
    if isinstance(thing, Sequence):
        if thing.items is not None and thing.rest is None and number is not None:
            if -len(thing.items) <= number < len(thing.items):
                return thing.items[number]
            return ANYTHING
        found = all_of(thing)
        return found if found is not None else ANYTHING
    if isinstance(thing, Mapping):
        name = known_key(key)
        if name is not None and name in thing.known:
            known = thing.known[name]
            return join(known, thing.rest) if thing.rest is not None else known
        if name is not None and thing.rest is not None:
            return thing.rest
        values = [] if name is not None else list(thing.known.values())
        values += [] if thing.rest is None else [thing.rest]
        return join(*values) if values else ANYTHING
    if isinstance(thing, Instance):
        method = reader.attribute(value, "__getitem__", state, node)
        if not isinstance(method, Unknown):
            return reader.call(method, Arguments([key]), state, node)
        return Unknown(thing.held, f"{thing.type}[]" if thing.type else "")
    return ANYTHING


def part(reader: Reader, value: Unknown, key: Value, state: State, node: ast.AST) -> Value:
    """Return a part of what is not known: of outside data, a part of its own."""
    name = ""
    if isinstance(key, Const):
        name = "[]" if isinstance(key.value, int) else f"[{str(key.value)[:60]!r}]"
    if value.path and name:
        return sources.narrowed(reader, value, name, node)
    if value.type == "split" or not value.type:
        taints = texts.derived(value.taints, state, ("part", name, *_at(node)), part=True)
        return Text(((taints),)) if value.type == "split" else Unknown(taints)
    return Unknown(value.taints, f"{value.type}[]"[:200])


def set_item(
    reader: Reader, owner: Value, key: Value, value: Value, state: State, node: ast.AST
) -> None:
    """Set `owner[key] = value`, with what is known of the value now."""
    value = state.baked(value)
    several = isinstance(owner, Union)
    for option in options(owner):
        if isinstance(option, Unknown) and (known := known_text(key)):
            names.keep_item(option, known, value, state)
        if not isinstance(option, Ref):
            continue
        thing = state.things.get(option.number)
        if isinstance(thing, Mapping):
            state.things[option.number] = mapped(thing, key, value, state, weak=several)
        elif isinstance(thing, Sequence):
            state.things[option.number] = _placed(thing, key, value, weak=several)
        elif isinstance(thing, Instance):
            method = reader.attribute(option, "__setitem__", state, node)
            if not isinstance(method, Unknown):
                reader.call(method, Arguments([key, value]), state, node)
            else:
                taints = few(thing.held | state.deep(value))
                state.things[option.number] = replace(thing, held=taints)


def mapped(thing: Mapping, key: Value, value: Value, state: State, *, weak: bool) -> Mapping:
    name = known_key(key)
    if name is None or (name not in thing.known and len(thing.known) >= MAX_ITEMS):
        rest = value if thing.rest is None else join(thing.rest, value)
        return replace(thing, rest=rest, keys=few(thing.keys | state.deep(key)), open=True)
    before = thing.known.get(name)
    new = join(before, value) if weak and before is not None else value
    return replace(thing, known={**thing.known, name: new})


def _placed(thing: Sequence, key: Value, value: Value, *, weak: bool) -> Sequence:
    number = key.value if isinstance(key, Const) and isinstance(key.value, int) else None
    if thing.items is None or number is None or weak:
        rest = value if thing.rest is None else join(thing.rest, value)
        return replace(thing, rest=rest)
    if not -len(thing.items) <= number < len(thing.items):
        return thing
    changed = list(thing.items)
    changed[number] = value
    return replace(thing, items=tuple(changed))


def items(
    reader: Reader, value: Value, state: State, node: ast.AST
) -> tuple[list[Value] | None, Value]:
    """Return what is looped over: one by one if that is known, and what each may be."""
    if isinstance(value, Union):
        each = [items(reader, option, state, node)[1] for option in value.options]
        return None, join(*each)
    if isinstance(value, Tup):
        return list(value.items), join(*value.items) if value.items else ANYTHING
    if isinstance(value, Const) and isinstance(value.value, str):
        if len(value.value) <= MAX_ITEMS:
            return [Const(sign) for sign in value.value], ANY_TEXT
        return None, ANY_TEXT
    if isinstance(value, Text):
        inner = texts.derived(shallow(value), state, ("each", *_at(node)), part=True)
        return None, Text((inner,))
    if isinstance(value, Unknown):
        return None, _each_of(reader, value, state, node)
    if isinstance(value, Ref):
        return _items_of_thing(reader, value, state, node)
    return None, ANYTHING


def _each_of(reader: Reader, value: Unknown, state: State, node: ast.AST) -> Value:
    if value.path:
        return sources.narrowed(reader, value, "[]", node)
    taints = texts.derived(value.taints, state, ("each", *_at(node)), part=True)
    if value.type == "split":
        return Text((taints,))
    if value.type == "pairs":
        return Tup((Text((taints,)), Unknown(taints)))
    return Unknown(taints, "int" if value.type == "range" else "")


def _items_of_thing(
    reader: Reader, value: Ref, state: State, node: ast.AST
) -> tuple[list[Value] | None, Value]:
    thing = state.things.get(value.number)
    if isinstance(thing, Sequence):
        found = all_of(thing)
        known = thing.items if thing.rest is None and thing.kind != "set" else None
        return list(known) if known is not None else None, ANYTHING if found is None else found
    if isinstance(thing, Mapping):
        keys = [Const(k[1]) for k in thing.known if isinstance(k, tuple) and len(k) == 2]
        if thing.open or thing.rest is not None:
            return None, join(*keys, Text((thing.keys,)))
        return list(keys), join(*keys) if keys else ANYTHING
    if isinstance(thing, Instance):
        method = reader.attribute(value, "__iter__", state, node)
        if not isinstance(method, Unknown):
            inner = reader.call(method, Arguments(), state, node)
            if inner != value:
                return items(reader, inner, state, node)
            again = reader.attribute(value, "__next__", state, node)
            return None, reader.call(again, Arguments(), state, node)
        return None, Unknown(thing.held)
    return None, ANYTHING


# -- methods ---------------------------------------------------------------------------------------
