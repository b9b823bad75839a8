"""Command lines of which a function itself shows that nothing harmful comes into them.

The function that has one is followed with whatever its parameters may be. What code of other files
has checked, and what is not known, counts as unchecked.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from casemate.audit.code.reading import PythonFile
from casemate.audit.flow import Entry, analyse
from casemate.audit.flow.limits import Limits

_PATH = "checked.py"
_MOST = 20
"""Functions of a file that are followed by themselves."""
_SECONDS = 2.0
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def unchecked(file: PythonFile, found: list[tuple[ast.AST, str]]) -> Iterator[tuple[ast.AST, str]]:
    """Yield what was found but for what is checked before."""
    holders = dict(_holders(file.tree, [node for node, _ in found])) if found else {}
    names = sorted(set(holders.values()))
    entries = [Entry(path=_PATH, name=name, event="invoke", shape="route") for name in names]
    places = set[tuple[int, int]]()
    if entries and len(entries) <= _MOST:
        analysis = analyse({_PATH: file.text}, entries, Limits(seconds=_SECONDS))
        if not analysis.unresolved:
            places = {(at.line, at.column) for at, is_checked in analysis.commands if is_checked}
    for node, text in found:
        at = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
        if id(node) not in holders or at not in places:
            yield node, text


def _holders(tree: ast.Module, nodes: list[ast.AST]) -> Iterator[tuple[int, str]]:
    """Yield the functions of a module, and of its classes, that nodes stand in."""
    found = {id(node) for node in nodes}
    for each in tree.body:
        inner = each.body if isinstance(each, ast.ClassDef) else [each]
        before = f"{each.name}." if isinstance(each, ast.ClassDef) else ""
        for function in inner:
            if isinstance(function, _FUNCTIONS):
                for node in ast.walk(function):
                    if id(node) in found:
                        yield id(node), f"{before}{function.name}"
