"""Whether a handler's module exists in the source and defines the function.

It reports only what is certain: code that may define the name in a way that cannot be seen
without running it is accepted. Nothing is imported or run.
"""

from __future__ import annotations

import ast
import functools
import sys
import warnings
from pathlib import Path, PurePosixPath

from casemate.manifest.folder import ProjectFolder
from casemate.manifest.problem import quoted, suggestion
from casemate.manifest.rejection import RejectedValueError
from casemate.model.function import SUPPORTED_PYTHONS

MAX_SOURCE = 1024 * 1024
"""Bytes of a module that is looked into; a larger one is accepted as it is."""

_DYNAMIC = frozenset({"exec", "eval", "globals", "locals", "vars", "setattr", "__dict__"})
"""Names whose use may define others at run time."""

_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


_OTHERS = (".js", ".mjs", ".cjs", ".ts", ".go", ".rb")


def check_handler(folder: ProjectFolder, source: str, handler: str, python: str | None) -> None:
    """Raise RejectedValueError if `handler` (`module:function`) is surely not in `source`."""
    module, _, function = handler.partition(":")
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        raise RejectedValueError(
            f"a module with a name of its own: the standard library has a module {top}, "
            "which would be imported instead",
            quoted(handler),
        )
    path = find_module(folder, source, module)
    if path is None:
        return
    names = _module_names(path, module, python)
    if names is not None and function not in names:
        raise RejectedValueError(
            f"a function at the top level of {path.name}{suggestion(function, sorted(names))}",
            f"{quoted(handler)}, but {module} defines no {function}",
        )


def find_module(folder: ProjectFolder, source: str, module: str) -> Path | None:
    """Return the file of a module, in the import system's order; None if it is compiled."""
    parts = module.split(".")
    base = PurePosixPath(source, *parts)
    candidates = (f"{base}/__init__.py", f"{base}.py")
    expected = f"a module {candidates[1]} or a package {candidates[0]}"
    root = folder.source(source)
    parent = root.joinpath(*parts[:-1])
    compiled = (f"{parts[-1]}.so", f"{parts[-1]}.*.so", f"{parts[-1]}.pyc")
    try:
        present = [c for c, file in zip(candidates, _files(root, parts), strict=True) if file]
        if not present and any(any(parent.glob(pattern)) for pattern in compiled):
            return None
    except OSError as error:
        raise RejectedValueError(
            expected, f"a folder that cannot be read ({error.strerror})"
        ) from error
    if not present and any(root.joinpath(parts[0]).with_suffix(s).is_file() for s in _OTHERS):
        raise RejectedValueError(
            f"{expected}: functions are written in Python", "a file in another language"
        )
    if not present:
        raise RejectedValueError(expected, "no such file")
    return folder.resolve(present[0], expected)


def _files(root: Path, parts: list[str]) -> tuple[bool, bool]:
    base = root.joinpath(*parts)
    return (base / "__init__.py").is_file(), base.with_name(f"{parts[-1]}.py").is_file()


def _module_names(path: Path, module: str, python: str | None) -> frozenset[str] | None:
    """Return the names a module surely has at most, or None if that cannot be known."""
    try:
        if path.stat().st_size > MAX_SOURCE:
            return None
        code = path.read_bytes()
    except OSError as error:
        raise RejectedValueError(
            f"a module {module} that can be read", f"{quoted(path.name)}: {error.strerror}"
        ) from error
    try:
        return _names_in(code)
    except SyntaxError as error:
        if not _knows_syntax_of(python):
            return None
        raise RejectedValueError(
            "a module of valid Python",
            f"a syntax error on line {error.lineno or 1} of {path.name}: {error.msg}",
        ) from error
    except (ValueError, RecursionError, MemoryError):
        return None


@functools.lru_cache(maxsize=4)
def _names_in(code: bytes) -> frozenset[str] | None:
    """Return the names of a module's text: many functions of a project may share one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(code)
    names = _bound_names(tree)
    return None if names is None else frozenset(names)


def _knows_syntax_of(python: str | None) -> bool:
    """Tell whether this interpreter accepts all that the function's does."""
    wanted = python or SUPPORTED_PYTHONS[-1]
    return sys.version_info[:2] >= tuple(int(part) for part in wanted.split("."))


def _bound_names(tree: ast.Module) -> set[str] | None:
    names: set[str] = set()
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, _Scope):
            names.add(node.name)
            continue
        if isinstance(node, ast.AnnAssign) and node.value is None:
            continue
        names.update(_names_of(node))
        pending.extend(ast.iter_child_nodes(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            names.update(node.names)
        used = getattr(node, "id", None) or getattr(node, "attr", None)
        if used in _DYNAMIC:
            return None
    return None if names & {"*", "__getattr__"} else names


def _names_of(node: ast.AST) -> set[str]:
    """Return the names that one statement or expression binds by itself."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.alias):
        return {node.asname or node.name.partition(".")[0]}
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return {node.name} if node.name else set()
    if isinstance(node, ast.MatchMapping):
        return {node.rest} if node.rest else set()
    return set()
