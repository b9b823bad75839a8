"""The reader with all of its parts: each form of syntax to the part that reads it."""

from __future__ import annotations

from collections.abc import Sequence

from casemate.audit.flow.state import State
from casemate.audit.flow.values import ANYTHING, Value
from casemate.audit.javascript import calls, conditions, library, methods, modules, statements
from casemate.audit.javascript.expressions import EXPRESSIONS
from casemate.audit.javascript.reader import Reader, Ways
from casemate.audit.javascript.syntax import Node
from casemate.audit.javascript.values import UNDEFINED


class CodeReader(Reader):
    """Implements what parts ask of one another."""

    def evaluate(self, node: Node | None, state: State) -> Value:
        """Return what an expression stands for."""
        if node is None:
            return UNDEFINED
        self.spend()
        if node.kind in ("call_expression", "new_expression"):
            self.visited.add(id(node))
        handler = EXPRESSIONS.get(node.kind)
        return handler(self, node, state) if handler is not None else ANYTHING

    def execute(self, body: Sequence[Node], state: State) -> State | None:
        """Read statements; None if nothing comes after them."""
        return statements.execute(self, body, state)

    def decide(self, node: Node | None, state: State) -> Ways:
        """Return the states in which a condition holds, and in which it does not."""
        return conditions.decide(self, node, state)

    def enter(
        self, function: Value, given: list[Value], this: Value, state: State, node: Node
    ) -> Value:
        """Read the body of a function for a call of it."""
        self.visited.add(id(node))
        return calls.enter(self, function, given, this, state, node)

    def method(
        self, receiver: Value, name: str, given: list[Value], state: State, node: Node
    ) -> Value | None:
        """Return what a method of a value gives; None if it is not one of the language's."""
        return methods.call(self, receiver, name, given, state, node)

    def of_library(
        self, function: Value, given: list[Value], state: State, node: Node, *, new: bool = False
    ) -> Value:
        """Return what a call of a library gives, or an object of a class of it."""
        if new:
            return library.make(self, function, given, state, node)
        return library.call(self, function, given, state, node)

    def tagged(self, name: str, given: Node, holes: list[Value], state: State, node: Node) -> Value:
        """Return what a tagged template of a library gives."""
        return library.tagged(self, name, given, holes, state, node)

    def module(self, file: str, state: State) -> Value:
        """Return what a file exports, read once."""
        return modules.read(self, file, state)

    def imported_late(self, scope: int, name: str, state: State) -> Value | None:
        """Return what a name is that was imported while its file was still being read."""
        return modules.late(self, scope, name, state)
