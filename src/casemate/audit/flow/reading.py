"""Reads code as Python would run it, with values of which only something is known.

One reader reads the entries of one file: each from the state in which its module was read.
"""

from __future__ import annotations

import ast
import itertools
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from casemate.audit.flow import (
    calls,
    comprehensions,
    conditions,
    containers,
    dependencies,
    entering,
    expressions,
    names,
    operators,
    statements,
    texts,
)
from casemate.audit.flow.library import paths
from casemate.audit.flow.limits import MAX_HEAP, Limits
from casemate.audit.flow.parsing import File
from casemate.audit.flow.ports import Arguments, Frame, Pending, SpentError
from casemate.audit.flow.reporting import Report
from casemate.audit.flow.results import Entry, Place, Source, Step
from casemate.audit.flow.state import Scope, State, Thing
from casemate.audit.flow.values import (
    ANYTHING,
    External,
    Func,
    Module,
    Ref,
    Taint,
    Taints,
    Value,
)

PACKAGE = "function."
"""OpenFaaS copies the folder of a function into a package of that name."""


class Files:
    """The files that are analysed, by the names that code imports them by."""

    def __init__(self, files: dict[str, File]) -> None:
        """Know each by its whole name, and by its name from any folder down."""
        self.files = files
        self._ends: dict[str, list[str]] = {}
        self._packages: set[str] = set()
        for name in files:
            parts = name.split(".")
            for start in range(len(parts)):
                self._ends.setdefault(".".join(parts[start:]), []).append(name)
            for end in range(1, len(parts)):
                for start in range(end):
                    self._packages.add(".".join(parts[start:end]))

    @cached_property
    def patterns(self) -> dict[str, list[str]]:
        """The paths of views, by their names."""
        return dependencies.patterns_of(each.tree for each in self.files.values())

    @cached_property
    def aliases(self) -> dict[str, tuple[str, ast.expr]]:
        """Types that have a name, and their modules."""
        return dependencies.aliases_of({name: each.tree for name, each in self.files.items()})

    def find(self, name: str, near: str) -> str | None:
        """Return the module that `import name` means in a module; the nearest one of several."""
        folder = near.rpartition(".")[0]
        while True:
            whole = f"{folder}.{name}" if folder else name
            if whole in self.files:
                return whole
            if not folder:
                break
            folder = folder.rpartition(".")[0]
        found = self._ends.get(name, [])
        if not found and name.startswith(PACKAGE):
            return self.find(name.removeprefix(PACKAGE), near)
        return found[0] if len(found) == 1 else None

    def is_package(self, name: str) -> bool:
        """Return whether files are below a name."""
        return name in self._packages


