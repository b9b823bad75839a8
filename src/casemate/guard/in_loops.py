"""What loops call for each text, by local names of their function: found sooner than built-in ones.

for row in rows:        __casemate_own_note__ = __casemate_note__
    f"a {row}"          for row in rows:
                            ... __casemate_own_note__(...) ...
"""

from __future__ import annotations

import ast

PREFIX, SUFFIX = "__casemate_", "__"
_OFTEN = ("note", "len")
_LOCAL = {f"{PREFIX}{name}{SUFFIX}": f"{PREFIX}own_{name}{SUFFIX}" for name in _OFTEN}
_APART = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
    *(ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp),
)
"""What has names of its own: there a local one would be found by a cell, or not at all."""
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


def with_local_names(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return a function's body whose loops call by local names, set at first; changed in place."""
    used: set[str] = set()
    todo: list[tuple[ast.AST, bool]] = [(statement, False) for statement in body]
    while todo:
        node, inside = todo.pop()
        if isinstance(node, ast.Name) and inside and node.id in _LOCAL:
            used.add(node.id)
            node.id = _LOCAL[node.id]
        if not isinstance(node, _APART):
            within = inside or isinstance(node, _LOOPS)
            todo += [(child, within) for child in ast.iter_child_nodes(node)]
    if not used:
        return body
    place = int(len(body) > 1 and _is_docstring(body[0]))
    begun: list[ast.stmt] = []
    for name in sorted(used):
        own = ast.Name(_LOCAL[name], ast.Store())
        made = ast.Assign([own], ast.Name(name, ast.Load()))
        ast.copy_location(made, body[place])
        begun.append(ast.fix_missing_locations(made))
    return [*body[:place], *begun, *body[place:]]


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
