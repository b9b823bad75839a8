"""Rewrites dictionaries in which others are put over keys that the code has written: `**`, `|`.

    {"tenant": me, **x, "a": 1}    {**__casemate_merged__({"tenant": me}, x), "a": 1}
    {"tenant": me} | x             __casemate_united__({"tenant": me}, x, 1)
    scope(event) | loads(x)        __casemate_united__(scope(event), loads(x), 0)

Only keys are looked at that say whose something is, with a value that is no literal: a literal is a
default, which the event may set otherwise.
"""

from __future__ import annotations

import ast

from .inlining import PREFIX, SUFFIX
from .plain_names import says_whose

_MAKES = (ast.Dict, ast.DictComp, ast.Call)


class Merging(ast.NodeTransformer):
    """Announces what is put over keys of the code's own."""

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        """Do `{"tenant": me, **x}`."""
        at = next((n for n, key in enumerate(node.keys) if key is None), 0)
        holds = any(map(_is_whose, node.keys[:at], node.values[:at]))
        self.generic_visit(node)
        if not holds:
            return node
        own = ast.copy_location(ast.Dict(node.keys[:at], node.values[:at]), node)
        merged = _call(node, "merged", own, node.values[at])
        keys, values = [None, *node.keys[at + 1 :]], [merged, *node.values[at + 1 :]]
        return ast.copy_location(ast.Dict(keys, values), node)


def may_replace(module: ast.Module) -> bool:
    """Tell whether a module may put others over keys that say whose something is, and ask by it."""
    nodes = list(ast.walk(module))
    if not any(isinstance(node, ast.Dict) and writes_whose(node) for node in nodes):
        return False
    return any(
        (isinstance(node, ast.Attribute) and node.attr == "update")
        or (isinstance(node, ast.BinOp) and unites(node))
        for node in nodes
    )


def unites(node: ast.BinOp) -> bool:
    """Tell whether a `|` may be of two dictionaries, by its look."""
    sides = (node.left, node.right)
    return isinstance(node.op, ast.BitOr) and any(isinstance(side, _MAKES) for side in sides)


def united(node: ast.BinOp, *, wrote: bool) -> ast.expr:
    """Return a call that does a `|`; `wrote` as `writes_whose` says of its left side."""
    return _call(node, "united", node.left, node.right, ast.Constant(int(wrote)))


def writes_whose(node: ast.expr) -> bool:
    """Tell whether an expression is a dictionary that says whose something is."""
    return isinstance(node, ast.Dict) and any(map(_is_whose, node.keys, node.values))


def _is_whose(key: ast.expr | None, value: ast.expr) -> bool:
    named = isinstance(key, ast.Constant) and isinstance(key.value, str) and says_whose(key.value)
    return named and not isinstance(value, ast.Constant)


def _call(node: ast.AST, name: str, *arguments: ast.expr) -> ast.Call:
    function = ast.Name(f"{PREFIX}{name}{SUFFIX}", ast.Load())
    call = ast.Call(function, list(arguments), [])
    for new in (function, *arguments):
        if not hasattr(new, "lineno"):
            ast.copy_location(new, node)
    return ast.copy_location(call, node)
