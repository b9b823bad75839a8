"""Formulas that the code evaluates with variables of its choice: what may they reach by name?

`eval(rule, dict(FUNCTIONS), row)` has all built-in functions within reach, since the code has taken
none away. A formula that needs no name but those of its two dictionaries calculates all the same
with what the code offers by name. The values behind these names are looked at when it is evaluated:
numbers, texts, dates, collections of these, and functions that run no code.
"""

from __future__ import annotations

import ast
import builtins
import collections
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal

from ..core import Guard
from ..origin import Span
from ..plain_names import is_hidden
from ..spans import around
from .choosing import runs_code
from .formats import COLLECTIONS, is_plain
from .formulas import are_small, formula_of, is_data, is_of, is_table

_MODULES = frozenset(("math", "cmath", "statistics"))
"""Modules that a formula may name functions of, if the code gives them to it."""
_GROWING = frozenset(("pow", "factorial", "comb", "perm", "range", "repeat", "ldexp", "format"))
"""Functions that make much of a large number."""
_OF_MODULES = ("__name__", "__spec__", "__loader__")
"""What the variables of a module have, and those of no formula."""
_LAMBDA = re.compile(r"\s{0,9}lambda\s{1,9}([A-Za-z]\w{0,40}(?:,\s{0,9}[A-Za-z]\w{0,40}){0,9}):")
_MAKING_TEXTS = frozenset(("str", "sorted"))


def is_offered(text: str, spans: Sequence[Span], given: Sequence[object]) -> bool:
    """Tell whether a formula of the event needs nothing but what it is evaluated with.

    `given` are the variables, as `eval` takes them.
    """
    scopes = _scopes(given)
    return bool(scopes) and _calculates(text, spans, _Names(scopes))


def is_known(guard: Guard, text: str, spans: Sequence[Span]) -> bool:
    """Tell whether a formula that is compiled needs no names but those that the code has as texts.

    `compile(rule, "<rule>", "eval")` is evaluated later, with `{"price": price}`. What the names
    are where it is compiled counts as well: nothing says that the code has given others.
    """
    frame = sys._getframe(1)
    while not frame.f_code.co_filename.startswith(guard.root):
        if frame.f_back is None:
            return False
        frame = frame.f_back

    def known(name: str) -> bool:
        return guard.constants.holds(name) or guard.key(name) is not None

    return _calculates(text, spans, _Names([frame.f_locals, frame.f_globals], known))


def _calculates(text: str, spans: Sequence[Span], names: _Names) -> bool:
    begun = _LAMBDA.match(text)
    if begun is not None and all(span.start >= begun.end() for span in spans):
        # A function of the code's whose result is the formula: its parameters are names as well.
        names.values |= {name.strip() for name in begun[1].split(",")}
        text, spans = text[begun.end() :], [span.moved(-begun.end()) for span in spans]
    formula = formula_of(text)
    if formula is None or not _is_all_data(text, spans):
        return False
    formula = names.visit(formula)
    if names.refused or _grows(formula, names):
        return False
    return is_of(formula, frozenset(names.values), frozenset(names.functions))


def is_broken(text: str, spans: Sequence[Span], mode: Literal["eval", "exec"]) -> bool:
    """Tell whether a text of the event is no code, so that nothing of it runs."""
    if not is_data(text, spans):
        return False
    try:
        ast.parse(text.lstrip(" \t"), mode=mode)
    except (SyntaxError, ValueError):
        return True
    except (MemoryError, RecursionError):
        return False
    return False


def _is_all_data(text: str, spans: Sequence[Span]) -> bool:
    """Tell whether all is data, but for brackets of the code's around it and signs between."""
    if is_data(text, spans):
        return True
    return bool(spans) and not "".join(around(text, spans)).strip(" ()+-*/\n")


def _scopes(given: Sequence[object]) -> list[Mapping[Any, Any]]:
    """Return what names are looked up in, the innermost first; none if it is not the code's."""
    scopes: list[Mapping[Any, Any]] = []
    for one in reversed(given):
        if type(one) is collections.ChainMap:
            scopes += one.maps
        elif isinstance(one, Mapping):
            scopes.append(one)
        elif one is not None:
            return []
    for scope in scopes:
        if type(scope) is dict and not scope.keys().isdisjoint(_OF_MODULES):
            return []
    return scopes


