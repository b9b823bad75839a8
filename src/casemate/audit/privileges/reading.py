"""Reads a function's program until nothing new is found: which values may be where.

Neither the order of statements nor conditions count, calls of one function are not told apart, and
all objects of a class are one. So what is found to be needed is too much rather than too little.
Bounded by rounds, values and processor time; beyond, nothing is decided.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Iterable

from casemate.audit.privileges import calls, cloud, expressions, statements
from casemate.audit.privileges.needs import Part
from casemate.audit.privileges.program import Scope
from casemate.audit.privileges.reader import Arguments, Reader, StoppedError
from casemate.audit.privileges.values import (
    Bound,
    Box,
    Class,
    External,
    Func,
    Instance,
    Text,
    Values,
)

MAX_ROUNDS = 30
MAX_SECONDS = 4.0
"""Of processor time for one function."""


class ProgramReader(Reader):
    """The whole of it."""

    def run(self, file: str, handler: str, seconds: float = MAX_SECONDS) -> None:
        """Read until nothing changes. Raises StoppedError at a bound."""
        self._until = time.thread_time() + min(seconds, MAX_SECONDS)
        entry = self.load(file)
        if entry is None:
            raise StoppedError("its code cannot be read")
        for number in range(MAX_ROUNDS):
            self._round(file, handler, back=number > 0)
            if not self.state.readers.dirty:
                return
        raise StoppedError("its code is too entangled")

    def _round(self, file: str, handler: str, *, back: bool) -> None:
        """Read all of it; `back`: what is called before what calls it, for what is returned."""
        self._modules_from(0)
        entry = self.modules.parsed(file)
        if entry is not None and not self._is_read(""):
            scope = Scope("module", self.loaded[file])
            self.inside(entry, scope)
            calls.enter(self, handler, scope)
        at = 0
        if back:
            at = len(self.order)
            for number in reversed(self.order[:]):
                self._function(number)
        while at < len(self.order):
            self._function(self.order[at])
            at += 1

    def _modules_from(self, done: int) -> int:
        """Read modules, also those that come up meanwhile; return how many there are."""
        while done < len(self.files):
            name = self.files[done]
            done += 1
            found = self.modules.parsed(name)
            if found is not None and not self._is_read(name):
                self.inside(found, Scope("module", self.loaded[name]))
                statements.execute(self, found.tree.body)
        return done

    def _is_read(self, part: Part) -> bool:
        if self.state.readers.is_read(part):
            return True
        self.recorder.begin(part)
        return False

    def _function(self, number: int) -> None:
        if time.thread_time() > self._until:
            raise StoppedError("its code takes too long to read")
        if self._is_read(number):
            return
        files = len(self.files)
        self._body(number)
        self._modules_from(files)

    def _body(self, number: int) -> None:
        each = self.defined[number]
        self.inside(each.file, Scope("function", number))
        if isinstance(each.node, ast.Lambda):
            self.state.give(number, expressions.value(self, each.node.body))
        elif isinstance(each.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            statements.execute(self, each.node.body)

    def value(self, node: ast.expr | None) -> Values:
        """Return what an expression may stand for."""
        return expressions.value(self, node)

    def assign(self, target: ast.expr, values: Values) -> None:
        """Let a target hold values."""
        statements.assign(self, target, values)

    def call(self, functions: Values, given: Arguments, node: ast.AST) -> Values:
        """Read a call of any of these."""
        return calls.call(self, functions, given, node)

    def escape(self, values: Iterable[object], node: ast.AST, to: str) -> None:
        """Tell that values come to something whose code is not read."""
        waiting, seen = [v for v in values if not isinstance(v, (Text, External))], set[object]()
        if not waiting:
            return
        while waiting:
            each = waiting.pop()
            if each in seen:
                continue
            seen.add(each)
            if isinstance(each, (Func, Bound)):
                calls.called_from_outside(self, each)
            elif isinstance(each, Box):
                waiting += self.state.got(each)
            elif isinstance(each, (Instance, Class)):
                owner = each.owner if isinstance(each, Instance) else each.number
                self.state.readers.reads(("methods", owner))
                for number in self.by_class.get(owner, ()):
                    calls.called_from_outside(self, Bound(number, Instance(owner)))
                for _, held in self.state.of_class(owner):
                    waiting += held
            else:
                cloud.escaped(self, each, node, to)
