"""Imports: files of the function are read, libraries are names, and what is neither is told."""

from __future__ import annotations

import ast

from casemate.audit.privileges.libraries import HARMLESS, OF_SERVICES, SDKS, STANDARD
from casemate.audit.privileges.needs import EVERY
from casemate.audit.privileges.program import Scope
from casemate.audit.privileges.reader import Reader
from casemate.audit.privileges.values import DATA, NONE, External, Module, Values


def read(reader: Reader, node: ast.Import | ast.ImportFrom) -> None:
    """Read an import."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            found = module(reader, alias.name, node)
            if alias.asname:
                _bind(reader, node, alias.asname, found)
            else:
                first = alias.name.partition(".")[0]
                top = module(reader, first, node) if "." in alias.name else found
                _bind(reader, node, first, top)
        return
    base = node.module or ""
    if base == "__future__":
        return
    for alias in node.names:
        if alias.name == "*":
            _star(reader, base, node)
            continue
        found = _from(reader, base, alias.name, node)
        _bind(reader, node, alias.asname or alias.name, found)


def _bind(reader: Reader, node: ast.stmt, name: str, found: Values) -> None:
    """Let a name hold what is imported, unless nothing can see that."""
    if reader.scope.kind != "module" or (id(node), name) not in reader.replaced():
        reader.state.name(reader.scope, name, found)


def _from(reader: Reader, base: str, name: str, node: ast.ImportFrom) -> Values:
    importing, found, own, there = reader.file.file, NONE, False, False
    for file in reader.modules.files(base, importing, node.level):
        if reader.load(file) is not None:
            own = True
            held = reader.state.names.find((Scope("module", reader.loaded[file]), name))
            there = there or held is not None
            found |= held or NONE
        else:
            reader.open(EVERY, node, f"{file} cannot be read")
            own = True
    inner = f"{base}.{name}" if base else name
    if not there:
        for file in reader.modules.files(inner, importing, node.level):
            if reader.load(file) is not None:
                return frozenset((Module(file),))
    if there:
        return found
    if own or reader.modules.is_folder(base, importing, node.level):
        reader.open(EVERY, node, f"no {name[:60]} was found in {base[:60] or 'its folder'}")
        return NONE
    if node.level:
        reader.open(EVERY, node, f"{'.' * node.level}{inner[:100]} is not there")
        return DATA
    _library(reader, base, node)
    return frozenset((External(inner),))


_PLAIN = frozenset(
    (
        *("decimal", "math", "cmath", "datetime", "typing", "enum", "dataclasses", "time", "json"),
        *("collections", "collections.abc", "re", "uuid", "random", "string", "itertools", "abc"),
        *("functools", "fractions", "statistics", "calendar", "http", "numbers", "operator"),
        *("textwrap", "base64", "hashlib", "hmac", "secrets", "copy", "logging", "csv"),
    )
)
"""Modules of which nothing that `import *` brings runs code or reads the environment."""


def _star(reader: Reader, base: str, node: ast.ImportFrom) -> None:
    files = reader.modules.files(base, reader.file.file, node.level)
    for file in files:
        if reader.load(file) is None:
            reader.open(EVERY, node, f"{file} cannot be read")
            continue
        scope = Scope("module", reader.loaded[file])
        for name, held in reader.state.inside(scope):
            if not name.startswith("_"):
                reader.state.name(reader.scope, name, held)
    if not files:
        _library(reader, base, node)
        first = base.partition(".")[0]
        if base in _PLAIN or first in HARMLESS:
            reader.starred.add(reader.file.file)
        if first in SDKS:
            reader.open(EVERY, node, f"what `from {base[:60]} import *` brings is not followed")


def module(reader: Reader, dotted: str, node: ast.AST) -> Values:
    """Return what `import dotted` means."""
    files = reader.modules.files(dotted, reader.file.file)
    found = frozenset(made for file in files if (made := reader.load(file)) is not None)
    if found:
        return found
    if files:
        reader.open(EVERY, node, f"{files[0]} cannot be read")
        return DATA
    if not reader.modules.is_folder(dotted, reader.file.file):
        _library(reader, dotted, node)
    return frozenset((External(dotted),))


def _library(reader: Reader, dotted: str, node: ast.AST) -> None:
    """Tell of a library whose code is not read and that may use rights by itself."""
    first = dotted.partition(".")[0]
    reader.recorder.library(first)
    if dotted == "pyarrow.fs":
        reader.open("s3", node, "pyarrow.fs uses it by itself")
    if first in STANDARD or first in SDKS or first in HARMLESS:
        return
    if first.startswith(("mypy_boto3", "types_", "google", "azure", "opentelemetry")):
        return
    services = OF_SERVICES.get(first)
    if services is None:
        reader.open(EVERY, node, f"the code of {first[:60]} is not here")
        return
    for service in services:
        reader.open(service, node, f"{first[:60]} uses it by itself")
