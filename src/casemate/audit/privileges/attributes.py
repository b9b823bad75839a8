"""Attributes and items: of objects, classes, modules, containers, and of what has rights."""

from __future__ import annotations

import ast
from collections.abc import Hashable

from casemate.audit.privileges import cloud, own, things
from casemate.audit.privileges.needs import EVERY
from casemate.audit.privileges.program import Scope
from casemate.audit.privileges.reader import Arguments, Reader
from casemate.audit.privileges.values import (
    ANYTHING,
    CLOUD,
    DATA,
    HOLE,
    NONE,
    Bound,
    Box,
    Capability,
    Class,
    Context,
    External,
    Func,
    Instance,
    Method,
    Module,
    Super,
    Text,
    Unknown,
    Value,
    Values,
    Web,
)

_MAX_BASES = 16
_MAX_NAME = 200


def of(reader: Reader, values: Values, name: str, node: ast.AST) -> Values:
    """Return `value.name` of all values."""
    found = NONE
    modules = [each for each in values if isinstance(each, Module)]
    if len(modules) > 1:
        # Which of the files of that name is meant is not known: those that have it.
        having = [each for each in modules if _has(reader, each, name)]
        values = (values - frozenset(modules)) | frozenset(having or modules)
    for each in values:
        found |= _one(reader, each, name, node)
    return found


def _has(reader: Reader, each: Module, name: str) -> bool:
    return reader.state.names.find((Scope("module", reader.loaded[each.file]), name)) is not None


def _one(reader: Reader, each: Value, name: str, node: ast.AST) -> Values:
    if each.kind in CLOUD:
        return cloud.attribute(reader, each, name, node)
    match each:
        case External():
            return _of_external(reader, each, name, node)
        case Module():
            return _of_module(reader, each, name, node)
        case Instance():
            return of_class(reader, each.owner, name, each, node)
        case Class():
            return of_class(reader, each.number, name, None, node)
        case Super():
            found = NONE
            for base in reader.state.attributes.get((each.owner, "*bases")):
                if isinstance(base, Class):
                    found |= of_class(reader, base.number, name, Instance(each.owner), node)
            return found or DATA
        case Box():
            return frozenset((Method(each, name),))
        case Context() | Capability():
            return own.attribute(reader, each, name, node)
        case Text() | Web():
            return _of_data(reader, each, name, node)
        case Unknown():
            reader.open(EVERY, node, f"what .{name[:60]} is called on is not known")
            return ANYTHING
        case _:
            return reader.state.kept.get(name) | DATA


def _of_external(reader: Reader, each: External, name: str, node: ast.AST) -> Values:
    full = f"{each.name}.{name}"[:_MAX_NAME]
    if each.name.partition(".")[0] not in ("builtins",):
        files = reader.modules.files(full, reader.file.file)
        for file in files:
            made = reader.load(file)
            if made is not None:
                return frozenset((made,))
    return frozenset((External(full),)) | reader.state.kept.get(name)


def _of_module(reader: Reader, each: Module, name: str, node: ast.AST) -> Values:
    scope = Scope("module", reader.loaded[each.file])
    found = reader.state.names.find((scope, name))
    if found is not None:
        return found
    folder = each.file.rpartition("/")[0]
    for file in (f"{folder}/{name}.py", f"{folder}/{name}/__init__.py"):
        if each.file.endswith("__init__.py") and reader.modules.has(file.lstrip("/")):
            made = reader.load(file.lstrip("/"))
            if made is not None:
                return frozenset((made,))
    if name.startswith("__"):
        return DATA
    reader.open(EVERY, node, f"no {name[:60]} was found in {each.file[:100]}")
    return NONE


def of_class(
    reader: Reader, owner: int, name: str, receiver: Instance | None, node: ast.AST
) -> Values:
    """Return an attribute of a class, or of an object of it."""
    found, known = NONE, False
    waiting, seen = [owner], set[int]()
    while waiting and len(seen) < _MAX_BASES:
        number = waiting.pop(0)
        if number in seen:
            continue
        seen.add(number)
        held = reader.state.attributes.get((number, name))
        for each in held:
            known = True
            found |= _bound(reader, each, receiver, owner, node)
        if held and receiver is None:
            break
        for base in reader.state.attributes.get((number, "*bases")):
            if isinstance(base, Class):
                waiting.append(base.number)
            elif isinstance(base, Unknown):
                found |= ANYTHING
    if not known:
        found |= reader.state.kept.get(name) | DATA
        if name == "__class__":
            found |= {Class(owner)}
        if name == "__dict__":
            box = Box(-owner - 1)
            for key, values in reader.state.of_class(owner):
                reader.state.put(box, values, key)
            found |= {box}
        found |= _by_getattr(reader, owner, name, receiver, node)
    return found


