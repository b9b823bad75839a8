"""What the settings of a project make of names of modules.

`paths` and `baseUrl` of tsconfig.json and jsconfig.json, and the packages that a repository has of
its own. Bundlers and compilers find files by them, in other folders than the function's too.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from typing import Any, NamedTuple

from casemate.audit.code.reading import Code
from casemate.audit.javascript.syntax import SUFFIXES

_SETTINGS = ("tsconfig.json", "tsconfig.paths.json", "tsconfig.base.json", "jsconfig.json")
_LINKED = ("workspace:", "file:", "link:", "portal:", "*")
"""How a package of the same repository is depended on."""
_KINDS = ("dependencies", "devDependencies", "peerDependencies")
_MAX_FILES = 300
_MAX_PATTERNS = 200
_MAX_TEXT = 200_000
_OF_VALUES = ("function", "class", "const", "let", "var", "enum", "namespace", "module", "export =")


class Pattern(NamedTuple):
    """A name with at most one `*`, and where it leads, by paths from the top."""

    before: str
    after: str
    exact: bool
    targets: tuple[str, ...]


class Project:
    """The names that the settings above a folder give; found once for each folder."""

    def __init__(self, code: Code, root: str) -> None:
        """Read the settings from a folder (`api/`, or nothing for the top) upwards."""
        self._code = code
        self._root = root
        self._patterns: list[Pattern] = []
        self._bases: list[str] = []
        for folder in _upwards(root):
            for name in _SETTINGS:
                self._read(folder, name)
        self._packages = _packages(code)
        self._linked = frozenset(
            name for folder in _upwards(root) for name in _linked(code, f"{folder}package.json")
        )

    def named(self, name: str) -> Iterator[str]:
        """Yield where a name may lead, as paths from the folder."""
        for pattern in self._patterns:
            if pattern.exact:
                middle = "" if name == pattern.before else None
            elif name.startswith(pattern.before) and name.endswith(pattern.after):
                middle = name[len(pattern.before) : len(name) - len(pattern.after) or None]
            else:
                middle = None
            if middle is not None:
                for target in pattern.targets:
                    yield self._from_root(target.replace("*", middle, 1))
        for base in self._bases:
            yield self._from_root(posixpath.join(base, name))
        parts = name.split("/")
        own = "/".join(parts[:2]) if name.startswith("@") else parts[0]
        folder = self._packages.get(own)
        if folder is None or not (own.startswith("@") or own in self._linked):
            return
        inner = name.removeprefix(own).strip("/")
        for each in _starts(self._code, folder, inner):
            yield self._from_root(each)

    def _from_root(self, path: str) -> str:
        return posixpath.relpath(posixpath.normpath(path), self._root.rstrip("/") or ".")

    def _read(self, folder: str, name: str) -> None:
        settings = _settings(self._code, folder + name).get("compilerOptions")
        if not isinstance(settings, dict):
            return
        base = settings.get("baseUrl")
        start = posixpath.join(folder, base if isinstance(base, str) else ".")
        if isinstance(base, str):
            self._bases.append(start)
        paths = settings.get("paths")
        for key, targets in list(paths.items() if isinstance(paths, dict) else ())[:_MAX_PATTERNS]:
            if isinstance(key, str) and isinstance(targets, list):
                before, star, after = key.partition("*")
                where = tuple(posixpath.join(start, t) for t in targets if isinstance(t, str))
                self._patterns.append(Pattern(before, after, not star, where))


def project_of(code: Code, root: str) -> Project:
    """Return what the settings above a folder say, read once."""
    return code.once("project", root, lambda: Project(code, root))


def scripts_of(code: Code) -> frozenset[str]:
    """Return all files of JavaScript and TypeScript, of every folder."""

    def make() -> frozenset[str]:
        return frozenset(
            file
            for file in code.files
            if file.rpartition(".")[2] in SUFFIXES and not file.endswith(".d.ts")
        )

    return code.once("scripts everywhere", "", make)


def only_types(code: Code, file: str) -> bool:
    """Tell whether a file of declarations has types alone: an import of it is none when it runs."""
    if file not in code.files:
        return False
    text = code.text(file)
    return text is not None and not any(word in text for word in _OF_VALUES)


def _upwards(root: str) -> Iterator[str]:
    folder = root.rstrip("/")
    while folder:
        yield f"{folder}/"
        folder = folder.rpartition("/")[0]
    yield ""


def _settings(code: Code, file: str) -> dict[str, Any]:
    """Return what a file of settings says, read once for all functions below it."""
    return code.once("settings", file, lambda: _read(code, file))


def _read(code: Code, file: str) -> dict[str, Any]:
    text = code.text(file) if file in code.files else None
    if text is None or len(text) > _MAX_TEXT:
        return {}
    try:
        found = json.loads(_plain(text))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(text: str) -> str:
    """Return JSON without the comments and last commas that TypeScript lets stand in it."""
    out: list[str] = []
    at, end = 0, len(text)
    while at < end:
        sign = text[at]
        if sign == '"':
            close = at + 1
            while close < end and text[close] != '"':
                close += 2 if text[close] == "\\" else 1
            out.append(text[at : close + 1])
            at = close + 1
        elif text.startswith("//", at):
            at = (text.find("\n", at) + 1) or end
        elif text.startswith("/*", at):
            close = text.find("*/", at + 2)
            at = end if close < 0 else close + 2
        else:
            if sign in "}]":
                _drop_comma(out)
            out.append(sign)
            at += 1
    return "".join(out)


def _drop_comma(out: list[str]) -> None:
    last = len(out) - 1
    while last >= 0 and out[last].isspace():
        last -= 1
    if last >= 0 and out[last] == ",":
        del out[last]


def _packages(code: Code) -> dict[str, str]:
    """Return the folders of the packages of the repository, by their names."""

    def make() -> dict[str, str]:
        found: dict[str, str] = {}
        files = [file for file in code.files if file.rpartition("/")[2] == "package.json"]
        for file in files[:_MAX_FILES]:
            name = _settings(code, file).get("name")
            if isinstance(name, str) and "/" in file:
                found.setdefault(name, file.removesuffix("package.json"))
        return found

    return code.once("packages of the repository", "", make)


def _linked(code: Code, file: str) -> Iterator[str]:
    settings = _settings(code, file)
    for kind in _KINDS:
        held = settings.get(kind)
        for name, version in held.items() if isinstance(held, dict) else ():
            if isinstance(version, str) and version.startswith(_LINKED):
                yield name


def _starts(code: Code, folder: str, inner: str) -> Iterator[str]:
    if inner:
        yield from (f"{folder}{inner}", f"{folder}src/{inner}")
        return
    settings = _settings(code, f"{folder}package.json")
    for key in ("source", "main", "module", "types"):
        start = settings.get(key)
        if isinstance(start, str):
            yield posixpath.join(folder, start)
    yield from (f"{folder}src/index", f"{folder}index", f"{folder}lib/index")
