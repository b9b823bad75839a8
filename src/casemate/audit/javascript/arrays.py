"""Methods of arrays and sets, those of the code and those in outside data."""

from __future__ import annotations

from dataclasses import replace

from casemate.audit.flow.limits import MAX_ITEMS, MAX_KNOWN_ROUNDS
from casemate.audit.flow.state import Sequence, State, all_of, merged
from casemate.audit.flow.values import (
    ANY_BOOL,
    ANY_NUMBER,
    Const,
    Ref,
    Unknown,
    Value,
    join,
    known_text,
    shallow,
)
from casemate.audit.javascript import calls, patterns
from casemate.audit.javascript.reader import Reader
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import UNDEFINED

WITH_FUNCTIONS = frozenset(
    (
        *("map", "forEach", "filter", "find", "some", "every", "reduce", "flatMap", "findIndex"),
        *("findLast", "reduceRight", "sort"),
    )
)
_ADDING = frozenset(("push", "unshift", "add"))
_COPIES = frozenset(
    ("slice", "reverse", "flat", "toSorted", "toReversed", "sort", "values", "splice", "entries")
)


def method(
    reader: Reader, receiver: Value, thing: Sequence, name: str, given: list[Value], state: State,
    node: Node,
) -> Value | None:  # fmt: skip
    """Return what a method of an array gives; None if it is not known."""
    first = given[0] if given else UNDEFINED
    if name in _ADDING and isinstance(receiver, Ref):
        return _added(receiver, thing, name, given, state)
    if name in WITH_FUNCTIONS and calls.is_function(reader, first):
        return _with_function(reader, receiver, name, given, state, node)
    if name in WITH_FUNCTIONS - {"sort"} and given:
        _, each = patterns.elements(reader, receiver, state, node)
        result = calls.call(reader, first, [each], UNDEFINED, state, node)
        if name == "map":
            return reader.new(Sequence(None, result), state)
        return receiver if name == "filter" else result
    if name == "join":
        separator = "," if not given else known_text(first)
        return calls.joined(reader, thing, separator if separator is not None else " ", state)
    if name == "toString":
        return calls.joined(reader, thing, ",", state)
    if name in ("pop", "shift", "at", "get"):
        return all_of(thing) or UNDEFINED
    if name in _COPIES:
        known_copy = name in ("slice", "sort", "toSorted", "values") and not given
        items = thing.items if known_copy else None
        return reader.new(Sequence(items, all_of(thing) if items is None else thing.rest), state)
    if name == "concat":
        return _concatenated(reader, thing, given, state, node)
    if name in ("includes", "has", "delete"):
        return ANY_BOOL
    if name in ("indexOf", "lastIndexOf", "findIndex"):
        return ANY_NUMBER
    if name == "fill":
        return reader.new(Sequence(None, first), state)
    if name in ("keys",):
        return reader.new(Sequence(None, ANY_NUMBER), state)
    return None


def _added(receiver: Ref, thing: Sequence, name: str, given: list[Value], state: State) -> Value:
    if (
        thing.items is not None
        and thing.rest is None
        and len(thing.items) + len(given) <= MAX_ITEMS
    ):
        items = (*thing.items, *given) if name != "unshift" else (*given, *thing.items)
        state.things[receiver.number] = replace(thing, items=items)
    else:
        every = [v for v in (all_of(thing), *given) if v is not None]
        state.things[receiver.number] = Sequence(None, join(*every) if every else None, thing.kind)
    return receiver if name == "add" else ANY_NUMBER


def _concatenated(
    reader: Reader, thing: Sequence, given: list[Value], state: State, node: Node
) -> Value:
    every = [all_of(thing)]
    for each in given:
        every.append(patterns.elements(reader, each, state, node)[1])
    found = [each for each in every if each is not None and each != UNDEFINED]
    return reader.new(Sequence(None, join(*found) if found else None), state)


def _with_function(
    reader: Reader, receiver: Value, name: str, given: list[Value], state: State, node: Node
) -> Value:
    """Read `list.map(f)` and the like: `f` for each item that is known, or once for any."""
    known, each = patterns.elements(reader, receiver, state, node)
    function = given[0]
    if name in ("reduce", "reduceRight"):
        return _reduced(reader, known, each, given, state, node)
    if name == "sort":
        calls.given_back(reader, function, [each, each], state, node)
        return receiver
    rounds = known if known is not None and len(known) <= MAX_KNOWN_ROUNDS else [each]
    sure = rounds is known
    results: list[Value] = []
    kept: list[Value] = []
    for number, item in enumerate(rounds):
        given_ = [item, Const(number) if sure else ANY_NUMBER, receiver]
        if name == "filter":
            passed = _passing(reader, function, given_, state, node)
            kept += [passed] if passed is not None else []
            continue
        if sure:
            results.append(calls.call(reader, function, given_, UNDEFINED, state, node))
        else:
            results.append(calls.given_back(reader, function, given_, state, node))
    if name == "filter":
        return reader.new(Sequence(None, join(*kept) if kept else UNDEFINED), state)
    if name in ("map", "flatMap"):
        if sure and name == "map":
            return reader.new(Sequence(tuple(results)), state)
        inner = results
        if name == "flatMap":
            inner = [patterns.elements(reader, r, state, node)[1] for r in results]
        return reader.new(Sequence(None, join(*inner) if inner else None), state)
    if name in ("find", "findLast"):
        return join(each, UNDEFINED)
    if name in ("some", "every"):
        return ANY_BOOL
    return ANY_NUMBER if name == "findIndex" else UNDEFINED


def _passing(
    reader: Reader, function: Value, given: list[Value], state: State, node: Node
) -> Value | None:
    """Return what an item is known to be where a filter lets it through."""
    if not isinstance(function, Ref):
        calls.given_back(reader, function, given, state, node)
        return given[0]
    ways: tuple[list[State], list[State]] = ([], [])
    calls.enter(reader, function, given, UNDEFINED, state.copy(), node, ways)
    yes = merged(ways[0])
    return yes.baked(given[0]) if yes is not None else None


def _reduced(
    reader: Reader, known: list[Value] | None, each: Value, given: list[Value], state: State,
    node: Node,
) -> Value:  # fmt: skip
    rounds = known if known is not None and len(known) <= MAX_KNOWN_ROUNDS else [each, each]
    total = given[1] if len(given) > 1 else (rounds[0] if rounds else UNDEFINED)
    for item in rounds if len(given) > 1 else rounds[1:] or rounds:
        total = calls.call(reader, given[0], [total, item, ANY_NUMBER], UNDEFINED, state, node)
    return total


def outside(
    reader: Reader, value: Value, name: str, given: list[Value], state: State, node: Node
) -> Value:
    """Return what a method gives an array that came from outside, or whose items are not known."""
    made = reader.new(Sequence(None, patterns.elements(reader, value, state, node)[1]), state)
    thing = state.things[made.number]
    found = (
        method(reader, made, thing, name, given, state, node)
        if isinstance(thing, Sequence)
        else None
    )
    return found if found is not None else Unknown(shallow(value))