class _Names(ast.NodeTransformer):
    """Sorts the names of a formula by what stands behind each; `math.sqrt` becomes one name."""

    def __init__(
        self, scopes: Sequence[Mapping[Any, Any]], known: Callable[[str], bool] | None = None
    ) -> None:
        """`known` tells which names the code has; without it those that have a value."""
        self._scopes = scopes
        self._known = known
        self._called: set[int] = set()
        self.values: set[str] = set()
        self.texts: set[str] = set()
        """Names of what grows when it is multiplied."""
        self.functions: set[str] = set()
        self.numbers: set[int] = set()
        """What is looked up in a dictionary and is a number, by the identity of its node."""
        self.refused = False

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        owner = self._value(node.value.id) if isinstance(node.value, ast.Name) else None
        name = node.attr
        if self._known is not None and not self._known(getattr(node.value, "id", "")):
            self.refused = True
        if not isinstance(owner, ModuleType) or owner.__name__ not in _MODULES or name[:1] == "_":
            self.refused = True
            return node
        found = vars(owner).get(name)
        if type(found) not in (int, float) and getattr(found, "__module__", "") != owner.__name__:
            self.refused = True
        return self._named(node, name, found)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.values:
            return node  # a parameter
        value = self._value(node.id)
        if self._known is not None and not self._known(node.id):
            return node
        if value is not _UNKNOWN:
            return self._named(node, node.id, value)
        if hasattr(builtins, node.id):
            return node
        if self._known is None:
            # Nobody has it, and the formula ends there; or a mapping of the code's own finds it.
            self.refused |= is_hidden(node.id) and any(map(_is_own, self._scopes))
        else:
            self.refused |= is_hidden(node.id)
        (self.functions if id(node) in self._called else self.values).add(node.id)
        return node

    def _named(self, node: ast.expr, name: str, value: Any) -> ast.AST:
        """Put a name in the place of another which says nothing of what is behind it."""
        new = f"v{len(self.values) + len(self.functions)}"
        if is_plain(value):
            # A rate called `tax` is what a formula is for; a number called `salary` may be hidden.
            number = type(value) in (int, float)
            self.refused |= is_hidden(name.replace("tax", "")) if number else is_hidden(name)
            self.values.add(new)
            if isinstance(value, (str, bytes, *COLLECTIONS)):
                self.texts.add(new)
        elif callable(value) and not runs_code(value):
            self.functions.add(new)
        else:
            self.refused = True
        return ast.copy_location(ast.Name(new, ast.Load()), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        owner = self._value(node.value.id) if isinstance(node.value, ast.Name) else None
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if type(owner) is dict and type(owner.get(key)) in (int, float):
            self.numbers.add(id(node))
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self._called.add(id(node.func))
        name = str(getattr(node.func, "id", None) or getattr(node.func, "attr", ""))
        value = self._value(name)
        grows = {name, getattr(value, "__name__", "")} & _GROWING
        if grows and not (node.args and are_small(node.args[-1:])):
            self.refused = True
        return self.generic_visit(node)

    def _value(self, name: str) -> Any:
        for scope in self._scopes:
            if not _is_own(scope) and name in scope:
                return scope[name]
        return _UNKNOWN


_UNKNOWN = object()
_PLAIN_MAPPINGS = (dict, collections.OrderedDict, type(sys._getframe().f_locals))
"""The last are variables of a function (PEP 667)."""


def _is_own(scope: Mapping[Any, Any]) -> bool:
    """Tell whether a mapping may make what it is asked for: nobody else asks it."""
    return type(scope) not in _PLAIN_MAPPINGS


def _grows(formula: ast.AST, found: _Names) -> bool:
    """Tell whether a text or a list is multiplied, or is a format: `name * 10_000_000_000`."""
    return any(
        _has_text(side, found)
        for node in ast.walk(formula)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Mod))
        for side in (node.left, node.right)
    )


def _has_text(node: ast.AST, found: _Names) -> bool:
    if isinstance(node, ast.Name):
        return node.id in found.texts
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (str, bytes))
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _MAKING_TEXTS
    if isinstance(node, ast.Subscript):
        return id(node) not in found.numbers and not is_table(node.value)
    if isinstance(node, ast.Compare):
        return False
    return any(_has_text(child, found) for child in ast.iter_child_nodes(node))
