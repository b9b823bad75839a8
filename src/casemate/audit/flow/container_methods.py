"""Methods of lists, sets, queues and dictionaries."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

from casemate.audit.flow.containers import item, items, mapped, set_item
from casemate.audit.flow.limits import MAX_ITEMS
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import (
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
    Unknown,
    Value,
    few,
    join,
)


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
        state.things[owner.number] = _with(thing, name, first, state.baked(value or ANYTHING))
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
            mapped(thing, ANYTHING, value, state, weak=False)
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
