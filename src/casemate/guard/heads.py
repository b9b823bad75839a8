"""Heads of messages that the code puts together, known by the literals that they are made of.

Whatever reads a head line by line (`readline`, a loop over characters, a pattern), the code that
wrote it says what it is: `f"HTTP/1.1 200 OK\\r\\nX-Name: {name}\\r\\n"`.
"""

from __future__ import annotations

import ast
from typing import Any

from .inlining import PREFIX, SUFFIX
from .names import WRITES_HEAD

_END = ("\r\n", b"\r\n")
_FIRST = (
    ("HTTP/1.", "Status: ", "Content-Type: "),
    (b"HTTP/1.", b"Status: ", b"Content-Type: "),
)
"""What a head begins with whose lines may end otherwise as well."""
_MAKING = frozenset(("format", "join"))


def names_of_heads(module: ast.Module) -> frozenset[str]:
    """Return the names that a module gives a literal of a head: templates of one."""
    return frozenset(
        target.id
        for statement in module.body
        if isinstance(statement, ast.Assign) and _is_of_head(statement.value)
        for target in statement.targets
        if isinstance(target, ast.Name)
    )


def puts_head(node: ast.AST, names: frozenset[str] = frozenset()) -> bool:
    """Tell whether an expression puts a head together, by its look."""
    if isinstance(node, ast.JoinedStr):
        return len(node.values) > 1 and any(map(_is_of_head, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        return any(_is_head(side, names) for side in (node.left, node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in _MAKING and _is_head(node.func.value, names)
    return False


def _is_head(node: ast.expr, names: frozenset[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names
    return _is_of_head(node) or (isinstance(node, ast.BinOp) and puts_head(node, names))


def _is_of_head(node: ast.expr) -> bool:
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, str):
        return _END[0] in value or value.startswith(_FIRST[0])
    return isinstance(value, bytes) and (_END[1] in value or value.startswith(_FIRST[1]))


class Heads(ast.NodeTransformer):
    """Announces what is put together as a head."""

    def __init__(self) -> None:
        """Begin with no template."""
        self._heads: frozenset[str] = frozenset()
        """Names of the module's templates of heads."""

    def visit(self, node: ast.AST) -> Any:
        """Visit a node, and announce what it makes if it is a head."""
        head = puts_head(node, self._heads)  # by its look, which is another afterwards
        visited: Any = super().visit(node)
        if not head:
            return visited
        name = ast.copy_location(ast.Constant(WRITES_HEAD), node)
        function = ast.copy_location(ast.Name(f"{PREFIX}seen{SUFFIX}", ast.Load()), node)
        return ast.copy_location(ast.Call(function, [name, visited], []), node)
