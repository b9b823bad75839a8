"""Functions that write, or look by a name, kept under another: `say = print`, `map(getattr, ...)`.

Calls are announced by the name that they have in the code. What is bound to another one is handed
over as an object that announces itself, and is the function to whoever asks it.
"""

from __future__ import annotations

import ast
import operator
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from io import BufferedWriter, FileIO, TextIOWrapper
from types import BuiltinFunctionType, MethodDescriptorType
from typing import Any

from .heads import Heads
from .inlining import PREFIX, SUFFIX
from .names import WRITES

FILES = frozenset((BufferedWriter, FileIO, TextIOWrapper))
"""Types of files that write to a descriptor."""
_OF_MODULES = {"os": WRITES, "posix": WRITES, "builtins": frozenset(("print",))}
FORMATS = frozenset(("format", "format_map"))
LATE = frozenset(("attrgetter", "methodcaller"))
"""What makes a call that is made later, of an object that is not known yet."""
_NAMES = frozenset(("print", "getattr", "setattr", "__import__"))
"""Built-in functions that are handed over."""
_UNBOUND = frozenset((str.format, str.format_map))
_GETTERS = frozenset((operator.attrgetter, operator.methodcaller))


class Announced:
    """A function whose calls are announced. No descriptor: in a class it is what it was."""

    __slots__ = ("__wrapped__", "_call")

    def __init__(self, function: Callable[..., Any], call: Callable[..., Any]) -> None:
        """`call` announces a call of `function`, and makes it."""
        self.__wrapped__ = function
        self._call = call

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        """Announce a call, and make it."""
        return self._call(self.__wrapped__, *arguments, **named)

    def __getattr__(self, name: str) -> Any:
        """Return what the function has: its name, whose method it is."""
        return getattr(self.__wrapped__, name)

    def __repr__(self) -> str:
        """Return that of the function."""
        return repr(self.__wrapped__)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be kept and sent as the function."""
        return _same, (self.__wrapped__,)


def _same(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


class Binder:
    """What is done with a function that the code binds to a name, or hands over."""

    def __init__(
        self,
        watched: Callable[..., Any],
        wrote: Callable[..., Any],
        seen: Callable[[str, Any], Any],
    ) -> None:
        """`watched` and `wrote` announce a call and make it; `seen` announces what one is given."""
        self._watched, self._wrote, self._seen = watched, wrote, seen
        self._of_names = {
            print: Announced(print, partial(watched, "print")),
            getattr: Announced(getattr, partial(watched, "getattr")),
            setattr: Announced(setattr, partial(watched, "setattr")),
            __import__: Announced(__import__, self._imported),
        }

    def __call__(self, function: Any) -> Any:
        """Return what announces its calls, if this is a function of those; else itself."""
        kind = type(function)
        if kind is str:
            return function  # an attribute that is called `format`
        if kind in _GETTERS:
            return Announced(function, self._got)
        if kind is MethodDescriptorType:
            return Announced(function, self._unbound) if function in _UNBOUND else function
        if kind is BuiltinFunctionType and function in self._of_names:
            return self._of_names[function]
        return self._method(function, getattr(function, "__self__", None))

    def _method(self, function: Any, owner: object) -> Any:
        if type(owner) is str:
            formats = getattr(function, "__name__", "") in FORMATS
            return Announced(function, partial(self._watched, "format")) if formats else function
        standard = owner is not None and (owner is sys.stdout or owner is sys.stderr)
        if standard or type(owner) in FILES or function is os.write or function is os.writev:
            return Announced(function, self._wrote)
        return function  # most else that has this name is a method of the code's own

    def _imported(self, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        for name in given[:1]:
            self._seen("__import__()", name)
        return function(*given, **named)

    def _unbound(self, function: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        if given and isinstance(given[0], str):
            return self._watched(
                "format", getattr(given[0], function.__name__), *given[1:], **named
            )
        return function(*given, **named)

    def _got(self, function: Any, /, *given: Any) -> Any:
        """Do what `attrgetter` or `methodcaller` made, by the names that it has."""
        made, (name, *more) = function.__reduce__()
        if len(given) == 1 and isinstance(made, partial):  # it has named arguments
            return self._called(given[0], made.args[0], (name, *more), made.keywords)
        if len(given) == 1 and made is operator.methodcaller:
            return self._called(given[0], name, more, {})
        if len(given) == 1 and made is operator.attrgetter and not more and "." not in name:
            return self._watched("getattr", getattr, given[0], name)
        return function(*given)

    def _called(self, owner: Any, name: str, given: Sequence[Any], named: dict[str, Any]) -> Any:
        method = self._watched("getattr", getattr, owner, name)
        if name in WRITES:
            return self._wrote(method, *given, **named)
        if name in FORMATS:
            return self._watched("format", method, *given, **named)
        return method(*given, **named)


class Bindings(Heads, ast.NodeTransformer):
    """Rewrites where functions that write are bound to a name, or handed over, and not called."""

    def __init__(self) -> None:
        """Begin with no call."""
        super().__init__()
        self._callees: set[int] = set()
        self._bound: frozenset[str] = frozenset()
        """Names that the module gives a meaning of its own."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Do `print`, `getattr`, `setattr` and `__import__` where they are not called."""
        handed = node.id in _NAMES and isinstance(node.ctx, ast.Load)
        if not handed or id(node) in self._callees or node.id in self._bound:
            return node
        return announced(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Do `stream.write` and `text.format` where they are not called."""
        literal = isinstance(node.value, ast.Constant)
        self.generic_visit(node)
        handed = node.attr in WRITES or (node.attr in FORMATS and not literal)
        if not handed or not isinstance(node.ctx, ast.Load):
            return node
        return node if id(node) in self._callees else announced(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt | list[ast.stmt]:
        """Do `from os import write as put`."""
        functions = _OF_MODULES.get(node.module or "", frozenset()) if not node.level else ()
        names = [each.asname or each.name for each in node.names if each.name in functions]
        return [node, *(_bound_again(node, name) for name in names)] if names else node


def announced(node: ast.expr) -> ast.Call:
    """Return an expression for a function that announces its calls, if it is one that writes."""
    function = ast.copy_location(ast.Name(f"{PREFIX}bound{SUFFIX}", ast.Load()), node)
    return ast.copy_location(ast.Call(function, [node], []), node)


def handed_over(node: ast.Call) -> Callable[[ast.expr], ast.expr]:
    """Return what is done with a call: one that makes another, to be made later, is announced.

    It is known by what it is given alone.
    """
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name not in LATE or not node.args:
        return lambda call: call
    first = node.args[0]
    if not isinstance(first, ast.Constant):
        return announced
    writes = name == "methodcaller" and first.value in WRITES | FORMATS
    return announced if writes else lambda call: call


def _bound_again(node: ast.stmt, name: str) -> ast.stmt:
    value = announced(ast.copy_location(ast.Name(name, ast.Load()), node))
    target = ast.copy_location(ast.Name(name, ast.Store()), node)
    return ast.copy_location(ast.Assign([target], value), node)