class CodeReader:
    """Implements `ports.Reader`: hands each form of syntax to its part."""

    def __init__(self, files: Files, report: Report, limits: Limits) -> None:
        """Begin with nothing read."""
        self.files = files
        self._report = report
        self.limits = limits
        self.kinds = report.kinds
        self.scopes: dict[str, int] = {}
        self.stack: list[ast.AST] = []
        self.entry: Entry | None = None
        self.route: Pending | None = None
        self.pending: list[Pending] = []
        self.texts: set[str] = set()
        self.narrow: dict[str, frozenset[str]] = {}
        self.frame = Frame("", "", 0, "")
        self.left = limits.steps
        self.until = 0.0
        self._numbers = itertools.count(1)
        self._made = 0

    # -- bounds ------------------------------------------------------------------------------------

    def begin(self, steps: int, seconds: float) -> None:
        """Grant steps and time."""
        self.left = steps
        self._made = 0
        self.until = time.thread_time() + seconds

    def spend(self, node: ast.AST) -> None:
        """Count a step; `SpentError` when none is left."""
        self.left -= 1
        if self.left < 0:
            raise SpentError("steps")
        if self.left % 256 == 0 and time.thread_time() > self.until:
            raise SpentError("time")

    # -- reading -----------------------------------------------------------------------------------

    def evaluate(self, node: ast.expr, state: State) -> Value:
        """Return what an expression stands for."""
        self.spend(node)
        handler = _EXPRESSIONS.get(type(node))
        return handler(self, node, state) if handler is not None else ANYTHING

    def execute(self, body: Sequence[ast.stmt], state: State) -> State | None:
        """Read statements; None if nothing comes after them."""
        return statements.execute(self, body, state)

    def call(self, function: Value, arguments: Arguments, state: State, node: ast.AST) -> Value:
        """Read a call."""
        return calls.call(self, function, arguments, state, node)

    def enter(self, function: Func, arguments: Arguments, state: State, node: ast.AST) -> Value:
        """Read the body of a function for a call of it."""
        return entering.enter(self, function, arguments, state, node)

    def attribute(self, value: Value, name: str, state: State, node: ast.AST) -> Value:
        """Return an attribute."""
        return names.attribute(self, value, name, state, node)

    def path_attribute(self, value: Ref, name: str, state: State) -> Value:
        """Return an attribute of a `pathlib` path."""
        found = paths.attribute(self, value, name, state)
        return found if found is not None else ANYTHING

    def set_attribute(self, owner: Value, name: str, value: Value, state: State) -> None:
        """Set an attribute."""
        names.set_attribute(self, owner, name, value, state)

    def item(self, value: Value, key: Value, state: State, node: ast.AST) -> Value:
        """Return an item."""
        return containers.item(self, value, key, state, node)

    def set_item(self, owner: Value, key: Value, value: Value, state: State, node: ast.AST) -> None:
        """Set an item."""
        containers.set_item(self, owner, key, value, state, node)

    def items(self, value: Value, state: State, node: ast.AST) -> tuple[list[Value] | None, Value]:
        """Return the items of what is looped over one by one if known, and what each may be."""
        return containers.items(self, value, state, node)

    def assign(self, target: ast.expr, value: Value, state: State) -> None:
        """Give a value to a target."""
        statements.assign(self, target, value, state)

    def decide(self, test: ast.expr, state: State) -> tuple[State | None, State | None]:
        """Return the states in which a condition holds, and in which it does not."""
        return conditions.decide(self, test, state)

    def deciding_call(
        self, node: ast.Call, state: State
    ) -> tuple[State | None, State | None] | None:
        """Return the same for a call of a function of the code; None if it is no such call."""
        return entering.deciding(self, node, state)

    def patterns(self, view: str) -> list[str]:
        """Return the paths by which views of a name are called."""
        return self.files.patterns.get(view, [])

    def alias(self, name: str) -> tuple[str, ast.expr] | None:
        """Return the type that a name stands for, and its module."""
        return self.files.aliases.get(name)

    def scope_of(self, module: str) -> int:
        """Return the number of a module's names, once it was read."""
        return self.scopes.get(module, 0)

    def load(self, name: str, state: State, node: ast.AST) -> Value:
        """Return what a name stands for."""
        return names.load(self, name, state, node)

    def store(self, name: str, value: Value, state: State) -> None:
        """Let a name stand for a value."""
        names.store(self, name, value, state)

    def new(self, thing: Thing, state: State) -> Ref:
        """Make an object."""
        self._made += 1
        if self._made > MAX_HEAP:
            raise SpentError("objects")
        number = next(self._numbers)
        state.things[number] = state.kept(thing)
        return Ref(number)

    # -- modules -----------------------------------------------------------------------------------

    def own(self, name: str) -> bool:
        """Return whether a module is one of the analysed files."""
        return self.files.find(name, self.frame.module) is not None

    def path_of(self, module: str) -> str:
        """Return the file of a module."""
        file = self.files.files.get(module)
        return file.path if file is not None else module

    def module(self, name: str, state: State) -> Value:
        """Return a module, its code read once."""
        found = self.files.find(name, self.frame.module)
        if found is None:
            # A package without a file of its own has modules below it.
            if self.files.is_package(name):
                return Module(name)
            return External(name)
        if found in self.scopes:
            return Module(found)
        file = self.files.files[found]
        scope = self.new(Scope({}), state)
        self.scopes[found] = scope.number
        outer, self.frame = self.frame, Frame(found, file.path, scope.number, "")
        stack, self.stack = self.stack, []
        try:
            after = self.execute(file.tree.body, state)
            if after is not None and after is not state:
                state.become(after)
        finally:
            self.frame, self.stack = outer, stack
        return Module(found)

    # -- what is told ------------------------------------------------------------------------------

    def source(self, kind: str, what: str, node: ast.AST, path: str = "") -> Taint:
        """Return the mark of outside data."""
        place = self.place(node)
        number = self._report.source(Source(kind=kind, what=what, place=place))
        taint = Taint(number, (texts.form_of(kind, path or what),))
        return taint.stepping(Step(place, f"{what} comes from outside"))

    def place(self, node: ast.AST) -> Place:
        """Return where something is."""
        return Place(
            self.frame.path, getattr(node, "lineno", 1) or 1, getattr(node, "col_offset", 0) or 0
        )

    def step(self, node: ast.AST, what: str) -> Step:
        """Return a step."""
        return Step(self.place(node), what)

    def unresolved(self, node: ast.AST, what: str) -> None:
        """Tell that something was not looked at."""
        self._report.unresolved(self.place(node), what)

    def report(
        self,
        weakness: str,
        call: str,
        taints: Taints,
        node: ast.AST,
        confidence: str = "high",
    ) -> None:
        """Tell of a flow."""
        if self.entry is not None:
            self._report.flow(self.entry, weakness, call, taints, self.place(node), confidence)

    def looked(self, node: ast.AST, *, checked: bool) -> None:
        """Tell of a command line, and whether all in it is written out or was checked."""
        self._report.looked(self.place(node), checked=checked)

    def choice(self, weakness: str, call: str, node: ast.AST, confidence: str) -> None:
        """Tell of what the code itself has chosen badly, whatever the data."""
        if self.entry is not None:
            self._report.choice(self.entry, weakness, call, self.place(node), confidence)

    def found(self, pending: Pending) -> None:
        """Take an entry that the code itself makes."""
        if len(self.pending) < MAX_HEAP:
            self.pending.append(pending)


Reading = Callable[[Any, Any, State], Value]
_EXPRESSIONS: dict[type[ast.expr], Reading] = {
    ast.Constant: expressions.constant,
    ast.Name: names.name_,
    ast.Attribute: names.attribute_,
    ast.Subscript: expressions.subscript,
    ast.Call: calls.call_,
    ast.BinOp: operators.bin_op,
    ast.UnaryOp: operators.unary_op,
    ast.BoolOp: expressions.bool_op,
    ast.Compare: operators.compare,
    ast.IfExp: expressions.if_exp,
    ast.JoinedStr: expressions.joined_str,
    ast.FormattedValue: expressions.formatted_value,
    ast.Tuple: expressions.tuple_,
    ast.List: expressions.list_,
    ast.Set: expressions.list_,
    ast.Dict: expressions.dict_,
    ast.Lambda: expressions.lambda_,
    ast.Starred: expressions.starred,
    ast.Await: expressions.await_,
    ast.Yield: expressions.yield_,
    ast.YieldFrom: expressions.yield_,
    ast.NamedExpr: expressions.named_expr,
    ast.ListComp: comprehensions.comprehension,
    ast.SetComp: comprehensions.comprehension,
    ast.GeneratorExp: comprehensions.comprehension,
    ast.DictComp: comprehensions.comprehension,
}
