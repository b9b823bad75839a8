"""What a function's own code imports, by its syntax: nothing of it is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec

from casemate.model.bundle import BundleManifest

MAX_FILE_BYTES = 2 * 1024 * 1024
_CODE = "code/"
_IMPORTERS = ("import_module", "__import__")


class Imports(msgspec.Struct, frozen=True, kw_only=True):
    """What all files of a function's own code import."""

    modules: frozenset[str]
    """Dotted names; of `from a import b` both `a` and `a.b`, whichever is the module."""
    texts: frozenset[str]
    """Texts in the code that could be names of modules."""
    dynamic: tuple[str, ...]
    """Places that import what only is known when they run, as FILE:LINE."""
    unread: tuple[str, ...]
    """Files that could not be read as Python."""


def imports_of(bundle: Path, manifest: BundleManifest) -> Imports:
    """Return what the code of a bundle imports, also within functions and by `importlib`."""
    modules: set[str] = set()
    texts: set[str] = set()
    dynamic: list[str] = []
    unread: list[str] = []
    for file in manifest.files:
        if not file.path.startswith(_CODE) or not file.path.endswith(".py"):
            continue
        tree = _parsed(bundle / file.path) if file.size <= MAX_FILE_BYTES else None
        if tree is None:
            unread.append(file.path)
            continue
        for node in ast.walk(tree):
            modules.update(_imported(node))
            if isinstance(node, ast.Constant) and type(node.value) is str and len(node.value) < 200:
                texts.add(node.value)
            if isinstance(node, ast.Call) and _imports(node):
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and type(first.value) is str:
                    modules.add(first.value)
                else:
                    dynamic.append(f"{file.path}:{node.lineno}")
    return Imports(
        modules=frozenset(modules),
        texts=frozenset(texts),
        dynamic=tuple(dynamic),
        unread=tuple(unread),
    )


def _parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _imports(call: ast.Call) -> bool:
    called = call.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name in _IMPORTERS
