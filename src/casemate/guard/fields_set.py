"""Finds where code sets attributes by an object's dictionary: `user.__dict__[name] = value`.

    fields = vars(user)
    fields[name] = value       fields[__casemate_seen__("attribute that ...", name, fields)] = value
    user.__dict__ |= given     user.__dict__ |= __casemate_seen__("...", given, user.__dict__)

The first of these gives the dictionary a name.
"""

from __future__ import annotations

import ast
import copy

_MAX_DEPTH = 4


def names_of_fields(module: ast.Module) -> frozenset[str]:
    """Return the names that stand for an object's dictionary somewhere in a module."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and _is_dictionary(node.value):
            found.update(each.id for each in node.targets if isinstance(each, ast.Name))
        elif isinstance(node, ast.NamedExpr) and _is_dictionary(node.value):
            found.add(node.target.id)
    return frozenset(found)


def fields_of(node: ast.expr, names: frozenset[str]) -> ast.expr | None:
    """Return an expression for an object's dictionary that may be evaluated again, if it is one."""
    named = isinstance(node, ast.Name) and node.id in names
    if not (named or _is_dictionary(node)) or not _is_plain(node):
        return None
    again = copy.deepcopy(node)
    for each in ast.walk(again):
        if hasattr(each, "ctx"):
            each.ctx = ast.Load()
    return again


def _is_dictionary(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "__dict__"
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Name) and called.id == "vars" and len(node.args) == 1  # type: ignore[attr-defined]


def _is_plain(node: ast.expr) -> bool:
    """Tell whether an expression is a name, an attribute of one, or `vars` of one."""
    if isinstance(node, ast.Call):
        return not node.keywords and _is_plain(node.args[0])
    for _ in range(_MAX_DEPTH):
        if not isinstance(node, ast.Attribute):
            break
        node = node.value
    return isinstance(node, ast.Name)
