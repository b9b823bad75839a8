"""Formulas that the code evaluates without Python's built-in functions, as it says in the call.

`eval(text, {"__builtins__": {}}, names)` is how formulas of others are computed by hand. It keeps
nobody from attributes, through which all of Python is reached. What a formula needs passes all the
same: numbers, names of what the code gives, arithmetic, comparisons, and functions of mathematics.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Collection, Sequence
from typing import Literal

from ..origin import Span
from ..plain_names import is_field, is_hidden

MAX_FORMULA = 1000
"""Characters of a formula."""
_MAX_NODES = 300
_MAX_FRAME = 2000
"""Characters of a function that the code has put around one."""
_MAX_POWERS, _MAX_POWER = 8, 81
"""Powers of a formula, and what all whole ones together are to multiply to at most: a number of as
many digits as are read (4,300) becomes one of 81 times as many, which takes some 30 ms."""
_FUNCTIONS = frozenset(
    [
        *("abs", "max", "min", "round", "sqrt", "ceil", "floor", "log", "log10", "log2", "exp"),
        *("sin", "cos", "tan", "atan", "hypot", "trunc", "fabs", "int", "float", "bool"),
        *("len", "sum", "sorted", "str"),
    ]
)
_NODES = (
    ast.Pow,
    *(ast.Expression, ast.Load, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.Name, ast.Constant, ast.Call, ast.In, ast.NotIn, ast.List, ast.Tuple),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.UAdd, ast.USub),
    *(ast.And, ast.Or, ast.Not, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)
"""Powers are by small numbers alone: two others take all time."""
_BUILDING = re.compile(r"\s*(?:dict|list|tuple|set|frozenset)\s*\(")
_NUMBERS = (int, float, bool)
_RETURNS = re.compile(r"(?:\A\s*lambda\b[^:\n]{0,200}:|\n[ \t]{1,16}return[ \t])[ \t]{0,9}\Z")
_WORD = re.compile(r"\w{1,64}")
_REWRITTEN = re.compile(r"\*\*|[.*/]|[=!]=|[<>]=?|&|\|")
"""Signs that code puts in the place of what people write in formulas."""
_DATA, _NAMED = "\x00", "\x01"
"""Stand for data, and for a name of the event in quotes of the code's: neither is in a formula."""
_LONGEST_CALL = 70
_CALLED = re.compile(r"(?<!\w)[A-Za-z_]\w{0,63}\(['\"]\Z")
_REFERENCE = re.compile(r"(?<!\w)[A-Za-z_]\w{0,63}\((['\"])\x01\1\)")


