"""Which packages of a bundle its function needs, and which nothing seems to need.

Careful in one direction: what could be imported in a way that is not seen here is called optional,
not unused. A package is unused if the function's code does not import it or hold its name, no
package that is needed declares it, and none of their files imports it or holds its name.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from casemate.import_statements import imported
from casemate.model.bundle import BundleManifest
from casemate.sbom.distributions import distributions, needed, owners
from casemate.sbom.environment import environment_of
from casemate.sbom.imports import Imports, imports_of, parsed

_DEPS = "deps/"
_MODULE = re.compile(r"(?P<name>[^.]+)(?:\.[A-Za-z0-9_-]+)?\.(?:py|so|pyd)\Z")
MAX_SCANNED_BYTES = 512 * 1024 * 1024


class Standing(StrEnum):
    """Whether a package is needed."""

    IMPORTED = "imported"
    """The function's code imports it."""
    NEEDED = "needed"
    """A package that is needed says that it needs it."""
    OPTIONAL = "optional"
    """It may be imported where it is not seen: its name is in the code of what is needed."""
    UNUSED = "unused"


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """One package of a bundle."""

    name: str
    version: str
    standing: Standing
    by: tuple[str, ...]
    """Packages that need it, or could import it; empty where that is the function's own code."""
    modules: tuple[str, ...]
    """Names by which it is imported, without those within a package."""
    size: int
    """Bytes of its files, without what was compiled here."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """All packages of a bundle, by name."""

    packages: tuple[Need, ...]
    dynamic: tuple[str, ...]
    """Places in the function's code that import what only is known when they run."""
    unread: tuple[str, ...]
    """Files of the function that could not be read as Python."""


def needs(bundle: Path, manifest: BundleManifest) -> Needs:
    """Return which packages of a bundle are needed, and by what. Raises SbomError."""
    found, _ = distributions(bundle, manifest)
    owned = owners(bundle, manifest)
    imports = imports_of(bundle, manifest)
    edges = needed(found, environment_of(manifest))
    modules = _modules(owned)
    names = [each.package.name for each in found]
    tops = {name: _tops(modules, name) for name in names}

    # (1) what the function's own code imports
    own = _own_modules(manifest)
    direct = {
        owner
        for module in imports.modules
        if module.partition(".")[0] not in own and not _is_way(module, imports, modules)
        for owner in _owners_of(module, modules)
    }
    standing = dict.fromkeys(direct, Standing.IMPORTED)
    by: dict[str, set[str]] = defaultdict(set)

    # (2) what those need, and so on
    _spread(direct, edges, standing, by)

    # (3) what could be imported where it is not seen, and what that needs
    looked: frozenset[str] = frozenset()
    while True:
        left = {name: tops[name] for name in names if name not in standing}
        maybe = _named(bundle, manifest, owned, standing, looked, left, imports)
        if not maybe:
            break
        looked = frozenset(standing)
        for name, where in maybe.items():
            standing[name] = Standing.OPTIONAL
            by[name] |= where
        _spread(set(maybe), edges, standing, by)
    return Needs(
        packages=tuple(
            Need(
                name=each.package.name,
                version=each.package.version,
                standing=standing.get(each.package.name, Standing.UNUSED),
                by=tuple(sorted(by[each.package.name])),
                modules=tops[each.package.name],
                size=each.size,
            )
            for each in found
        ),
        dynamic=imports.dynamic,
        unread=imports.unread,
    )


def owners_of_modules(bundle: Path, manifest: BundleManifest) -> Callable[[str], frozenset[str]]:
    """Return what tells whose module a dotted name is; a shared folder is several packages'."""
    modules, own = _modules(owners(bundle, manifest)), _own_modules(manifest)

    def whose(module: str) -> frozenset[str]:
        mine = module.partition(".")[0] in own
        return frozenset() if mine else frozenset(_owners_of(module, modules))

    return whose


def _spread(
    begin: Iterable[str],
    edges: Mapping[str, list[str]],
    standing: dict[str, Standing],
    by: dict[str, set[str]],
) -> None:
    """Mark what packages need as needed, and what these need. Each is looked at once."""
    waiting = list(begin)
    while waiting:
        name = waiting.pop()
        for other in edges[name]:
            by[other].add(name)
            if other not in standing:
                standing[other] = Standing.NEEDED
                waiting.append(other)


