"""Properties and methods of the code's own objects that only calculate with their plain fields.

A property `short` that returns `self.number[-4:]` shows no more than the field does. What such a
method does is read in its source; which fields it has and what they are is seen of its object.
"""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Mapping, Sequence
from types import FunctionType, MemberDescriptorType
from typing import Any

from ..core import Guard
from ..plain_names import is_hidden
from .formats import DATES, PLAIN, is_plain
from .hidden_names import is_of_code

_MAX_SOURCE = 64 * 1024
"""Characters of a file that is read."""
_MAX_NODES = 300
"""Of a method."""
_MAX_LOOKED_AT = 2000
"""Values of an object's fields that are looked at."""
_MAX_DEPTH = 3
"""Methods that call one another."""
_CALLED = frozenset(
    [
        *("abs", "all", "any", "bool", "float", "int", "len", "max", "min", "round", "sorted"),
        *("str", "sum", "enumerate", "zip", "list", "tuple", "set", "divmod"),
    ]
)
_METHODS = frozenset(
    name
    for kind in (str, int, float, tuple, frozenset)
    for name in dir(kind)
    if not name.startswith("_") and name not in ("format", "format_map", "zfill", "expandtabs")
    if name not in ("ljust", "rjust", "center", "from_bytes", "to_bytes", "maketrans")
) | frozenset(("get", "items", "keys", "values", "isoformat", "strftime", "date", "total_seconds"))
"""Of plain data, which change nothing and make nothing large."""
_NODES = (
    *(ast.Return, ast.Assign, ast.If, ast.IfExp, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare),
    *(ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Call, ast.JoinedStr),
    *(ast.FormattedValue, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.GeneratorExp),
    *(ast.SetComp, ast.DictComp, ast.comprehension, ast.Load, ast.Store, ast.Expr, ast.keyword),
    *(ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod),
    *(ast.FloorDiv, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
    *(ast.Is, ast.IsNot, ast.arguments, ast.arg),
)


def calculates(guard: Guard, owner: object, name: str, *, called: bool, depth: int = 0) -> bool:
    """Tell whether a property only calculates with an object's fields, or a method if `called`.

    Both of the code's own, and a method that is called with nothing. It has to use a field: what is
    a text of its own may be what the code keeps to itself.
    """
    kind = type(owner)
    if depth > _MAX_DEPTH or is_hidden(name) or name[:2] == "__" or not is_of_code(guard, owner):
        return False
    if kind.__getattribute__ is not object.__getattribute__ or hasattr(kind, "__getattr__"):
        return False
    held = next((vars(each)[name] for each in kind.__mro__ if name in vars(each)), None)
    function = held if called else getattr(held, "fget", None)
    if not isinstance(function, FunctionType) or name in getattr(owner, "__dict__", ()):
        return False
    found = _source(guard, function)
    if found is None:
        return False
    known = {
        n for n, held in function.__globals__.items() if isinstance(held, type) and held in DATES
    }
    return _is_calculation(guard, owner, found, known, depth)


def field(owner: object, name: str) -> Any:
    """Return what an object keeps by a name, or its class does. Raises LookupError if nothing."""
    own = getattr(owner, "__dict__", {})
    if name in own:
        return own[name]
    held = next((vars(each)[name] for each in type(owner).__mro__ if name in vars(each)), None)
    if type(held) is MemberDescriptorType:
        return getattr(owner, name, None)
    if type(held) not in PLAIN or held is None:
        raise LookupError(name)
    return held


def is_told(guard: Guard, owner: object, name: str) -> bool:
    """Tell whether a field is the object's own, or one of its class that the code tells of.

    What a class keeps for all may be a secret (`vault = "7731"`); a number is a rate.
    """
    held = [vars(each)[name] for each in type(owner).__mro__ if name in vars(each)]
    if name in getattr(owner, "__dict__", ()) or not held or not isinstance(held[0], (str, bytes)):
        return True
    return guard.constants.holds(name) or guard.constants.shows(name)


def _held(value: Any) -> list[Any] | None:
    """Return keys and values of a mapping of Python's own, None for anything else."""
    if isinstance(value, Mapping) and type(value).__module__ in ("builtins", "collections"):
        return [*value.keys(), *value.values()]
    return None


def _source(guard: Guard, function: FunctionType) -> ast.FunctionDef | None:
    code = function.__code__
    if not code.co_filename.startswith(guard.root) or function.__closure__:
        return None
    for node in _functions(code.co_filename):
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        if node.name == code.co_name and first <= code.co_firstlineno <= node.lineno:
            return node
    return None


@functools.lru_cache(maxsize=16)
def _functions(path: str) -> tuple[ast.FunctionDef, ...]:
    try:
        if os.path.getsize(path) > _MAX_SOURCE:
            return ()
        with open(path, encoding="utf-8") as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _is_calculation(
    guard: Guard, owner: object, made: ast.FunctionDef, known: set[str], depth: int
) -> bool:
    given = made.args
    more = (given.posonlyargs, given.vararg, given.kwarg, given.kwonlyargs)
    if len(given.args) != 1 or any(more):
        return False
    if any(getattr(one, "id", "") != "property" for one in made.decorator_list):
        return False
    body = _Body(made.body, given.args[0].arg, known)
    fields = [node for node in body.nodes if body.is_field(node)]
    if not fields or len(body.nodes) > _MAX_NODES:
        return False
    return all(
        _is_field(guard, owner, node, body, depth) if body.is_field(node) else body.passes(node)
        for node in body.nodes
    )


class _Body:
    """What a method does, by the nodes of its tree."""

    def __init__(self, body: Sequence[ast.stmt], own: str, known: set[str]) -> None:
        """`own` is what the method calls its object, `known` are names of types of dates."""
        self._own = own
        self._known = known
        self.nodes = [node for one in body for node in ast.walk(one)]
        names = [node for node in self.nodes if isinstance(node, ast.Name)]
        self._stored = {name.id for name in names if isinstance(name.ctx, ast.Store)}
        self.called = {id(node.func) for node in self.nodes if isinstance(node, ast.Call)}
        self._owners = {id(node.value) for node in self.nodes if isinstance(node, ast.Attribute)}

    def is_field(self, node: ast.AST) -> bool:
        """Tell whether a node takes a field of the object, or a method."""
        owner = node.value if isinstance(node, ast.Attribute) else None
        return isinstance(owner, ast.Name) and owner.id == self._own

    def passes(self, node: ast.AST) -> bool:
        """Tell whether a node only calculates."""
        if isinstance(node, ast.Name):
            if node.id == self._own:
                return id(node) in self._owners
            called = id(node) in self.called
            if node.id in self._stored:
                return not called
            return called and (node.id in _CALLED or node.id in self._known)
        if isinstance(node, (ast.Attribute, ast.Subscript)):
            plain = isinstance(node, ast.Subscript) or node.attr in _METHODS
            return plain and isinstance(node.ctx, ast.Load)
        return isinstance(node, _NODES) and not (isinstance(node, ast.BinOp) and _grows(node))


def _grows(node: ast.BinOp) -> bool:
    """Tell whether a text may be multiplied: by a number that is written large."""
    large = (side for side in (node.left, node.right) if isinstance(side, ast.Constant))
    return isinstance(node.op, ast.Mult) and any(
        type(side.value) is int and side.value > _MAX_LOOKED_AT * 100 for side in large
    )


def _is_field(guard: Guard, owner: object, node: ast.AST, body: _Body, depth: int) -> bool:
    name, called = getattr(node, "attr", ""), id(node) in body.called
    if is_hidden(name) or not isinstance(getattr(node, "ctx", None), ast.Load):
        return False
    if called:
        return calculates(guard, owner, name, called=True, depth=depth + 1)
    try:
        return is_plain(field(owner, name), parts=_held) and is_told(guard, owner, name)
    except LookupError:
        return calculates(guard, owner, name, called=False, depth=depth + 1)
