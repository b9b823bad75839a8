"""What a function's own code imports, by its syntax: nothing of it is run."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec

from casemate.import_statements import imported
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
        tree = parsed(bundle / file.path)
        if tree is None:
            unread.append(file.path)
            continue
        for node in ast.walk(tree):
            modules.update(imported(node))
            if isinstance(node, ast.Constant) and type(node.value) is str and len(node.value) < 200:
                texts.add(node.value)
            if isinstance(node, ast.Call) and is_import(node):
                name = literal_name(node)
                if name is None:
                    dynamic.append(f"{file.path}:{node.lineno}")
                else:
                    modules.add(name)
    return Imports(
        modules=frozenset(modules),
        texts=frozenset(texts),
        dynamic=tuple(dynamic),
        unread=tuple(unread),
    )


def parsed(path: Path) -> ast.Module | None:
    """Return the syntax of a source file; None for one that is too large, or no Python."""
    try:
        with path.open("rb") as file:
            source = file.read(MAX_FILE_BYTES + 1)
        return ast.parse(source) if len(source) <= MAX_FILE_BYTES else None
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def is_import(call: ast.Call) -> bool:
    """Tell whether a call is one of `importlib.import_module` or `__import__`, by its name."""
    called = call.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name in _IMPORTERS


def literal_name(call: ast.Call) -> str | None:
    """Return the module that such a call names; None where that is known only when it runs."""
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and type(first.value) is str else None
