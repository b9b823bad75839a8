"""Rewrites dictionaries in which others are put over keys that the code has written: `**`, `|`.

    {"tenant": me, **x, "a": 1}    {**__casemate_merged__({"tenant": me}, x, ("tenant",)), "a": 1}
    {"tenant": me} | x             __casemate_united__({"tenant": me}, x, ("tenant",))
    scope(event) | loads(x)        __casemate_united__(scope(event), loads(x), ())

Only keys are looked at that say whose something is, with a value that is no literal: a literal is a
default, which the event may set otherwise.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .inlining import PREFIX, SUFFIX
from .plain_names import says_whose

_MAKES = (ast.Dict, ast.DictComp, ast.Call)


class Merging(ast.NodeTransformer):
    """Announces what is put over keys of the code's own."""

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        """Do `{"tenant": me, **x, **y}`."""
        names = _names(node)
        self.generic_visit(node)
        if not names:
            return node
        keys: list[ast.expr | None] = []
        values: list[ast.expr] = []
        for key, value in zip(node.keys, node.values, strict=True):
            own = [n for n in names if any(_is_named(k, n) for k in keys)]
            if key is None and (own or keys[:1] == [None]):
                before = ast.copy_location(ast.Dict(keys, values), node)
                merged = _call(node, "merged", before, value, _tuple_of(names))
                keys, values = [None], [merged]
            else:
                keys, values = [*keys, key], [*values, value]
        return ast.copy_location(ast.Dict(keys, values), node)


def _names(node: ast.Dict) -> list[str]:
    """Return the keys that say whose something is, and behind which others are put over them."""
    last = max((n for n, key in enumerate(node.keys) if key is None), default=0)
    return _said_in(node.keys[:last], node.values[:last])


def _said_in(keys: Sequence[ast.expr | None], values: Sequence[ast.expr]) -> list[str]:
    whose = (k for k, v in zip(keys, values, strict=True) if _is_whose(k, v))
    return [str(k.value) for k in whose if isinstance(k, ast.Constant)]


def _is_named(key: ast.expr | None, name: str) -> bool:
    return isinstance(key, ast.Constant) and key.value == name


def _tuple_of(names: list[str]) -> ast.Tuple:
    return ast.Tuple([ast.Constant(name) for name in names], ast.Load())


def may_replace(module: ast.Module) -> bool:
    """Tell whether a module may put others over keys that say whose something is, and ask by it."""
    nodes = list(ast.walk(module))
    if not any(isinstance(node, ast.Dict) and written_in(node) for node in nodes):
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


def united(node: ast.BinOp, names: list[str]) -> ast.expr:
    """Return a call that does a `|`; `names` as `written_in` says of its left side."""
    return _call(node, "united", node.left, node.right, _tuple_of(names))


def written_in(node: ast.expr) -> list[str]:
    """Return the keys of a dictionary that the code writes which say whose something is."""
    if not isinstance(node, ast.Dict):
        return []
    return _said_in(node.keys, node.values)


def _is_whose(key: ast.expr | None, value: ast.expr) -> bool:
    named = isinstance(key, ast.Constant) and isinstance(key.value, str) and says_whose(key.value)
    return named and not isinstance(value, ast.Constant)


def _call(node: ast.AST, name: str, *arguments: ast.expr) -> ast.Call:
    function = ast.Name(f"{PREFIX}{name}{SUFFIX}", ast.Load())
    call = ast.Call(function, list(arguments), [])
    for new in (function, *(part for argument in arguments for part in ast.walk(argument))):
        if isinstance(new, (ast.expr,)) and not hasattr(new, "lineno"):
            ast.copy_location(new, node)
    return ast.copy_location(call, node)
