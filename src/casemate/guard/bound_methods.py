"""Functions that write, kept under another name: `say = print`, `put = sys.stdout.write`.

Calls are announced by the name that they have in the code. What is bound to another one is handed
over as an object that announces itself, and is the function to whoever asks it.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any

from .heads import Heads
from .inlining import PREFIX, SUFFIX
from .names import WRITES

FILES = frozenset((BufferedWriter, FileIO, TextIOWrapper))
"""Types of files that write to a descriptor."""
_OF_MODULES = {"os": WRITES, "posix": WRITES, "builtins": frozenset(("print",))}
_PRINT = "print"


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


def binder(printed: Callable[..., Any], wrote: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return what is done with a function that the code binds to a name, or hands over."""
    printing = Announced(print, printed)

    def bound(function: Any) -> Any:
        if function is print:
            return printing
        owner = getattr(function, "__self__", None)
        standard = owner is not None and (owner is sys.stdout or owner is sys.stderr)
        if standard or type(owner) in FILES or function is os.write or function is os.writev:
            return Announced(function, wrote)
        return function  # most else that has this name is a method of the code's own

    return bound


class Bindings(Heads, ast.NodeTransformer):
    """Rewrites where functions that write are bound to a name, or handed over, and not called."""

    def __init__(self) -> None:
        """Begin with no call."""
        super().__init__()
        self._callees: set[int] = set()
        self._bound: frozenset[str] = frozenset()
        """Names that the module gives a meaning of its own."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Do `print` where it is not called."""
        if node.id != _PRINT or not isinstance(node.ctx, ast.Load) or id(node) in self._callees:
            return node
        return node if _PRINT in self._bound else announced(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Do `stream.write` where it is not called."""
        self.generic_visit(node)
        if node.attr not in WRITES or not isinstance(node.ctx, ast.Load):
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


def _bound_again(node: ast.stmt, name: str) -> ast.stmt:
    value = announced(ast.copy_location(ast.Name(name, ast.Load()), node))
    target = ast.copy_location(ast.Name(name, ast.Store()), node)
    return ast.copy_location(ast.Assign([target], value), node)
