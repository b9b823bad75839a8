"""How rules about Python look at a tree: each look yields nodes and what is wrong with them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from casemate.audit.code.reading import PythonFile, python_files
from casemate.audit.rule import Check, Hit, Subject
from casemate.audit.rules.common import hit
from casemate.audit.rules.owners import owner_of

Look = Callable[[PythonFile], Iterator[tuple[ast.AST, str]]]
EVENTS = frozenset(("event", "evt", "lambda_event"))
SECRETIVE = re.compile(
    r"^(?:passw(?:or)?d|passwd|secret|api_?key|access_?token|auth_?token|private_?key|client_secret|credentials?|authorization)$",
    re.I,
)


def look_at(look: Look) -> Check:
    """Return a check of every file of Python; one finding for each line."""

    def check(subject: Subject) -> Iterator[Hit]:
        for file, function in python_files(subject.code, subject.application):
            seen = set[int]()
            try:
                for node, text in look(file):
                    line = getattr(node, "lineno", 0)
                    if line not in seen:
                        seen.add(line)
                        owner = owner_of(subject, file, node, function)
                        yield hit(owner, text, file.place(node), _subject(file, node))
            except RecursionError:  # of this file: the others are looked at
                what = "an expression is nested too deeply: not checked for every rule"
                subject.workspace.note(file.file, what)

    return check


def _subject(file: PythonFile, node: ast.AST) -> str:
    at = getattr(node, "lineno", 1) - 1
    return f"{file.file} {file.lines[at].strip()[:120] if at < len(file.lines) else ''}"


def argument(call: ast.Call, name: str) -> ast.expr | None:
    """Return what a call gives by a name, None without."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def is_value(node: ast.AST | None, value: object) -> bool:
    """Tell whether a node is this constant, written out."""
    return isinstance(node, ast.Constant) and node.value is value


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def scopes(file: PythonFile) -> Iterator[list[ast.AST]]:
    """Yield what stands in each function, and outside of all, without the functions within."""
    waiting: list[ast.AST] = [file.tree]
    for outer in waiting:  # which grows meanwhile
        found: list[ast.AST] = list(ast.iter_child_nodes(outer))
        for node in found:  # which grows, too
            if isinstance(node, _FUNCTIONS):
                waiting.append(node)
            else:
                found += ast.iter_child_nodes(node)
        yield found
