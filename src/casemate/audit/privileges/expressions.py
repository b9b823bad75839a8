"""What expressions may stand for."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

from casemate.audit.privileges import attributes, calls
from casemate.audit.privileges.needs import EVERY
from casemate.audit.privileges.reader import Reader
from casemate.audit.privileges.texts import formatted_by_percent, joined, key_of
from casemate.audit.privileges.values import (
    DATA,
    HOLE,
    NONE,
    Box,
    External,
    Func,
    Text,
    Unknown,
    Values,
    texts,
)

_MAX_TEXT = 4_096


def value(reader: Reader, node: ast.expr | None) -> Values:
    """Return what an expression may stand for."""
    if node is None:
        return NONE
    read = _READERS.get(type(node))
    if read is not None:
        return read(reader, node)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            value(reader, child)
    return DATA


def _constant(reader: Reader, node: ast.Constant) -> Values:
    if not isinstance(node.value, str):
        return DATA
    if node.value.startswith(_READ_BY_LIBRARIES):
        # A library that is given such an address reads it by itself.
        reader.open("s3", node, f"{node.value[:60]!r} may be read by a library")
    return _text(node.value)


_READ_BY_LIBRARIES = ("s3://", "s3a://", "storages.backends.s3")


@lru_cache(maxsize=8_192)
def _text(text: str) -> Values:
    return frozenset((Text(text),)) if len(text) <= _MAX_TEXT else DATA


def _name(reader: Reader, node: ast.Name) -> Values:
    found = reader.lookup(node.id)
    if found is not None:
        return found
    if node.id in _BUILTINS:
        return frozenset((External(f"builtins.{node.id}"),))
    if reader.file.file in reader.starred:
        return frozenset((External(f"starred.{node.id}"),))
    if not node.id.startswith("__") and _may_be_given(reader, node.id):
        reader.open(EVERY, node, f"what {node.id[:60]} is is not known")
    return DATA if node.id.startswith("__") else NONE


def _may_be_given(reader: Reader, name: str) -> bool:
    """Tell whether a name may be one of the file's; one that it never gives is a NameError."""
    given = reader.file.given
    if name in given or not _MAKING_NAMES.isdisjoint(given):
        return True
    files = (reader.modules.parsed(file) for file in reader.loaded)
    return any(file is not None and "builtins" in file.text for file in files)


_BUILTINS = frozenset(dir(builtins))
_MAKING_NAMES = frozenset(("*", "globals", "exec", "vars", "locals", "setattr", "builtins"))


def _attribute(reader: Reader, node: ast.Attribute) -> Values:
    return attributes.of(reader, value(reader, node.value), node.attr, node)


def _subscript(reader: Reader, node: ast.Subscript) -> Values:
    owner = value(reader, node.value)
    if isinstance(node.slice, ast.Slice):
        for part in (node.slice.lower, node.slice.upper, node.slice.step):
            value(reader, part)
        return owner
    key: Hashable = None
    if isinstance(node.slice, ast.Constant):
        key = node.slice.value
        name = value(reader, node.slice)
    else:
        name = value(reader, node.slice)
        key = key_of(name)
    return attributes.item(reader, owner, key, name, node)


def new_box(reader: Reader, node: ast.AST) -> Box:
    """Return the container that is made at a node."""
    return Box(id(node))


def _sequence(reader: Reader, node: ast.List | ast.Tuple | ast.Set) -> Values:
    box = new_box(reader, node)
    for at, each in enumerate(node.elts):
        if isinstance(each, ast.Starred):
            reader.state.put(box, attributes.items(reader, value(reader, each.value), each))
        else:
            reader.state.put(box, value(reader, each), at)
    return frozenset((box,))


def _dictionary(reader: Reader, node: ast.Dict) -> Values:
    box = new_box(reader, node)
    for key, each in zip(node.keys, node.values, strict=True):
        held = value(reader, each)
        if key is None:
            for option in held:
                if isinstance(option, Box):
                    attributes.take_over(reader, box, option)
                elif isinstance(option, Unknown):
                    reader.state.put(box, held)
            reader.state.put(box, DATA)
            reader.state.key(box, DATA)
        else:
            name = value(reader, key)
            known = key.value if isinstance(key, ast.Constant) else key_of(name)
            reader.state.put(box, held, known)
            reader.state.key(box, name)
    return frozenset((box,))


