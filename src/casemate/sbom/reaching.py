"""How the code of a function comes to each package: by which import, as far as can be read.

What is read is source, and nothing is run. An import that is made up at run time is not seen, so
that there is none is never said, only that none was found.
"""

from __future__ import annotations

import ast
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from casemate.advisories import Ecosystem, normalised
from casemate.model.bundle import BundleManifest
from casemate.sbom.distributions import owners
from casemate.sbom.imports import is_import, literal_name, parsed

MAX_SECONDS = 10.0
"""Of reading source; what was not read by then is said."""
MAX_PARTS = 32
"""Of the name of a module: no path of a bundle has more."""
NOT_FOUND = "no import of it was found, which proves nothing"
_TOO_LONG = "its imports were not all read in time"


def reached(bundle: Path, manifest: BundleManifest) -> Reached:
    """Return how a bundle's code comes to its packages."""
    return Reached(bundle, manifest, time.monotonic() + MAX_SECONDS)


class Reached:
    """The first way to each package that was found, in words."""

    def __init__(self, bundle: Path, manifest: BundleManifest, until: float) -> None:
        """Read until a monotonic time."""
        self._bundle = bundle
        self._files = {file.path for file in manifest.files}
        owned = owners(bundle, manifest)
        self._owners: Mapping[str, str] = {path: name for path, (name, _) in owned.items()}
        self._ways: dict[str, str] = {}
        self._whole = True
        self._follow(until)

    def of(self, package: str) -> str:
        """Return how the code comes to a package."""
        name = normalised(Ecosystem.PYPI, package) or package
        return self._ways.get(name, NOT_FOUND if self._whole else _TOO_LONG)

    def _follow(self, until: float) -> None:
        code = sorted(p for p in self._files if p.startswith("code/") and p.endswith(".py"))
        waiting = deque((path, "") for path in code)
        seen = set(code)
        while waiting:
            if time.monotonic() > until:
                self._whole = False
                return
            path, through = waiting.popleft()
            tree = parsed(self._bundle / path)
            for module in imports_in(tree, package_of(path)) if tree is not None else ():
                for found in located(module, self._files):
                    if found in seen:
                        continue
                    seen.add(found)
                    owner = self._owners.get(found, "")
                    if owner and owner != through:
                        way = f"imported through {through}" if through else f"imported by {path}"
                        self._ways.setdefault(owner, way)
                    waiting.append((found, owner or through))


def located(module: str, files: Collection[str]) -> Iterator[str]:
    """Give the files that an import of a module runs: those of its parents as well."""
    # No file is deeper, whatever a text says that is imported.
    parts = module.split(".", MAX_PARTS)[:MAX_PARTS]
    for root in ("code", "deps"):
        for count in range(1, len(parts) + 1):
            stem = "/".join((root, *parts[:count]))
            for path in (f"{stem}/__init__.py", f"{stem}.py"):
                if path in files:
                    yield path
        top = f"{root}/{parts[0]}"
        yield from (p for p in (f"{top}.abi3.so", f"{top}.so") if p in files)


def package_of(path: str) -> str:
    """Return the package that a source file's relative imports count from."""
    folders = path.removesuffix("/__init__.py").split("/")[1:]
    return ".".join(folders if path.endswith("/__init__.py") else folders[:-1])


def imports_in(tree: ast.Module, package: str) -> Iterator[str]:
    """Give the modules that a source file of a package imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and is_import(node) and (name := literal_name(node)):
            yield name.lstrip(".")


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    kept = parts[: len(parts) - node.level + 1]
    return ".".join((*kept, node.module) if node.module else kept)