def _modules(owned: Mapping[str, tuple[str, str]]) -> dict[str, set[str]]:
    """Return packages by the dotted names of their modules and of the folders above these."""
    found: dict[str, set[str]] = defaultdict(set)
    for path, (package, _) in owned.items():
        *folders, file = path.removeprefix(_DEPS).split("/")
        match = _MODULE.fullmatch(file)
        if match is None or any(not folder.isidentifier() for folder in folders):
            continue
        if match["name"] != "__init__":
            folders.append(match["name"])
        for depth in range(1, len(folders) + 1):
            found[".".join(folders[:depth])].add(package)
    return found


def _tops(modules: Mapping[str, set[str]], package: str) -> tuple[str, ...]:
    """Return the shortest names that are one package's alone, or that it shares."""
    mine = sorted(name for name, whose in modules.items() if package in whose)
    alone = [name for name in mine if modules[name] == {package}] or mine
    return tuple(name for name in alone if not any(name.startswith(f"{other}.") for other in alone))


def _is_way(module: str, imports: Imports, modules: Mapping[str, set[str]]) -> bool:
    """Tell whether a name is that of a shared folder on the way to another one that is imported."""
    return len(modules.get(module, ())) > 1 and any(
        other in modules and other.startswith(f"{module}.") for other in imports.modules
    )


def _owners_of(module: str, modules: Mapping[str, set[str]]) -> set[str]:
    """Return whose module a dotted name is: that of its longest part that somebody has."""
    name = module
    while name:
        if name in modules:
            return modules[name]
        name = name.rpartition(".")[0]
    return set()


def _own_modules(manifest: BundleManifest) -> set[str]:
    """Return names of the function's own modules, which come before those of packages."""
    return {
        file.path.removeprefix("code/").partition("/")[0].removesuffix(".py")
        for file in manifest.files
        if file.path.startswith("code/") and file.path.endswith(".py")
    }


def _named(
    bundle: Path,
    manifest: BundleManifest,
    owned: Mapping[str, tuple[str, str]],
    standing: Mapping[str, Standing],
    looked: Collection[str],
    candidates: Mapping[str, tuple[str, ...]],
    imports: Imports,
) -> dict[str, set[str]]:
    """Return which candidates the code of what is needed names, and where.

    The packages `looked` were looked through for these before, and do not name them.
    """
    found: dict[str, set[str]] = {}
    for name, tops in candidates.items():
        if any(text == top or text.startswith(f"{top}.") for top in tops for text in imports.texts):
            found[name] = set()
    left = {name: tops for name, tops in candidates.items() if name not in found and tops}
    if not left:
        return found
    patterns = {name: _pattern(tops) for name, tops in left.items()}
    scanned = 0
    for file in manifest.files:
        owner = owned.get(file.path, ("", ""))[0]
        if owner not in standing or not file.path.endswith(".py"):
            continue
        scanned += file.size
        if scanned > MAX_SCANNED_BYTES:
            # More than can be looked through: nothing is called unused.
            return found | {name: {owner} for name in left}
        if owner in looked:
            continue
        path = bundle / file.path
        data = path.read_bytes()
        maybe = [name for name, pattern in patterns.items() if pattern.search(data)]
        if not maybe:
            continue
        said = _said(path)
        for name in maybe:
            if said is None or patterns[name].search(said):
                found.setdefault(name, set()).add(owner)
    return found


def _pattern(tops: Iterable[str]) -> re.Pattern[bytes]:
    """Return what finds modules in source text: imported, or as a text or the beginning of one."""
    either = b"|".join(re.escape(top.encode()) for top in tops)
    return re.compile(rb"(?:\bimport|\bfrom|,)[ \t]+(?:%b)\b|[\"'](?:%b)[\"'.]" % (either, either))


def _said(path: Path) -> bytes | None:
    """Return the imports and texts of a source file, without comments and what documents it.

    "Errors from requests" in those is no import. None: it cannot be read.
    """
    tree = parsed(path)
    if tree is None:
        return None
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines += [f"import {name}" for name in imported(node)]
        elif isinstance(node, ast.Constant) and id(node) not in prose:
            lines += [f"'{node.value}'"] if isinstance(node.value, str) else []
    return "\n".join(lines).encode("utf-8", "surrogatepass")
