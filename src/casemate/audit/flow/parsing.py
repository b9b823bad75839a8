"""Source texts into syntax, within bounds; what does not parse is told with its place."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from typing import NamedTuple

from casemate.audit.flow import fstrings
from casemate.audit.flow.library.table import LIBRARIES
from casemate.audit.flow.limits import MAX_DEPTH, MAX_FILE, MAX_FILES, MAX_NESTING, MAX_NODES
from casemate.audit.flow.results import Place, Unresolved
from casemate.audit.syntax import Syntax, syntax_of

_OF_OTHERS = frozenset(("site-packages", "dist-packages", "node_modules", "__pypackages__"))
_OPENING, _CLOSING = "([{", ")]}"


class File(NamedTuple):
    """One file that was parsed."""

    path: str
    module: str
    """Dotted, from the top of the files."""
    tree: ast.Module


class Parsed(NamedTuple):
    """Files by their modules' names, and what could not be parsed."""

    files: dict[str, File]
    problems: list[Unresolved]


def parse_all(files: Mapping[str, str], known: Mapping[str, Syntax] | None = None) -> Parsed:
    """Return the files, parsed; those that are `known` by their paths were parsed before."""
    parsed: dict[str, File] = {}
    problems: list[Unresolved] = []
    for number, (path, text) in enumerate(sorted(files.items())):
        if not path.endswith(".py") or of_others(path, files):
            continue
        if number >= MAX_FILES:
            problems.append(Unresolved(Place(path, 1), f"more than {MAX_FILES} files"))
            break
        tree = _measured(path, known[path]) if known and path in known else _parse(path, text)
        if isinstance(tree, Unresolved):
            problems.append(tree)
            continue
        name = module_of(path)
        parsed[name] = File(path, name, tree)
    return Parsed(parsed, problems)


def of_others(path: str, files: Mapping[str, str]) -> bool:
    """Return whether a file is of a library that lies beside the code: what it does is known."""
    *folders, _ = path.replace("\\", "/").split("/")
    for number, folder in enumerate(folders):
        if folder in _OF_OTHERS:
            return True
        if folder in LIBRARIES and "/".join([*folders[: number + 1], "__init__.py"]) in files:
            return True
    return False


def module_of(path: str) -> str:
    """Return the name that a file has as a module."""
    name = path.removesuffix(".py").replace("\\", "/").strip("/")
    while name.startswith("./"):
        name = name[2:]
    name = name.removesuffix("/__init__")
    return name.replace("/", ".")


def _measured(path: str, syntax: Syntax) -> ast.Module | Unresolved:
    """Return the tree, unless there are too many nodes, or they are nested too deep."""
    if syntax.total > MAX_NODES:
        return Unresolved(Place(path, 1), f"has more than {MAX_NODES} nodes of syntax")
    if syntax.depth > MAX_DEPTH:
        return Unresolved(Place(path, 1), f"nested deeper than {MAX_DEPTH} levels")
    return syntax.tree


def _parse(path: str, text: str) -> ast.Module | Unresolved:
    def problem(what: str, line: int = 1) -> Unresolved:
        return Unresolved(Place(path, max(line, 1)), what)

    if len(text) > MAX_FILE:
        return problem(f"larger than {MAX_FILE} characters")
    if "\0" in text:
        return problem("has null bytes", text.count("\n", 0, text.find("\0")) + 1)
    text = text.removeprefix("\ufeff")
    if nesting(text) > MAX_NESTING:
        return problem(f"nested deeper than {MAX_NESTING} levels")
    try:
        tree = _tree(text)
    except SyntaxError as error:
        try:
            tree = _older(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return problem(f"does not parse: {str(error.msg)[:200]}", error.lineno or 1)
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return problem(f"does not parse: {str(error)[:200] or type(error).__name__}")
    return _measured(path, syntax_of(tree))


def _tree(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _older(text: str) -> ast.Module:
    cut = fstrings.Cut(text)
    if not cut.taken:
        raise ValueError("no f-strings")
    tree = _tree(cut.text)
    expressions: list[ast.expr] = []
    for source, line in cut.taken:
        node = ast.parse(f"({source}\n)", mode="eval").body
        for each in ast.walk(node):
            if isinstance(each, ast.expr):
                each.lineno = each.lineno + line - 1
        expressions.append(node)
    put_back = _PutBack(expressions)
    for number, node in enumerate(expressions):
        # Inner ones come after outer ones, so each is whole when it is put in.
        expressions[number] = put_back.visit(node)
    done: ast.Module = put_back.visit(tree)
    return done


class _PutBack(ast.NodeTransformer):
    """Puts expressions in the place of the names that stand for them."""

    def __init__(self, expressions: list[ast.expr]) -> None:
        self._expressions = expressions

    def visit_Name(self, node: ast.Name) -> ast.expr:
        number = fstrings.number_of(node.id)
        if number is None or number >= len(self._expressions):
            return node
        return self._expressions[number]


def nesting(text: str) -> int:
    """Return how deep brackets go at most, as text: parsing it may be too much."""
    deepest = level = 0
    for sign in text:
        if sign in _OPENING:
            level += 1
            deepest = max(deepest, level)
        elif sign in _CLOSING:
            level = max(0, level - 1)
    return deepest
