"""Rewrites comparisons: by `in`, `==` and `match` the code says which texts it foresees."""

from __future__ import annotations

import ast

from .inlining import PREFIX, SUFFIX, found
from .looks import is_literal, is_name_of_host, is_written, loaded, texts_of
from .methods import compared_in_place, member_in_place, names_for
from .scopes import Scopes


class Comparisons(Scopes, ast.NodeTransformer):
    """Has it noted what a value was found in, or found equal to."""

    def _call(self, node: ast.AST, name: str, *arguments: ast.expr) -> ast.Call:
        function = ast.Name(f"{PREFIX}{name}{SUFFIX}", ast.Load())
        call = ast.Call(function, list(arguments), [])
        ast.copy_location(function, node)
        return ast.copy_location(call, node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """Do `in` and `not in`, and `==` and `!=` with a text that the code has written."""
        self.generic_visit(node)
        if len(node.ops) != 1:
            return node
        left, right, op = node.left, node.comparators[0], node.ops[0]
        if isinstance(op, (ast.Eq, ast.NotEq)):
            return self._compared_in_place(node) or self._compared(node)
        plain = isinstance(left, ast.Constant) and not is_name_of_host(left)
        if plain or not isinstance(op, (ast.In, ast.NotIn)):
            return node
        again = loaded(left) if isinstance(left, (ast.Name, ast.Subscript)) else None
        noted: ast.expr
        texts = texts_of(right)
        if texts is not None and again is not None:
            # Most values are not found, and cost nothing then.
            among = ast.Tuple([ast.copy_location(t, node) for t in texts], ast.Load())
            ast.copy_location(among, node)
            with self._spare(0 if isinstance(left, ast.Name) else 1) as names:
                flag = self._room.flag() if self._room is not None else None
                noted = found(node, among, again, names or (), flag)
        elif again is not None and isinstance(right, ast.Name):
            noted = self._member_in_place(node)
        else:
            noted = self._call(node, "member", left, right)
        if isinstance(op, ast.In):
            return noted
        return ast.copy_location(ast.UnaryOp(ast.Not(), noted), node)

    def _compared(self, node: ast.Compare) -> ast.expr:
        sides = (node.left, node.comparators[0])
        if is_written(sides[0]) == is_written(sides[1]):
            return node
        name = "same" if isinstance(node.ops[0], ast.Eq) else "differs"
        (named,) = [n for n, side in enumerate(sides) if is_written(side)]
        which = [] if is_literal(sides[named]) else [ast.Constant(named)]
        return self._call(node, name, *sides, *(ast.copy_location(w, node) for w in which))

    def _compared_in_place(self, node: ast.Compare) -> ast.expr | None:
        """Do a comparison with a text that is written on the right where it stands."""
        right, count = node.comparators[0], names_for(node.left)
        if not (isinstance(right, ast.Constant) and type(right.value) is str):
            return None
        if is_written(node.left):
            return None
        with self._spare(count) as names:
            if names is None and count:
                return None
            return compared_in_place(node, names or (), equal=isinstance(node.ops[0], ast.Eq))

    def _member_in_place(self, node: ast.Compare) -> ast.expr:
        """Do `in` and `not in` of what a name stands for, as `in`."""
        count = names_for(node.left)
        with self._spare(count) as names:
            if names is None and count:
                return self._call(node, "member", node.left, node.comparators[0])
            return member_in_place(node, names or ())

    def visit_Match(self, node: ast.Match) -> ast.Match:
        """Do the comparisons of a subject with the texts of its cases."""
        texts = [
            ast.Constant(pattern.value.value)
            for case in node.cases
            for pattern in ast.walk(case.pattern)
            if isinstance(pattern, ast.MatchValue)
            and isinstance(pattern.value, ast.Constant)
            and isinstance(pattern.value.value, (str, bytes))
        ]
        self.generic_visit(node)
        if texts:
            foreseen = ast.Tuple([ast.copy_location(t, node.subject) for t in texts], ast.Load())
            ast.copy_location(foreseen, node.subject)
            node.subject = self._call(node.subject, "matched", node.subject, foreseen)
        return node
