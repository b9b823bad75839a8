"""Answers whose kind of content is said after they are made."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_TYPE = "content-type"
_ATTRIBUTES = ("mimetype", "content_type")
_SETTING = ("set", "add", "setdefault", "__setitem__")


def typed_later(function: ast.AST, made: ast.AST) -> bool:
    """Tell whether the statements after a call say that what it made is no page.

    `answer = make_response(text)` and `answer.headers["Content-Type"] = "application/json"` below,
    in the same block, so that nothing leads around it.
    """
    for block in _blocks(function):
        for at, statement in enumerate(block):
            if not (isinstance(statement, ast.Assign) and statement.value is made):
                continue
            names = {each.id for each in statement.targets if isinstance(each, ast.Name)}
            return any(_says(each, names) for each in block[at + 1 :])
    return False


def _blocks(function: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(function):
        for name in ("body", "orelse", "finalbody"):
            held = getattr(node, name, None)
            if isinstance(held, list) and held and isinstance(held[0], ast.stmt):
                yield held


def _says(statement: ast.stmt, names: set[str]) -> bool:
    """Tell whether a statement says that one of these is no page."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
        if isinstance(target, ast.Subscript):
            is_type = isinstance(target.slice, ast.Constant) and _is_label(target.slice.value)
            return is_type and _is_headers(target.value, names) and _is_no_page(value)
        if isinstance(target, ast.Attribute) and target.attr in _ATTRIBUTES:
            return _is_one_of(target.value, names) and _is_no_page(value)
        return False
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr not in _SETTING or len(call.args) != 2:
        return False
    label, value = call.args
    is_type = isinstance(label, ast.Constant) and _is_label(label.value)
    return is_type and _is_headers(call.func.value, names) and _is_no_page(value)


def _is_label(value: object) -> bool:
    return isinstance(value, str) and value.lower() == _TYPE


def _is_one_of(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _is_headers(node: ast.expr, names: set[str]) -> bool:
    return (
        isinstance(node, ast.Attribute) and node.attr == "headers" and _is_one_of(node.value, names)
    )


def _is_no_page(value: ast.expr) -> bool:
    text = value.value if isinstance(value, ast.Constant) else None
    return isinstance(text, str) and "html" not in text and "svg" not in text
