"""Functions of the language over objects, arrays, maps and promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from casemate.audit.flow.state import Mapping, Sequence, State
from casemate.audit.flow.values import ANYTHING, Const, External, Ref, Value, join, options
from casemate.audit.javascript import calls, members, patterns
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import CLASS, UNDEFINED, Function, thing_of


def keys(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    known, each = members.keys_of(given[0] if given else UNDEFINED, state)
    made_ = Sequence(tuple(known)) if known is not None else Sequence(None, each)
    return reader.new(made_, state)


def values(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    value = given[0] if given else UNDEFINED
    thing = thing_of(value, state)
    if isinstance(thing, Mapping):
        held = [v for k, v in thing.known.items() if k != CLASS]
        if thing.rest is None:
            return reader.new(Sequence(tuple(held)), state)
        return reader.new(Sequence(None, join(*held, thing.rest)), state)
    return reader.new(Sequence(None, patterns.elements(reader, value, state, node)[1]), state)


def entries(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    value = given[0] if given else UNDEFINED
    thing = thing_of(value, state)
    pairs: list[Value] = []
    if isinstance(thing, Mapping):
        for key, each in thing.known.items():
            if key != CLASS:
                pairs.append(reader.new(Sequence((Const(key), each)), state))
        if thing.rest is None:
            return reader.new(Sequence(tuple(pairs)), state)
    _, key_ = members.keys_of(value, state)
    _, each_ = patterns.elements(reader, value, state, node)
    held = thing.rest if isinstance(thing, Mapping) and thing.rest is not None else each_
    pairs.append(reader.new(Sequence((key_, held)), state))
    return reader.new(Sequence(None, join(*pairs)), state)


def assign(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    target = given[0] if given else UNDEFINED
    thing = thing_of(target, state)
    if not isinstance(thing, Mapping) or not isinstance(target, Ref):
        return join(*given) if given else UNDEFINED
    known, rest = dict(thing.known), [thing.rest] if thing.rest is not None else []
    is_open = thing.open
    for each in given[1:]:
        for option in options(each):
            other = thing_of(option, state)
            if isinstance(other, Mapping):
                known.update({k: v for k, v in other.known.items() if k != CLASS})
                rest += [other.rest] if other.rest is not None else []
                is_open = is_open or other.open
            elif option != UNDEFINED:
                rest.append(option)
                is_open = True
    state.things[target.number] = replace(
        thing, known=known, rest=join(*rest) if rest else None, open=is_open, sure=frozenset()
    )
    return target


def all_of_them(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    known, each = patterns.elements(reader, given[0] if given else UNDEFINED, state, node)
    made_ = Sequence(tuple(known)) if known is not None else Sequence(None, each)
    return reader.new(made_, state)


def any_of_them(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    return patterns.elements(reader, given[0] if given else UNDEFINED, state, node)[1]


def array_from(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    made_ = all_of_them(reader, given, state, node)
    if len(given) > 1 and isinstance(made_, Ref):
        return calls.call_method(reader, made_, "map", [given[1]], state, node)
    return made_


def array_of(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    return reader.new(Sequence(tuple(given)), state)


def define(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    """Read `Object.defineProperty(target, name, {value, get})`, by which bundlers export.

    What a getter gives is asked at once; where that is not there yet, the getter itself is kept.
    """
    target, name, how = (*given, UNDEFINED, UNDEFINED, UNDEFINED)[:3]
    thing, said = thing_of(target, state), thing_of(how, state)
    if not isinstance(target, Ref) or not isinstance(thing, Mapping):
        return target
    held: Value = ANYTHING
    if isinstance(said, Mapping):
        held = said.known.get("value", said.known.get("get", ANYTHING))
        if "get" in said.known and calls.is_function(reader, held):
            now = calls.call(reader, held, [], target, state, node)
            held = now if all(_is_there(each) for each in options(now)) else held
    thing = thing_of(target, state)
    if not isinstance(thing, Mapping):
        return target
    if isinstance(name, Const):
        kept = replace(thing, known={**thing.known, str(name.value): held})
    else:
        rest = held if thing.rest is None else join(thing.rest, held)
        kept = replace(thing, rest=rest, open=True, sure=frozenset())
    state.things[target.number] = kept
    return target


def _is_there(value: Value) -> bool:
    """Return whether something is known; a name alone is of a variable that is set later."""
    if isinstance(value, External):
        return "." in value.name
    return value not in (UNDEFINED, ANYTHING)


def create(reader: Reader, given: list[Value], state: State, node: Node) -> Value:
    return reader.new(Mapping({}), state)


def map_of(reader: Reader, first: Value, state: State, node: Node) -> Value:
    known: dict[object, Value] = {}
    rest: list[Value] = []
    pairs, each = patterns.elements(reader, first, state, node)
    for pair in pairs if pairs is not None else [each]:
        parts, _ = patterns.elements(reader, pair, state, node)
        if parts is not None and len(parts) == 2 and isinstance(parts[0], Const):
            known[str(parts[0].value)] = parts[1]
        elif parts is not None and len(parts) == 2:
            rest.append(parts[1])
        elif pair != UNDEFINED:
            rest.append(pair)
    made_ = Mapping(known, join(*rest) if rest else None, type="map", open=bool(rest))
    return reader.new(made_, state)


def promise(reader: Reader, first: Value, state: State, node: Node) -> Value:
    """Read `new Promise((resolve, reject) => ...)`: it is what it is resolved with."""
    found: list[Value] = []

    def resolve(_: Any, given: list[Value], way: State, __: Node) -> Value:
        found.append(way.baked(given[0]) if given else UNDEFINED)
        return UNDEFINED

    made_ = reader.function(Function(None, reader.frame.file, 0, native=resolve), state)
    reject = External("reject")
    if calls.is_function(reader, first):
        calls.call(reader, first, [made_, reject], UNDEFINED, state, node)
    return join(*found) if found else ANYTHING
