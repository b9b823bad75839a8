"""Which function a finding in code belongs to, where several functions have the same files."""

from __future__ import annotations

import ast

from casemate.audit.code.reading import PythonFile
from casemate.audit.model import Function
from casemate.audit.reached import reaching
from casemate.audit.rule import Subject
from casemate.audit.rules.followed_code import WIDTH, handler_of


def owner_of_file(subject: Subject, file: str, most: Function) -> Function:
    """Return the function that a file is told of: one that may run it, of these `most` first.

    `most` is the one that the file belongs to by its folder or its handler.
    """
    return _chosen(reaching(subject.code, subject.application, file), most)


def owner_of(subject: Subject, file: PythonFile, node: ast.AST, most: Function) -> Function:
    """Return the function that code is told of: one whose handler comes to it.

    Of several it is `most`, unless another one is open to more callers.
    """
    found = reaching(subject.code, subject.application, file.file)
    if len(found) < 2:
        return _chosen(found, most)
    within = _definition(file, node)
    if within is not None:
        used = _used(subject, file)
        by_handler = [f for f in found if f.entry == file.file and handler_of(f) in used]
        if len(by_handler) == len(found):  # else another file may call whatever it likes
            found = [f for f in found if within in _reached(used, handler_of(f))] or found
    return _chosen(found, most)


def _chosen(found: list[Function], most: Function) -> Function:
    return max(found, key=lambda f: (WIDTH[f.reach], f is most), default=most)


def _definition(file: PythonFile, node: ast.AST) -> str | None:
    """Return the name of the definition of a module that a node stands in."""
    line = getattr(node, "lineno", 0)
    for each in file.tree.body:
        if isinstance(each, _DEFINITIONS) and each.lineno <= line <= (each.end_lineno or 0):
            return each.name
    return None


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _used(subject: Subject, file: PythonFile) -> dict[str, set[str]]:
    """Return which names each definition of a module uses."""

    def make() -> dict[str, set[str]]:
        return {
            each.name: {node.id for node in ast.walk(each) if isinstance(node, ast.Name)}
            for each in file.tree.body
            if isinstance(each, _DEFINITIONS)
        }

    return subject.code.once("names used", file.file, make)


def _reached(used: dict[str, set[str]], name: str) -> set[str]:
    """Return the definitions that one comes to by names: it itself and what it uses."""
    found, waiting = {name}, [name]
    for each in waiting:  # which grows meanwhile
        new = (used[each] & used.keys()) - found
        found |= new
        waiting += new
    return found
