"""Formulas that the code evaluates without Python's built-in functions, as it says in the call.

`eval(text, {"__builtins__": {}}, names)` is how formulas of others are computed by hand. It keeps
nobody from attributes, through which all of Python is reached. What a formula needs passes all the
same: numbers, names of what the code gives, arithmetic, comparisons, and functions of mathematics.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from ..origin import Span
from ..plain_names import is_plain

MAX_FORMULA = 1000
"""Characters of a formula."""
_MAX_NODES = 300
_FUNCTIONS = frozenset(
    [
        *("abs", "max", "min", "round", "sqrt", "ceil", "floor", "log", "log10", "log2", "exp"),
        *("sin", "cos", "tan", "atan", "hypot", "trunc", "fabs", "int", "float", "bool"),
    ]
)
_NODES = (
    *(ast.Expression, ast.Load, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.Name, ast.Constant, ast.Call),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.UAdd, ast.USub),
    *(ast.And, ast.Or, ast.Not, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)
"""No power: two of them take all time."""
_BUILDING = re.compile(r"\s*(?:dict|list|tuple|set|frozenset)\s*\(")
_NUMBERS = (int, float, bool)


_OF_COLUMNS = (*_NODES, ast.BitAnd, ast.BitOr, ast.Invert, ast.In, ast.NotIn, ast.List, ast.Tuple)
"""What an expression over the columns of a table has besides."""
_HOLDING_TEXTS = (ast.Compare, ast.BoolOp, ast.IfExp, ast.List, ast.Tuple, ast.Expression)
"""Where a text is only compared or chosen: it is never multiplied, nor a format."""


def is_formula(text: str, spans: Sequence[Span], *, columns: bool = False) -> bool:
    """Tell whether a text that holds data, or is data, is a formula and nothing more.

    `columns`: of a table's columns, as pandas' `query` and `eval` compute them.
    """
    if len(text) > MAX_FORMULA or not spans:
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    nodes = list(ast.walk(tree))
    if len(nodes) > _MAX_NODES:
        return False
    called = {id(n.func) for n in nodes if isinstance(n, ast.Call)}
    held = _texts_held(tree)
    return all(
        id(node) in held
        or _is_harmless(node, called=id(node) in called, kinds=_OF_COLUMNS if columns else _NODES)
        for node in nodes
    )


def _texts_held(tree: ast.AST) -> set[int]:
    """Return the texts that are only compared or chosen, wherever they are within."""
    held: set[int] = set()
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            held.add(id(node))
        elif isinstance(node, _HOLDING_TEXTS) or (
            isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr))
        ):
            todo += ast.iter_child_nodes(node)
    return held


def is_literal_call(text: str, spans: Sequence[Span]) -> bool:
    """Tell whether a call that only builds a value has data as all of its arguments: literals.

    `dict({text})` is how settings are read that are kept as `cpu=90, mem=80`: what is in them is
    data whatever it is, as of `ast.literal_eval`, and the code has put nothing beside it.
    """
    call = _BUILDING.match(text) if len(text) <= MAX_FORMULA else None
    if call is None or len(spans) != 1:
        return False
    if text[call.end() : spans[0].start].strip() or text[spans[0].end :].strip() != ")":
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
            return False
        for value in (*tree.args, *(keyword.value for keyword in tree.keywords)):
            ast.literal_eval(value)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return False
    return all(keyword.arg for keyword in tree.keywords)


def is_whole(text: str, spans: Sequence[Span]) -> bool:
    """Tell whether a text is one value of the event: the code has put nothing around it."""
    return len(spans) == 1 and (spans[0].start, spans[0].end) == (0, len(text))


def _is_harmless(node: ast.AST, *, called: bool, kinds: tuple[type[ast.AST], ...]) -> bool:
    if isinstance(node, ast.Name):
        plain = is_plain(node.id) and not node.id.startswith("_")
        return node.id in _FUNCTIONS if called else plain
    if isinstance(node, ast.Constant):
        return type(node.value) in _NUMBERS
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and not node.keywords
    return isinstance(node, kinds)