_OF_VALUES = (*_NODES, ast.Dict, ast.Subscript)
"""What an expression over values that the code names for it has besides."""
_MAKING_LONG = frozenset(("sorted", "str"))
_DISPLAYS = (ast.List, ast.Tuple, ast.Dict)
_OF_NUMBERS = frozenset(
    [
        *("where", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh"),
        *("arccosh", "arctanh", "log1p", "expm1", "prod"),
    ]
)
"""Functions of numexpr, whose expressions reach nothing but numbers."""
_METHODS = frozenset(
    [
        *("between", "isin", "isna", "isnull", "notna", "notnull", "contains", "startswith"),
        *("endswith", "lower", "upper", "strip", "len", "abs", "round"),
    ]
)
_PROPERTIES = frozenset(("str", "dt", "year", "month", "day", "hour", "minute", "weekday"))
"""Of a table's columns: they return other columns."""
_OF_COLUMNS = (*_NODES, ast.BitAnd, ast.BitOr, ast.Invert)
"""What an expression over the columns of a table has besides."""
_HOLDING_TEXTS = (
    *(ast.Compare, ast.BoolOp, ast.IfExp, ast.List, ast.Tuple, ast.Expression, ast.Dict),
)
"""Where a text is only compared or chosen: it is never multiplied, nor a format."""


def is_of_values(text: str) -> bool:
    """Tell whether a formula has numbers and texts alone: it reaches nothing, whoever computes it.

    Arithmetic, comparisons and functions of mathematics, without a name of the code's.
    """
    formula = formula_of(text)
    return formula is not None and is_of(formula, frozenset(), frozenset())


def is_formula(
    text: str, spans: Sequence[Span], *, columns: bool = False, sent: Collection[str] = ()
) -> bool:
    """Tell whether a text that holds data, or is data, is a formula and nothing more.

    `columns`: of a table's columns, as pandas' `query` and `eval` and numexpr compute them.
    `sent`: names of numbers that are the event's, whatever these names speak of.
    """
    if len(text) > MAX_FORMULA or not spans:
        return False
    tree = _parsed(text.strip(), "eval")
    nodes = list(ast.walk(tree)) if tree is not None else []
    if tree is None or len(nodes) > _MAX_NODES:
        return False
    if not _is_bounded(nodes):
        return False
    called = {id(n.func) for n in nodes if isinstance(n, ast.Call)}
    held = _texts_held(tree) | (_of_columns(nodes) if columns else set())
    own = [n for n in nodes if isinstance(n, ast.Name) and n.id in sent and n.id[:1] != "_"]
    held |= {id(n) for n in own if id(n) not in called}
    return all(
        id(node) in held
        or _is_harmless(node, called=id(node) in called, kinds=_OF_COLUMNS if columns else _NODES)
        for node in nodes
    )


def _is_bounded(nodes: Sequence[ast.AST]) -> bool:
    """Tell whether arithmetic takes little: `9 ** 9 ** 9` does not, nor `[0] * 10_000_000_000`."""
    sums = [node for node in nodes if isinstance(node, ast.BinOp)]
    powers = [node.right for node in sums if isinstance(node.op, ast.Pow)]
    times = [node for node in sums if isinstance(node.op, ast.Mult)]
    lists = any(_is_long(t.left) or _is_long(t.right) for t in times)
    return not lists and len(powers) <= _MAX_POWERS and are_small(powers)


def _is_long(value: ast.expr) -> bool:
    """Tell whether a value is a list or a text by its look, which grows when it is multiplied."""
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in _MAKING_LONG
    if isinstance(value, ast.BinOp):
        return _is_long(value.left) or _is_long(value.right)
    if isinstance(value, ast.BoolOp):
        return any(map(_is_long, value.values))
    if isinstance(value, ast.IfExp):
        return _is_long(value.body) or _is_long(value.orelse)
    return isinstance(value, _DISPLAYS)


def are_small(powers: Sequence[ast.expr]) -> bool:
    """Tell of powers, which may be taken of one another, whether they are numbers and few.

    What is negative or a fraction makes fractions, of which all have the same size.
    """
    whole = 1
    for power in powers:
        is_negative = isinstance(power, ast.UnaryOp) and isinstance(power.op, ast.USub)
        number = power.operand if isinstance(power, ast.UnaryOp) and is_negative else power
        value = number.value if isinstance(number, ast.Constant) else None
        if type(value) is int and not is_negative:
            whole *= max(value, 1)
        elif type(value) not in (int, float):
            return False
    return whole <= _MAX_POWER


def _of_columns(nodes: Sequence[ast.AST]) -> set[int]:
    """Return what is of methods of columns, as `name.str.startswith('A')`, and their literals."""
    found: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in _PROPERTIES:
            found.add(id(node))
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in _OF_NUMBERS:
            found.add(id(node.func))
        if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if all(isinstance(one, (ast.Constant, ast.List, ast.Tuple)) for one in given):
                found |= {id(node), id(node.func), *map(id, node.keywords)}
                found |= {id(one) for one in given if isinstance(one, ast.Constant)}
    return found


def is_body(text: str, spans: Sequence[Span]) -> bool:
    """Tell whether data is all that a function of the code returns, of its parameters alone.

    `lambda row: {text}` and `def rule(temp): return {text}` are how expressions of others are kept
    to be computed again and again. No other name is within reach of such a one.
    """
    if len(spans) != 1 or len(text) > _MAX_FRAME or text[spans[0].end :].strip():
        return False
    begun = _RETURNS.search(text[: spans[0].start])
    if begun is None:
        return False
    tree = _parsed(text.strip(), "exec")
    body = tree.body if isinstance(tree, ast.Module) else []
    found = _function(body[0]) if len(body) == 1 else None
    if found is None:
        return False
    names = {node.arg for node in ast.walk(found[0]) if isinstance(node, ast.arg)}
    return is_of(found[1], frozenset(names), frozenset())


def _function(made: ast.stmt) -> tuple[ast.arguments, ast.expr] | None:
    """Return the parameters of a function, and what it returns, if that is all it does."""
    if isinstance(made, ast.Expr) and isinstance(made.value, ast.Lambda):
        return made.value.args, made.value.body
    if not isinstance(made, ast.FunctionDef) or made.decorator_list or len(made.body) != 1:
        return None
    only = made.body[0]
    value = only.value if isinstance(only, ast.Return) else None
    return (made.args, value) if value is not None else None


def is_of_names(text: str, spans: Sequence[Span], names: Sequence[str]) -> bool:
    """Tell whether a formula needs no more than what the code has named for it, and is all data.

    `eval(text, {"price": price, "round": round})`: a function in there is given to be called, with
    numbers and words. `cell('A1')` in the place of `A1` is the code's, and no more than it was.
    """
    formula = formula_of(text)
    if formula is None or not is_data(text, spans):
        return False
    given = frozenset(name for name in names if not is_hidden(name))
    return is_of(formula, given, given)


def formula_of(text: str) -> ast.expr | None:
    """Return the tree of a formula; None if a text is none, or too long."""
    tree = _parsed(text.strip(), "eval") if len(text) <= MAX_FORMULA else None
    return tree.body if isinstance(tree, ast.Expression) else None


def is_of(value: ast.expr, names: frozenset[str], functions: frozenset[str]) -> bool:
    """Tell whether an expression calculates with these names, and calls no other functions."""
    nodes = list(ast.walk(value))
    if len(nodes) > _MAX_NODES or not _is_bounded(nodes):
        return False
    held = _texts_held(ast.Expression(value))
    known = set[int]()
    for node in nodes:
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            if called in functions:
                known |= {id(a) for a in node.args if _is_word(a)}
            elif called not in _FUNCTIONS:
                return False
            known.add(id(node.func))
        elif isinstance(node, ast.Subscript) and _is_key(node.slice):
            known.add(id(node.slice))
        elif isinstance(node, ast.Subscript) and is_table(node.value):
            known |= {id(key) for key in ast.iter_child_nodes(node.value)}
        elif isinstance(node, ast.Subscript):
            return False
    return all(
        id(node) in held
        or id(node) in known
        or (
            node.id in names and not is_hidden(node.id)
            if isinstance(node, ast.Name)
            else _is_harmless(node, called=False, kinds=_OF_VALUES)
        )
        for node in nodes
    )


def is_table(node: ast.AST) -> bool:
    """Tell whether a formula looks something up among numbers of its own: `{'high': 2}[season]`."""
    return (
        isinstance(node, ast.Dict)
        and all(isinstance(key, ast.Constant) for key in node.keys)
        and all(isinstance(v, ast.Constant) and type(v.value) in _NUMBERS for v in node.values)
    )


def _is_word(node: ast.expr) -> bool:
    """Tell whether an argument is a text of letters and digits."""
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _is_key(node: ast.expr) -> bool:
    """Tell whether what is looked up is a number, or a plain key that is not hidden."""
    value = node.value if isinstance(node, ast.Constant) else None
    return type(value) is int or (isinstance(value, str) and not is_hidden(value))


def is_data(text: str, spans: Sequence[Span]) -> bool:
    """Tell whether all of a text is data, but for names that the code has put calls around."""
    place, left = 0, ""
    for span in spans:
        left += text[place : span.start]
        place = span.end
        word = _WORD.fullmatch(text, span.start, span.end) is not None
        left += _NAMED if word and _CALLED.search(left[-_LONGEST_CALL:]) else _DATA
    left += text[place:]
    return bool(spans) and not _REFERENCE.sub("", left).replace(_DATA, "").strip()


def _parsed(text: str, mode: Literal["eval", "exec"]) -> ast.AST | None:
    try:
        return ast.parse(text, mode=mode)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _texts_held(tree: ast.AST) -> set[int]:
    """Return the texts that are only compared or chosen, wherever they are within."""
    # Whatever is calculated with what a comparison says, its texts are not.
    compared = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    sides = [side for node in compared for side in (node.left, *node.comparators)]
    held = {id(s) for s in sides if isinstance(s, ast.Constant) and isinstance(s.value, str)}
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
    """Tell whether a text is one value of the event: the code has put nothing around it.

    But for signs within it that the code writes otherwise: `^` as `**`, a decimal comma as a point.
    """
    if not spans or spans[0].start > 0 or spans[-1].end < len(text):
        return False
    if len({span.origin.pointer for span in spans}) > 1:
        return False
    places = itertools.pairwise(spans)
    return all(_REWRITTEN.fullmatch(text, one.end, other.start) for one, other in places)


def _is_harmless(node: ast.AST, *, called: bool, kinds: tuple[type[ast.AST], ...]) -> bool:
    if isinstance(node, ast.Name):
        plain = is_field(node.id) and not node.id.startswith("_")
        return node.id in _FUNCTIONS if called else plain
    if isinstance(node, ast.Constant):
        return type(node.value) in _NUMBERS
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and not node.keywords
    return isinstance(node, kinds)
