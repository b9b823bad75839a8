"""What is known while a program is read, and what the parts of the reader ask of one another."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from casemate.audit.code.reading import PythonFile
from casemate.audit.model import Place
from casemate.audit.privileges.needs import Recorder
from casemate.audit.privileges.program import (
    PLAIN_MARKS,
    Defined,
    Modules,
    Scope,
    marks,
    replaced,
)
from casemate.audit.privileges.state import State
from casemate.audit.privileges.values import (
    DATA,
    NONE,
    Box,
    Module,
    Value,
    Values,
)

MAX_FUNCTIONS = 3_000
"""Of one program; those of the function and of what it imports."""


class StoppedError(Exception):
    """A bound was reached: nothing is decided."""


class Arguments:
    """What a call is given."""

    __slots__ = ("named", "open", "places", "rest")

    def __init__(
        self,
        places: list[Values] | None = None,
        named: dict[str, Values] | None = None,
        rest: Values = NONE,
        *,
        open: bool = False,
    ) -> None:
        """Keep them. `rest` is what `*` and `**` bring; `open` if there may be more by name."""
        self.places = places or []
        self.named = named or {}
        self.rest = rest
        self.open = open

    def get(self, place: int, *names: str) -> Values:
        """Return an argument by its name or place; data that is not known where it may be there."""
        found = NONE
        for name in names:
            found |= self.named.get(name, NONE)
        if not found and 0 <= place < len(self.places):
            found = self.places[place]
        return found or (DATA if self.open else NONE)

    def all(self) -> Values:
        """Return all of them."""
        return self.rest.union(*self.places, *self.named.values())


class Reader:
    """What is known while a program is read. Its parts take it as their first argument."""

    def __init__(
        self,
        modules: Modules,
        recorder: Recorder,
        environment: Mapping[str, Values],
        own: bool,
        others: frozenset[str] = frozenset(),
    ) -> None:
        """Read files of `modules`. `own` tells that the handler is one of this platform's.

        `others` are functions of modules that decorators do not have called: other handlers.
        """
        self.modules = modules
        self.recorder = recorder
        self.environment = environment
        self.own = own
        self._others = others
        self.state = State()
        self.defined: list[Defined] = []
        self.file: PythonFile
        self.scope = Scope("module", -1)
        self.loaded: dict[str, int] = {}
        """Modules that run, by their files; the number is that of their scope."""
        self.reached: dict[int, None] = {}
        """Functions that are read, in the order in which they were found to be called."""
        self.order: list[int] = []
        self.alternatives: tuple[Value, ...] = ()
        """What a method that is being called may be called on besides."""
        self._numbers: dict[int, int] = {}
        self._replaced: dict[str, frozenset[tuple[int, str]]] = {}
        self.outer: dict[tuple[Scope, str], tuple[Scope, ...]] = {}
        """Names that functions declare to be those of their module or of what is around."""
        self._parents: dict[Scope, Scope] = {}
        self.modules_as_maps: dict[Box, Scope] = {}
        """What `globals()` gives, with the scope that it is."""
        self.by_class: dict[int, list[int]] = {}
        self.starred = set[str]()
        """Files with names that `from library import *` brings: which ones is not known."""
        self.files: list[str] = []
        """Of the modules that run, in the order in which they were found."""

    def inside(self, file: PythonFile, scope: Scope) -> None:
        """Go on in that scope."""
        self.file, self.scope = file, scope

    # -- modules and definitions ---------------------------------------------------------------

    def load(self, file: str) -> Module | None:
        """Have a file run, once."""
        if file not in self.loaded:
            if self.modules.parsed(file) is None:
                self.recorder.unread(file)
                return None
            self.loaded[file] = len(self.loaded)
            self.files.append(file)
        return Module(file)

    def replaced(self) -> frozenset[tuple[int, str]]:
        """Return the imports of the module that is read which nothing can see."""
        if self.file.file not in self._replaced:
            self._replaced[self.file.file] = replaced(self.file.tree.body)
        return self._replaced[self.file.file]

    def define(self, node: ast.AST) -> int:
        """Return the number of a function or class that stands here."""
        key = id(node)
        if key not in self._numbers:
            if len(self.defined) >= MAX_FUNCTIONS:
                raise StoppedError("its code has too many functions")
            owner = self.scope.number if self.scope.kind == "class" else -1
            self._numbers[key] = len(self.defined)
            self.defined.append(Defined(node, self.file, self.scope, owner, marks(node, self.file)))
            number = self._numbers[key]
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            self._parents[Scope(kind, number)] = self.scope
            if owner >= 0 and kind == "function":
                self.by_class.setdefault(owner, []).append(number)
                self.state.readers.changed(("methods", owner))
        return self._numbers[key]

    def reach(self, number: int) -> None:
        """Have a function read: something calls it."""
        if number not in self.reached:
            self.reached[number] = None
            self.order.append(number)

    def called_by_frameworks(self, number: int) -> bool:
        """Tell whether a decorator may have something call a function."""
        return not self.defined[number].marks <= PLAIN_MARKS

    def is_other(self, number: int) -> bool:
        """Tell whether a function is another handler, which its decorators are for."""
        each = self.defined[number]
        return each.scope.kind == "module" and getattr(each.node, "name", "") in self._others

    # -- names ---------------------------------------------------------------------------------

    def lookup(self, name: str) -> Values | None:
        """Return what a name holds, from the inside out; None if none has it."""
        scope: Scope | None = self.scope
        first = True
        while scope is not None:
            if first or scope.kind != "class":
                found = self.state.names.find((scope, name))
                if found is not None:
                    return found
            first = False
            scope = self._parents.get(scope)
        return None

    def around(self, scope: Scope) -> Iterator[Scope]:
        """Yield the functions that a function stands in."""
        outer = self._parents.get(scope)
        while outer is not None:
            if outer.kind == "function":
                yield outer
            outer = self._parents.get(outer)

    def module_scope(self) -> Scope:
        """Return the scope of the module that is being read."""
        return Scope("module", self.loaded[self.file.file])

    def function_number(self) -> int:
        """Return the function that is being read, or -1."""
        return self.scope.number if self.scope.kind == "function" else -1

    def class_around(self) -> int:
        """Return the class whose method is being read, or -1."""
        scope: Scope | None = self.scope
        while scope is not None:
            if scope.kind == "function" and self.defined[scope.number].owner >= 0:
                return self.defined[scope.number].owner
            scope = self._parents.get(scope)
        return -1

    # -- telling -------------------------------------------------------------------------------

    def place(self, node: ast.AST) -> Place:
        """Return where a node stands."""
        return self.file.place(node)

    def open(self, service: str, node: ast.AST, what: str) -> None:
        """Tell that a service cannot be decided on."""
        self.recorder.open(service, self.place(node), what)

    # -- what the parts ask of one another ---------------------------------------------------

    def value(self, node: ast.expr | None) -> Values:
        """Return what an expression may stand for."""
        raise NotImplementedError

    def assign(self, target: ast.expr, values: Values) -> None:
        """Let a target hold values."""
        raise NotImplementedError

    def call(self, functions: Values, given: Arguments, node: ast.AST) -> Values:
        """Read a call of any of these."""
        raise NotImplementedError

    def escape(self, values: Iterable[object], node: ast.AST, to: str) -> None:
        """Tell that values come to something whose code is not read."""
        raise NotImplementedError