def _by_getattr(
    reader: Reader, owner: int, name: str, receiver: Instance | None, node: ast.AST
) -> Values:
    getters = reader.state.attributes.get((owner, "__getattr__"))
    if receiver is None or not getters or name.startswith("__"):
        return NONE
    bound = frozenset(Bound(g.number, receiver) for g in getters if isinstance(g, Func))
    given = Arguments([frozenset((Text(name),))])
    return reader.call(bound, given, node)


def _bound(
    reader: Reader, each: Value, receiver: Instance | None, owner: int, node: ast.AST
) -> Values:
    if isinstance(each, Instance):
        getters = reader.state.attributes.get((each.owner, "__get__"))
        bound = frozenset(Bound(g.number, each) for g in getters if isinstance(g, Func))
        return reader.call(bound, Arguments(open=True), node) | {each}
    if not isinstance(each, Func):
        return frozenset((each,))
    defined = reader.defined[each.number]
    if defined.owner < 0 or "staticmethod" in defined.marks:
        return frozenset((each,))
    if "classmethod" in defined.marks:
        return frozenset((Bound(each.number, Class(owner)),))
    if receiver is None:
        return frozenset((each,))
    method: Values = frozenset((Bound(each.number, receiver),))
    if defined.marks & {"property", "cached_property"}:
        return reader.call(method, Arguments(), node)
    return method


def _of_data(reader: Reader, each: Text | Web, name: str, node: ast.AST) -> Values:
    kept = reader.state.kept.get(name)
    return frozenset((Method(each, name),)) | kept


def store(reader: Reader, owner: Values, name: str, values: Values) -> None:
    """Set `owner.name`."""
    for each in owner:
        match each:
            case Instance():
                reader.state.attribute(each.owner, name, values)
            case Class():
                reader.state.attribute(each.number, name, values)
            case Module():
                reader.state.name(Scope("module", reader.loaded[each.file]), name, values)
            case _:
                if any(not isinstance(v, (Text, External)) for v in values):
                    reader.state.keep(name, values)


def store_item(reader: Reader, owner: Values, key: Hashable, name: Values, values: Values) -> None:
    """Set `owner[key]`."""
    for each in owner:
        if isinstance(each, Box):
            reader.state.put(each, values, key)
            reader.state.key(each, name)
            scope = reader.modules_as_maps.get(each)
            if scope is not None and isinstance(key, str):
                reader.state.name(scope, key, values)
        elif any(not isinstance(v, (Text, External)) for v in values):
            reader.state.keep("[]", values)


def item(reader: Reader, owner: Values, key: Hashable, name: Values, node: ast.AST) -> Values:
    """Return `owner[key]`."""
    found = NONE
    for each in owner:
        match each:
            case Box():
                found |= reader.state.got(each, key)
            case External(name="os.environ"):
                found |= environment(reader, name, NONE, node)
            case Instance():
                method = of_class(reader, each.owner, "__getitem__", each, node)
                found |= reader.call(method, Arguments([name]), node)
            case Unknown():
                found |= ANYTHING
            case Text() | External() | Method():
                found |= DATA | reader.state.kept.get("[]")
            case _:
                found |= {each}
    return found


def environment(reader: Reader, name: Values, default: Values, node: ast.AST) -> Values:
    """Return a variable of the environment, as the template sets it."""
    found = NONE
    for each in name:
        known = None
        if isinstance(each, Text) and HOLE not in each.text:
            reader.recorder.variable(each.text, reader.place(node))
            known = reader.environment.get(each.text)
        found |= known if known is not None else default or DATA
    return found or DATA


def items(reader: Reader, values: Values, node: ast.AST) -> Values:
    """Return what looping over values gives."""
    found = NONE
    for each in values:
        match each:
            case Box():
                # Of a map the keys; which of both it is is not known any more.
                found |= reader.state.got(each) | reader.state.keys.get(each.number)
            case Instance():
                method = of_class(reader, each.owner, "__iter__", each, node)
                again = reader.call(method, Arguments(), node)
                found |= frozenset(v for v in again if v != each)
                for inner in again:
                    if isinstance(inner, Box):
                        found |= reader.state.got(inner)
            case Text() | External():
                found |= DATA
            case _ if each.kind in CLOUD:
                found |= things.iterated(reader, each, node)
            case _:
                found |= {each}
    return found


def take_over(reader: Reader, box: Box, other: Box) -> None:
    """Let a container hold what another holds, under the same keys."""
    reader.state.put(box, reader.state.got(other))
    reader.state.key(box, reader.state.keys.get(other.number))
    for key, held in reader.state.of_box(other):
        reader.state.put(box, held, key)


__all__ = ["environment", "item", "items", "of", "of_class", "store", "store_item"]
