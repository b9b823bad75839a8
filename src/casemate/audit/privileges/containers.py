"""Methods of containers, and of texts and other data."""

from __future__ import annotations

import ast
from collections.abc import Hashable

from casemate.audit.privileges import (
    attributes,
    passing,
    things,
)
from casemate.audit.privileges.libraries import IGNORING
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.texts import joined
from casemate.audit.privileges.values import (
    DATA,
    HOLE,
    NONE,
    Bound,
    Box,
    Func,
    Text,
    Values,
    known_texts,
    texts,
)


def of_box(reader: Reader, box: Box, name: str, given: Arguments, node: ast.AST) -> Values:
    state = reader.state
    held = state.got(box)
    for each in given.all():
        if isinstance(each, (Func, Bound)) and name in ("sort", "map"):
            reader.call(frozenset((each,)), Arguments([held, held]), node)
    match name:
        case "get" | "pop" | "setdefault" | "result" | "popitem" | "popleft" | "__getitem__":
            key = _key(given)
            if name == "setdefault":
                state.put(box, given.get(1, "default"), key)
                state.key(box, given.get(0))
            return state.got(box, key) | given.get(1, "default") | DATA
        case "append" | "add" | "appendleft" | "put" | "push":
            state.put(box, given.all())
        case "insert":
            state.put(box, given.get(1))
        case "extend" | "update" | "union" | "extendleft":
            for each in given.all():
                if isinstance(each, Box):
                    attributes.take_over(reader, box, each)
            for key, value in given.named.items():
                state.put(box, value, key)
                state.key(box, frozenset((Text(key),)))
            return frozenset((box,))
        case "items":
            inner, pair = Box(-8 * id(node) - 1), Box(-8 * id(node) - 2)
            state.put(pair, state.keys.get(box.number), 0)
            state.put(pair, held, 1)
            state.put(inner, frozenset((pair,)))
            return frozenset((inner,))
        case "values" | "copy" | "__iter__" | "fromkeys":
            if name != "values":
                return frozenset((box,))
            inner = Box(-8 * id(node) - 3)
            state.put(inner, held)
            return frozenset((inner,))
        case "keys":
            inner = Box(-8 * id(node) - 4)
            state.put(inner, state.keys.get(box.number))
            return frozenset((inner,))
        case _:
            return DATA | frozenset(v for v in held if name in _GIVING)
    return DATA


_GIVING = ("__next__", "send", "__enter__", "__aenter__", "exception", "__anext__", "throw")


def _key(given: Arguments) -> Hashable:
    found = known_texts(given.get(0))
    return found[0] if found is not None and len(found) == 1 else None


def of_text(reader: Reader, receiver: Text, name: str, given: Arguments, node: ast.AST) -> Values:
    """Read a method of a text or of data."""
    if receiver.text != HOLE:
        match name:
            case "format":
                return _format(receiver.text, given)
            case "strip" | "lstrip" | "rstrip":
                return frozenset((Text(receiver.text.strip() if not given.places else HOLE),))
            case "lower":
                return frozenset((Text(receiver.text.lower()),))
            case "upper":
                return frozenset((Text(receiver.text.upper()),))
            case "join":
                held = attributes.items(reader, given.get(0), node)
                return joined([texts(held)]) if receiver.text == "" else DATA
            case _:
                return DATA
    last = name.rpartition(".")[2]
    alternatives = reader.alternatives
    if last in IGNORING:
        return passing.passed_over(reader, given, node)
    passed = passing.passed(reader, last, given, node)
    if passed is not None:
        return passed
    reader.escape(given.all(), node, f".{name[:60]}()")
    if "_" in name.strip("_") and not any(things.has(each, name) for each in alternatives):
        # Nothing that has rights should have come here unseen; if one did, it is told.
        reader.recorder.lost(name, reader.place(node))
    return DATA


def _format(form: str, given: Arguments) -> Values:
    if given.open or HOLE in form:
        return DATA
    parts: list[list[str]] = []
    at, rest = 0, form
    while "{" in rest:
        before, _, rest = rest.partition("{")
        name, closed, rest = rest.partition("}")
        if not closed or "}" in before or "{" in name:
            return DATA
        held = (
            given.named.get(name, NONE)
            if name and not name.isdigit()
            else given.places[int(name or at)]
            if int(name or at) < len(given.places)
            else NONE
        )
        at += 1
        parts += [[before], texts(held) or [HOLE]]
    return joined([*parts, [rest]])
