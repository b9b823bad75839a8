"""Where in a module the rewritten code may set names of its own, and what is left as it is.

A function has names to spare; a class, a module and what runs whenever it is asked have none.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator

from .bound_methods import Bindings
from .in_batches import private_lists
from .in_loops import with_local_names
from .inlining import Room
from .looks import formatted_names


class Scopes(Bindings, ast.NodeTransformer):
    """Goes through one module, and keeps the names to spare of where it is."""

    def __init__(self, *, names: bool = True) -> None:
        """Begin outside functions; `names` says whether functions get further names."""
        super().__init__()
        self._room: Room | None = None
        """The names to spare where the visited code stands; None outside functions."""
        self._sealed = not names
        """True where no function may have any."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """Leave annotations: others read them."""
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        """Rewrite the value alone."""
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        returns, node.returns = node.returns, None
        batches = private_lists(node)
        body, node.body = node.body, []
        room = None if self._sealed else Room.of(ast.Module(body, []))
        if room is not None:
            room.formatted = formatted_names(body)
            room.batches = batches
        # Decorators and defaults run where the function is defined, and may set no name there: in a
        # class it would be an attribute.
        with self._with_room(None):
            self.generic_visit(node)
        with self._with_room(room):
            node.body = self._visit_body(body)
        node.body = node.body if room is None else with_local_names(room.begun(node.body))
        node.returns = returns
        return node

    visit_FunctionDef = _visit_function  # noqa: N815
    visit_AsyncFunctionDef = _visit_function  # noqa: N815

    def _visit_body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        for statement in body:
            visited = self.visit(statement)
            done += visited if isinstance(visited, list) else [visited]
        return done

    @contextlib.contextmanager
    def _with_room(self, room: Room | None) -> Iterator[None]:
        outer, self._room = self._room, room
        try:
            yield
        finally:
            self._room = outer

    @contextlib.contextmanager
    def _spare(self, count: int) -> Iterator[list[str] | None]:
        """Give local names, none if there are none here to be had."""
        if self._room is None or not count:
            yield None
            return
        with self._room.names(count) as names:
            yield names

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        """Do its defaults outside, and its body inside."""
        with self._with_room(None):
            self.visit(node.args)
        with self._with_room(None if self._sealed else Room.of(node.body)):
            node.body = self.visit(node.body)
        return node

    def _visit_apart(self, node: ast.AST) -> ast.AST:
        """Do what has names of its own, or runs whenever it is asked, without further names."""
        with self._with_room(None):
            return self.generic_visit(node)

    visit_ClassDef = _visit_apart  # noqa: N815
    visit_TypeAlias = _visit_apart  # noqa: N815

    def _visit_items(self, node: ast.expr) -> ast.expr:
        """Do what a comprehension gets its items from: nothing in it may set a name, no lambda."""
        # `:=` is a syntax error there, also inside a lambda.
        sealed, self._sealed = self._sealed, True
        with self._with_room(None):
            visited: ast.expr = self.visit(node)
        self._sealed = sealed
        return visited

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        """Do it without names: it runs whenever it is asked."""
        with self._with_room(None):
            return self._visit_comprehension(node)

    def _visit_comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
    ) -> ast.AST:
        for source in node.generators:
            source.target = self.visit(source.target)
            source.iter = self._visit_items(source.iter)
        room = self._room
        # Names that a comprehension sets are those of the function around it: they must not be ones
        # that the expression around the comprehension is still using.
        before = room is not None and room.comprehended
        if room is not None:
            room.comprehended = True
        for source in node.generators:
            source.ifs = [self.visit(test) for test in source.ifs]
        if isinstance(node, ast.DictComp):
            node.key, node.value = self.visit(node.key), self.visit(node.value)
        else:
            node.elt = self.visit(node.elt)
        if room is not None:
            room.comprehended = before
        return node

    visit_ListComp = _visit_comprehension  # noqa: N815
    visit_SetComp = _visit_comprehension  # noqa: N815
    visit_DictComp = _visit_comprehension  # noqa: N815

    def visit_match_case(self, node: ast.match_case) -> ast.match_case:
        """Leave patterns: they are no expressions."""
        if node.guard is not None:
            node.guard = self.visit(node.guard)
        node.body = self._visit_body(node.body)
        return node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.FormattedValue:
        """Rewrite the value; a format specification has to stay an f-string."""
        node.value = self.visit(node.value)
        # What is formatted into a specification pads or rounds; the values in it still are looked
        # at.
        if isinstance(node.format_spec, ast.JoinedStr):
            node.format_spec.values = [
                self.visit(v) if isinstance(v, ast.FormattedValue) else v
                for v in node.format_spec.values
            ]
        return node

    def visit_TemplateStr(self, node: ast.AST) -> ast.AST:
        """Leave template strings (PEP 750): they keep their parts apart themselves."""
        return node
