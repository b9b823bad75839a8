"""The files of one function, its modules, and what is defined in them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeAlias

from casemate.audit.code.reading import PythonFile
from casemate.audit.flow.reading import PACKAGE
from casemate.audit.privileges.libraries import STANDARD
from casemate.audit.syntax import walk

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_MAX_CANDIDATES = 4
_COPIED = frozenset(
    (
        *("boto3", "botocore", "aioboto3", "aiobotocore", "s3transfer"),
        *("requests", "httpx", "httpx2", "aiohttp", "urllib3"),
    )
)
"""Packages whose calls are known: they are not read, also where they are deployed with the code."""


class Scope(NamedTuple):
    """Where names live: a module, a function or a class."""

    kind: str
    """`module`, `function` or `class`."""
    number: int


class Defined(NamedTuple):
    """A function or a class of the files."""

    node: ast.AST
    file: PythonFile
    scope: Scope
    """The scope that it stands in."""
    owner: int
    """The class whose method it is; -1 for none."""
    marks: frozenset[str]
    """Last parts of the names of its decorators."""


class Files:
    """All files of Python of what is audited, indexed once for all functions."""

    def __init__(self, every: Iterable[str]) -> None:
        """Index them."""
        self.every = frozenset(file for file in every if file.endswith(".py"))
        self.by_last: dict[str, list[str]] = defaultdict(list)
        self.folders: set[str] = set()
        for file in sorted(self.every):
            folder, _, last = file.rpartition("/")
            self.by_last[last].append(file)
            while folder and folder not in self.folders:
                self.folders.add(folder)
                folder = folder.rpartition("/")[0]


class Parsed(Protocol):
    """What parses files."""

    def python(self, file: str) -> PythonFile | None:
        """Return a file, parsed, or None."""
        ...


class Modules:
    """Finds the files that imports mean, among those of the function first."""

    def __init__(self, code: Parsed, root: str, files: Files) -> None:
        """Look for modules under `root`, then in all files beside it: layers lie there."""
        self._code = code
        self._root = "" if root in ("", ".") else f"{root}/"
        self._files = files

    def parsed(self, file: str) -> PythonFile | None:
        """Return a file, parsed; None if it cannot be."""
        return self._code.python(file)

    def has(self, file: str) -> bool:
        """Tell whether there is such a file."""
        return file in self._files.every

    def files(self, dotted: str, importing: str, level: int = 0) -> list[str]:
        """Return the files that a module may be; a package is its `__init__.py` or nothing."""
        path = dotted.replace(".", "/")
        if not level and self._is_copied(dotted.partition(".")[0], importing):
            return []
        if level:
            folder = importing.rpartition("/")[0]
            for _ in range(level - 1):
                folder = folder.rpartition("/")[0]
            base = f"{folder}/" if folder else ""
            return self._at(base + path if path else base.rstrip("/"))
        if dotted.partition(".")[0] in STANDARD:  # only what lies at the root is found before it
            return self._at(self._root + path)
        folder = importing.rpartition("/")[0]
        beside = self._at(f"{folder}/{path}" if folder else path)
        found = self._at(self._root + path) or beside or self._elsewhere(path)
        if not found and dotted.startswith(PACKAGE):
            return self.files(dotted.removeprefix(PACKAGE), importing)
        return found

    def _is_copied(self, first: str, importing: str) -> bool:
        """Tell whether a library is meant of which a copy may lie beside the code."""
        if first not in _COPIED:
            return False
        folder = importing.rpartition("/")[0]
        own = (f"{self._root}{first}.py", f"{folder}/{first}.py".lstrip("/"))
        return not any(name in self._files.every for name in own)

    def _at(self, path: str) -> list[str]:
        names = (f"{path}.py", f"{path}/__init__.py" if path else "__init__.py")
        return [name for name in names if name in self._files.every][:1]

    def _elsewhere(self, path: str) -> list[str]:
        """Return files of that name anywhere: in a layer's `python` folder best of all."""
        names = (f"{path}.py", f"{path}/__init__.py")
        found = [
            file
            for name in names
            for file in self._files.by_last.get(name.rpartition("/")[2], ())
            if f"/{file}".endswith(f"/{name}")
        ]
        layers = [file for file in found if f"python/{path}" in file]
        found = layers or found
        shared = {file: _shared(file, self._root) for file in found}
        nearest = max(shared.values(), default=0)
        return [file for file in found if shared[file] == nearest][:_MAX_CANDIDATES]

    def is_folder(self, dotted: str, importing: str, level: int = 0) -> bool:
        """Tell whether a package without `__init__.py` is meant."""
        if not level and self._is_copied(dotted.partition(".")[0], importing):
            return False
        path = dotted.replace(".", "/")
        folder = importing.rpartition("/")[0]
        for _ in range(max(level - 1, 0)):
            folder = folder.rpartition("/")[0]
        starts = [folder, self._root.rstrip("/"), ""] if not level else [folder]
        return any(f"{start}/{path}".strip("/") in self._files.folders for start in starts)


def _shared(one: str, other: str) -> int:
    """Return how many folders two paths have in common from the top."""
    count = 0
    for a, b in zip(one.split("/")[:-1], other.split("/")[:-1], strict=False):
        if a != b:
            break
        count += 1
    return count


def replaced(body: list[ast.stmt]) -> frozenset[tuple[int, str]]:
    """Return imports and names that mean something else before anything can have used them."""
    given = {name for node in body for name in _given(node)}
    found, waiting = set(), dict[str, int]()
    if not any(name in given for node in body for name in _imported(node)):
        return frozenset()
    for node in body:
        if waiting:
            used = {n.id for n in walk(node) if isinstance(n, ast.Name) and _reads(n)}
            for name in _given(node):
                if name in waiting and name not in used:
                    found.add((waiting[name], name))
            for name in used.union(_given(node)):
                waiting.pop(name, None)
        waiting |= dict.fromkeys(_imported(node), id(node))
    return frozenset(found)


def _reads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _imported(node: ast.stmt) -> list[str]:
    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        return []
    return [each.asname or each.name.partition(".")[0] for each in node.names]


def _given(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [each.id for each in node.targets if isinstance(each, ast.Name)]
    return []


def marks(node: ast.AST, file: PythonFile) -> frozenset[str]:
    """Return the last parts of the names of decorators."""
    found = set()
    for each in getattr(node, "decorator_list", ()):
        called = each.func if isinstance(each, ast.Call) else each
        found.add(file.name(called).rpartition(".")[2])
    return frozenset(found)


PLAIN_MARKS = frozenset(
    (
        *("property", "staticmethod", "classmethod", "abstractmethod", "cached_property", "wraps"),
        *("contextmanager", "asynccontextmanager", "lru_cache", "cache", "dataclass", "override"),
        *("setter", "getter", "overload", "total_ordering", "singledispatch", "final", "retry"),
    )
)
"""Decorators that call nothing by themselves."""