def _comprehension(reader: Reader, node: ast.expr) -> Values:
    for generator in node.generators:  # type: ignore[attr-defined]
        reader.assign(
            generator.target,
            attributes.items(reader, value(reader, generator.iter), generator.iter),
        )
        for test in generator.ifs:
            value(reader, test)
    box = new_box(reader, node)
    if isinstance(node, ast.DictComp):
        reader.state.key(box, value(reader, node.key))
        reader.state.put(box, value(reader, node.value))
    else:
        reader.state.put(box, value(reader, node.elt))  # type: ignore[attr-defined]
    return frozenset((box,))


def _formatted(reader: Reader, node: ast.JoinedStr) -> Values:
    parts: list[list[str]] = []
    for each in node.values:
        if isinstance(each, ast.FormattedValue):
            found = texts(value(reader, each.value))
            value(reader, each.format_spec)
            plain = each.conversion < 0 and each.format_spec is None
            parts.append((found or [HOLE]) if plain else [HOLE])
        else:
            parts.append(texts(value(reader, each)))
    return joined(parts)


def _binary(reader: Reader, node: ast.BinOp) -> Values:
    chain = [node]  # `a + b + c + ...` is as deep as it is long
    while isinstance(chain[-1].left, ast.BinOp):
        chain.append(chain[-1].left)
    found = value(reader, chain[-1].left)
    for each in reversed(chain):
        found = _combined(reader, each.op, found, value(reader, each.right))
    return found


def _combined(reader: Reader, operator: ast.operator, left: Values, right: Values) -> Values:
    if isinstance(operator, ast.Mod):
        return formatted_by_percent(reader, left, right)
    if isinstance(operator, (ast.Add, ast.BitOr)):
        boxes = frozenset(v for v in left | right if not isinstance(v, Text))
        if boxes:
            return boxes | DATA
        if isinstance(operator, ast.Add):
            return joined([texts(left) or [HOLE], texts(right) or [HOLE]])
    return (left | right) if _holds(left | right) else DATA


def _holds(values: Values) -> bool:
    return any(not isinstance(v, (Text, External)) for v in values)


def _boolean(reader: Reader, node: ast.BoolOp) -> Values:
    return NONE.union(*(value(reader, each) for each in node.values))


def _either(reader: Reader, node: ast.IfExp) -> Values:
    value(reader, node.test)
    return value(reader, node.body) | value(reader, node.orelse)


def _named(reader: Reader, node: ast.NamedExpr) -> Values:
    found = value(reader, node.value)
    reader.assign(node.target, found)
    return found


def _lambda(reader: Reader, node: ast.Lambda) -> Values:
    number = reader.define(node)
    calls.defaults(reader, number, node)
    return frozenset((Func(number),))


def _inner(reader: Reader, node: ast.Await | ast.Starred) -> Values:
    return value(reader, node.value)


def _yield(reader: Reader, node: ast.Yield | ast.YieldFrom) -> Values:
    found = value(reader, node.value)
    number = reader.function_number()
    if isinstance(node, ast.YieldFrom):
        found = attributes.items(reader, found, node)
    if number >= 0:
        box = Box(id(reader.defined[number].node))
        reader.state.put(box, found)
        reader.state.give(number, frozenset((box,)))
    return DATA


_READERS: dict[type[ast.AST], Callable[[Reader, Any], Values]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Call: calls.read,
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.Set: _sequence,
    ast.Dict: _dictionary,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _comprehension,
    ast.JoinedStr: _formatted,
    ast.BinOp: _binary,
    ast.BoolOp: _boolean,
    ast.IfExp: _either,
    ast.NamedExpr: _named,
    ast.Lambda: _lambda,
    ast.Await: _inner,
    ast.Starred: _inner,
    ast.Yield: _yield,
    ast.YieldFrom: _yield,
}
