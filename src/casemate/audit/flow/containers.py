"""Items of containers: read, set, looped over, and the methods of lists and dictionaries."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from casemate.audit.flow import texts
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
    together,
)
from casemate.audit.flow.values import (
    ANY_NUMBER,
    ANY_TEXT,
    ANYTHING,
    CLEAN,
    NONE,
    Const,
    Ref,
    Text,
    Tup,
    Union,
    Unknown,
    Value,
    few,
    join,
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
        return part(reader, value, key, state, node)
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
    """Set `owner[key] = value`."""
    several = isinstance(owner, Union)
    for option in options(owner):
        if not isinstance(option, Ref):
            continue
        thing = state.things.get(option.number)
        if isinstance(thing, Mapping):
            state.things[option.number] = _mapped(thing, key, value, state, weak=several)
        elif isinstance(thing, Sequence):
            state.things[option.number] = _placed(thing, key, value, weak=several)
        elif isinstance(thing, Instance):
            method = reader.attribute(option, "__setitem__", state, node)
            if not isinstance(method, Unknown):
                reader.call(method, Arguments([key, value]), state, node)
            else:
                taints = few(thing.held | state.deep(value))
                state.things[option.number] = replace(thing, held=taints)


def _mapped(thing: Mapping, key: Value, value: Value, state: State, *, weak: bool) -> Mapping:
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


def sequence_method(
    reader: Reader, owner: Ref, name: str, given: Arguments, state: State
) -> Value | None:
    """Return what a method of a list, a set or a queue gives; None if it has no such."""
    thing = state.things[owner.number]
    if not isinstance(thing, Sequence):
        return None
    first = given.get(0)
    if name in ("append", "add", "put", "put_nowait", "appendleft", "insert", "push"):
        value = given.get(1) if name == "insert" else first
        state.things[owner.number] = _with(thing, name, first, value or ANYTHING)
        return NONE
    if name in ("extend", "update", "extendleft", "union", "__add__"):
        return _extended(reader, owner, thing, given, state, name)
    if name in ("pop", "popleft", "get", "get_nowait", "popitem"):
        return _popped(owner, thing, name, first, state)
    if name in ("clear",):
        state.things[owner.number] = Sequence((), None, thing.kind)
        return NONE
    if name in ("remove", "discard", "sort", "reverse"):
        if name == "reverse" and thing.items is not None and thing.rest is None:
            state.things[owner.number] = replace(thing, items=thing.items[::-1])
        else:
            state.things[owner.number] = together(thing)
        return NONE
    if name in ("copy", "intersection", "difference"):
        return reader.new(thing, state)
    if name in ("index", "count", "qsize", "__len__"):
        return ANY_NUMBER
    return None


def _with(thing: Sequence, name: str, place: Value | None, value: Value) -> Sequence:
    if thing.items is None or thing.rest is not None or len(thing.items) >= MAX_ITEMS:
        return Sequence(None, join(value, *([each] if (each := all_of(thing)) else [])), thing.kind)
    if name == "insert":
        number = place.value if isinstance(place, Const) else None
        if not isinstance(number, int):
            return Sequence(None, join(value, *thing.items), thing.kind)
        changed = list(thing.items)
        changed.insert(number, value)
        return replace(thing, items=tuple(changed))
    if name == "appendleft":
        return replace(thing, items=(value, *thing.items))
    return replace(thing, items=(*thing.items, value))


def _extended(
    reader: Reader, owner: Ref, thing: Sequence, given: Arguments, state: State, name: str
) -> Value:
    result = thing
    for each in given.all():
        known, any_of = items(reader, each, state, ast.Pass())
        exact = known is not None and result.items is not None and result.rest is None
        if exact and len(result.items or ()) + len(known or ()) <= MAX_ITEMS:
            result = replace(result, items=(*(result.items or ()), *(known or ())))
        else:
            more = any_of if known is None else join(*known) if known else None
            values = [v for v in (all_of(result), more) if v is not None]
            result = Sequence(None, join(*values) if values else None, thing.kind)
    if name in ("union", "__add__"):
        return reader.new(result, state)
    state.things[owner.number] = result
    return NONE


def _popped(owner: Ref, thing: Sequence, name: str, place: Value | None, state: State) -> Value:
    found = all_of(thing)
    if thing.items and thing.rest is None and thing.kind != "set":
        number: Any = -1 if name in ("pop",) else 0
        if name == "pop" and place is not None:
            number = place.value if isinstance(place, Const) else None
        if isinstance(number, int) and -len(thing.items) <= number < len(thing.items):
            left = list(thing.items)
            value = left.pop(number)
            state.things[owner.number] = replace(thing, items=tuple(left))
            return value
    state.things[owner.number] = together(thing)
    return found if found is not None else ANYTHING


def mapping_method(
    reader: Reader, owner: Ref, name: str, given: Arguments, state: State, node: ast.AST
) -> Value | None:
    """Return what a method of a dictionary gives; None if it has no such."""
    thing = state.things[owner.number]
    if not isinstance(thing, Mapping):
        return None
    if "ConfigParser" in thing.type:
        return _configured(owner, thing, name, given, state)
    key = given.get(0)
    if name in ("get", "pop", "setdefault", "__getitem__", "getlist", "get_all"):
        return _got(reader, owner, thing, name, key or NONE, given.get(1, "default"), state, node)
    if name in ("items", "iteritems"):
        known = [
            Tup((Const(k[1]), v))
            for k, v in thing.known.items()
            if isinstance(k, tuple) and len(k) == 2
        ]
        if thing.rest is None and not thing.keys:
            return reader.new(Sequence(tuple(known)), state)
        pair = Tup((Text((thing.keys,)), thing.rest if thing.rest is not None else ANYTHING))
        return reader.new(Sequence(None, join(*known, pair)), state)
    if name == "values":
        values = list(thing.known.values())
        return reader.new(Sequence(tuple(values)[:MAX_ITEMS], thing.rest), state)
    if name == "keys":
        known_keys, any_of = items(reader, owner, state, node)
        if known_keys is not None:
            return reader.new(Sequence(tuple(known_keys)), state)
        return reader.new(Sequence(None, any_of), state)
    if name == "update":
        _update(reader, owner, given, state, node)
        return NONE
    if name == "copy":
        return reader.new(thing, state)
    if name == "clear":
        state.things[owner.number] = Mapping({}, type=thing.type)
        return NONE
    return None


def _got(
    reader: Reader,
    owner: Ref,
    thing: Mapping,
    name: str,
    key: Value,
    default: Value | None,
    state: State,
    node: ast.AST,
) -> Value:
    place = known_key(key)
    sure = place is not None and place in thing.known and not thing.open
    missing = place is not None and place not in thing.known and thing.rest is None
    if missing and not thing.open:
        if name == "setdefault" and default is not None:
            set_item(reader, owner, key, default, state, node)
        return default if default is not None else NONE
    value = item(reader, owner, key, state, node)
    if name == "pop" and sure:
        left = {each: v for each, v in thing.known.items() if each != place}
        state.things[owner.number] = replace(thing, known=left)
    if sure:
        return value
    return join(value, default if default is not None else NONE)


def _update(reader: Reader, owner: Ref, given: Arguments, state: State, node: ast.AST) -> None:
    for each in given.places:
        thing = state.things.get(each.number) if isinstance(each, Ref) else None
        mine = state.things[owner.number]
        if isinstance(thing, Mapping) and isinstance(mine, Mapping):
            rest = [v for v in (mine.rest, thing.rest) if v is not None]
            state.things[owner.number] = replace(
                mine,
                known={**mine.known, **thing.known},
                rest=join(*rest) if rest else None,
                keys=few(mine.keys | thing.keys),
                open=mine.open or thing.open,
            )
        else:
            set_item(
                reader, owner, Unknown(state.deep(each)), Unknown(state.deep(each)), state, node
            )
    for name, value in given.named.items():
        set_item(reader, owner, Const(name), value, state, node)


def _configured(
    owner: Ref, thing: Mapping, name: str, given: Arguments, state: State
) -> Value | None:
    """Return what a method of a `ConfigParser` gives: it keeps values by section and name."""
    section, key = given.get(0, "section"), given.get(1, "option")
    place = known_key(Tup((section or NONE, key or NONE)))
    if name == "set":
        value = given.get(2, "value") or ANYTHING
        state.things[owner.number] = (
            _mapped(thing, ANYTHING, value, state, weak=False)
            if place is None
            else replace(thing, known={**thing.known, place: value})
        )
        return NONE
    if name == "get":
        if place is not None and place in thing.known:
            return thing.known[place]
        values = [] if place is not None else list(thing.known.values())
        values += [thing.rest] if thing.rest is not None else []
        fallback = given.named.get("fallback")
        values += [fallback] if fallback is not None else []
        if thing.open or not values:
            values.append(ANY_TEXT)
        return join(*values)
    if name in ("getint", "getfloat", "getboolean"):
        return ANY_NUMBER
    if name in ("read", "read_file"):
        state.things[owner.number] = replace(thing, open=True)
        return ANYTHING
    if name in ("read_string", "read_dict"):
        taints = state.deep(given.get(0) or NONE)
        state.things[owner.number] = replace(thing, open=True, rest=Text((taints,)))
        return NONE
    return ANYTHING if name not in ("items", "sections", "options") else Unknown(CLEAN)
